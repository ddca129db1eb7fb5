//! A small seeded generator (splitmix64), so that sample data is the same on every machine.

/// A stream of pseudo-random numbers; not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high.saturating_sub(low) + 1)
    }

    /// Does something with a chance of `percent` in a hundred happen?
    pub fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    /// One of some things; the type's default if there are none.
    pub fn pick<T: Clone + Default>(&mut self, of: &[T]) -> T {
        let index = self.bits() as usize % of.len().max(1);
        of.get(index).cloned().unwrap_or_default()
    }

    /// An id of `len` characters that are easy to tell apart.
    pub fn id(&mut self, len: usize) -> String {
        const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
        (0..len)
            .map(|_| {
                char::from(
                    LETTERS.get(self.bits() as usize % LETTERS.len()).copied().unwrap_or(b'x'),
                )
            })
            .collect()
    }
}
