//! The `loadgen` program.

fn main() -> std::process::ExitCode {
    loadgen::main()
}
