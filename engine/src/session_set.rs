//! A set of sessions, as filters and searches hand it around.
//!
//! A session's number is the offset of its first event, so the numbers lie close together: a page of bits for each
//! stretch of the log is filled and asked several times faster than a hash table of numbers, and takes a few bits for
//! each session. Where sessions are rare a page has one, and is as dear as a few entries of a table.

use crate::event::SessionKey;
use std::collections::HashMap;

const WORDS: usize = 16;
/// How many numbers a page is for.
const PAGE: u64 = 64 * WORDS as u64;

/// Some sessions, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct SessionSet {
    /// By the place of the first of their numbers, in pages; none is without a bit.
    pages: HashMap<u64, [u64; WORDS], foldhash::fast::RandomState>,
    len: usize,
}

/// A number's page, the word in it, and the bit in that.
fn place(SessionKey(key): SessionKey) -> (u64, usize, u64) {
    let (page, bit) = (key / PAGE, key % PAGE);
    (page, (bit / 64) as usize, 1 << (bit % 64))
}

impl SessionSet {
    /// Is it one of them?
    #[must_use]
    pub fn contains(&self, key: SessionKey) -> bool {
        let (page, word, bit) = place(key);
        self.pages.get(&page).and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// Adds one; `false` if it was there.
    pub fn insert(&mut self, key: SessionKey) -> bool {
        let (page, word, bit) = place(key);
        let words = self.pages.entry(page).or_default();
        let Some(word) = words.get_mut(word).filter(|word| **word & bit == 0) else { return false };
        *word |= bit;
        self.len += 1;
        true
    }

    /// Takes one away; `false` if it was not there.
    pub fn remove(&mut self, key: SessionKey) -> bool {
        let (page, word, bit) = place(key);
        let Some(words) = self.pages.get_mut(&page) else { return false };
        let Some(word) = words.get_mut(word).filter(|word| **word & bit != 0) else { return false };
        *word &= !bit;
        self.len -= 1;
        if *words == [0; WORDS] {
            self.pages.remove(&page);
        }
        true
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sessions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = SessionKey> + '_ {
        let mut pages: Vec<_> = self.pages.iter().collect();
        pages.sort_unstable_by_key(|(page, _)| **page);
        pages.into_iter().flat_map(|(page, words)| {
            let bits = move |(at, word): (usize, &u64)| {
                let (start, word) = (page * PAGE + at as u64 * 64, *word);
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| start + bit)
            };
            words.iter().enumerate().flat_map(bits).map(SessionKey)
        })
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.pages.capacity() * size_of::<(u64, [u64; WORDS])>()
    }

    /// Those that are in both.
    #[must_use]
    pub fn intersection(&self, other: &SessionSet) -> SessionSet {
        let (small, large) = if self.len <= other.len { (self, other) } else { (other, self) };
        small.iter().filter(|key| large.contains(*key)).collect()
    }

    /// Those that are in either.
    #[must_use]
    pub fn union(&self, other: &SessionSet) -> SessionSet {
        self.iter().chain(other.iter()).collect()
    }
}

impl PartialEq for SessionSet {
    fn eq(&self, other: &SessionSet) -> bool {
        self.pages == other.pages
    }
}

impl FromIterator<SessionKey> for SessionSet {
    fn from_iter<T: IntoIterator<Item = SessionKey>>(keys: T) -> SessionSet {
        let mut set = SessionSet::default();
        set.extend(keys);
        set
    }
}

impl Extend<SessionKey> for SessionSet {
    fn extend<T: IntoIterator<Item = SessionKey>>(&mut self, keys: T) {
        for key in keys {
            self.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn keys() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![0..3 * PAGE, any::<u64>(), Just(u64::MAX)], 0..60)
    }

    proptest! {
        #[test]
        fn it_is_a_set(added in keys(), gone in keys(), other in keys()) {
            let mut set = SessionSet::default();
            let mut model = BTreeSet::new();
            for key in &added {
                prop_assert_eq!(set.insert(SessionKey(*key)), model.insert(*key));
            }
            for key in gone.iter().chain(added.iter().step_by(3)) {
                prop_assert_eq!(set.remove(SessionKey(*key)), model.remove(key));
            }
            let all = |set: &SessionSet| set.iter().map(|key| key.0).collect::<Vec<_>>();
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(all(&set), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(&set, &model.iter().copied().map(SessionKey).collect::<SessionSet>());
            let others: BTreeSet<u64> = other.iter().copied().collect();
            let second: SessionSet = other.iter().copied().map(SessionKey).collect();
            prop_assert_eq!(all(&set.intersection(&second)), model.intersection(&others).copied().collect::<Vec<_>>());
            prop_assert_eq!(all(&set.union(&second)), model.union(&others).copied().collect::<Vec<_>>());
            for key in added.iter().chain(&other) {
                prop_assert_eq!(set.contains(SessionKey(*key)), model.contains(key));
            }
        }
    }
}
