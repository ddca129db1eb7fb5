//! How far a batch of lines has come.
//!
//! A server answers for lines one by one, also when it stops in the middle: a problem says through which
//! line it came (`stored.lines`). So a batch goes on where it stopped, in smaller pieces if the server
//! finds it too large, and what all answers said is added up to one receipt.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// What a server says of a batch of lines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Lines stored.
    pub accepted: u64,
    /// Lines that were there already.
    pub duplicates: u64,
    /// Lines refused; of very many the first ones.
    #[serde(default)]
    pub rejected: Vec<Refusal>,
    /// How many were refused.
    #[serde(default)]
    pub rejected_count: u64,
}

impl Receipt {
    /// How many lines were refused, named or not.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.rejected_count.max(self.rejected.len() as u64)
    }
}

/// A line that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Its number in the batch, from 1.
    pub line: u64,
    /// Why.
    pub error: String,
}

/// What was stored of a request before it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Before {
    /// Lines stored.
    #[serde(default)]
    pub accepted: u64,
    /// Lines that were there already.
    #[serde(default)]
    pub duplicates: u64,
    /// Lines refused.
    #[serde(default)]
    pub rejected_count: u64,
    /// Every line up to this one was answered for.
    #[serde(default)]
    pub lines: u64,
}

/// A batch on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Random: no other batch has it.
    id: u64,
    rest: Bytes,
    /// Lines before `rest`.
    lines: u64,
    /// How much is sent at once.
    piece_bytes: usize,
    receipt: Receipt,
}

impl Delivery {
    /// Of NDJSON lines.
    #[must_use]
    pub fn new(lines: Bytes) -> Delivery {
        let piece_bytes = lines.len();
        // The hasher's keys are random in each process and differ from one to the next.
        let id = RandomState::new().build_hasher().finish();
        Delivery { id, rest: lines, lines: 0, piece_bytes, receipt: Receipt::default() }
    }

    /// The idempotency key of what is to be sent next. It stays the same until it is known what became of
    /// the first line; then each line has another place in what is sent, and so another key.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{:016x}-{}", self.id, self.lines)
    }

    /// What is to be sent next: whole lines, and all that is left unless that was too large before.
    #[must_use]
    pub fn piece(&self) -> Bytes {
        if self.rest.len() <= self.piece_bytes {
            return self.rest.clone();
        }
        let fits = self.rest.get(..self.piece_bytes).unwrap_or_default();
        let end = match fits.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            // A line longer than a piece is a piece.
            None => self.rest.iter().position(|b| *b == b'\n').map_or(self.rest.len(), |at| at + 1),
        };
        self.rest.slice(..end)
    }

    /// Is all of it answered for?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// What all answers came to.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// What is not answered for yet.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// Notes the receipt of the piece.
    pub fn stored(&mut self, receipt: Receipt) {
        let piece = self.piece();
        let refused = receipt.refused();
        self.receipt.accepted += receipt.accepted;
        self.receipt.duplicates += receipt.duplicates;
        self.receipt.rejected_count += refused;
        let before = self.lines;
        let moved = |refusal: Refusal| Refusal { line: refusal.line + before, ..refusal };
        self.receipt.rejected.extend(receipt.rejected.into_iter().map(moved));
        self.lines += count_lines(&piece);
        self.rest = self.rest.slice(piece.len()..);
    }

    /// Notes what was stored of the piece before the request failed.
    pub fn stopped(&mut self, before: Before) {
        if before.lines == 0 {
            return;
        }
        let mut end = 0;
        let mut lines = 0;
        for line in self.rest.split_inclusive(|byte| *byte == b'\n') {
            if lines == before.lines {
                break;
            }
            lines += 1;
            end += line.len();
        }
        self.receipt.accepted += before.accepted;
        self.receipt.duplicates += before.duplicates;
        self.receipt.rejected_count += before.rejected_count;
        self.lines += lines;
        self.rest = self.rest.slice(end..);
    }

    /// The piece was too large: makes smaller ones. Answers whether that can be done; a line alone can't
    /// be cut.
    pub fn shrink(&mut self) -> bool {
        let piece = self.piece();
        if count_lines(&piece) <= 1 {
            return false;
        }
        self.piece_bytes = piece.len() / 2;
        true
    }
}

/// How many lines.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    bytes.split_inclusive(|byte| *byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a server does with the pieces, each line is sent until it is answered for, in order,
        /// and none after that.
        #[test]
        fn every_line_is_answered_for_once(
            lengths in proptest::collection::vec(0usize..40, 0..30),
            last_line_ends in any::<bool>(),
            answers in proptest::collection::vec((0u8..3, 0u64..6), 0..60),
        ) {
            let mut text = lengths.iter().enumerate().map(|(n, length)| format!("{n}{}\n", "x".repeat(*length))).collect::<String>();
            if !last_line_ends {
                text.pop();
            }
            let all = count_lines(text.as_bytes());
            let mut delivery = Delivery::new(text.clone().into());
            let mut taken = Vec::new();
            let mut answers = answers.into_iter();
            while !delivery.is_done() {
                let piece = delivery.piece();
                prop_assert!(!piece.is_empty());
                let lines: Vec<&[u8]> = piece.split_inclusive(|byte| *byte == b'\n').collect();
                match answers.next().unwrap_or((0, 0)) {
                    (0, _) => {
                        taken.extend(lines.concat());
                        let accepted = lines.len() as u64;
                        delivery.stored(Receipt { accepted, ..Receipt::default() });
                    }
                    (1, through) => {
                        let through = through.min(lines.len() as u64);
                        taken.extend(lines[..through as usize].concat());
                        delivery.stopped(Before { accepted: through, lines: through, ..Before::default() });
                    }
                    _ => prop_assert_eq!(delivery.shrink(), lines.len() > 1),
                }
            }
            prop_assert_eq!(taken, text.into_bytes());
            prop_assert_eq!(delivery.receipt().accepted, all);
        }
    }

    #[test]
    fn a_refused_line_has_its_number_in_the_whole_batch() {
        let mut delivery = Delivery::new(Bytes::from_static(b"aaaa\nbbbb\ncccc\n"));
        assert!(delivery.shrink());
        delivery.stored(Receipt { accepted: 1, ..Receipt::default() });
        let refusal = Refusal { line: 1, error: "no".to_owned() };
        delivery.stored(Receipt { rejected: vec![refusal], ..Receipt::default() });
        assert_eq!(delivery.receipt().rejected.first().map(|r| r.line), Some(2));
        assert_eq!(delivery.receipt().refused(), 1);
    }

    #[test]
    fn a_key_is_of_one_batch_and_of_one_place_in_it() {
        let lines = Bytes::from_static(b"aaaa\nbbbb\ncccc\n");
        let mut delivery = Delivery::new(lines.clone());
        let first = delivery.key();
        assert_ne!(first, Delivery::new(lines).key());
        // Nobody knows what became of it: smaller or not, it begins with the same line.
        delivery.stopped(Before::default());
        assert!(delivery.shrink());
        assert_eq!(delivery.key(), first);
        delivery.stored(Receipt { accepted: 1, ..Receipt::default() });
        assert_ne!(delivery.key(), first);
    }
}
