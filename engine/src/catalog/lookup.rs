//! A filter against one tantivy segment: exactly the sessions that match.

use super::filter::{NumberFact, Pattern, SessionFilter, TextFact};
use super::index::{Fields, ViewSegment};
use crate::error::Error;
use crate::event::SessionKey;
use crate::text::docs::Docs;
use crate::view::SessionSet;
use std::ops::Bound;
use tantivy::SegmentReader;
use tantivy::Term;

/// Looking numbers up one by one costs about as much as reading this many from their column.
const LOOKUP_COST: usize = 16;

impl ViewSegment {
    /// The sessions in this segment that match, but for the hidden ones.
    pub(super) fn matching(
        &self,
        fields: Fields,
        filter: &SessionFilter,
        hidden: &Docs,
    ) -> Result<Docs, Error> {
        let mut docs = docs(self, fields, filter)?;
        docs.subtract(hidden);
        if let Some(alive) = &self.alive {
            docs.intersect(alive);
        }
        Ok(docs)
    }
}

fn docs(segment: &ViewSegment, fields: Fields, filter: &SessionFilter) -> Result<Docs, Error> {
    let reader = &segment.reader;
    let bound = reader.max_doc();
    match filter {
        SessionFilter::All => Ok(Docs::all(bound)),
        SessionFilter::None => Ok(Docs::none(bound)),
        SessionFilter::Text(fact, pattern) => text(reader, fields, *fact, pattern),
        SessionFilter::Number(fact, low, high) => number(segment, *fact, *low, *high),
        SessionFilter::Keys(wanted) => keys(segment, fields, wanted),
        SessionFilter::And(all) => {
            let mut both = Docs::all(bound);
            for part in all {
                both.intersect(&docs(segment, fields, part)?);
            }
            Ok(both)
        }
        SessionFilter::Or(any) => {
            let mut either = Docs::none(bound);
            for part in any {
                either.unite(&docs(segment, fields, part)?);
            }
            Ok(either)
        }
        SessionFilter::Not(not) => {
            let mut docs = docs(segment, fields, not)?;
            docs.invert();
            Ok(docs)
        }
    }
}

fn text(
    reader: &SegmentReader,
    fields: Fields,
    fact: TextFact,
    pattern: &Pattern,
) -> Result<Docs, Error> {
    let mut docs = Docs::none(reader.max_doc());
    let index = reader.inverted_index(fields.text(fact)).map_err(Error::catalog)?;
    if let Some(exact) = pattern.as_exact() {
        if let Some(info) = index.terms().get(exact).map_err(Error::catalog)? {
            docs.add_postings(&index, &info).map_err(Error::catalog)?;
        }
        return Ok(docs);
    }
    let start = pattern.literals().first().map_or("", |start| start).as_bytes();
    let mut terms = index.terms().range().ge(start).into_stream().map_err(Error::catalog)?;
    while let Some((term, info)) = terms.next() {
        if !term.starts_with(start) {
            break;
        }
        if std::str::from_utf8(term).is_ok_and(|term| pattern.matches(term)) {
            docs.add_postings(&index, info).map_err(Error::catalog)?;
        }
    }
    Ok(docs)
}

fn number(
    segment: &ViewSegment,
    fact: NumberFact,
    low: Bound<i64>,
    high: Bound<i64>,
) -> Result<Docs, Error> {
    let bound = segment.reader.max_doc();
    let mut docs = Docs::none(bound);
    let low = match low {
        Bound::Included(low) => Some(low),
        Bound::Excluded(low) => low.checked_add(1),
        Bound::Unbounded => Some(i64::MIN),
    };
    let high = match high {
        Bound::Included(high) => Some(high),
        Bound::Excluded(high) => high.checked_sub(1),
        Bound::Unbounded => Some(i64::MAX),
    };
    let (Some(low), Some(high)) = (low, high) else { return Ok(docs) };
    let column = segment.numbers(fact)?;
    // A range below a column's least value would match that value in tantivy 0.27, whose
    // subtraction of the least value saturates; so the range is cut to what the column holds.
    let (low, high) = (low.max(column.min_value()), high.min(column.max_value()));
    if low > high {
        return Ok(docs);
    }
    let mut found = Vec::new();
    column.get_docids_for_value_range(low..=high, 0..bound, &mut found);
    for doc in found {
        docs.insert(doc);
    }
    Ok(docs)
}

fn keys(segment: &ViewSegment, fields: Fields, wanted: &SessionSet) -> Result<Docs, Error> {
    let reader = &segment.reader;
    let mut docs = Docs::none(reader.max_doc());
    if wanted.len() * LOOKUP_COST < reader.max_doc() as usize {
        let index = reader.inverted_index(fields.key).map_err(Error::catalog)?;
        for key in wanted.iter() {
            let term = Term::from_field_u64(fields.key, key.0);
            if let Some(info) = index.get_term_info(&term).map_err(Error::catalog)? {
                docs.add_postings(&index, &info).map_err(Error::catalog)?;
            }
        }
        return Ok(docs);
    }
    let column = segment.keys()?;
    for doc in 0..reader.max_doc() {
        if column.first(doc).is_some_and(|key| wanted.contains(SessionKey(key))) {
            docs.insert(doc);
        }
    }
    Ok(docs)
}
