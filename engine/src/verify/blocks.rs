//! Walking a file of blocks to its end, whatever is damaged on the way.

use crate::block::{BlockFile, BlockHeader, FILE_HEADER_LEN, Records, scan};
use crate::error::Error;
use std::ops::Range;

/// What is at a place of a file of blocks.
pub(super) enum Piece {
    /// A block that is whole.
    Whole(Whole),
    /// Bytes that are no block.
    Bad(Bad),
}

/// A block that is whole: its checksums match and its records can be told apart.
pub(super) struct Whole {
    pub(super) bytes: Range<u64>,
    pub(super) header: BlockHeader,
    pub(super) payload: Vec<u8>,
}

/// Bytes that are no block.
pub(super) struct Bad {
    pub(super) bytes: Range<u64>,
    /// The block's header, if that alone is whole.
    pub(super) header: Option<BlockHeader>,
    pub(super) what: String,
}

/// Visits everything behind the file's header up to `end`, in order and without gaps.
///
/// # Errors
/// What `visit` answers, and the system's while the next whole block is looked for.
pub(super) fn walk(
    file: &BlockFile,
    end: u64,
    visit: &mut dyn FnMut(Piece) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut at = FILE_HEADER_LEN as u64;
    while at < end {
        let error = match file.read(at) {
            Ok((header, payload)) => match count(&payload) {
                Ok(count) if count == header.count => {
                    let bytes = at..at + header.len_in_file();
                    at = bytes.end;
                    visit(Piece::Whole(Whole { bytes, header, payload }))?;
                    continue;
                }
                Ok(_) => "the number of events is not what the block's header says".to_owned(),
                Err(what) => what.to_owned(),
            },
            Err(error) => short(error),
        };
        // A header has its own checksum: its length can be believed when the payload can't.
        let header = file.read_header(at).ok();
        let next = match &header {
            Some(header) => (at + header.len_in_file()).min(end),
            None => scan(file, at + 1, end)?.unwrap_or(end),
        };
        visit(Piece::Bad(Bad { bytes: at..next, header, what: error }))?;
        at = next;
    }
    Ok(())
}

fn count(payload: &[u8]) -> Result<u32, &'static str> {
    let mut count = 0;
    for record in Records::new(payload) {
        record?;
        count += 1;
    }
    Ok(count)
}

/// An error without the path and place that the finding names anyway.
pub(super) fn short(error: Error) -> String {
    match error {
        Error::Corrupt { what, .. } => what,
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof => {
            "it is cut short".to_owned()
        }
        Error::Io { action, source, .. } => format!("can't {action} it: {source}"),
        other => other.to_string(),
    }
}
