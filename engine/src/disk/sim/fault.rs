//! What can be made to go wrong on a disk that runs.

use super::log::Kind;
use super::random::Random;
use std::path::Path;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device fails (`EIO`). Of a write a piece may have been done; of a sync, too, and what it
    /// did not do is lost.
    Io,
    /// No space is left (`ENOSPC`).
    Full,
    /// A read or a write does only a piece of what was asked.
    Short,
    /// It takes so long.
    Slow(Duration),
    /// From here on every operation fails, as if the device were gone.
    Gone,
}

/// Which operations something happens to.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    kinds: Vec<Kind>,
    path: Option<String>,
    when: When,
    /// Operations that it might have happened to.
    met: u64,
}

#[derive(Clone, Debug)]
enum When {
    From(u64, u64),
    OneIn(u64, Random),
}

impl Rule {
    /// Happens to every operation, until it is told otherwise.
    #[must_use]
    pub fn new(fault: Fault) -> Rule {
        Rule { fault, kinds: Vec::new(), path: None, when: When::From(0, u64::MAX), met: 0 }
    }

    /// Only to operations of these kinds.
    #[must_use]
    pub fn on(mut self, kinds: &[Kind]) -> Rule {
        self.kinds = kinds.to_vec();
        self
    }

    /// Only where the path holds this text.
    #[must_use]
    pub fn at(mut self, path: &str) -> Rule {
        self.path = Some(path.to_owned());
        self
    }

    /// Not to the first so many of those.
    #[must_use]
    pub fn after(mut self, count: u64) -> Rule {
        self.when = When::From(count, u64::MAX);
        self
    }

    /// To one only: the one that comes after the first so many.
    #[must_use]
    pub fn once_after(mut self, count: u64) -> Rule {
        self.when = When::From(count, count + 1);
        self
    }

    /// To one in `n` of those, as a seed decides.
    #[must_use]
    pub fn one_in(mut self, n: u64, seed: u64) -> Rule {
        self.when = When::OneIn(n, Random::new(seed));
        self
    }

    fn happens(&mut self, kind: Kind, path: &Path) -> bool {
        let meant = (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.path.as_ref().is_none_or(|part| path.to_string_lossy().contains(part));
        if !meant {
            return false;
        }
        self.met += 1;
        match &mut self.when {
            When::From(from, to) => self.met > *from && self.met <= *to,
            When::OneIn(n, random) => random.one_in(*n),
        }
    }
}

/// What is to go wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) rules: Vec<Rule>,
    gone: bool,
    pub(super) happened: u64,
}

impl Faults {
    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        *self = Faults { happened: self.happened, ..Faults::default() };
    }

    /// What goes wrong with an operation.
    pub(super) fn next(&mut self, kind: Kind, path: &Path) -> Option<Fault> {
        if self.gone {
            return Some(Fault::Gone);
        }
        let mut found = None;
        for rule in &mut self.rules {
            if rule.happens(kind, path) {
                found = found.or(Some(rule.fault));
            }
        }
        if found.is_some() {
            self.happened += 1;
        }
        self.gone = found == Some(Fault::Gone);
        found
    }
}
