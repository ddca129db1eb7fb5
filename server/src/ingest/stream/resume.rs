//! Up to where a session is stored, so that its producer goes on there.
//!
//! A part of the log has a session's events in the order of `seq`, each once: if the last number is as
//! far from the first as there are events between them, there is no gap, and nothing in between has to
//! be looked at. Otherwise the halves are looked at in the same way.
//!
//! Of a session that is another producer's nothing is said: it stands where a session stands that is not
//! there.

use daybook_engine::event::Offset;
use daybook_engine::view::{Ordinals, Part, Snapshot};
use daybook_engine::{Error, Sender};
use serde::Serialize;

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its id.
    pub session: String,
    /// The lowest `seq` that is stored; null if nothing is, or if it is another producer's.
    pub first: Option<u32>,
    /// Everything from `first` to this `seq` is stored, and the next one is not.
    pub through: Option<u32>,
}

/// Where some sessions stand, for who sends; `None` where nobody asks who that is.
///
/// # Errors
/// A damaged index, a block that can't be read.
pub fn places(
    snapshot: &Snapshot,
    sessions: &[String],
    sender: Option<&Sender>,
) -> Result<Vec<Place>, Error> {
    sessions.iter().map(|session| place(snapshot, session, sender)).collect()
}

fn place(snapshot: &Snapshot, session: &str, sender: Option<&Sender>) -> Result<Place, Error> {
    let mut runs = Vec::new();
    let mut key = None;
    for part in &snapshot.parts {
        if let Some(run) = part.session(session)? {
            key = Some(run.key);
            unbroken(part.as_ref(), &run.ordinals, 0, run.ordinals.len(), &mut runs);
            part.check()?;
        }
    }
    if let (Some(sender), Some(key)) = (sender.filter(|sender| !sender.any_session), key) {
        let owner = snapshot.producer_of(Offset(key.0))?.unwrap_or_default();
        if !owner.is_empty() && owner != sender.producer {
            runs.clear();
        }
    }
    let (first, through) = reach(runs).unzip();
    Ok(Place { session: session.to_owned(), first, through })
}

/// The runs without a gap among the events at the places `from..to`.
fn unbroken(part: &dyn Part, all: &Ordinals, from: usize, to: usize, runs: &mut Vec<(u32, u32)>) {
    let seq = |place: usize| Some(part.facts(all.get(place)?)?.seq.0);
    let Some(last) = to.checked_sub(1).filter(|last| *last >= from) else { return };
    if let (Some(low), Some(high)) = (seq(from), seq(last))
        && high.checked_sub(low).is_some_and(|far| far as usize == last - from)
    {
        runs.push((low, high));
    } else if from < last {
        let middle = from + (to - from) / 2;
        unbroken(part, all, from, middle, runs);
        unbroken(part, all, middle, to, runs);
    }
    // One alone that can't be read is not there.
}

/// The first number of some runs, and the last before the first gap.
fn reach(mut runs: Vec<(u32, u32)>) -> Option<(u32, u32)> {
    runs.sort_unstable();
    let mut runs = runs.into_iter();
    let (first, mut through) = runs.next()?;
    for (low, high) in runs {
        if low > through.saturating_add(1) {
            break;
        }
        through = through.max(high);
    }
    Some((first, through))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_gap_ends_it() {
        assert_eq!(reach(vec![]), None);
        assert_eq!(reach(vec![(4, 4)]), Some((4, 4)));
        assert_eq!(reach(vec![(7, 9), (1, 3), (4, 6), (11, 20)]), Some((1, 9)));
        assert_eq!(reach(vec![(u32::MAX, u32::MAX), (0, u32::MAX - 1)]), Some((0, u32::MAX)));
    }

    proptest! {
        #[test]
        fn runs_are_joined_as_their_numbers_would_be(
            runs in proptest::collection::vec((0_u32..60, 0_u32..6), 0..20),
        ) {
            let runs: Vec<(u32, u32)> = runs.into_iter().map(|(low, len)| (low, low + len)).collect();
            let all: BTreeSet<u32> = runs.iter().flat_map(|(low, high)| *low..=*high).collect();
            let expected = all.first().map(|first| {
                let through = (*first..).take_while(|seq| all.contains(seq)).last();
                (*first, through.unwrap_or(*first))
            });
            prop_assert_eq!(reach(runs), expected);
        }
    }
}
