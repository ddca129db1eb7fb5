//! Conditions on sessions, evaluated in two ways that agree: on a [`SessionState`] directly, and by
//! the catalog's index.

use crate::event::{Micros, SessionKey};
use crate::session::SessionState;
use crate::view::SessionSet;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// A condition on a session.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionFilter {
    /// Every session.
    All,
    /// No session.
    None,
    /// A text field has a shape. A session without the field does not match.
    Text(TextFact, Pattern),
    /// A number is in a range.
    Number(NumberFact, Bound<i64>, Bound<i64>),
    /// One of these sessions.
    Keys(Arc<SessionSet>),
    /// All hold.
    And(Vec<SessionFilter>),
    /// At least one holds.
    Or(Vec<SessionFilter>),
    /// It does not hold.
    Not(Box<SessionFilter>),
}

/// A session's text fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextFact {
    /// The session's id.
    Id,
    /// The user.
    User,
    /// The resource role.
    Role,
    /// The role's type.
    Type,
    /// The role's subtype.
    Subtype,
    /// The AI agent.
    Agent,
    /// A tag; any of them.
    Tag,
    /// The status, by [`crate::session::Status::name`].
    Status,
    /// The id of a review; any of them.
    Review,
    /// Where a review that was asked for stands, by [`ReviewStatus::name`](crate::review::ReviewStatus::name); any of
    /// them.
    ReviewStatus,
    /// Who approved a review, as far as it counts; any of them.
    Approver,
}

/// A session's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberFact {
    /// When it started, in microseconds.
    Started,
    /// When it ended, in microseconds; a session that is open has none and matches no range.
    Ended,
    /// When its latest event happened, in microseconds.
    LastEvent,
    /// How long it took, in milliseconds.
    Duration,
    /// Events.
    Events,
    /// Commands.
    Commands,
    /// Blocked commands.
    Blocked,
    /// Approved commands.
    Approved,
    /// Commands that wait for a review.
    Pending,
    /// Masked fields.
    Masked,
    /// Bytes as sent.
    Bytes,
    /// When a review of it was asked for, or something was said of one, last, in microseconds.
    LastReview,
}

/// The shape of a text: literal pieces with anything (`*`) between them. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Vec<Box<str>>);

impl Pattern {
    /// Exactly this text.
    #[must_use]
    pub fn exact(text: &str) -> Pattern {
        Pattern(vec![text.into()])
    }

    /// `*` stands for anything, also nothing.
    #[must_use]
    pub fn wildcard(text: &str) -> Pattern {
        Pattern(text.split('*').map(Into::into).collect())
    }

    /// From pieces between which anything may stand.
    #[must_use]
    pub fn pieces(pieces: Vec<Box<str>>) -> Pattern {
        if pieces.is_empty() { Pattern::exact("") } else { Pattern(pieces) }
    }

    /// The text, if only one matches.
    #[must_use]
    pub fn as_exact(&self) -> Option<&str> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The literal pieces; anything may stand between two of them.
    #[must_use]
    pub fn literals(&self) -> &[Box<str>] {
        &self.0
    }

    /// Does `text` have this shape?
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self.0.as_slice() {
            [] => text.is_empty(),
            [only] => text == &**only,
            [first, middle @ .., last] => {
                let Some(rest) = text.strip_prefix(&**first) else { return false };
                let Some(mut rest) = rest.strip_suffix(&**last) else { return false };
                for piece in middle {
                    let Some(at) = rest.find(&**piece) else { return false };
                    rest = rest.get(at + piece.len()..).unwrap_or("");
                }
                true
            }
        }
    }
}

impl SessionFilter {
    /// Does a session match?
    #[must_use]
    pub fn matches(&self, id: &str, key: SessionKey, state: &SessionState) -> bool {
        match self {
            SessionFilter::All => true,
            SessionFilter::None => false,
            SessionFilter::Text(fact, pattern) => fact.any(id, state, |text| pattern.matches(text)),
            SessionFilter::Number(fact, low, high) => {
                fact.of(state).is_some_and(|n| std::ops::RangeBounds::contains(&(*low, *high), &n))
            }
            SessionFilter::Keys(keys) => keys.contains(key),
            SessionFilter::And(all) => all.iter().all(|f| f.matches(id, key, state)),
            SessionFilter::Or(any) => any.iter().any(|f| f.matches(id, key, state)),
            SessionFilter::Not(not) => !not.matches(id, key, state),
        }
    }
}

impl TextFact {
    /// Every field.
    pub const ALL: [TextFact; 11] = [
        TextFact::Id,
        TextFact::User,
        TextFact::Role,
        TextFact::Type,
        TextFact::Subtype,
        TextFact::Agent,
        TextFact::Tag,
        TextFact::Status,
        TextFact::Review,
        TextFact::ReviewStatus,
        TextFact::Approver,
    ];

    /// Its name in the API and in the catalog's schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TextFact::Id => "id",
            TextFact::User => "user",
            TextFact::Role => "role",
            TextFact::Type => "type",
            TextFact::Subtype => "subtype",
            TextFact::Agent => "agent",
            TextFact::Tag => "tag",
            TextFact::Status => "status",
            TextFact::Review => "review",
            TextFact::ReviewStatus => "review_status",
            TextFact::Approver => "approver",
        }
    }

    /// Does any of a session's values of this field satisfy `test`?
    pub fn any(self, id: &str, state: &SessionState, test: impl Fn(&str) -> bool) -> bool {
        let facts = state.facts();
        let one = |value: Option<&Box<str>>| value.is_some_and(|v| test(v));
        match self {
            TextFact::Id => test(id),
            TextFact::Status => test(state.status().name()),
            TextFact::User => one(facts.and_then(|f| f.user.as_ref())),
            TextFact::Role => one(facts.and_then(|f| f.role.as_ref())),
            TextFact::Type => one(facts.and_then(|f| f.kind.as_ref())),
            TextFact::Subtype => one(facts.and_then(|f| f.subtype.as_ref())),
            TextFact::Agent => one(facts.and_then(|f| f.agent.as_ref())),
            TextFact::Tag => facts.is_some_and(|f| f.tags.iter().any(|t| test(t))),
            TextFact::Review => state.reviews.keys().any(|id| test(id)),
            // Each value once, however many reviews have it.
            TextFact::ReviewStatus => {
                let asked = state.reviews.values().filter(|review| review.request.is_some());
                let statuses = asked.map(|review| state.review_status(review).name());
                statuses.collect::<BTreeSet<_>>().into_iter().any(test)
            }
            TextFact::Approver => {
                let standing = state.reviews.values().map(|review| state.review_standing(review));
                let names = standing.flat_map(|standing| standing.approvers).flatten();
                names.collect::<BTreeSet<_>>().into_iter().any(test)
            }
        }
    }

    /// Calls `visit` with each of a session's values of this field, once.
    pub fn each(self, id: &str, state: &SessionState, visit: impl FnMut(&str)) {
        let (visit, visited) = (RefCell::new(visit), RefCell::new(Vec::<Box<str>>::new()));
        self.any(id, state, |value| {
            // All others have one value, or each once.
            if self == TextFact::Tag {
                let mut visited = visited.borrow_mut();
                if visited.iter().any(|before| **before == *value) {
                    return false;
                }
                visited.push(value.into());
            }
            (visit.borrow_mut())(value);
            false
        });
    }
}

impl NumberFact {
    /// Every number.
    pub const ALL: [NumberFact; 12] = [
        NumberFact::Started,
        NumberFact::Ended,
        NumberFact::LastEvent,
        NumberFact::Duration,
        NumberFact::Events,
        NumberFact::Commands,
        NumberFact::Blocked,
        NumberFact::Approved,
        NumberFact::Pending,
        NumberFact::Masked,
        NumberFact::Bytes,
        NumberFact::LastReview,
    ];

    /// Its name in the API and in the catalog's schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NumberFact::Started => "started",
            NumberFact::Ended => "ended",
            NumberFact::LastEvent => "last_event",
            NumberFact::Duration => "duration",
            NumberFact::Events => "events",
            NumberFact::Commands => "commands",
            NumberFact::Blocked => "blocked",
            NumberFact::Approved => "approved",
            NumberFact::Pending => "pending",
            NumberFact::Masked => "masked",
            NumberFact::Bytes => "bytes",
            NumberFact::LastReview => "last_review",
        }
    }

    /// The number of a session; counts beyond `i64::MAX` read as that.
    #[must_use]
    pub fn of(self, state: &SessionState) -> Option<i64> {
        let count = |n: u64| Some(i64::try_from(n).unwrap_or(i64::MAX));
        match self {
            NumberFact::Started => state.started_at().map(|Micros(t)| t),
            NumberFact::Ended => state.ended_at().map(|Micros(t)| t),
            NumberFact::LastEvent => state.span.map(|(_, Micros(last))| last),
            NumberFact::Duration => count(state.duration_ms()),
            NumberFact::Events => count(state.events),
            NumberFact::Commands => count(state.commands),
            NumberFact::Blocked => count(state.blocked()),
            NumberFact::Approved => count(state.approved()),
            NumberFact::Pending => count(state.pending()),
            NumberFact::Masked => count(state.masked),
            NumberFact::Bytes => count(state.bytes),
            NumberFact::LastReview => state.last_review_at().map(|Micros(t)| t),
        }
    }
}
