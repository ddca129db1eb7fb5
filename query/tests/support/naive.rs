//! What a query means, said as plainly as possible: the reference for [`Matcher`].
//!
//! [`Matcher`]: daybook_query::lang::Matcher

use super::model::Model;
use daybook_engine::event::text::{TextField, Texts};
use daybook_engine::event::wire::Event;
use daybook_engine::screen::Line;
use daybook_engine::text::words::is_word_char;
use daybook_engine::view::EventFacts;
use daybook_query::lang::{Expr, SessionTerm, Term, Text};

/// Does an event of the model match?
pub fn matches(model: &Model, expr: &Expr, facts: &EventFacts, event: &Event<'_>) -> bool {
    match expr {
        Expr::All => true,
        Expr::And(all) => all.iter().all(|e| matches(model, e, facts, event)),
        Expr::Or(any) => any.iter().any(|e| matches(model, e, facts, event)),
        Expr::Not(not) => !matches(model, not, facts, event),
        Expr::Term(term) => term_matches(model, term, facts, event),
    }
}

fn term_matches(model: &Model, term: &Term, facts: &EventFacts, event: &Event<'_>) -> bool {
    let (id, state) = &model.sessions[&facts.session];
    match term {
        Term::Text(field, text) => {
            let wanted = |of| field.is_none_or(|field| field == of);
            let own = Texts::of(event).iter().any(|(of, stored)| wanted(of) && found(text, stored));
            // A line counts for what no event before had by itself.
            let seen = model.seen_with(facts);
            let new = |line: &Line| {
                let before = seen.before.iter().any(|before| found(text, before));
                found(text, &line.text) && !(line.joined && before)
            };
            own || wanted(TextField::Screen) && seen.lines.iter().any(new)
                || wanted(TextField::Typed) && seen.typed.iter().any(new)
        }
        Term::Fact(fact, patterns) => {
            patterns.iter().any(|p| fact.any(id, state, |value| p.matches(value)))
        }
        Term::Kind(kinds) => kinds.contains(&facts.kind),
        Term::Verdict(verdicts) => facts.verdict.is_some_and(|v| verdicts.contains(&v)),
        Term::After(time) => facts.time >= *time,
        Term::Before(time) => facts.time < *time,
        Term::Number(number, comparison, value) => {
            let n = if number.session_only() {
                number.of_session().and_then(|fact| fact.of(state))
            } else {
                number.of_event().and_then(|number| number.of(event))
            };
            n.is_some_and(|n| comparison.holds(n, *value))
        }
        Term::Session(term) => {
            let mine: Vec<_> =
                model.lines.iter().filter(|(f, _)| f.session == facts.session).collect();
            let holds = |expr: &Expr, after: i64| {
                mine.iter()
                    .filter(|(f, line)| {
                        i64::from(f.seq.0) > after
                            && matches(model, expr, f, &Event::decode(line).unwrap())
                    })
                    .map(|(f, _)| i64::from(f.seq.0))
                    .min()
            };
            match term {
                SessionTerm::Together(all) => all.iter().all(|q| holds(&q.expr, -1).is_some()),
                SessionTerm::InOrder(steps, None) => {
                    steps.iter().try_fold(-1, |after, q| holds(&q.expr, after)).is_some()
                }
                SessionTerm::InOrder(steps, Some(within)) => {
                    // From each event that may be the first, the earliest ways on.
                    mine.iter().any(|(first, _)| {
                        let from = i64::from(first.seq.0);
                        let on = |after: i64, step: &Expr, at_once: bool| {
                            mine.iter()
                                .filter(|(f, line)| {
                                    let seq = i64::from(f.seq.0);
                                    (if at_once { seq == from } else { seq > after })
                                        && f.time.0 - first.time.0 <= *within
                                        && matches(model, step, f, &Event::decode(line).unwrap())
                                })
                                .map(|(f, _)| i64::from(f.seq.0))
                                .min()
                        };
                        let mut steps = steps.iter().enumerate();
                        steps.try_fold(-1, |after, (n, q)| on(after, &q.expr, n == 0)).is_some()
                    })
                }
            }
        }
    }
}

fn found(text: &Text, stored: &str) -> bool {
    match text {
        Text::Exact(text) => stored.to_ascii_lowercase().contains(&text.to_ascii_lowercase()),
        Text::ExactCase(text) => stored.contains(text.as_str()),
        Text::Regex(pattern) => regex::Regex::new(pattern).unwrap().is_match(stored),
        Text::Word(word) => {
            let ends: Vec<usize> =
                stored.char_indices().map(|(i, _)| i).chain([stored.len()]).collect();
            ends.iter().any(|&from| {
                ends.iter().any(|&to| {
                    from <= to
                        && glob(&word.to_ascii_lowercase(), &stored[from..to].to_ascii_lowercase())
                        && whole(word, &stored[..from], &stored[to..])
                })
            })
        }
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            glob(&pattern[1..], text)
                || text.chars().next().is_some_and(|c| {
                    (!c.is_whitespace() || pattern == "*") && glob(pattern, &text[c.len_utf8()..])
                })
        }
        Some(c) => text.starts_with(c) && glob(&pattern[c.len_utf8()..], &text[c.len_utf8()..]),
    }
}

fn whole(word: &str, before: &str, after: &str) -> bool {
    let dotted = regex::Regex::new(r"[0-9]\.[0-9]").unwrap().is_match(word);
    let free = |edge: char, mut beside: Box<dyn Iterator<Item = char> + '_>| {
        if edge == '*' {
            return true;
        }
        let (near, far) = (beside.next(), beside.next());
        let goes_on = near == Some('.') && far.is_some_and(|c| c.is_ascii_digit());
        let number = dotted && edge.is_ascii_digit() && goes_on;
        !number && !near.is_some_and(is_word_char)
    };
    free(word.chars().next().unwrap(), Box::new(before.chars().rev()))
        && free(word.chars().next_back().unwrap(), Box::new(after.chars()))
}
