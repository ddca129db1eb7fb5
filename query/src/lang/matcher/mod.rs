//! A query made ready to be asked of events: exactly, and in the ways that leave most events unread.
//!
//! | from the cheapest | reads | says |
//! |---|---|---|
//! | [`Matcher::time_range`], [`Matcher::sessions`] | nothing | where matches can be |
//! | [`Matcher::narrow`] | the text index | which events may match |
//! | [`Matcher::accepts`] | an event's facts | no, maybe, yes |
//! | [`Matcher::prefilter`] | raw bytes | no, maybe |
//! | [`Matcher::matches`] | the event | no, yes |
//!
//! What is said of sessions is asked of the catalog once, when the matcher is made; after that it is
//! a look into a set.

mod finder;
mod node;

use super::ast::{Expr, Query, SessionTerm, Term, Text};
use super::filter::filter;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::text::{TextField, Texts};
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Kind, Micros};
use daybook_engine::screen::{Chars, Seen};
use daybook_engine::text::narrow::Narrow;
use daybook_engine::view::{EventFacts, SessionSet};
use finder::{Ends, Finder, folded_any, index_word, needs};
use node::{Node, TextNode, kind_bits, verdict_bits};
use std::ops::{Bound, Range};
use std::sync::Arc;

/// Sessions that satisfy a condition, shared by all who ask for them.
pub type Keys = Arc<SessionSet>;

/// At most this many places of each term are marked in one text.
pub const HIGHLIGHTS_MAX: usize = 1_000;

/// What the catalog, or a search before the search, has to say which sessions satisfy.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionCondition {
    /// A condition on the sessions themselves.
    Filter(SessionFilter),
    /// For each query there is an event in the session that matches it.
    Together(Vec<Query>),
    /// Such events stand in this order: each has a higher `seq` than the one before, and is at most so many
    /// microseconds after the first.
    InOrder(Vec<Query>, Option<i64>),
}

/// An answer that may have to wait for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tri {
    /// It matches.
    Yes,
    /// It does not.
    No,
    /// It has to be looked at.
    Maybe,
}

impl Tri {
    const fn of(yes: bool) -> Tri {
        if yes { Tri::Yes } else { Tri::No }
    }

    fn and(self, other: Tri) -> Tri {
        match (self, other) {
            (Tri::No, _) | (_, Tri::No) => Tri::No,
            (Tri::Yes, Tri::Yes) => Tri::Yes,
            _ => Tri::Maybe,
        }
    }

    fn or(self, other: Tri) -> Tri {
        match (self, other) {
            (Tri::Yes, _) | (_, Tri::Yes) => Tri::Yes,
            (Tri::No, Tri::No) => Tri::No,
            _ => Tri::Maybe,
        }
    }
}

/// A test on raw bytes of plain lines; see [`Matcher::prefilter`].
pub type RawTest = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A query, ready.
#[derive(Debug)]
pub struct Matcher {
    root: Node,
    terms: Vec<TextTerm>,
    narrow: Narrow,
    sessions: Option<Keys>,
    asks_seen: bool,
    exact: Option<Exactness>,
}

/// Of which events the narrowing and the facts together decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exactness {
    /// Of those with which nothing was seen.
    Unseen,
    /// Of all.
    All,
}

#[derive(Debug)]
struct TextTerm {
    finder: Finder,
    field: Option<TextField>,
    /// Not under a NOT: worth marking.
    positive: bool,
    /// How much it says.
    weight: f64,
    /// What is in every text that has it.
    chars: Chars,
}

impl Matcher {
    /// Makes a query ready. `resolve` answers which sessions satisfy a condition; it is asked once
    /// for each largest part of the query that is about sessions alone.
    ///
    /// # Errors
    /// What `resolve` answers.
    pub fn new<E>(
        query: &Query,
        resolve: &mut dyn FnMut(&SessionCondition) -> Result<Keys, E>,
    ) -> Result<Matcher, E> {
        let mut terms = Vec::new();
        let root = lower(&query.expr, false, &mut terms, resolve)?;
        let narrow = root.narrow();
        let sessions = root.sessions();
        let asks_seen = root.asks_seen();
        let exact = root.exactness();
        Ok(Matcher { root, terms, narrow, sessions, asks_seen, exact })
    }

    /// What the text index can be asked: everything that matches satisfies it.
    #[must_use]
    pub fn narrow(&self) -> &Narrow {
        &self.narrow
    }

    /// Do the narrowing and the facts together decide, and of which events? Of these one that satisfies
    /// [`Matcher::narrow`] and that [`Matcher::accepts`] does not refuse matches, without being read.
    #[must_use]
    pub fn exactness(&self) -> Option<Exactness> {
        self.exact
    }

    /// The sessions that everything which matches is in, if the query says.
    #[must_use]
    pub fn sessions(&self) -> Option<&SessionSet> {
        self.sessions.as_deref()
    }

    /// The window that the times of everything which matches are in.
    #[must_use]
    pub fn time_range(&self) -> (Bound<Micros>, Bound<Micros>) {
        let (low, high) = self.root.window();
        (
            low.map_or(Bound::Unbounded, Bound::Included),
            high.map_or(Bound::Unbounded, Bound::Excluded),
        )
    }

    /// What the facts of an event say: a no and a yes are sure.
    #[must_use]
    pub fn accepts(&self, facts: &EventFacts) -> Tri {
        self.root.accepts(facts)
    }

    /// Does it ask for texts alone, in any field? Then facts decide nothing of an event that has them.
    #[must_use]
    pub fn is_of_texts(&self) -> bool {
        self.root.is_of_texts()
    }

    /// Does it ask for sessions alone? Then every event of [`Matcher::sessions`] matches, and every one there is where that
    /// is `None`.
    #[must_use]
    pub fn is_of_sessions(&self) -> bool {
        matches!(self.root, Node::Member(_) | Node::Const(true))
    }

    /// A test on the raw bytes of one or many plain lines
    /// (see [`daybook_engine::block::Flags::plain`]): where it says no, nothing matches. `None` if
    /// the query needs no literal that JSON writes in one way only. What is seen on a terminal stands in no
    /// line: it is no test of events for which [`Matcher::asks_seen`].
    #[must_use]
    pub fn prefilter(&self) -> Option<RawTest> {
        let clauses = self.root.clauses();
        let tests: Vec<_> = clauses.iter().filter_map(|clause| folded_any(clause)).collect();
        if tests.is_empty() {
            return None;
        }
        Some(Box::new(move |bytes| tests.iter().all(|test| test.is_match(bytes))))
    }

    /// For each text that may have been seen: the characters that have to be there for that.
    pub fn seen_chars(&self) -> impl Iterator<Item = Chars> + '_ {
        let seen = self.terms.iter().filter(|term| term.field.is_none_or(TextField::is_seen));
        seen.map(|term| term.chars)
    }

    /// Does a line that was seen have any of the query's texts?
    #[must_use]
    pub fn may_be_seen(&self, seen: &Seen) -> bool {
        let asked = self.terms.iter().filter(|term| term.field.is_none_or(TextField::is_seen));
        let mut lines = seen.lines.iter().chain(&seen.typed);
        !seen.is_empty()
            && lines.any(|line| asked.clone().any(|term| term.finder.is_match(&line.text)))
    }

    /// May it depend on what was seen on a terminal whether an event of this kind matches?
    #[must_use]
    pub fn asks_seen(&self, kind: Kind) -> bool {
        matches!(kind, Kind::TerminalOutput | Kind::TerminalInput) && self.asks_seen
    }

    /// Does an event match? Exactly. `seen` answers what was seen with the event; it is asked once at most, and
    /// only where [`Matcher::asks_seen`].
    #[must_use]
    pub fn matches(
        &self,
        facts: &EventFacts,
        event: &Event<'_>,
        seen: &mut dyn FnMut() -> Arc<Seen>,
    ) -> bool {
        let mut texts: Option<Texts<'_>> = None;
        let mut known: Option<Arc<Seen>> = None;
        let asks_seen = self.asks_seen(facts.kind);
        let typed = facts.kind == Kind::TerminalInput;
        let field_seen = if typed { TextField::Typed } else { TextField::Screen };
        self.root.matches(facts, event, &mut |term, field| {
            let Some(term) = self.terms.get(term) else { return false };
            let wanted = |of| field.is_none_or(|field| field == of);
            let mut own = texts.get_or_insert_with(|| Texts::of(event)).iter();
            own.any(|(of, text)| wanted(of) && term.finder.is_match(text))
                || asks_seen
                    && wanted(field_seen)
                    && known
                        .get_or_insert_with(&mut *seen)
                        .any(typed, |text| term.finder.is_match(text))
        })
    }

    /// How relevant an event is that matches, in millionths; 0 where the query looks for no text.
    ///
    /// The sum over the query's texts of what [BM25F](https://doi.org/10.1561/1500000019) gives a term, without how
    /// rare it is in the log, so that the score depends on nothing that changes: `t / (1.2 + t)`, where `t` is how
    /// often it occurs, twice as much in what was typed, less in longer texts; times `1 + ln` of its length, for a
    /// longer term says more.
    #[must_use]
    pub fn relevance(&self, texts: &Texts<'_>, seen: &Seen) -> u64 {
        let lines = seen.lines.iter().map(|line| (TextField::Screen, line.text.as_str()));
        let typed = seen.typed.iter().map(|line| (TextField::Typed, line.text.as_str()));
        let texts: Vec<(TextField, &str)> = texts.iter().chain(lines).chain(typed).collect();
        let score: f64 = self
            .terms
            .iter()
            .filter(|term| term.positive)
            .map(|term| {
                let wanted = texts.iter().filter(|(of, _)| term.field.is_none_or(|f| f == *of));
                let often: f64 = wanted.map(|(of, text)| occurrence(&term.finder, *of, text)).sum();
                term.weight * often / (1.2 + often)
            })
            .sum();
        (score * 1e6) as u64
    }

    /// The places of a text that the query looks for, in bytes: in order, apart, at most
    /// [`HIGHLIGHTS_MAX`] of each term. Terms under a NOT are not marked.
    #[must_use]
    pub fn highlights(&self, field: TextField, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for term in &self.terms {
            if term.positive && term.field.is_none_or(|of| of == field) {
                term.finder.ranges(text, HIGHLIGHTS_MAX, &mut found);
            }
        }
        found.sort_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// Turns an expression into a tree with negations at the leaves.
fn lower<E>(
    expr: &Expr,
    negated: bool,
    terms: &mut Vec<TextTerm>,
    resolve: &mut dyn FnMut(&SessionCondition) -> Result<Keys, E>,
) -> Result<Node, E> {
    if let Some(found) = filter(expr, false) {
        let wanted = if negated { SessionFilter::Not(Box::new(found)) } else { found };
        return Ok(Node::Member(resolve(&SessionCondition::Filter(wanted))?));
    }
    match expr {
        Expr::All => Ok(Node::Const(!negated)),
        Expr::Not(not) => lower(not, !negated, terms, resolve),
        Expr::And(exprs) | Expr::Or(exprs) => {
            let conjunction = matches!(expr, Expr::And(_));
            // What is about sessions alone is asked in one go.
            let (mut filters, mut nodes) = (Vec::new(), Vec::new());
            for expr in exprs {
                match filter(expr, false) {
                    Some(filter) => filters.push(filter),
                    None => nodes.push(lower(expr, negated, terms, resolve)?),
                }
            }
            if !filters.is_empty() {
                let joined = match (filters.len(), conjunction) {
                    (1, _) => filters.swap_remove(0),
                    (_, true) => SessionFilter::And(filters),
                    (_, false) => SessionFilter::Or(filters),
                };
                let wanted = if negated { SessionFilter::Not(Box::new(joined)) } else { joined };
                nodes.push(Node::Member(resolve(&SessionCondition::Filter(wanted))?));
            }
            Ok(Node::group(nodes, conjunction != negated))
        }
        Expr::Term(term) => lower_term(term, negated, terms, resolve),
    }
}

/// A text of this length counts as it is, in bytes.
const USUAL_BYTES: f64 = 400.0;
/// No more places of a term are counted in one text.
const OCCURRENCES_MAX: usize = 32;

/// How often a term occurs in a text, weighed.
fn occurrence(finder: &Finder, field: TextField, text: &str) -> f64 {
    let mut places = Vec::new();
    finder.ranges(text, OCCURRENCES_MAX, &mut places);
    let typed = matches!(field, TextField::Input | TextField::Typed);
    let weight = if typed { 2.0 } else { 1.0 };
    weight * places.len() as f64 / (0.25 + 0.75 * text.len() as f64 / USUAL_BYTES)
}

/// Of which events the narrowing of a text says exactly what the text does.
fn exactness(text: &Text, field: Option<TextField>) -> Option<Exactness> {
    let word = index_word(text)?;
    match (word, field) {
        // Of a whole word the index knows with which event it was seen first, in whatever way.
        (Ends::Whole, None) => Some(Exactness::All),
        (_, Some(field)) if field.is_seen() => None,
        _ => Some(Exactness::Unseen),
    }
}

fn lower_term<E>(
    term: &Term,
    negated: bool,
    terms: &mut Vec<TextTerm>,
    resolve: &mut dyn FnMut(&SessionCondition) -> Result<Keys, E>,
) -> Result<Node, E> {
    Ok(match term {
        Term::Text(field, text) => {
            let needs = needs(text);
            let node = TextNode {
                negated,
                field: *field,
                term: terms.len(),
                narrow: needs.narrow(*field),
                exact: exactness(text, *field),
                clauses: needs.clauses(),
            };
            let weight = 1.0 + (text.as_str().len().max(1) as f64).ln();
            let (finder, field) = (Finder::new(text), *field);
            let chars = needs.chars();
            terms.push(TextTerm { finder, field, positive: !negated, weight, chars });
            Node::Text(Box::new(node))
        }
        Term::Kind(kinds) if negated => Node::Kind(!kind_bits(kinds)),
        Term::Kind(kinds) => Node::Kind(kind_bits(kinds)),
        Term::Verdict(verdicts) if negated => Node::Verdict(!verdict_bits(verdicts)),
        Term::Verdict(verdicts) => Node::Verdict(verdict_bits(verdicts)),
        Term::After(time) if negated => Node::Before(*time),
        Term::After(time) => Node::After(*time),
        Term::Before(time) if negated => Node::After(*time),
        Term::Before(time) => Node::Before(*time),
        Term::Number(number, comparison, value) => match number.of_event() {
            Some(number) => {
                Node::Number { number, comparison: *comparison, value: *value, negated }
            }
            None => Node::Const(negated),
        },
        Term::Session(of) => {
            let condition = match of {
                SessionTerm::Together(queries) => SessionCondition::Together(queries.clone()),
                SessionTerm::InOrder(queries, within) => {
                    SessionCondition::InOrder(queries.clone(), *within)
                }
            };
            let keys = resolve(&condition)?;
            if negated { Node::NotMember(keys) } else { Node::Member(keys) }
        }
        // These are about sessions alone and were taken as filters before.
        Term::Fact(..) => Node::Const(negated),
    })
}
