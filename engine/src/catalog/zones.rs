//! What a number is at least and at most in each zone of neighbouring sessions.
//!
//! Who sorts a list by it and wants the first of a million sessions looks into the zones that can have them. Sessions are
//! committed in the order in which they changed, so when they started, which is how most lists are sorted, is alike among
//! neighbours, and few zones are left. What is deleted later makes a zone wider than it has to be, not wrong.
//!
//! ```text
//! column  ├─ zone ─┼─ zone ─┼─ zone ─┤      newest first: the zone with the latest start next,
//!          10…170    160…340   320…500       until none that is left has one that still comes onto the page
//! ```

use super::filter::NumberFact;
use crate::text::docs::{Docs, each_value_of};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tantivy::columnar::Column;

/// So many documents are a zone: a multiple of 64.
const ZONE: u32 = if cfg!(test) { 64 } else { 1024 };

/// A zone's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Zone {
    /// The least and the greatest, if there are some.
    pub(super) values: Option<(i64, i64)>,
    /// Has a document none?
    pub(super) lacks: bool,
}

impl Zone {
    fn add(&mut self, value: Option<i64>) {
        match value {
            None => self.lacks = true,
            Some(value) => {
                let (least, greatest) = self.values.unwrap_or((value, value));
                self.values = Some((least.min(value), greatest.max(value)));
            }
        }
    }
}

/// The zones of a tantivy segment's columns, each found by the first who sorts by it.
#[derive(Default)]
pub(super) struct Zones(Mutex<HashMap<NumberFact, Arc<[Zone]>>>);

impl Zones {
    /// Those of a number's column.
    pub(super) fn of(&self, fact: NumberFact, column: &Column<i64>, bound: u32) -> Arc<[Zone]> {
        if let Some(found) = self.0.lock().get(&fact) {
            return Arc::clone(found);
        }
        let all = Docs::all(bound);
        let zones = (0..bound.div_ceil(ZONE)).map(|at| {
            let mut zone = Zone::default();
            all.blocks_in(documents(at, bound), |block| {
                each_value_of(block, column, &mut |_, value| zone.add(value));
            });
            zone
        });
        let zones: Arc<[Zone]> = zones.collect();
        self.0.lock().insert(fact, Arc::clone(&zones));
        zones
    }
}

/// The documents of the `at`th zone of so many documents.
pub(super) fn documents(at: u32, bound: u32) -> Range<u32> {
    let start = at * ZONE;
    start..start.saturating_add(ZONE).min(bound)
}
