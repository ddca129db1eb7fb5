//! What the text index promises, by brute force.

use daybook_engine::event::text::{TextField, Texts};
use daybook_engine::event::wire::Event;
use daybook_engine::screen::Seen;
use daybook_engine::text::narrow::{Fields, Narrow, WordShape};
use daybook_engine::text::words::{dotted, fold, indexed_part, words};

/// The words that are indexed of an event, each with the field that has it. Of a line that was put together of
/// several events, those that one before had by itself only if `again`.
fn indexed(event: &Event<'_>, seen: &Seen, again: bool) -> Vec<(TextField, String)> {
    let all = |text: &str| -> Vec<String> {
        words(text).chain(dotted(text)).map(|range| fold(&text[range])).collect()
    };
    let before: Vec<String> = seen.before.iter().flat_map(|text| all(text)).collect();
    let lines = seen.lines.iter().map(|line| (TextField::Screen, line));
    let lines = lines.chain(seen.typed.iter().map(|line| (TextField::Typed, line)));
    let mut found = Vec::new();
    for (field, text) in Texts::of(event).iter() {
        found.extend(all(text).into_iter().map(|word| (field, word)));
    }
    for (field, line) in lines {
        let counts = |word: &String| again || !line.joined || !before.contains(word);
        found.extend(all(&line.text).into_iter().filter(counts).map(|word| (field, word)));
    }
    found
}

/// Does an event satisfy a narrowing?
pub fn satisfies(narrow: &Narrow, event: &Event<'_>, seen: &Seen) -> bool {
    holds(narrow, event, seen, true)
}

/// Does it, where the index decides?
pub fn decides(narrow: &Narrow, event: &Event<'_>, seen: &Seen) -> bool {
    holds(narrow, event, seen, false)
}

fn holds(narrow: &Narrow, event: &Event<'_>, seen: &Seen, again: bool) -> bool {
    match narrow {
        Narrow::All => true,
        Narrow::None => false,
        Narrow::Kind(kinds) => kinds.contains(&event.body.kind()),
        Narrow::Verdict(verdicts) => event.body.verdict().is_some_and(|v| verdicts.contains(&v)),
        Narrow::Number(number, range) => number.of(event).is_some_and(|n| range.contains(&n)),
        Narrow::And(all) => all.iter().all(|n| holds(n, event, seen, again)),
        Narrow::Or(any) => any.iter().any(|n| holds(n, event, seen, again)),
        Narrow::Word(fields, shape) => indexed(event, seen, again).iter().any(|(field, word)| {
            (*fields == Fields::Any || *fields == Fields::One(*field))
                && match shape {
                    WordShape::Is(wanted) => indexed_part(word) == wanted,
                    WordShape::StartsWith(start) => indexed_part(word).starts_with(start),
                    WordShape::EndsWith(end) => word.ends_with(end),
                    WordShape::Contains(inside) => word.contains(inside),
                }
        }),
    }
}
