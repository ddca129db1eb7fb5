//! The tree that is evaluated: negations only at its leaves, cheap conditions first.

use super::super::literal::{self, Clauses};
use super::super::number::Comparison;
use super::{Exactness, Keys, Tri};
use daybook_engine::event::number::EventNumber;
use daybook_engine::event::text::TextField;
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Kind, Micros, Verdict};
use daybook_engine::text::narrow::Narrow;
use daybook_engine::view::EventFacts;
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Node {
    Const(bool),
    Member(Keys),
    NotMember(Keys),
    /// At this time or later.
    After(Micros),
    /// Earlier.
    Before(Micros),
    /// Bits by [`Kind::code`].
    Kind(u32),
    /// Bits by [`Verdict::code`]; bit 0 for none.
    Verdict(u32),
    Number {
        number: EventNumber,
        comparison: Comparison,
        value: i64,
        negated: bool,
    },
    Text(Box<TextNode>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// A text term in its place.
#[derive(Debug)]
pub(super) struct TextNode {
    pub(super) negated: bool,
    pub(super) field: Option<TextField>,
    pub(super) term: usize,
    pub(super) narrow: Narrow,
    /// Of which events the narrowing says exactly what the term does.
    pub(super) exact: Option<Exactness>,
    pub(super) clauses: Clauses,
}

/// What holds for all of some.
fn least(mut all: impl Iterator<Item = Option<Exactness>>) -> Option<Exactness> {
    all.try_fold(Exactness::All, |least, one| one.map(|one| least.min(one)))
}

/// The bits of all kinds.
pub(super) fn kind_bits(kinds: &[Kind]) -> u32 {
    kinds.iter().fold(0, |bits, kind| bits | 1 << kind.code())
}

/// The bits of some verdicts.
pub(super) fn verdict_bits(verdicts: &[Verdict]) -> u32 {
    verdicts.iter().fold(0, |bits, verdict| bits | 1 << verdict.code())
}

/// The fields that events of a kind can have.
fn fields(kind: Kind) -> &'static [TextField] {
    match kind {
        Kind::Command => &[TextField::Input, TextField::Output],
        Kind::Output | Kind::CommandEnd => &[TextField::Output],
        Kind::TerminalOutput => &[TextField::Output, TextField::Screen],
        Kind::TerminalInput => &[TextField::Input, TextField::Typed],
        Kind::TerminalMarker
        | Kind::ReviewRequest
        | Kind::ReviewDecision
        | Kind::SessionEnd
        | Kind::Note
        | Kind::Retention => &[TextField::Text],
        Kind::SessionStart | Kind::TerminalResize | Kind::Access => &[],
    }
}

impl Node {
    /// The children of an AND or an OR, in the order of what they cost.
    pub(super) fn group(mut nodes: Vec<Node>, and: bool) -> Node {
        if nodes.len() == 1 {
            return nodes.swap_remove(0);
        }
        nodes.sort_by_key(Node::cost);
        if and { Node::And(nodes) } else { Node::Or(nodes) }
    }

    fn cost(&self) -> u64 {
        match self {
            Node::Const(_) => 0,
            Node::After(_) | Node::Before(_) | Node::Kind(_) | Node::Verdict(_) => 1,
            Node::Member(_) | Node::NotMember(_) => 4,
            Node::Number { .. } => 5,
            Node::Text(_) => 100,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().map(Node::cost).sum::<u64>() + 1,
        }
    }

    /// Of which events do the narrowing and the facts together say exactly what the tree does?
    pub(super) fn exactness(&self) -> Option<Exactness> {
        match self {
            node if node.is_facts() => Some(Exactness::All),
            Node::And(nodes) => least(nodes.iter().map(Node::exactness)),
            // Of an event in the narrowing of an OR nobody knows which of them let it in.
            node => node.text_exactness(),
        }
    }

    fn text_exactness(&self) -> Option<Exactness> {
        match self {
            Node::Text(text) if !text.negated => text.exact,
            number @ Node::Number { .. } if number.narrow() != Narrow::All => Some(Exactness::All),
            Node::And(nodes) | Node::Or(nodes) => least(nodes.iter().map(Node::text_exactness)),
            _ => None,
        }
    }

    fn is_facts(&self) -> bool {
        match self {
            Node::Text(_) | Node::Number { .. } => false,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(Node::is_facts),
            _ => true,
        }
    }

    /// Is nothing but texts wanted?
    pub(super) fn is_of_texts(&self) -> bool {
        match self {
            Node::Text(text) => text.field.is_none() && !text.negated,
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().all(Node::is_of_texts),
            _ => false,
        }
    }

    /// Is a text wanted that may be seen on a terminal?
    pub(super) fn asks_seen(&self) -> bool {
        match self {
            Node::Text(text) => text.field.is_none_or(TextField::is_seen),
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().any(Node::asks_seen),
            _ => false,
        }
    }

    /// What the facts alone say.
    pub(super) fn accepts(&self, facts: &EventFacts) -> Tri {
        match self {
            Node::Text(text) => {
                let possible = fields(facts.kind)
                    .iter()
                    .any(|field| text.field.is_none_or(|wanted| wanted == *field));
                if possible { Tri::Maybe } else { Tri::of(text.negated) }
            }
            Node::Number { number, comparison, value, negated } => {
                let carried = match number {
                    EventNumber::Exit => {
                        matches!(facts.kind, Kind::Command | Kind::CommandEnd | Kind::SessionEnd)
                    }
                    _ => matches!(facts.kind, Kind::Command | Kind::CommandEnd),
                };
                if carried {
                    return Tri::Maybe;
                }
                let holds = *number == EventNumber::Masked && comparison.holds(0, *value);
                Tri::of(holds != *negated)
            }
            Node::And(nodes) => nodes.iter().fold(Tri::Yes, |all, n| match all {
                Tri::No => Tri::No,
                all => all.and(n.accepts(facts)),
            }),
            Node::Or(nodes) => nodes.iter().fold(Tri::No, |any, n| match any {
                Tri::Yes => Tri::Yes,
                any => any.or(n.accepts(facts)),
            }),
            fact => Tri::of(fact.fact(facts)),
        }
    }

    /// Exactly. `text` says whether a term is found in a field of the event.
    pub(super) fn matches(
        &self,
        facts: &EventFacts,
        event: &Event<'_>,
        text: &mut dyn FnMut(usize, Option<TextField>) -> bool,
    ) -> bool {
        match self {
            Node::Text(node) => text(node.term, node.field) != node.negated,
            Node::Number { number, comparison, value, negated } => {
                let holds = number.of(event).is_some_and(|n| comparison.holds(n, *value));
                holds != *negated
            }
            Node::And(nodes) => nodes.iter().all(|n| n.matches(facts, event, text)),
            Node::Or(nodes) => nodes.iter().any(|n| n.matches(facts, event, text)),
            fact => fact.fact(facts),
        }
    }

    /// A leaf that the facts decide.
    fn fact(&self, facts: &EventFacts) -> bool {
        match self {
            Node::Const(holds) => *holds,
            Node::Member(keys) => keys.contains(facts.session),
            Node::NotMember(keys) => !keys.contains(facts.session),
            Node::After(time) => facts.time >= *time,
            Node::Before(time) => facts.time < *time,
            Node::Kind(bits) => bits >> facts.kind.code() & 1 == 1,
            Node::Verdict(bits) => bits >> facts.verdict.map_or(0, Verdict::code) & 1 == 1,
            Node::Number { .. } | Node::Text(_) | Node::And(_) | Node::Or(_) => false,
        }
    }

    /// A condition that the index can evaluate and that everything which matches satisfies.
    pub(super) fn narrow(&self) -> Narrow {
        match self {
            Node::Const(false) => Narrow::None,
            Node::Kind(bits) => {
                let named = |kind: &&Kind| bits >> kind.code() & 1 == 1;
                let kinds: Vec<Kind> = Kind::ALL.iter().filter(named).copied().collect();
                match kinds.len() {
                    0 => Narrow::None,
                    n if n == Kind::ALL.len() => Narrow::All,
                    _ => Narrow::Kind(kinds),
                }
            }
            // The index knows no event by its having no verdict.
            Node::Verdict(bits) if bits & 1 == 0 => {
                let named = |verdict: &&Verdict| bits >> verdict.code() & 1 == 1;
                Narrow::Verdict(Verdict::ALL.iter().filter(named).copied().collect())
            }
            Node::Text(text) if !text.negated => text.narrow.clone(),
            Node::Number { number, comparison, value, negated: false } => {
                comparison.narrow(*number, *value)
            }
            Node::And(nodes) => literal::all(nodes.iter().map(Node::narrow).collect()),
            Node::Or(nodes) => literal::any(nodes.iter().map(Node::narrow).collect()),
            _ => Narrow::All,
        }
    }

    /// Needles that the raw bytes of everything which matches hold, if their lines are plain.
    pub(super) fn clauses(&self) -> Clauses {
        match self {
            Node::Text(text) if !text.negated => text.clauses.clone(),
            Node::And(nodes) => literal::all_clauses(nodes.iter().map(Node::clauses)),
            Node::Or(nodes) => literal::any_clauses(nodes.iter().map(Node::clauses)),
            _ => Vec::new(),
        }
    }

    /// The window that the times of everything which matches are in: `low <= time < high`.
    pub(super) fn window(&self) -> (Option<Micros>, Option<Micros>) {
        match self {
            Node::After(time) => (Some(*time), None),
            Node::Before(time) => (None, Some(*time)),
            Node::And(nodes) => nodes.iter().map(Node::window).fold((None, None), |a, b| {
                let high = match (a.1, b.1) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (one, None) | (None, one) => one,
                };
                (a.0.max(b.0), high)
            }),
            Node::Or(nodes) => nodes
                .iter()
                .map(Node::window)
                .reduce(|a, b| (a.0.min(b.0), a.1.zip(b.1).map(|(a, b)| a.max(b))))
                .unwrap_or((None, None)),
            _ => (None, None),
        }
    }

    /// The sessions that everything which matches is in, if the tree says.
    pub(super) fn sessions(&self) -> Option<Keys> {
        match self {
            Node::Const(false) => Some(Arc::default()),
            Node::Member(keys) => Some(Arc::clone(keys)),
            Node::And(nodes) => {
                nodes.iter().filter_map(Node::sessions).reduce(|a, b| Arc::new(a.intersection(&b)))
            }
            Node::Or(nodes) => {
                let parts: Option<Vec<_>> = nodes.iter().map(Node::sessions).collect();
                parts?.into_iter().reduce(|a, b| Arc::new(a.union(&b)))
            }
            _ => None,
        }
    }
}
