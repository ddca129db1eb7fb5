//! A query, or a part of it, as a condition on sessions.

use super::ast::{Expr, Query, Term};
use super::number::{Comparison, Number};
use daybook_engine::catalog::filter::{NumberFact, SessionFilter};
use daybook_engine::event::Micros;
use std::ops::Bound;

impl Query {
    /// The whole query as a condition on sessions, for lists of sessions: `after:` and `before:` are
    /// about the start, `masked:` and `duration:` about the session. `None` if it says something
    /// that only events have: a text, a kind, a verdict, an exit code, rows, `session(...)`.
    #[must_use]
    pub fn session_filter(&self) -> Option<SessionFilter> {
        filter(&self.expr, true)
    }

    /// Does it ask which sessions satisfy something, and not only what an event says itself?
    #[must_use]
    pub fn asks_sessions(&self) -> bool {
        asks_sessions(&self.expr)
    }
}

fn asks_sessions(expr: &Expr) -> bool {
    match expr {
        Expr::All => false,
        Expr::And(exprs) | Expr::Or(exprs) => exprs.iter().any(asks_sessions),
        Expr::Not(not) => asks_sessions(not),
        Expr::Term(Term::Fact(..) | Term::Session(_)) => true,
        Expr::Term(Term::Number(number, ..)) => number.session_only(),
        Expr::Term(_) => false,
    }
}

/// `whole`: every term is about sessions; otherwise only those that no event has itself.
pub(super) fn filter(expr: &Expr, whole: bool) -> Option<SessionFilter> {
    let each = |exprs: &[Expr]| exprs.iter().map(|e| filter(e, whole)).collect::<Option<Vec<_>>>();
    match expr {
        Expr::All => whole.then_some(SessionFilter::All),
        Expr::And(all) => each(all).map(SessionFilter::And),
        Expr::Or(any) => each(any).map(SessionFilter::Or),
        Expr::Not(not) => filter(not, whole).map(|f| SessionFilter::Not(Box::new(f))),
        Expr::Term(term) => match term {
            Term::Fact(fact, patterns) => {
                let mut any: Vec<SessionFilter> =
                    patterns.iter().map(|p| SessionFilter::Text(*fact, p.clone())).collect();
                Some(if any.len() == 1 { any.swap_remove(0) } else { SessionFilter::Or(any) })
            }
            Term::After(Micros(time)) if whole => Some(SessionFilter::Number(
                NumberFact::Started,
                Bound::Included(*time),
                Bound::Unbounded,
            )),
            Term::Before(Micros(time)) if whole => Some(SessionFilter::Number(
                NumberFact::Started,
                Bound::Unbounded,
                Bound::Excluded(*time),
            )),
            Term::Number(number, comparison, value) if whole || number.session_only() => {
                compare(*number, *comparison, *value)
            }
            _ => None,
        },
    }
}

fn compare(number: Number, comparison: Comparison, value: i64) -> Option<SessionFilter> {
    let fact = number.of_session()?;
    let (low, high) = comparison.range(value);
    let range = SessionFilter::Number(fact, low, high);
    Some(match comparison {
        // These numbers every session has, so what is not equal is different.
        Comparison::NotEqual => SessionFilter::Not(Box::new(range)),
        _ => range,
    })
}
