//! Reading a checkpoint, one topic at a time.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker_engine::SavedTopic;

use super::block::{self, Announced, HEAD_BYTES, Kind, PRELUDE_BYTES};
use super::error::{CheckpointError, Flaw, io};
use super::fields::Fields;
use super::topic;
use super::{BUFFER_BYTES, BUFFER_BYTES_KEPT, FORMAT, Head, Tail};

/// A checkpoint that is being read. After an error it must not be read on.
#[derive(Debug)]
pub struct CheckpointReader {
    blocks: Blocks,
    head: Head,
    topics: u64,
    last_name: Option<Arc<str>>,
    tail: Option<Tail>,
}

/// What a checkpoint has, as [`verify`] counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What the log had come to.
    pub head: Head,
    /// The number of topics.
    pub topics: u64,
    /// The number of retained updates of all topics.
    pub updates: u64,
    /// The number of names that ended while it was written.
    pub ended: u64,
    /// The bytes of the file.
    pub bytes: u64,
}

/// Reads a checkpoint to its end and checks all of it.
///
/// # Errors
/// As those of [`CheckpointReader`].
pub fn verify(path: &Path) -> Result<Summary, CheckpointError> {
    let mut reader = CheckpointReader::open(path)?;
    let bytes = reader.blocks.bytes;
    let mut updates = 0;
    while let Some(topic) = reader.next_topic()? {
        updates += topic.updates.len() as u64;
    }
    let ended = reader.tail.map_or(0, |tail| tail.meanwhile.ended.len() as u64);
    Ok(Summary { head: reader.head, topics: reader.topics, updates, ended, bytes })
}

impl CheckpointReader {
    /// Opens a checkpoint and reads its head.
    ///
    /// # Errors
    /// The system refuses; another version of the program wrote it; it is damaged.
    pub fn open(path: &Path) -> Result<CheckpointReader, CheckpointError> {
        let mut blocks = Blocks::open(path)?;
        let kind = blocks.next()?;
        let head =
            if kind == Kind::Head { Fields::whole(&blocks.payload, Head::read) } else { Err(Flaw::Kind(kind as u8)) };
        let head = head.map_err(|flaw| blocks.damaged(flaw))?;
        Ok(CheckpointReader { blocks, head, topics: 0, last_name: None, tail: None })
    }

    /// Returns what the log had come to.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Reads the next topic; `None` when there are no more, and the checkpoint was read to its end and found complete.
    ///
    /// # Errors
    /// The system refuses; the checkpoint is damaged.
    pub fn next_topic(&mut self) -> Result<Option<SavedTopic>, CheckpointError> {
        if self.tail.is_some() {
            return Ok(None);
        }
        let kind = self.blocks.next()?;
        self.decode(kind).map_err(|flaw| self.blocks.damaged(flaw))
    }

    /// Returns what happened while the topics were saved, once [`CheckpointReader::next_topic`] returned `None`.
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    fn decode(&mut self, kind: Kind) -> Result<Option<SavedTopic>, Flaw> {
        match kind {
            Kind::Head => Err(Flaw::Kind(kind as u8)),
            Kind::Topic => {
                let topic = Fields::whole(&self.blocks.payload, topic::read)?;
                if self.last_name.as_ref().is_some_and(|last| *last >= topic.name) {
                    return Err(Flaw::Value("the order of the topics"));
                }
                self.last_name = Some(topic.name.clone());
                self.topics += 1;
                Ok(Some(topic))
            }
            Kind::Tail => {
                let tail = Fields::whole(&self.blocks.payload, |fields| Tail::read(self.topics, fields))?;
                if self.blocks.left > 0 {
                    return Err(Flaw::Trailing(self.blocks.left));
                }
                self.tail = Some(tail);
                Ok(None)
            }
        }
    }
}

/// The blocks of a file.
#[derive(Debug)]
struct Blocks {
    file: BufReader<File>,
    path: PathBuf,
    /// The bytes of the file.
    bytes: u64,
    /// Those that are not read yet.
    left: u64,
    /// The number of blocks that were read.
    count: u64,
    /// Of the newest block.
    payload: Vec<u8>,
}

impl Blocks {
    fn open(path: &Path) -> Result<Blocks, CheckpointError> {
        let file = File::open(path).map_err(io("open", path))?;
        let bytes = file.metadata().map_err(io("read", path))?.len();
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let mut blocks = Blocks { file, path: path.to_owned(), bytes, left: bytes, count: 0, payload: Vec::new() };
        let mut prelude = [0; PRELUDE_BYTES];
        blocks.fill(&mut prelude)?;
        let (format, program) = block::format_of(&prelude).map_err(|flaw| blocks.damaged(flaw))?;
        if format != FORMAT {
            return Err(CheckpointError::Format { path: blocks.path, format, program });
        }
        Ok(blocks)
    }

    /// Reads the next block.
    fn next(&mut self) -> Result<Kind, CheckpointError> {
        let number = self.count;
        let mut head = [0; HEAD_BYTES];
        self.fill(&mut head)?;
        let announced = Announced::read(number, &head, self.left).map_err(|flaw| self.damaged(flaw))?;
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        payload.shrink_to(BUFFER_BYTES_KEPT);
        payload.resize(announced.bytes, 0);
        self.fill(&mut payload)?;
        announced.check(number, &payload).map_err(|flaw| self.damaged(flaw))?;
        self.payload = payload;
        self.count += 1;
        Ok(announced.kind)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), CheckpointError> {
        self.left = self.left.checked_sub(buffer.len() as u64).ok_or_else(|| self.damaged(Flaw::TooShort))?;
        self.file.read_exact(buffer).map_err(io("read", &self.path))
    }

    /// Says what is wrong with the block that is being read, or was read last.
    fn damaged(&self, flaw: Flaw) -> CheckpointError {
        CheckpointError::Damaged { path: self.path.clone(), at: self.bytes - self.left, flaw }
    }
}
