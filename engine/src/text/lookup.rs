//! A narrowing against one tantivy segment.

use super::docs::Docs;
use super::narrow::{Fields, Narrow, WordShape};
use super::numbers;
use super::schema::{SEEN_TERM, TextSchema, UNKNOWN_TERM, kind_term, verdict_term};
use super::tokens::CUT;
use super::word_list::WordList;
use super::words::{end_part, indexed_part, inner_part};
use crate::error::Error;
use crate::event::number::EventNumber;
use memchr::memmem::Finder;
use std::ops::{ControlFlow, RangeInclusive};
use tantivy::SegmentReader;
use tantivy::index::InvertedIndexReader;
use tantivy::schema::Field;

/// A shape that more words than this have can't help: their postings would take longer to unite than
/// the events to read.
const WORDS_MAX: usize = 50_000;

/// Where no more documents than this are left, words are not searched for their ends or insides.
const DOCS_FEW: u64 = 512;

/// One segment of the index.
pub(super) struct Lookup<'a> {
    pub(super) segment: &'a SegmentReader,
    pub(super) fields: TextSchema,
    /// All words of the segment, if there is such a list and it is needed.
    pub(super) words: Option<&'a WordList>,
    /// Do words count that were only seen, and that an event before had by itself?
    pub(super) again: bool,
}

impl Lookup<'_> {
    /// The documents that may satisfy a narrowing; `None` when all may. Of these the ones that are not
    /// [`Lookup::marked`] do, if that is wanted `exactly`; then it is `None` also where the index can't say.
    pub(super) fn docs(&self, narrow: &Narrow, exactly: bool) -> Result<Option<Docs>, Error> {
        match narrow {
            Narrow::All => Ok(None),
            Narrow::None => Ok(Some(self.none())),
            Narrow::Word(fields, shape) => self.word(*fields, shape),
            Narrow::Kind(kinds) => self.facets(kinds.iter().map(|&kind| kind_term(kind))),
            Narrow::Verdict(verdicts) => {
                self.facets(verdicts.iter().map(|&verdict| verdict_term(verdict)))
            }
            Narrow::Number(number, range) => {
                let mut docs = self.none();
                if !range.is_empty() {
                    let (classes, ..) = numbers::classes(range);
                    self.add_classes(&mut docs, *number, classes)?;
                }
                Ok(Some(docs))
            }
            Narrow::And(all) => self.all(all, exactly),
            Narrow::Or(any) => {
                let mut either = self.none();
                for part in any {
                    let Some(docs) = self.docs(part, exactly)? else { return Ok(None) };
                    either.unite(&docs);
                }
                Ok(Some(either))
            }
        }
    }

    /// The documents that satisfy all of some narrowings.
    fn all(&self, all: &[Narrow], exactly: bool) -> Result<Option<Docs>, Error> {
        let (dear, cheap): (Vec<_>, Vec<_>) = all.iter().partition(|narrow| is_dear(narrow));
        let mut both: Option<Docs> = None;
        for part in cheap.into_iter().chain(dear) {
            // A few are looked at sooner than many words.
            let few = both.as_ref().is_some_and(|both| both.len() <= DOCS_FEW);
            if few && !exactly && is_dear(part) {
                break;
            }
            match (&mut both, self.docs(part, exactly)?) {
                (Some(both), Some(docs)) => both.intersect(&docs),
                (none @ None, docs) => *none = docs,
                (Some(_), None) if exactly => return Ok(None),
                (Some(_), None) => {}
            }
            if exactly && both.is_none() {
                return Ok(None);
            }
        }
        Ok(both)
    }

    /// The documents whose words are not all known, or not all their own, unless that is the same (`seen_too`), and
    /// those with numbers that may be just outside of the ranges that are asked for.
    pub(super) fn marked(&self, narrow: &Narrow, seen_too: bool) -> Result<Docs, Error> {
        let facets = self.inverted(self.fields.facet)?;
        let mut docs = self.none();
        add_term(&mut docs, &facets, &UNKNOWN_TERM)?;
        if !seen_too {
            add_term(&mut docs, &facets, &SEEN_TERM)?;
        }
        self.add_borders(&mut docs, narrow)?;
        Ok(docs)
    }

    fn add_borders(&self, docs: &mut Docs, narrow: &Narrow) -> Result<(), Error> {
        match narrow {
            Narrow::Number(number, range) if !range.is_empty() => {
                let (classes, low_shared, high_shared) = numbers::classes(range);
                for (class, shared) in
                    [(*classes.start(), low_shared), (*classes.end(), high_shared)]
                {
                    if shared {
                        self.add_classes(docs, *number, class..=class)?;
                    }
                }
                Ok(())
            }
            Narrow::And(parts) | Narrow::Or(parts) => {
                parts.iter().try_for_each(|part| self.add_borders(docs, part))
            }
            _ => Ok(()),
        }
    }

    fn add_classes(
        &self,
        docs: &mut Docs,
        number: EventNumber,
        classes: RangeInclusive<u16>,
    ) -> Result<(), Error> {
        let index = self.inverted(self.fields.facet)?;
        let (first, last) = (*classes.start(), *classes.end());
        let terms = index.terms().range();
        let terms = terms.ge(numbers::term(number, first)).le(numbers::term(number, last));
        let mut terms = terms.into_stream().map_err(Error::text)?;
        while let Some((_, info)) = terms.next() {
            docs.add_postings(&index, info).map_err(Error::text)?;
        }
        Ok(())
    }

    fn none(&self) -> Docs {
        Docs::none(self.segment.max_doc())
    }

    fn facets(&self, terms: impl Iterator<Item = [u8; 2]>) -> Result<Option<Docs>, Error> {
        let index = self.inverted(self.fields.facet)?;
        let mut docs = self.none();
        for term in terms {
            add_term(&mut docs, &index, &term)?;
        }
        Ok(Some(docs))
    }

    fn word(&self, fields: Fields, shape: &WordShape) -> Result<Option<Docs>, Error> {
        let mut docs = self.none();
        let mut budget = WORDS_MAX;
        let facets = self.inverted(self.fields.facet)?;
        add_term(&mut docs, &facets, &UNKNOWN_TERM)?;
        for (place, field) in self.fields.of(fields, self.again) {
            let index = self.inverted(field)?;
            let fits = match shape {
                WordShape::Is(word) => {
                    add_term(&mut docs, &index, indexed_part(word).as_bytes())?;
                    true
                }
                WordShape::StartsWith(start) => {
                    let start = indexed_part(start).as_bytes();
                    add_words(&mut docs, &index, start, |_| true, &mut budget)?
                }
                WordShape::EndsWith(part) | WordShape::Contains(part) => {
                    add_term(&mut docs, &index, CUT.as_bytes())?;
                    let at_end = matches!(shape, WordShape::EndsWith(_));
                    let part = if at_end { end_part(part) } else { inner_part(part) };
                    self.add_holding(&mut docs, (place, &index), (part, at_end), &mut budget)?
                }
            };
            if !fits {
                return Ok(None);
            }
        }
        Ok(Some(docs))
    }

    /// Adds the documents of the words of a field that have a part in them, or at their ends. False when there are
    /// more such words than `budget`, which is counted down.
    fn add_holding(
        &self,
        docs: &mut Docs,
        (place, index): (usize, &InvertedIndexReader),
        (part, at_end): (&str, bool),
        budget: &mut usize,
    ) -> Result<bool, Error> {
        let Some(words) = self.words else {
            let finder = Finder::new(part.as_bytes());
            let holds = |word: &[u8]| match at_end {
                true => word.ends_with(part.as_bytes()),
                false => finder.find(word).is_some(),
            };
            return add_words(docs, index, b"", holds, budget);
        };
        let mut fits = true;
        words.holding(place, part, at_end, |word| {
            match budget.checked_sub(1) {
                Some(rest) => *budget = rest,
                None => fits = false,
            }
            if !fits {
                return Ok(ControlFlow::Break(()));
            }
            add_term(docs, index, word)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(fits)
    }

    fn inverted(&self, field: Field) -> Result<std::sync::Arc<InvertedIndexReader>, Error> {
        self.segment.inverted_index(field).map_err(Error::text)
    }
}

/// Has the dictionary to be searched for it?
pub(super) fn is_dear(narrow: &Narrow) -> bool {
    match narrow {
        Narrow::Word(_, WordShape::EndsWith(_) | WordShape::Contains(_)) => true,
        Narrow::And(parts) | Narrow::Or(parts) => parts.iter().any(is_dear),
        _ => false,
    }
}

fn add_term(docs: &mut Docs, index: &InvertedIndexReader, term: &[u8]) -> Result<(), Error> {
    if let Some(info) = index.terms().get(term).map_err(Error::text)? {
        docs.add_postings(index, &info).map_err(Error::text)?;
    }
    Ok(())
}

/// Adds the documents of the words that start with `start` and satisfy `test`. False when there are
/// more such words than `budget`, which is counted down.
fn add_words(
    docs: &mut Docs,
    index: &InvertedIndexReader,
    start: &[u8],
    test: impl Fn(&[u8]) -> bool,
    budget: &mut usize,
) -> Result<bool, Error> {
    let mut words = index.terms().range().ge(start).into_stream().map_err(Error::text)?;
    while let Some((word, info)) = words.next() {
        if !word.starts_with(start) {
            break;
        }
        if !test(word) {
            continue;
        }
        let Some(rest) = budget.checked_sub(1) else { return Ok(false) };
        *budget = rest;
        docs.add_postings(index, info).map_err(Error::text)?;
    }
    Ok(true)
}
