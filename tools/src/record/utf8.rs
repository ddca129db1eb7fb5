//! Bytes as they come from a terminal, to what an event can hold: text where it is UTF-8, bytes where not.
//!
//! A read ends anywhere, also in the middle of a character: its first bytes (three at most) are carried
//! over to the next piece. So text stays text, and is found by a search, however it was cut; and every
//! byte comes out once, in order.

/// What an event holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Whole characters.
    Text(String),
    /// Bytes that are not UTF-8.
    Bytes(Vec<u8>),
}

/// One direction of a terminal.
#[derive(Debug, Default)]
pub struct Utf8 {
    carry: Vec<u8>,
}

impl Utf8 {
    /// The next piece; none if all of it is the start of a character.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Piece> {
        let mut all = std::mem::take(&mut self.carry);
        all.extend_from_slice(bytes);
        let error = match String::from_utf8(all) {
            Ok(text) => return (!text.is_empty()).then_some(Piece::Text(text)),
            Err(error) => error,
        };
        let (valid, is_cut) =
            (error.utf8_error().valid_up_to(), error.utf8_error().error_len().is_none());
        let mut all = error.into_bytes();
        if !is_cut {
            return Some(Piece::Bytes(all));
        }
        self.carry = all.split_off(valid);
        // Up to there it is valid.
        String::from_utf8(all).ok().filter(|text| !text.is_empty()).map(Piece::Text)
    }

    /// What is left at the end: the start of a character that never came.
    pub fn end(&mut self) -> Option<Piece> {
        let left = std::mem::take(&mut self.carry);
        (!left.is_empty()).then_some(Piece::Bytes(left))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    fn pieces(cuts: &[Vec<u8>]) -> Vec<Piece> {
        let mut utf8 = Utf8::default();
        let mut pieces: Vec<Piece> = cuts.iter().filter_map(|cut| utf8.push(cut)).collect();
        pieces.extend(utf8.end());
        pieces
    }

    fn bytes(pieces: &[Piece]) -> Vec<u8> {
        let of = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone().into_bytes(),
            Piece::Bytes(bytes) => bytes.clone(),
        };
        pieces.iter().flat_map(of).collect()
    }

    proptest! {
        #[test]
        fn every_byte_comes_out_once(cuts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9)) {
            prop_assert_eq!(bytes(&pieces(&cuts)), cuts.concat());
        }

        #[test]
        fn text_stays_text_however_it_is_cut(text in "\\PC{0,30}", sizes in proptest::collection::vec(1usize..4, 1..200)) {
            let mut rest = text.as_bytes();
            let mut cuts = Vec::new();
            for size in sizes.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (cut, after) = rest.split_at(size.min(rest.len()));
                cuts.push(cut.to_vec());
                rest = after;
            }
            let pieces = pieces(&cuts);
            prop_assert!(pieces.iter().all(|piece| matches!(piece, Piece::Text(_))));
            prop_assert_eq!(bytes(&pieces), text.into_bytes());
        }
    }
}
