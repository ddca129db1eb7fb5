#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use super::narrow::{Fields, Narrow, WordShape};
use super::numbers;
use super::words::{
    LONG_BYTES_MAX, WORD_BYTES_MAX, dotted, end_part, fold, indexed_part, inner_part, pieces, words,
};
use super::{Narrowed, TextReader, TextSource, TextWriter, merge_into};
use crate::disk::{RealDisk, SharedDisk};
use crate::event::number::{EventNumber, Numbers};
use crate::event::text::{TextField, Texts};
use crate::event::{Kind, Offset, Verdict};
use crate::screen::{Glimpse, Line, Seen};
use proptest::prelude::*;
use std::path::Path;

/// Merges one index, all of it.
fn merge(from: &Path, to: &Path, through: u64) -> Result<(), crate::Error> {
    merge_into(&disk(), &[TextSource { dir: from, keep: None }], Offset(through), to)
}

fn disk() -> SharedDisk {
    std::sync::Arc::new(RealDisk)
}

/// What is added to an index.
#[derive(Clone, Debug)]
struct Doc {
    kind: Kind,
    verdict: Option<Verdict>,
    numbers: Numbers,
    texts: Vec<(TextField, String)>,
    glimpse: Glimpse,
}

impl Doc {
    fn texts(&self) -> Texts<'_> {
        Texts::new(self.texts.iter().map(|(field, text)| (*field, text.as_str().into())))
    }

    /// The words of its texts, and of what was seen with it beside one text of its own, each with its field; without
    /// one, what was seen again.
    fn words(&self) -> Vec<(Option<TextField>, String)> {
        // As they stand in the index: the pieces of a long word behind it.
        let all = |text: &str| -> Vec<String> {
            let of = |range: std::ops::Range<usize>| {
                let pieces =
                    pieces(text, range.clone()).map(|piece| format!("\u{2}{}", &text[piece]));
                std::iter::once(text[range].to_owned()).chain(pieces).collect::<Vec<String>>()
            };
            words(text).chain(dotted(text)).flat_map(of).map(|word| fold(&word)).collect()
        };
        let own = self.texts.iter();
        let own =
            own.flat_map(|(field, text)| all(text).into_iter().map(|word| (Some(*field), word)));
        let mut found: Vec<_> = own.collect();
        let (Glimpse::Seen(seen), [_]) = (&self.glimpse, self.texts.as_slice()) else {
            return found;
        };
        let field = if seen.typed.is_some() { TextField::Typed } else { TextField::Screen };
        let before: Vec<String> = seen.before.iter().flat_map(|text| all(text)).collect();
        for line in seen.lines.iter().chain(&seen.typed) {
            for word in all(&line.text) {
                let again = line.joined && (before.contains(&word) || word.contains('.'));
                found.push(((!again).then_some(field), word));
            }
            // A dotted number is taken to what was seen again as a text of its own, with its words.
            for number in dotted(&line.text).filter(|_| line.joined) {
                found.extend(all(&line.text[number]).into_iter().map(|word| (None, word)));
            }
        }
        found
    }

    fn is_marked(&self, narrow: &Narrow, seen_too: bool) -> bool {
        !matches!(&self.glimpse, Glimpse::Seen(seen) if seen_too || seen.is_empty())
            || self.is_at_a_border(narrow)
    }

    /// Has it a number in one class with one that is just outside of a range?
    fn is_at_a_border(&self, narrow: &Narrow) -> bool {
        match narrow {
            Narrow::Number(number, range) if !range.is_empty() => {
                let beside = [range.start().checked_sub(1), range.end().checked_add(1)];
                let ends = [*range.start(), *range.end()];
                self.numbers.iter().filter(|(of, _)| of == number).any(|(_, value)| {
                    let with = |other| numbers::class(other) == numbers::class(value);
                    ends.iter()
                        .zip(beside)
                        .any(|(end, beside)| with(*end) && beside.is_some_and(with))
                })
            }
            Narrow::And(parts) | Narrow::Or(parts) => {
                parts.iter().any(|part| self.is_at_a_border(part))
            }
            _ => false,
        }
    }

    /// The plain meaning of a narrowing. With `exact`, of words of which only the start is known
    /// too; otherwise of what the index knows: any end or inside may be that of a word it cut. What was seen again
    /// counts if `again`.
    fn matches(&self, narrow: &Narrow, exact: bool, again: bool) -> bool {
        match narrow {
            Narrow::All => true,
            Narrow::None => false,
            Narrow::Kind(kinds) => kinds.contains(&self.kind),
            Narrow::Verdict(verdicts) => self.verdict.is_some_and(|v| verdicts.contains(&v)),
            Narrow::Number(number, range) => self.numbers.iter().any(|(of, value)| {
                of == *number
                    && match exact || range.is_empty() {
                        true => range.contains(&value),
                        false => numbers::classes(range).0.contains(&numbers::class(value)),
                    }
            }),
            Narrow::And(all) => all.iter().all(|n| self.matches(n, exact, again)),
            Narrow::Or(any) => any.iter().any(|n| self.matches(n, exact, again)),
            Narrow::Word(..) if self.glimpse == Glimpse::Unknown => true,
            Narrow::Word(fields, shape) => self.words().iter().any(|(field, word)| {
                let there = match (field, fields) {
                    (None, Fields::One(TextField::Text)) => false,
                    (None, _) => again,
                    (Some(_), Fields::Any) => true,
                    (Some(field), Fields::One(of)) => indexed_as(*of) == indexed_as(*field),
                };
                let cut = word.len() > LONG_BYTES_MAX && !exact;
                // By its start and its pieces.
                let whole = exact || word.starts_with('\u{2}');
                let word = if whole { word } else { indexed_part(word) };
                there
                    && match shape {
                        WordShape::Is(is) => word == is,
                        WordShape::StartsWith(start) => word.starts_with(start.as_str()),
                        WordShape::EndsWith(end) if exact => word.ends_with(end.as_str()),
                        WordShape::EndsWith(end) => cut || word.ends_with(end_part(end)),
                        WordShape::Contains(part) if exact => word.contains(part.as_str()),
                        WordShape::Contains(part) => cut || word.contains(inner_part(part)),
                    }
            }),
        }
    }
}

/// The field that has what is seen.
fn indexed_as(field: TextField) -> TextField {
    match field {
        TextField::Screen => TextField::Output,
        TextField::Typed => TextField::Input,
        own => own,
    }
}

fn add(writer: &mut TextWriter, offset: u64, doc: &Doc) {
    let (texts, glimpse) = (doc.texts(), &doc.glimpse);
    writer.add(Offset(offset), doc.kind, doc.verdict, doc.numbers, &texts, glimpse).unwrap();
}

/// Adds documents with offsets from `base`, with a commit after each of `commits`, and one at the end.
fn write(dir: &Path, base: u64, docs: &[Doc], commits: &[usize]) -> (TextWriter, TextReader) {
    let (mut writer, reader) = TextWriter::open(&disk(), dir, 0).unwrap();
    for (at, doc) in docs.iter().enumerate() {
        add(&mut writer, base + at as u64, doc);
        if commits.contains(&at) {
            writer.commit(Offset(base + at as u64 + 1)).unwrap();
        }
    }
    writer.commit(Offset(base + docs.len() as u64)).unwrap();
    (writer, reader)
}

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        12 => "[abAB]{1,3}",
        2 => "[éß_a]{1,3}",
        2 => "v?[12]{1,2}(\\.[12]){0,3}",
        1 => Just("ab".repeat(WORD_BYTES_MAX / 2)),
        1 => Just("é".repeat(WORD_BYTES_MAX) + "b"),
        1 => Just("a".repeat(WORD_BYTES_MAX) + "ba"),
        1 => Just("ba".repeat(LONG_BYTES_MAX / 2) + "b"),
    ];
    prop::collection::vec(word, 0..4).prop_map(|words| words.join("-"))
}

fn doc() -> impl Strategy<Value = Doc> {
    let own = TextField::ALL.into_iter().filter(|field| !field.is_seen());
    let field = prop::sample::select(own.collect::<Vec<_>>());
    let texts = prop::collection::vec((field, text()), 0..=2);
    let line = (text(), any::<bool>()).prop_map(|(text, joined)| Line { text, joined }).boxed();
    let before = prop::collection::vec(text(), 0..3).boxed();
    let glimpse = prop_oneof![
        4 => Just(Glimpse::default()),
        1 => Just(Glimpse::Unknown),
        1 => (prop::collection::vec(line.clone(), 1..3), before.clone())
            .prop_map(|(lines, before)| Glimpse::Seen(Seen { lines, typed: None, before })),
        1 => (line, before)
            .prop_map(|(line, before)| Glimpse::Seen(Seen { lines: vec![], typed: Some(line), before })),
    ];
    let verdict = prop::option::of(prop::sample::select(Verdict::ALL.to_vec()));
    let numbers = prop::array::uniform4(prop::option::of(number())).prop_map(Numbers);
    (prop::sample::select(Kind::ALL.to_vec()), verdict, numbers, texts, glimpse).prop_map(
        |(kind, verdict, numbers, texts, glimpse)| Doc { kind, verdict, numbers, texts, glimpse },
    )
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![-1i64..4, 250i64..300, any::<i64>()]
}

fn narrow() -> impl Strategy<Value = Narrow> {
    let fields = prop_oneof![
        Just(Fields::Any),
        prop::sample::select(TextField::ALL.to_vec()).prop_map(Fields::One)
    ];
    let piece = prop_oneof![
        8 => "[abé_]{0,2}",
        2 => "v?[12](\\.[12]){0,3}",
        1 => Just("a".repeat(WORD_BYTES_MAX) + "ba"),
        1 => Just("é".repeat(WORD_BYTES_MAX)),
    ];
    let shape = (0..4, piece).prop_map(|(shape, piece)| match shape {
        0 => WordShape::Is(piece),
        1 => WordShape::StartsWith(piece),
        2 => WordShape::EndsWith(piece),
        _ => WordShape::Contains(piece),
    });
    let leaf = prop_oneof![
        1 => Just(Narrow::All),
        1 => Just(Narrow::None),
        8 => (fields, shape).prop_map(|(fields, shape)| Narrow::Word(fields, shape)),
        1 => prop::collection::vec(prop::sample::select(Kind::ALL.to_vec()), 0..4)
            .prop_map(Narrow::Kind),
        1 => prop::collection::vec(prop::sample::select(Verdict::ALL.to_vec()), 0..4)
            .prop_map(Narrow::Verdict),
        2 => (prop::sample::select(EventNumber::ALL.to_vec()), number(), number()).prop_map(
            |(number, one, other)| {
                let least = i64::from(number == EventNumber::Masked);
                Narrow::Number(number, one.min(other).max(least)..=one.max(other))
            }
        ),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Narrow::And),
            prop::collection::vec(inner, 0..3).prop_map(Narrow::Or),
        ]
    })
}

/// Asks for each narrowing and compares with the documents.
fn check(reader: &TextReader, base: u64, docs: &[Doc], narrows: &[Narrow]) {
    let long = |narrow: &Narrow| {
        format!("{narrow:?}").contains(&"a".repeat(WORD_BYTES_MAX))
            || format!("{narrow:?}").contains(&"é".repeat(WORD_BYTES_MAX))
    };
    // Where few are left, the rest may not be asked.
    let left_out = |narrow: &Narrow| {
        let said = format!("{narrow:?}");
        said.contains("And") && (said.contains("EndsWith") || said.contains("Contains"))
    };
    for narrow in narrows {
        let found = reader.all_offsets(narrow).unwrap();
        let helped = listed(reader, narrow);
        assert!(helped.is_none() || helped == found);
        let Some(found) = found else { continue };
        assert!(found.is_sorted_by(|a, b| a < b), "ascending, each once");
        let wanted = |exact, again| -> Vec<u64> {
            let matching = (base..).zip(docs).filter(|(_, d)| d.matches(narrow, exact, again));
            matching.map(|(offset, _)| offset).collect()
        };
        for offset in wanted(true, true) {
            assert!(
                found.contains(&offset),
                "{narrow:?} misses {:?}",
                docs[(offset - base) as usize]
            );
        }
        if !long(narrow) && !left_out(narrow) {
            assert_eq!(found, wanted(false, true), "{narrow:?}");
        }
        for seen_too in [false, true] {
            let Some(exactly) = reader.offsets_exactly(narrow, seen_too).unwrap() else { continue };
            let marked = |offset: &u64| docs[(offset - base) as usize].is_marked(narrow, seen_too);
            let loose: Vec<u64> = exactly.offsets.iter().copied().filter(marked).collect();
            assert_eq!(exactly.loose, loose, "{narrow:?}");
            if !long(narrow) {
                assert_eq!(exactly.offsets, wanted(false, !seen_too), "{narrow:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_narrowing_answers_what_its_words_say_also_after_a_merge(
        base in 0u64..1000,
        docs in prop::collection::vec(doc(), 0..60),
        commits in prop::collection::vec(0usize..60, 0..3),
        narrows in prop::collection::vec(narrow(), 60),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let (writer, reader) = write(&from, base, &docs, &commits);
        check(&reader, base, &docs, &narrows);
        drop(writer);
        merge(&from, &to, base + docs.len() as u64).unwrap();
        let merged = TextReader::open(&disk(), &to).unwrap();
        prop_assert_eq!(merged.indexed_through(), Offset(base + docs.len() as u64));
        prop_assert_eq!(merged.segments(), usize::from(!docs.is_empty()));
        check(&merged, base, &docs, &narrows);
    }
}

fn command(input: &str) -> Doc {
    Doc {
        glimpse: Glimpse::default(),
        kind: Kind::Command,
        verdict: Some(Verdict::Passed),
        numbers: Numbers::default(),
        texts: vec![(TextField::Input, input.to_owned())],
    }
}

/// What a narrowing leaves where it helps.
fn listed(reader: &TextReader, narrow: &Narrow) -> Option<Vec<u64>> {
    reader.narrow(narrow).unwrap().map(Narrowed::all)
}

fn is(word: &str) -> Narrow {
    Narrow::Word(Fields::Any, WordShape::Is(word.to_owned()))
}

#[test]
fn what_was_not_committed_is_gone_and_the_payload_says_where_to_resume() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, reader) = write(dir.path(), 7, &[command("one"), command("two")], &[]);
    let three = Doc { kind: Kind::Note, verdict: None, ..command("three") };
    add(&mut writer, 9, &three);
    assert_eq!(reader.all_offsets(&is("three")).unwrap(), Some(vec![]));
    drop(writer);

    let (mut writer, reader) = TextWriter::open(&disk(), dir.path(), 0).unwrap();
    assert_eq!(reader.indexed_through(), Offset(9));
    assert_eq!(reader.all_offsets(&is("two")).unwrap(), Some(vec![8]));
    assert_eq!(reader.all_offsets(&is("three")).unwrap(), Some(vec![]));
    add(&mut writer, 9, &three);
    writer.commit(Offset(10)).unwrap();
    let other = TextReader::open(&disk(), dir.path()).unwrap();
    for reader in [reader, other] {
        assert_eq!(reader.indexed_through(), Offset(10));
        assert_eq!(reader.all_offsets(&is("three")).unwrap(), Some(vec![9]));
    }
}

#[test]
fn a_word_in_most_events_does_not_help() {
    let dir = tempfile::tempdir().unwrap();
    let docs: Vec<Doc> = (0..10).map(|i| command(if i < 7 { "often" } else { "seldom" })).collect();
    let (_writer, reader) = write(dir.path(), 0, &docs, &[]);
    assert_eq!(listed(&reader, &is("often")), None);
    assert_eq!(listed(&reader, &is("seldom")), Some(vec![7, 8, 9]));
    assert_eq!(listed(&reader, &Narrow::And(vec![Narrow::All, is("seldom")])), Some(vec![7, 8, 9]));
    assert_eq!(listed(&reader, &Narrow::Or(vec![Narrow::All, is("seldom")])), None);
}

#[test]
fn a_missing_or_damaged_index_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(TextReader::open(&disk(), &dir.path().join("none")).is_err());
    assert!(merge(&dir.path().join("none"), &dir.path().join("to"), 0).is_err());

    let docs: Vec<Doc> = (0..200).map(|i| command(&format!("word{i} all"))).collect();
    let whole = dir.path().join("whole");
    drop(write(&whole, 0, &docs, &[]));
    let files: Vec<_> = std::fs::read_dir(&whole).unwrap().map(|e| e.unwrap().path()).collect();
    for (n, file) in files.iter().enumerate() {
        let bytes = std::fs::read(file).unwrap();
        for (m, cut) in [0, bytes.len() / 3, bytes.len().saturating_sub(3)].into_iter().enumerate()
        {
            let copy = dir.path().join(format!("copy{n}-{m}"));
            std::fs::create_dir(&copy).unwrap();
            for file in &files {
                std::fs::copy(file, copy.join(file.file_name().unwrap())).unwrap();
            }
            let damaged = copy.join(file.file_name().unwrap());
            std::fs::write(&damaged, &bytes[..cut]).unwrap();
            // Whatever the answer is, it is one.
            if let Ok(reader) = TextReader::open(&disk(), &copy) {
                let _ = reader.narrow(&is("word7"));
                let _ = reader.narrow(&Narrow::Word(Fields::Any, WordShape::Contains("d1".into())));
            }
            let _ = merge(&copy, &dir.path().join(format!("merged{n}-{m}")), 200);
            let mut flipped = bytes.clone();
            if let Some(byte) = flipped.get_mut(cut) {
                *byte ^= 0xff;
                std::fs::write(&damaged, &flipped).unwrap();
                let opened = TextWriter::open(&disk(), &copy, 0);
                let name = damaged.to_string_lossy().into_owned();
                if name.ends_with(".idx") || name.ends_with(".term") {
                    assert!(opened.is_err(), "{name} was altered at {cut}");
                }
            }
        }
    }
}
