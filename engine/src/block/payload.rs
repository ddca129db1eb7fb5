//! A block's payload in memory, with where its records start.
//!
//! To find one record, all before it have to be walked past, each a step into memory that nothing else looks at. Where
//! they start is found out once, by the first who asks.

use super::record::Record;
use std::ops::Deref;
use std::sync::OnceLock;

/// A block's payload, as it was before compression.
#[derive(Debug, Default)]
pub struct Payload {
    bytes: Vec<u8>,
    starts: OnceLock<Result<Box<[u32]>, &'static str>>,
}

impl Payload {
    /// Where its records start, in order.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the payload.
    pub fn starts(&self) -> Result<&[u32], &'static str> {
        let starts = self.starts.get_or_init(|| starts(&self.bytes));
        starts.as_deref().map_err(|what| *what)
    }

    /// The record at a place in the order of its records.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the payload.
    pub fn record(&self, place: usize) -> Result<Record<'_>, &'static str> {
        let start = *self.starts()?.get(place).ok_or("a record is missing")?;
        Ok(Record::decode(self.bytes.get(start as usize..).unwrap_or_default())?.0)
    }

    /// What it takes in memory, in bytes, once it is known where its records start. (These are longer than 64 bytes.)
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.bytes.len() / 16
    }
}

fn starts(payload: &[u8]) -> Result<Box<[u32]>, &'static str> {
    let (mut starts, mut rest) = (Vec::new(), payload);
    while !rest.is_empty() {
        starts.push((payload.len() - rest.len()) as u32);
        rest = rest.get(Record::len_at(rest)?..).unwrap_or_default();
    }
    Ok(starts.into())
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Payload {
        Payload { bytes, starts: OnceLock::new() }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
