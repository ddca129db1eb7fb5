//! In which order sessions are listed.
//!
//! A list is ranked by numbers: those that it is sorted by, or where that are texts, their places among all texts of
//! the field that the catalog knows. Such a place holds for one view of the catalog only; what is remembered from one
//! page to the next is the text.

use super::filter::{NumberFact, TextFact};
use super::index::View;
use crate::error::Error;
use crate::session::SessionState;
use crate::view::{ListPlace, Session};
use std::cell::RefCell;

/// Of longer texts this much is compared, in bytes: a place in a list has to fit into a URL.
pub const TEXT_BYTES_MAX: usize = 256;

/// What a list of sessions is sorted by; ties are broken by the session's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The number or text to sort by.
    pub by: SortFact,
    /// Largest first.
    pub descending: bool,
}

/// What sessions can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortFact {
    /// A number.
    Number(NumberFact),
    /// A text of which a session has one at most, by its bytes.
    Text(TextFact),
}

/// The value that a session is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue {
    /// A number.
    Number(i64),
    /// A text, cut to [`TEXT_BYTES_MAX`].
    Text(Box<str>),
}

impl SortFact {
    /// Everything that sessions can be sorted by.
    pub fn all() -> impl Iterator<Item = SortFact> {
        const TEXTS: [TextFact; 6] = [
            TextFact::User,
            TextFact::Role,
            TextFact::Type,
            TextFact::Subtype,
            TextFact::Agent,
            TextFact::Status,
        ];
        NumberFact::ALL.map(SortFact::Number).into_iter().chain(TEXTS.map(SortFact::Text))
    }

    /// Its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SortFact::Number(fact) => fact.name(),
            SortFact::Text(fact) => fact.name(),
        }
    }

    /// The value of a session, if it has one.
    #[must_use]
    pub fn of(self, id: &str, state: &SessionState) -> Option<SortValue> {
        match self {
            SortFact::Number(fact) => fact.of(state).map(SortValue::Number),
            SortFact::Text(fact) => {
                let found = RefCell::new(None);
                fact.any(id, state, |text| found.replace(Some(cut(text).into())).is_none());
                found.into_inner().map(SortValue::Text)
            }
        }
    }
}

/// A text's beginning. Beginnings stand in the order of their texts.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

/// An order of the sessions of a view, and of some that changed since.
pub(super) enum Order {
    /// By a number.
    Numbers(NumberFact),
    /// By a text: all that there are, in order, and of each segment which of them its terms are.
    Texts { fact: TextFact, texts: Vec<Box<str>>, of_segments: Vec<Vec<i64>> },
}

impl Order {
    pub(super) fn new(by: SortFact, view: &View, changed: &[Session]) -> Result<Order, Error> {
        let fact = match by {
            SortFact::Number(fact) => return Ok(Order::Numbers(fact)),
            SortFact::Text(fact) => fact,
        };
        let mut of_segments: Vec<Vec<Box<str>>> = Vec::with_capacity(view.segments.len());
        for segment in &view.segments {
            let mut terms = Vec::new();
            if let Some(column) =
                segment.reader.fast_fields().str(fact.name()).map_err(Error::catalog)?
            {
                let mut stream = column.dictionary().stream().map_err(Error::catalog)?;
                while stream.advance() {
                    // It was text when tantivy was given it.
                    terms.push(cut(&String::from_utf8_lossy(stream.key())).into());
                }
            }
            of_segments.push(terms);
        }
        let mut texts: Vec<Box<str>> = of_segments.iter().flatten().cloned().collect();
        for session in changed {
            if let Some(SortValue::Text(text)) = by.of(&session.id, &session.state) {
                texts.push(text);
            }
        }
        texts.sort_unstable();
        texts.dedup();
        let number = |terms: Vec<Box<str>>| terms.iter().map(|term| place(&texts, term)).collect();
        let of_segments = of_segments.into_iter().map(number).collect();
        Ok(Order::Texts { fact, texts, of_segments })
    }

    /// The number that a value has in this order.
    pub(super) fn number(&self, value: &SortValue) -> i64 {
        match (self, value) {
            (Order::Numbers(_), SortValue::Number(number)) => *number,
            (Order::Texts { texts, .. }, SortValue::Text(text)) => place(texts, text),
            // A place of another list; whoever made it is answered something.
            _ => 0,
        }
    }

    /// The value that has a number in this order.
    pub(super) fn value(&self, number: i64) -> Option<SortValue> {
        match self {
            Order::Numbers(_) => Some(SortValue::Number(number)),
            Order::Texts { texts, .. } => {
                let text = texts.get(usize::try_from(number / 2).ok()?)?;
                Some(SortValue::Text(text.clone()))
            }
        }
    }

    /// A session's number.
    pub(super) fn of(&self, session: &Session) -> Option<i64> {
        let by = match self {
            Order::Numbers(fact) => SortFact::Number(*fact),
            Order::Texts { fact, .. } => SortFact::Text(*fact),
        };
        by.of(&session.id, &session.state).map(|value| self.number(&value))
    }

    /// A place as a value and a key make it.
    pub(super) fn place(&self, place: &ListPlace) -> Option<i64> {
        place.value.as_ref().map(|value| self.number(value))
    }
}

/// An odd number for a text that is one of `texts`, and an even one between its neighbours for one that is not.
fn place(texts: &[Box<str>], text: &str) -> i64 {
    let twice = |at: usize| (at as i64).saturating_mul(2);
    match texts.binary_search_by(|other| (**other).cmp(text)) {
        Ok(at) => twice(at).saturating_add(1),
        Err(at) => twice(at),
    }
}
