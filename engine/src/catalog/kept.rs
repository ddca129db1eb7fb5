//! Sets of sessions that filters admitted, as of one commit.
//!
//! Whoever pages through what a filter lets in, or asks for its numbers beside a page, asks for the same set again and
//! again. A commit's sets are true for as long as it stands; what changed since is in the overlay.

use super::filter::SessionFilter;
use crate::view::SessionSet;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// At most so many sets are kept, and so many bytes of them.
const SETS_MAX: usize = 64;
const BYTES_MAX: usize = 64 << 20;

/// Sets by their filters, the one that was asked for last at the end.
#[derive(Default)]
pub(super) struct KeptSets {
    sets: Mutex<VecDeque<(SessionFilter, Arc<SessionSet>)>>,
}

impl KeptSets {
    pub(super) fn get(&self, filter: &SessionFilter) -> Option<Arc<SessionSet>> {
        let mut sets = self.sets.lock();
        let at = sets.iter().position(|(of, _)| of == filter)?;
        let found = sets.remove(at)?;
        let set = Arc::clone(&found.1);
        sets.push_back(found);
        Some(set)
    }

    pub(super) fn put(&self, filter: &SessionFilter, set: &Arc<SessionSet>) {
        if !is_small(filter) || set.memory() > BYTES_MAX {
            return;
        }
        let mut sets = self.sets.lock();
        sets.retain(|(of, _)| of != filter);
        sets.push_back((filter.clone(), Arc::clone(set)));
        while sets.len() > SETS_MAX || bytes(&sets) > BYTES_MAX {
            sets.pop_front();
        }
    }
}

fn bytes(sets: &VecDeque<(SessionFilter, Arc<SessionSet>)>) -> usize {
    sets.iter().map(|(_, set)| set.memory()).sum()
}

/// A filter that names sessions may be as large as its set, and is asked for once.
fn is_small(filter: &SessionFilter) -> bool {
    match filter {
        SessionFilter::Keys(_) => false,
        SessionFilter::And(parts) | SessionFilter::Or(parts) => parts.iter().all(is_small),
        SessionFilter::Not(part) => is_small(part),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::filter::{Pattern, TextFact};
    use crate::event::SessionKey;

    fn user(name: &str) -> SessionFilter {
        SessionFilter::Text(TextFact::User, Pattern::exact(name))
    }

    #[test]
    fn the_sets_that_were_asked_for_last_are_kept() {
        let kept = KeptSets::default();
        let set = |key| Arc::new(SessionSet::from_iter([SessionKey(key)]));
        for at in 0..SETS_MAX as u64 {
            kept.put(&user(&at.to_string()), &set(at));
        }
        assert_eq!(kept.get(&user("0")).as_deref(), Some(&*set(0)));
        kept.put(&user("more"), &set(7));
        assert_eq!(kept.get(&user("0")).as_deref(), Some(&*set(0)));
        assert_eq!(kept.get(&user("1")), None);
        assert_eq!(kept.get(&user("more")).as_deref(), Some(&*set(7)));
    }

    #[test]
    fn large_ones_are_not() {
        let kept = KeptSets::default();
        let keys: SessionSet = (0..1 << 20).map(|page| SessionKey(page << 20)).collect();
        let (large, small) = (Arc::new(keys), Arc::new(SessionSet::default()));
        assert!(large.memory() > BYTES_MAX);
        kept.put(&user("a"), &large);
        assert_eq!(kept.get(&user("a")), None);
        let named = SessionFilter::Not(Box::new(SessionFilter::Keys(Arc::clone(&large))));
        kept.put(&named, &small);
        assert_eq!(kept.get(&named), None);
    }
}
