//! All runs that are kept in memory: those that have not ended, and the latest of those that have.

use super::machine::{Run, State, Step};
use super::step::{REQUEST, read_request};
use crate::ledger::Fold;
use daybook_engine::{Act, Beside, OwnSession};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many that have ended are kept; the log has all.
const ENDED_MAX: usize = 10_000;

/// The runs, by the number of the act that asked for each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Book {
    runs: BTreeMap<u32, Run>,
    numbers: BTreeMap<Box<str>, u32>,
    /// Those that have not ended.
    open: BTreeSet<u32>,
}

impl Book {
    /// A run by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Run> {
        self.runs.get(self.numbers.get(id)?)
    }

    /// How many have not ended.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    /// Those that have not ended, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Run> {
        self.open.iter().filter_map(|number| self.runs.get(number))
    }

    /// All below a number, the newest first, with their numbers.
    pub fn newest(&self, below: Option<u32>) -> impl Iterator<Item = (u32, &Run)> {
        self.runs.range(..below.unwrap_or(u32::MAX)).rev().map(|(number, run)| (*number, run))
    }

    fn put(&mut self, number: u32, run: Run) {
        if run.state.ended() {
            self.open.remove(&number);
        } else {
            self.open.insert(number);
        }
        self.runs.insert(number, run);
        while self.runs.len() - self.open.len() > ENDED_MAX {
            let oldest = self.runs.keys().find(|number| !self.open.contains(number)).copied();
            let Some(gone) = oldest.and_then(|oldest| self.runs.remove(&oldest)) else { return };
            self.numbers.remove(&gone.id);
        }
    }
}

impl Fold for Book {
    const SESSION: OwnSession = OwnSession::Runs;
    const FILE: Beside = Beside::Runs;

    fn apply(&mut self, act: &Act) {
        let Some(id) = act.access.target.clone() else { return };
        let (told, number) = (&act.access, act.seq.0);
        if *told.action == *REQUEST {
            if let Some(request) = read_request(told)
                && !self.numbers.contains_key(&id)
            {
                self.numbers.insert(id.clone(), number);
                self.put(number, Run::new(id, told.by.clone(), request, act.time));
            }
            return;
        }
        let (Some(step), Some(number)) = (Step::read(told), self.numbers.get(&id).copied()) else {
            return;
        };
        let next = self.runs.get(&number).and_then(|run| run.after(&step, &told.by, act.time));
        if let Some(next) = next {
            self.put(number, next);
        }
    }
}

impl Book {
    /// Those that a taker may have, the oldest first: of a role, and in one of some languages, if any are named.
    pub fn offered<'a>(
        &'a self,
        roles: &'a [Box<str>],
        languages: &'a [Box<str>],
    ) -> impl Iterator<Item = &'a Run> {
        self.open().filter(move |run| {
            let speaks = || {
                languages.is_empty()
                    || run.request.language.as_ref().is_some_and(|said| languages.contains(said))
            };
            run.state == State::Requested && roles.contains(&run.request.role) && speaks()
        })
    }
}
