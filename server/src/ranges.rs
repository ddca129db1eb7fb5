//! Byte ranges of files that clients fetch in pieces (RFC 9110, 14): the first, the last, or some in the middle.

use axum::http::{HeaderMap, header};
use std::ops::Range;

/// What of a file is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// These bytes, which are in it.
    Part(Range<u64>),
    /// Bytes that it has not.
    Outside,
}

/// What of a file of `len` bytes is asked for, whose entity tag is `etag`. A header that is no range, or asks for
/// several, asks for all.
#[must_use]
pub fn asked(headers: &HeaderMap, len: u64, etag: &str) -> Asked {
    // A range of what the client has parts of, if it is still that.
    let same =
        headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes());
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    match range {
        Some(range) if same => of(range, len).unwrap_or(Asked::Whole),
        _ => Asked::Whole,
    }
}

fn of(range: &str, len: u64) -> Option<Asked> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // One that is too large for us is larger than any file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (first.trim(), last.trim()) {
        ("", last) => len.saturating_sub(number(last)?)..len,
        (first, "") => number(first)?..len,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(len)
        }
    };
    Some(if range.start < range.end { Asked::Part(range) } else { Asked::Outside })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    fn headers(range: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(range) {
            headers.insert(header::RANGE, value);
        }
        headers
    }

    proptest! {
        #[test]
        fn ranges_are_the_bytes_that_they_say(len in 0u64..50, first in 0u64..60, more in 0u64..60) {
            let bytes: Vec<u64> = (0..len).collect();
            let last = first + more;
            let expect = |wanted: Vec<u64>| match (wanted.first(), wanted.last()) {
                (Some(first), Some(last)) => Asked::Part(*first..last + 1),
                _ => Asked::Outside,
            };
            let some = bytes.iter().copied();
            let of = |text: String| asked(&headers(&text), len, "e");
            prop_assert_eq!(of(format!("bytes={first}-{last}")), expect(some.clone().filter(|b| (first..=last).contains(b)).collect()));
            prop_assert_eq!(of(format!("bytes={first}-")), expect(some.clone().filter(|b| *b >= first).collect()));
            prop_assert_eq!(of(format!("bytes=-{first}")), expect(some.skip(len.saturating_sub(first) as usize).collect()));
        }

        #[test]
        fn what_is_no_single_range_asks_for_all_and_nothing_panics(text in "\\PC{0,20}", len: u64) {
            let one = text.split_once('=').is_some_and(|(_, range)| range.contains('-') && !range.contains(','));
            let found = asked(&headers(&text), len, "e");
            prop_assert!(one || found == Asked::Whole);
            if let Asked::Part(range) = found {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }

    #[test]
    fn a_range_of_what_has_changed_asks_for_all() {
        let mut headers = headers("bytes=0-1");
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"old\""));
        assert_eq!(asked(&headers, 9, "\"new\""), Asked::Whole);
        assert_eq!(asked(&headers, 9, "\"old\""), Asked::Part(0..2));
    }
}
