//! Making a store for a checkpoint that comes from elsewhere: the log begins after it.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::error::StoreError;
use super::meta::State;
use super::open::{Lock, make_dir};
use super::{Generation, Store};

impl Store {
    /// Makes a store in a directory that has none, with this generation. Its first record will follow the one at
    /// `position`, which is in a checkpoint. Until there is such a checkpoint, no start takes it for an empty journal:
    /// it is refused. It counts as closed.
    ///
    /// # Errors
    /// The directory cannot be made, another process has it open, or the system refuses.
    pub fn make_after(dir: &Path, boot_id: &str, position: u64, generation: Generation) -> Result<Store, StoreError> {
        make_dir(dir)?;
        let lock = Lock::take(dir).map_err(|error| match error {
            StoreError::Locked { dir } => StoreError::InUse { dir },
            other => other,
        })?;
        let first = position + 1;
        let boot = xxh3_64(boot_id.as_bytes());
        let state = State { generation, boot, sync_before: true, closed_at: Some(first), suspect: None };
        Store::make(dir, lock, first, state)
    }
}
