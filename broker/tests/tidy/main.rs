//! The rules that hold the repository together, checked like everything else: which crate may stand on which, how large a
//! file may grow, what lies at the top, and that the documents say what is.

mod circles;
mod dependencies;
mod documents;
mod files;
mod layers;
mod memory;
mod public;
mod tree;
