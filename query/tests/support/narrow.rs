//! What the text index promises, by brute force.

use daybook_engine::event::text::{TextField, Texts};
use daybook_engine::event::wire::Event;
use daybook_engine::screen::Seen;
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::text::words::{fold, indexed_part, words};

/// What is indexed of an event.
fn texts(event: &Event<'_>, seen: &Seen) -> Vec<(TextField, String)> {
    let own = Texts::of(event);
    let own = own.iter().map(|(field, text)| (field, text.to_owned()));
    let lines = seen.lines.iter().map(|line| (TextField::Screen, line.text.clone()));
    let typed = seen.typed.iter().map(|line| (TextField::Typed, line.text.clone()));
    own.chain(lines).chain(typed).collect()
}

/// Does an event satisfy a narrowing?
pub fn satisfies(narrow: &Narrow, event: &Event<'_>, seen: &Seen) -> bool {
    match narrow {
        Narrow::All => true,
        Narrow::None => false,
        Narrow::Kind(kinds) => kinds.contains(&event.body.kind()),
        Narrow::Verdict(verdicts) => event.body.verdict().is_some_and(|v| verdicts.contains(&v)),
        Narrow::And(all) => all.iter().all(|n| satisfies(n, event, seen)),
        Narrow::Or(any) => any.iter().any(|n| satisfies(n, event, seen)),
        Narrow::Word(fields, shape) => texts(event, seen).iter().any(|(field, text)| {
            (*fields == Fields::Any || *fields == Fields::One(*field))
                && words(text).any(|range| {
                    let word = fold(&text[range]);
                    match shape {
                        WordShape::Is(wanted) => indexed_part(&word) == wanted,
                        WordShape::StartsWith(start) => indexed_part(&word).starts_with(start),
                        WordShape::EndsWith(end) => word.ends_with(end),
                        WordShape::Contains(inside) => word.contains(inside),
                    }
                })
        }),
    }
}
