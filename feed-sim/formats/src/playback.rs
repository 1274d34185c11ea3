//! Which part of a recording is played, and how often.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::live::Live;
use super::mapping::{Mapping, MappingError};
use super::moment::Moment;
use super::repeated::Repeated;
use super::selected::Selected;
use super::window::Window;
use super::{Format, Reader};
use feed_player::progress::Recording;
use feed_player::publication::Feed;

/// Which part of a recording is played, and how often. By default all of it, once.
#[derive(Debug, Clone, Default)]
pub struct Playback {
    /// The meaning of the fields, for formats without a fixed one.
    pub mapping: Option<PathBuf>,
    /// The start; states from before it are published as they are at that moment.
    pub start: Option<Moment>,
    /// The end.
    pub stop: Option<Moment>,
    /// Selects the topics that have one of them as a segment; all topics if it is empty.
    pub symbols: Vec<String>,
    /// How often it is played.
    pub rounds: Rounds,
}

/// How often a recording is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rounds {
    /// Once.
    #[default]
    One,
    /// That many times.
    Some(u64),
    /// Until it is stopped.
    Endless,
}

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlaybackError {
    /// It cannot be opened, or is not in the format.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// Its mapping cannot be used.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// Standard input can be read only once.
    #[error("--loop needs a file: standard input cannot be read again")]
    LoopOverStandardInput,
    /// The fields of the format have a fixed meaning.
    #[error("the format {0} takes no --mapping")]
    NoMapping(&'static str),
}

impl Playback {
    /// Opens the recording at `path`, or standard input for `-`. `progress` counts the bytes that are read.
    pub fn feed(
        self,
        format: &'static Format,
        path: &Path,
        progress: Arc<Recording>,
    ) -> Result<Box<dyn Feed>, PlaybackError> {
        let rounds = match self.rounds {
            Rounds::One => Some(1),
            Rounds::Some(rounds) => Some(rounds),
            Rounds::Endless => None,
        };
        if rounds != Some(1) && path == Path::new("-") {
            return Err(PlaybackError::LoopOverStandardInput);
        }
        let mapping = match &self.mapping {
            Some(_) if format.open_mapped().is_none() => return Err(PlaybackError::NoMapping(format.name)),
            Some(path) => Some(Mapping::load(path)?),
            None => None,
        };
        let live = is_live(path).then(|| name(path));
        let path = path.to_owned();
        let open = move || self.one_round(format, Reader::open(&path, &progress)?, mapping.clone());
        match (rounds, live) {
            (Some(1), Some(name)) => Ok(Box::new(Live::new(name, open)?)),
            (Some(1), None) => Ok(open()?),
            _ => Ok(Box::new(Repeated::new(Box::new(open), rounds)?)),
        }
    }

    fn one_round(&self, format: &Format, reader: Reader, mapping: Option<Mapping>) -> io::Result<Box<dyn Feed>> {
        let mut feed = match mapping {
            Some(mapping) => format.of_mapped(reader, mapping)?,
            None => format.of_reader(reader)?,
        };
        if !self.symbols.is_empty() {
            feed = Box::new(Selected::new(feed, self.symbols.clone()));
        }
        if self.start.is_some() || self.stop.is_some() {
            let window = Window::new(feed, self.start, self.stop);
            feed = Box::new(window.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?);
        }
        Ok(feed)
    }
}

/// Whether a read may block until something is written: standard input, a named pipe, a terminal.
fn is_live(path: &Path) -> bool {
    path == Path::new("-") || path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}
