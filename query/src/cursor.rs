//! Cursors: places in a list, as opaque texts.
//!
//! A cursor names a place, never a count of items, so that a page after it is right whatever has
//! arrived since. It is base64url without padding of
//!
//! ```text
//! 0  version  1   1
//! 1  list     1   which list it is a place in
//! 2  fields       8 bytes each, little-endian
//!    text         in some lists, to the end
//! end - 4 check   4   FNV-1a of what is before: a cursor that was cut or retyped is refused
//! ```

use crate::error::QueryError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const VERSION: u8 = 1;

/// The longest cursor that is read, in bytes; those that are written are shorter.
const TEXT_BYTES_MAX: usize = 512;

/// The lists that have cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum List {
    /// A search: time and offset of the hit after which it goes on.
    Search = 1,
    /// A list of sessions: the sort, whether there is a value and of which kind, the value if it is a number, the
    /// session's key; then the value if it is a text.
    Sessions = 2,
    /// A timeline: forwards (0) or backwards (1), and a `seq`.
    Timeline = 3,
    /// A search by session: time and offset of the last session's newest match.
    SearchSessions = 4,
    /// A search by relevance: where its window begins and ends, and the score and place of the hit after which it
    /// goes on.
    Ranked = 5,
    /// A replay: the `seq` of the next event.
    Replay = 6,
    /// A list of reviews: which half, and the place of the last one in it.
    Reviews = 7,
}

/// Writes a place.
pub(crate) fn encode<const N: usize>(list: List, fields: [u64; N]) -> String {
    encode_with(list, fields, "")
}

/// Writes a place that has a text, too.
pub(crate) fn encode_with<const N: usize>(list: List, fields: [u64; N], text: &str) -> String {
    let mut bytes = vec![VERSION, list as u8];
    for field in fields {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(&check(&bytes).to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a place back.
pub(crate) fn decode<const N: usize>(list: List, text: &str) -> Result<[u64; N], QueryError> {
    match decode_with(list, text)? {
        (fields, text) if text.is_empty() => Ok(fields),
        _ => Err(QueryError::Cursor("belongs to another list")),
    }
}

/// Reads a place back that has a text, too.
pub(crate) fn decode_with<const N: usize>(
    list: List,
    text: &str,
) -> Result<([u64; N], String), QueryError> {
    let bad = QueryError::Cursor("is not one that daybook gave out");
    if text.len() > TEXT_BYTES_MAX {
        return Err(bad);
    }
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return Err(bad) };
    let Some((body, sum)) = bytes.split_last_chunk::<4>() else { return Err(bad) };
    if u32::from_le_bytes(*sum) != check(body) {
        return Err(bad);
    }
    let Some(([version, of], rest)) = body.split_first_chunk::<2>() else { return Err(bad) };
    if *version != VERSION {
        return Err(QueryError::Cursor("is of another version of daybook"));
    }
    let other = QueryError::Cursor("belongs to another list");
    let Some((fields, text)) = rest.split_at_checked(N * 8) else { return Err(other) };
    let Ok(text) = std::str::from_utf8(text) else { return Err(other) };
    if *of != list as u8 {
        return Err(other);
    }
    let mut out = [0; N];
    for (place, field) in out.iter_mut().zip(fields.as_chunks::<8>().0) {
        *place = u64::from_le_bytes(*field);
    }
    Ok((out, text.to_owned()))
}

/// FNV-1a, folded to 32 bits: it finds slips, it is no secret.
fn check(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32
}
