//! A block of a journal whose payload is at hand.

use super::part::{BlockFacts, JournalView};
use crate::block::{Record, Records};
use crate::error::Error;
use crate::view::Prefilter;
use std::sync::Arc;

/// A block whose payload is at hand.
pub(super) struct OpenBlock<'a> {
    view: &'a JournalView,
    pub(super) facts: &'a BlockFacts,
    payload: Arc<Vec<u8>>,
    /// Where each record that has been walked over starts.
    starts: Vec<usize>,
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
        Ok(OpenBlock { view, facts, payload, starts: vec![0], skip })
    }

    /// The record at a place; walks the payload no further than it has to.
    pub(super) fn record(&mut self, place: usize) -> Result<Record<'_>, Error> {
        let damaged =
            |what: &str| Error::corrupt(self.view.journal().file().path(), self.facts.at, what);
        while self.starts.len() <= place {
            let start = self.starts.last().copied().unwrap_or(0);
            let (record, _) =
                Record::decode(self.payload.get(start..).unwrap_or_default()).map_err(damaged)?;
            self.starts.push(start + record.encoded_len());
        }
        let start = self.starts.get(place).copied().unwrap_or(usize::MAX);
        let bytes = self.payload.get(start..).ok_or_else(|| damaged("a record is missing"))?;
        Records::new(bytes).next().ok_or_else(|| damaged("a record is missing"))?.map_err(damaged)
    }
}
