//! The text index of a segment, behind the two operations that segments need.

use crate::error::Error;
use crate::text::narrow::Narrow;
use std::path::Path;

/// Writes the index at `from` to `to` as one piece.
///
/// # Errors
/// The text index's.
pub fn merge(_from: &Path, _to: &Path) -> Result<(), Error> {
    Ok(())
}

/// A segment's text index, open.
#[derive(Debug)]
pub struct Texts;

impl Texts {
    /// Opens the index in a directory.
    ///
    /// # Errors
    /// The text index's.
    pub fn open(_dir: &Path) -> Result<Texts, Error> {
        Ok(Texts)
    }

    /// The offsets of the events that may satisfy a narrowing, or `None` if it can't help.
    ///
    /// # Errors
    /// The text index's.
    pub fn offsets(&self, _narrow: &Narrow) -> Result<Option<Vec<u64>>, Error> {
        Ok(None)
    }
}
