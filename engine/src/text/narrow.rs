//! What the text index can be asked: a narrowing, never an answer.
//!
//! A narrowing names a superset of the events that a query wants; the query layer then verifies each
//! candidate on the stored text. So a narrowing may be as loose as it likes, but never too tight.

use crate::event::number::EventNumber;
use crate::event::text::TextField;
use crate::event::{Kind, Verdict};
use std::ops::RangeInclusive;

/// A condition on an event that the text index can evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// Every event: the index can't help.
    All,
    /// No event.
    None,
    /// A word of a text has a shape.
    Word(Fields, WordShape),
    /// The event is of one of these kinds.
    Kind(Vec<Kind>),
    /// The event is a command with one of these verdicts.
    Verdict(Vec<Verdict>),
    /// The event says a number, and it is in a range. Of [`EventNumber::Masked`], which every event has, the range
    /// must be without 0.
    Number(EventNumber, RangeInclusive<i64>),
    /// All hold.
    And(Vec<Narrow>),
    /// At least one holds.
    Or(Vec<Narrow>),
}

/// The texts in which a word is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Any of them.
    Any,
    /// One of them.
    One(TextField),
}

/// A condition on one word (see [`super::words`]). All texts are in the index's folded form.
///
/// `EndsWith` and `Contains` speak of the word as it stands in the text. Of a word that is too long for
/// [`pieces`](super::words::pieces) the index does not know the end, so there it must answer that it may satisfy
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordShape {
    /// The whole word.
    Is(String),
    /// Its start.
    StartsWith(String),
    /// Its end.
    EndsWith(String),
    /// Anywhere inside.
    Contains(String),
}
