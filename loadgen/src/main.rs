//! The `loadgen` program.
//!
//! It keeps the system's allocator, because its hot path allocates nothing: a delivery is read, verified and counted in
//! place, and only a read that ends within a message keeps the rest of it on the heap.

fn main() -> std::process::ExitCode {
    loadgen::main()
}
