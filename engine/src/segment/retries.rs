//! `retries.bin`: which events of a segment came with an idempotency key.
//!
//! ```text
//!  0  magic   8   "DAYBKRTR"
//!  8  count   4
//! 12  crc     4   CRC-32 of what follows
//! 16  ids     count * 16, ascending (see [`crate::block::Retry`])
//! ```
//!
//! The file is there only if there are some. It is read whole by the first who asks, once.

use crate::block::{Payload, Records, Retry};
use crate::disk::Disk;
use crate::error::Error;
use std::path::Path;
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"DAYBKRTR";
const HEADER_LEN: usize = 16;

/// The ids, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries(Vec<Retry>);

impl Retries {
    /// Those of the events in payloads that can be read.
    #[must_use]
    pub fn of(payloads: &[Arc<Payload>]) -> Retries {
        let records = payloads.iter().flat_map(|payload| Records::new(payload));
        let mut ids: Vec<Retry> =
            records.filter_map(|record| record.ok().and_then(|record| record.retry)).collect();
        ids.sort_unstable();
        ids.dedup();
        Retries(ids)
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is an id among them?
    #[must_use]
    pub fn contains(&self, id: Retry) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body: Vec<u8> = self.0.iter().flat_map(|id| id.0).collect();
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(self.0.len() as u32).to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        out.extend_from_slice(&body);
        out
    }

    /// Reads and checks the bytes.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Retries, &'static str> {
        let (head, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or("it is cut short")?;
        let [magic @ .., n0, n1, n2, n3, c0, c1, c2, c3] = *head;
        if magic != MAGIC {
            return Err("this is not a file of retries of daybook's");
        }
        if u32::from_le_bytes([c0, c1, c2, c3]) != crc32fast::hash(body) {
            return Err("its checksum does not match");
        }
        let (ids, rest) = body.as_chunks::<16>();
        if !rest.is_empty() || ids.len() != u32::from_le_bytes([n0, n1, n2, n3]) as usize {
            return Err("it has not as many ids as it says");
        }
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err("its ids are out of order");
        }
        Ok(Retries(ids.iter().copied().map(Retry).collect()))
    }

    /// Reads a segment's file; one without it has none.
    ///
    /// # Errors
    /// The system's, or [`Error::Corrupt`].
    pub fn read(disk: &dyn Disk, path: &Path) -> Result<Retries, Error> {
        if !disk.exists(path)? {
            return Ok(Retries::default());
        }
        Retries::decode(&disk.read(path)?).map_err(|what| Error::corrupt(path, 0, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_any_bytes_are_read_or_refused(
            ids in prop::collection::btree_set(any::<[u8; 16]>(), 0..40),
            noise in prop::collection::vec(any::<u8>(), 0..200),
            flip in any::<prop::sample::Index>(),
        ) {
            let retries = Retries(ids.iter().copied().map(Retry).collect());
            let mut bytes = retries.encode();
            prop_assert_eq!(Retries::decode(&bytes), Ok(retries));
            let _ = Retries::decode(&noise);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert!(Retries::decode(&bytes).is_err());
        }
    }
}
