//! A block of a journal whose payload is at hand.

use super::part::{BlockFacts, JournalView, STARTS_EVERY};
use crate::block::{Record, Records};
use crate::error::Error;
use crate::view::Prefilter;
use std::sync::Arc;

/// A block whose payload is at hand.
pub(super) struct OpenBlock<'a> {
    view: &'a JournalView,
    pub(super) facts: &'a BlockFacts,
    payload: Arc<Vec<u8>>,
    /// The place of a record that was walked to, and where it starts.
    at: (usize, usize),
    /// The prefilter has refused the whole block.
    pub(super) skip: bool,
}

impl<'a> OpenBlock<'a> {
    pub(super) fn new(
        view: &'a JournalView,
        facts: &'a BlockFacts,
        prefilter: Option<Prefilter<'_>>,
    ) -> Result<OpenBlock<'a>, Error> {
        let payload = view.journal().payload(facts)?;
        let skip = facts.plain && prefilter.is_some_and(|may_match| !may_match(&payload));
        Ok(OpenBlock { view, facts, payload, at: (0, 0), skip })
    }

    /// The record at a place; walks the payload from the nearest start that is known.
    pub(super) fn record(&mut self, place: usize) -> Result<Record<'_>, Error> {
        let damaged =
            |what: &str| Error::corrupt(self.view.journal().file().path(), self.facts.at, what);
        let near = place / STARTS_EVERY;
        let known = self.facts.starts.get(near).map(|start| (near * STARTS_EVERY, *start as usize));
        let (mut at, mut start) = known.unwrap_or_default();
        if (at..=place).contains(&self.at.0) {
            (at, start) = self.at;
        }
        while at < place {
            let (record, _) =
                Record::decode(self.payload.get(start..).unwrap_or_default()).map_err(damaged)?;
            start += record.encoded_len();
            at += 1;
        }
        self.at = (at, start);
        let bytes = self.payload.get(start..).ok_or_else(|| damaged("a record is missing"))?;
        Records::new(bytes).next().ok_or_else(|| damaged("a record is missing"))?.map_err(damaged)
    }
}
