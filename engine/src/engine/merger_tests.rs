//! What is merged: few segments stay, and no event is rewritten often.

use super::{Candidate, pick};
use proptest::prelude::*;

/// A segment of the model, with how often the event of it that was rewritten most was.
#[derive(Clone, Debug)]
struct Sealed {
    candidate: Candidate,
    rewritten: u32,
}

fn merge_all(segments: &mut Vec<Sealed>, bytes_max: u64, today: i64) -> Result<(), TestCaseError> {
    loop {
        let candidates: Vec<Candidate> = segments.iter().map(|s| s.candidate).collect();
        let Some(picked) = pick(&candidates, bytes_max, today) else { return Ok(()) };
        prop_assert!(picked.len() > 1);
        let sources = &segments[picked.clone()];
        let merged = Sealed {
            candidate: Candidate {
                bytes: sources.iter().map(|s| s.candidate.bytes).sum(),
                day: sources[0].candidate.day,
                from: sources[0].candidate.from,
                to: sources[sources.len() - 1].candidate.to,
            },
            rewritten: sources.iter().map(|s| s.rewritten).max().unwrap_or(0) + 1,
        };
        prop_assert!(merged.candidate.bytes <= bytes_max);
        prop_assert!(sources.iter().all(|s| s.candidate.day == merged.candidate.day));
        prop_assert!(sources.iter().all(|s| s.candidate.bytes < bytes_max / 2));
        segments.splice(picked, [merged]);
    }
}

proptest! {
    #[test]
    fn few_segments_stay_and_no_event_is_rewritten_often(
        sizes in prop::collection::vec((0u32..14, 1u64..4), 1..300), days in 1i64..4,
    ) {
        let bytes_max = 1 << 20;
        let mut segments: Vec<Sealed> = Vec::new();
        let count = sizes.len() as i64;
        let mut total = 0;
        for (n, (scale, size)) in sizes.into_iter().enumerate() {
            let (from, bytes) = (n as u64 * 10, size << scale);
            let day = n as i64 * days / count;
            total += bytes;
            let candidate = Candidate { bytes, day, from, to: from + 10 };
            segments.push(Sealed { candidate, rewritten: 0 });
            merge_all(&mut segments, bytes_max, day)?;
        }
        // From at least one byte to at most a mebibyte, threefold each time.
        prop_assert!(segments.iter().all(|s| s.rewritten <= 13));
        merge_all(&mut segments, bytes_max, days)?;
        prop_assert!(segments.iter().all(|s| s.rewritten <= 13 + 1));
        prop_assert_eq!(segments.iter().map(|s| s.candidate.bytes).sum::<u64>(), total);
        prop_assert!(segments.windows(2).all(|pair| pair[0].candidate.to == pair[1].candidate.from));
        // Two neighbours of a day would not fit together, or one of them is large.
        for pair in segments.windows(2) {
            let (a, b) = (pair[0].candidate, pair[1].candidate);
            let large = a.bytes.max(b.bytes) >= bytes_max / 2;
            prop_assert!(a.day != b.day || large || a.bytes + b.bytes > bytes_max);
        }
    }
}

#[test]
fn equal_segments_of_today_are_merged_by_three() {
    let segments: Vec<Candidate> =
        (0..3).map(|n| Candidate { bytes: 100, day: 7, from: n, to: n + 1 }).collect();
    assert_eq!(pick(&segments[..2], 1 << 20, 7), None);
    assert_eq!(pick(&segments, 1 << 20, 7), Some(0..3));
    // Yesterday's do not wait for more.
    assert_eq!(pick(&segments[..2], 1 << 20, 8), Some(0..2));
    // A damaged one, or one of another day, separates.
    let mut apart = segments.clone();
    apart[1].bytes = u64::MAX;
    assert_eq!(pick(&apart, 1 << 20, 8), None);
    apart[1] = Candidate { day: 6, ..segments[1] };
    assert_eq!(pick(&apart, 1 << 20, 8), None);
    apart[0].day = 6;
    assert_eq!(pick(&apart, 1 << 20, 8), Some(0..2));
    // Nothing is to be merged.
    assert_eq!(pick(&segments, 0, 8), None);
}

#[test]
fn what_spans_more_offsets_than_an_index_can_count_stays_apart() {
    let far = u64::from(u32::MAX);
    let segments = [(0, 10), (10, 20), (far, far + 10)].map(|(from, to)| Candidate {
        bytes: 1,
        day: 0,
        from,
        to,
    });
    assert_eq!(pick(&segments, 1 << 20, 1), Some(0..2));
}
