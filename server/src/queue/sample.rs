//! Which sessions are in a sample: those whose share of chance is small enough.
//!
//! ```text
//! HMAC-SHA-256(seed, queue's name, 0, session's id), its first 8 bytes as a number  <  sample × 2^64
//! ```
//!
//! So whether a session is in a sample is the same whenever and by whomever it is asked, and a larger sample has all that
//! a smaller one had. The seed is random and of this node alone: who chooses a session's id can't tell which is looked
//! at. Who can read the data directory can.

use crate::random::{self, SECRET_LEN};
use daybook_engine::{Beside, Engine, Error};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;

/// What `sample` is counted in: a millionth.
pub const ALL: u32 = 1_000_000;

/// What samples are drawn with.
pub struct Seed([u8; SECRET_LEN]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl Seed {
    /// Reads the node's, or makes one.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer version wrote; no random numbers.
    pub fn open(engine: &Engine) -> Result<Seed, Error> {
        random::secret(engine, Beside::Queue).map(Seed)
    }

    /// Is a session in a queue's sample of so many millionths?
    #[must_use]
    pub fn draws(&self, queue: &str, session: &str, millionths: u32) -> bool {
        // A key of any length will do, so there is always one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return true };
        for part in [queue.as_bytes(), b"\0", session.as_bytes()] {
            mac.update(part);
        }
        let hash = mac.finalize().into_bytes();
        let head = hash.iter().take(8).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        head * u128::from(ALL) < u128::from(millionths) << 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_share_and_a_larger_one_has_the_smaller() {
        let seed = Seed([7; SECRET_LEN]);
        let drawn = |millionths: u32| -> Vec<u32> {
            let draws = |n: &u32| seed.draws("prod", &format!("session-{n}"), millionths);
            (0..20_000).filter(draws).collect()
        };
        let (tenth, fifth) = (drawn(100_000), drawn(200_000));
        assert!((1_800..2_200).contains(&tenth.len()), "{} of 2,000", tenth.len());
        assert!(tenth.iter().all(|n| fifth.contains(n)));
        assert_eq!((drawn(ALL).len(), drawn(0).len()), (20_000, 0));
        let other = Seed([8; SECRET_LEN]);
        assert!(tenth.iter().any(|n| !other.draws("prod", &format!("session-{n}"), 100_000)));
        assert!(tenth.iter().any(|n| !seed.draws("lab", &format!("session-{n}"), 100_000)));
    }
}
