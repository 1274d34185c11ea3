//! Writing a checkpoint, one topic at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker_engine::SavedTopic;

use super::block::{self, HEAD_BYTES, Kind, PRELUDE_BYTES};
use super::error::{CheckpointError, io};
use super::files;
use super::topic;
use super::{BLOCK_BYTES_MAX, BUFFER_BYTES, BUFFER_BYTES_KEPT, Head, Tail};

/// A checkpoint that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFile {
    /// Where it is.
    pub path: PathBuf,
    /// The position of the last record that was applied before it was begun.
    pub position: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The number of its topics.
    pub topics: u64,
}

/// A checkpoint that is being written. Dropped before it is finished, it removes its file.
#[derive(Debug)]
pub struct CheckpointWriter {
    file: BufWriter<File>,
    /// What is being written; empty once there is nothing to remove any more.
    path: PathBuf,
    /// Its name when it is complete.
    complete: PathBuf,
    position: u64,
    /// The number of the next block.
    block: u64,
    topics: u64,
    bytes: u64,
    last_name: Option<Arc<str>>,
    buffer: Vec<u8>,
}

impl CheckpointWriter {
    /// Begins a checkpoint in a directory that is there. One that was not completed is overwritten: only one at a time can
    /// be written in a directory.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(dir: &Path, head: &Head) -> Result<CheckpointWriter, CheckpointError> {
        let path = files::temporary(dir);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(io("create", &path))?;
        CheckpointWriter::begin(file, path, files::complete(dir, head.position), head)
    }

    /// Begins a checkpoint in a file of any name, which must not be there yet. Until it is completed, it has no end, and
    /// whoever reads it finds that.
    ///
    /// # Errors
    /// There is such a file, or the system refuses.
    pub fn create_file(path: &Path, head: &Head) -> Result<CheckpointWriter, CheckpointError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        CheckpointWriter::begin(file.map_err(io("create", path))?, path.to_owned(), path.to_owned(), head)
    }

    fn begin(file: File, path: PathBuf, complete: PathBuf, head: &Head) -> Result<CheckpointWriter, CheckpointError> {
        let mut writer = CheckpointWriter {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            path,
            complete,
            position: head.position,
            block: 0,
            topics: 0,
            bytes: PRELUDE_BYTES as u64,
            last_name: None,
            buffer: Vec::new(),
        };
        writer.file.write_all(&block::prelude()).map_err(io("write", &writer.path))?;
        writer.put(Kind::Head, |payload| head.push(payload))?;
        Ok(writer)
    }

    /// Adds a topic. They come in the byte order of their names, as [`broker_engine::Engine::save_topics`] gives them.
    ///
    /// # Errors
    /// The system refuses; the order is another one; the topic is too large. The checkpoint cannot be completed.
    pub fn topic(&mut self, topic: &SavedTopic) -> Result<(), CheckpointError> {
        if self.last_name.as_ref().is_some_and(|last| *last >= topic.name) {
            return Err(CheckpointError::Order { name: (*topic.name).into() });
        }
        self.put(Kind::Topic, |payload| topic::push(payload, topic))?;
        self.last_name = Some(topic.name.clone());
        self.topics += 1;
        Ok(())
    }

    /// Returns the bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Completes the checkpoint; it is durable when this returns.
    ///
    /// # Errors
    /// The system refuses: there is no checkpoint then.
    pub fn finish(mut self, tail: &Tail) -> Result<CheckpointFile, CheckpointError> {
        let topics = self.topics;
        self.put(Kind::Tail, |payload| tail.push(topics, payload))?;
        self.file.flush().map_err(io("write", &self.path))?;
        self.file.get_ref().sync_all().map_err(io("sync", &self.path))?;
        let path = self.complete.clone();
        if self.path != path {
            fs::rename(&self.path, &path).map_err(io("rename", &self.path))?;
        }
        // From here on there is nothing to remove.
        self.path = PathBuf::new();
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))?;
        Ok(CheckpointFile { path, position: self.position, bytes: self.bytes, topics })
    }

    fn put(&mut self, kind: Kind, push: impl FnOnce(&mut Vec<u8>)) -> Result<(), CheckpointError> {
        self.buffer.clear();
        push(&mut self.buffer);
        let bytes = self.buffer.len() as u64;
        if bytes > BLOCK_BYTES_MAX {
            return Err(CheckpointError::TooLong { block: self.block, bytes });
        }
        self.file.write_all(&block::head(self.block, kind, &self.buffer)).map_err(io("write", &self.path))?;
        self.file.write_all(&self.buffer).map_err(io("write", &self.path))?;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        self.block += 1;
        self.bytes += HEAD_BYTES as u64 + bytes;
        Ok(())
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // If that fails, `remove_leftovers` or the next checkpoint takes care of it.
            drop(fs::remove_file(&self.path));
        }
    }
}
