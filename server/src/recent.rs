//! What was done a moment ago: a page that is looked at asks again and again, and is told of once a minute.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So long it counts as the same.
const SAME: Duration = Duration::from_secs(60);

/// So much is remembered; what is more is new each time.
const MAX: usize = 4_096;

/// What was done a moment ago.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<String, Instant>>);

impl Recent {
    /// Was it done a moment ago?
    pub fn knows(&self, what: &str) -> bool {
        self.0.lock().get(what).is_some_and(|at| at.elapsed() < SAME)
    }

    /// It is done now. Was it not, a moment ago?
    pub fn is_new(&self, what: String) -> bool {
        let mut recent = self.0.lock();
        if recent.get(&what).is_some_and(|at| at.elapsed() < SAME) {
            return false;
        }
        if recent.len() >= MAX {
            recent.retain(|_, at| at.elapsed() < SAME);
        }
        if recent.len() < MAX {
            recent.insert(what, Instant::now());
        }
        true
    }
}
