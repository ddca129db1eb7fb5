//! A block of a journal whose payload is at hand.

use super::part::{BlockFacts, JournalView};
use crate::block::{Payload, Record};
use crate::error::Error;
use crate::view::Prefilter;
use std::sync::Arc;

/// A block whose payload is at hand.
pub(super) struct OpenBlock<'a> {
    view: &'a JournalView,
    pub(super) facts: &'a BlockFacts,
    payload: Arc<Payload>,
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
        Ok(OpenBlock { view, facts, payload, skip })
    }

    /// The record at a place.
    pub(super) fn record(&self, place: usize) -> Result<Record<'_>, Error> {
        self.payload
            .record(place)
            .map_err(|what| Error::corrupt(self.view.journal().file().path(), self.facts.at, what))
    }
}
