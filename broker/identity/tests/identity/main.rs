//! Tokens as their issuers, and people who forge them, make them. All are signed by another implementation than the one
//! that reads them.

mod claims;
mod forgeries;
mod keys;
mod property;
mod renewal;
mod roles;
mod signing;
mod statics;
