//! The rules of the repository, checked like everything else: which crate may depend on which, how large a file may
//! grow, what is at the top level, and that the documents are true.

mod circles;
mod dependencies;
mod documents;
mod files;
mod layers;
mod memory;
mod public;
mod tree;
