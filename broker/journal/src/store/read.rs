//! Reading the log, one record at a time.

use super::Store;
use super::error::{StoreError, io};
use super::row::{Found, Stored};
use super::segment::{Rows, Segment};

impl Store {
    /// Reads the records from this position on, to the last. One record at a time is in memory; those before it in its
    /// segment are read, too. The first error is the last item.
    ///
    /// # Errors
    /// The position was deleted; a record is missing or damaged; the system refuses.
    pub fn read_from(&self, position: u64) -> Records<'_> {
        let first = self.begin();
        let refused = (position < first).then_some(StoreError::Cut { position, first });
        let from = self.segments.partition_point(|segment| segment.next <= position);
        Records { segments: &self.segments[from..], rows: None, from: position, refused }
    }

    /// Reads the records of the segment that begins at this position, as [`Store::read_from`] does; none if there is no
    /// such segment.
    pub fn read_segment(&self, first: u64) -> Records<'_> {
        let from = self.segments.iter().position(|segment| segment.first == first);
        let segments = from.and_then(|from| self.segments.get(from..=from)).unwrap_or_default();
        Records { segments, rows: None, from: first, refused: None }
    }
}

/// The records of a [`Store`] from one position on.
#[derive(Debug)]
pub struct Records<'a> {
    /// Those that are not read to their end; the first is being read.
    segments: &'a [Segment],
    rows: Option<Rows>,
    from: u64,
    refused: Option<StoreError>,
}

impl Records<'_> {
    fn read(&mut self) -> Result<Option<Stored>, StoreError> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        while let [segment, later @ ..] = self.segments {
            let mut rows = match self.rows.take() {
                Some(rows) => rows,
                None => Rows::new(segment)?,
            };
            let found = if rows.position < segment.next { rows.read() } else { Ok(Found::End) };
            match found.map_err(io("read", &segment.path))? {
                Found::Row(stored) => {
                    self.rows = Some(rows);
                    if stored.position >= self.from {
                        return Ok(Some(stored));
                    }
                }
                Found::End if rows.position == segment.next => self.segments = later,
                Found::End | Found::Torn | Found::Invalid => {
                    return Err(StoreError::Hole { position: rows.position, path: segment.path.clone() });
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Stored, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if matches!(next, Some(Err(_))) {
            self.segments = &[];
        }
        next
    }
}
