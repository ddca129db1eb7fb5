#![allow(clippy::unwrap_used, reason = "tests")]

use super::context::{drawn, needs_drawing};
use super::{BYTES_MAX, Context, Drawn, EVENTS_MAX, Feed, Glimpse, Line, Seen, Size};
use crate::block::Record;
use crate::event::wire::Event;
use crate::event::{Micros, Offset, Seq, SessionKey};
use proptest::prelude::*;

/// `(true, keys)` or `(false, output)`.
type Part<'a> = (bool, &'a str);

fn line((typed, text): Part<'_>) -> String {
    let kind = if typed { "terminal.input" } else { "terminal.output" };
    serde_json::json!({"session": "s", "seq": 0, "time": "2026-03-01T00:00:00Z", "kind": kind, "text": text})
        .to_string()
}

/// What is seen with each of some events.
fn seen_in(parts: &[Part<'_>], size: Size) -> Vec<Seen> {
    let mut context = Context::default();
    parts
        .iter()
        .map(|part| {
            let line = line(*part);
            let event = Event::decode(line.as_bytes()).unwrap();
            let seen = context.seen(&event, size);
            context.push(&event);
            seen
        })
        .collect()
}

/// The lines that are seen with the last of some events.
fn last(parts: &[Part<'_>]) -> Vec<String> {
    let seen = seen_in(parts, Size::default()).pop().unwrap();
    seen.lines.into_iter().chain(seen.typed).map(|line| line.text).collect()
}

/// A shell that echoes each key.
fn typed(prompt: &str, keys: &[&str]) -> Vec<(bool, String)> {
    let mut parts = vec![(false, prompt.to_owned())];
    for key in keys {
        parts.push((true, (*key).to_owned()));
        parts.push((
            false,
            if *key == "\u{7f}" { "\u{8} \u{8}".to_owned() } else { (*key).to_owned() },
        ));
    }
    parts.push((true, "\r".to_owned()));
    parts
}

fn borrowed(parts: &[(bool, String)]) -> Vec<Part<'_>> {
    parts.iter().map(|(typed, text)| (*typed, text.as_str())).collect()
}

#[test]
fn a_command_that_is_echoed_key_by_key_is_one_line_typed_and_one_seen() {
    let mut parts = typed("root@db:~# ", &["r", "m", " ", "x", "\u{7f}", "/", "y"]);
    assert_eq!(last(&borrowed(&parts)), ["rm /y"]);
    parts.push((false, "\r\n".to_owned()));
    assert_eq!(last(&borrowed(&parts)), ["root@db:~# rm /y"]);
}

#[test]
fn a_command_from_the_history_or_completed_is_typed_as_it_was_echoed() {
    let history = [
        (false, "$ "),
        (true, "\u{1b}[A"),
        (false, "drop table customers"),
        (true, "\u{1b}[A"),
        (false, "\r\u{1b}[K$ psql prod"),
        (true, "\r"),
    ];
    assert_eq!(last(&history), ["psql prod"]);
    let completed = [
        (false, "$ "),
        (true, "cat /etc/sh"),
        (false, "cat /etc/sh"),
        (true, "\t"),
        (false, "adow"),
        (true, "\r"),
    ];
    assert_eq!(last(&completed), ["cat /etc/shadow"]);
}

#[test]
fn without_an_echo_a_line_is_what_the_keys_say() {
    let keys = ["s", "e", "x", "\u{7f}", "c", "\u{1b}[D", "r", "e", "t"];
    let mut parts: Vec<Part<'_>> = vec![(false, "Password: ")];
    parts.extend(keys.iter().map(|key| (true, *key)));
    parts.push((true, "\r"));
    assert_eq!(last(&parts), ["secret"]);
    // And the next line has nothing of it.
    parts.extend([(true, "a"), (true, "b"), (true, "\r")]);
    assert_eq!(last(&parts), ["ab"]);
}

#[test]
fn a_line_that_is_drawn_over_is_one_line() {
    let parts = [
        (false, "Downloading  10%"),
        (false, "\rDownloading  50%"),
        (false, "\rDownloading 100%\r\n"),
    ];
    let seen = seen_in(&parts, Size::default());
    assert!(seen[0].is_empty() && seen[1].is_empty());
    assert_eq!(last(&parts), ["Downloading 100%"]);
    assert_eq!(last(&[(false, "10%\r20%\r30%\r\ndone\r\n")]), ["30%"]);
}

#[test]
fn colours_and_other_sequences_leave_what_a_person_saw() {
    let coloured = [(
        false,
        "\u{1b}[1;31mDROP\u{1b}[0m TABLE\r\nplain\r\n\u{1b}]0;title\u{7}\u{1b}[4mC\u{1b}[Ko\r\n",
    )];
    assert_eq!(last(&coloured), ["DROP TABLE", "Co"]);
    // A sequence that two events share.
    assert_eq!(
        last(&[(false, "\u{1b}[3"), (false, "2mDROP"), (false, " TABLE\n")]),
        ["DROP TABLE"]
    );
}

#[test]
fn a_line_that_wraps_is_one_line() {
    let long = "0123456789".repeat(4);
    let parts = [(false, "$ "), (false, long.as_str()), (false, "\r\n")];
    let seen = seen_in(&parts, Size { cols: 16, rows: 4 }).pop().unwrap();
    assert_eq!(seen.lines[0].text, format!("$ {long}"));
}

#[test]
fn lines_of_a_full_screen_are_seen_when_the_cursor_leaves_them() {
    let parts = [
        (false, "\u{1b}[?1049h\u{1b}[2J\u{1b}[1;1Hname: al"),
        (false, "ice"),
        (false, "\u{1b}[2;1Hcard: 4111"),
        (false, "\u{1b}[3;1H"),
    ];
    let seen = seen_in(&parts, Size::default());
    let lines: Vec<Vec<&str>> =
        seen.iter().map(|s| s.lines.iter().map(|l| l.text.as_str()).collect()).collect();
    assert_eq!(lines, [vec![], vec![], vec!["name: alice"], vec!["card: 4111"]]);
}

#[test]
fn what_one_event_has_by_itself_is_found_there_and_not_once_more() {
    let parts = [(false, "$ "), (false, "drop"), (false, " table"), (false, "\r\n")];
    let seen = seen_in(&parts, Size::default()).pop().unwrap();
    assert!(seen.any(false, |text| text.contains("drop table")));
    assert!(!seen.any(false, |text| text.contains("drop")));
    assert!(!seen.any(true, |text| text.contains("drop table")));
}

#[test]
fn plain_lines_in_one_event_are_its_own_text_and_nothing_more() {
    assert!(last(&[(false, "one\r\ntwo\tthree\nfour")]).is_empty());
    assert!(last(&[(true, "ls -la\r")]).is_empty());
}

#[test]
fn the_context_is_bounded_and_its_end_counts() {
    let key = line((false, "x"));
    let key = Event::decode(key.as_bytes()).unwrap();
    let mut context = Context::default();
    for _ in 0..2 * EVENTS_MAX {
        context.push(&key);
    }
    let end = line((false, "\r\n"));
    let seen = context.seen(&Event::decode(end.as_bytes()).unwrap(), Size { cols: 512, rows: 24 });
    assert_eq!(seen.lines[0].text.len(), EVENTS_MAX);
    let mut context = Context::default();
    let long = line((false, &"é".repeat(BYTES_MAX)));
    context.push(&Event::decode(long.as_bytes()).unwrap());
    assert!(
        context.seen(&Event::decode(end.as_bytes()).unwrap(), Size::default()).before[0].len()
            <= BYTES_MAX
    );
}

proptest! {
    #[test]
    fn what_is_not_drawn_is_seen_as_if_it_were(
        parts in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![
            "a", "bc ", " ", "\r\n", "\n", "\r", "\t", "\u{8}", "\u{1b}[1m", "\u{1b}[K", "\u{1b}[2D", "\u{1b}[A",
            "\u{1b}[2;2H", "\u{1b}[?25h", "\u{1b}", "[", "2", "H", "é", "\u{85}",
        ]), 0..5).prop_map(|pieces| pieces.concat()), 1..8),
        size in prop::sample::select(vec![(80, 24), (4, 3), (2, 2), (1, 1)]),
    ) {
        let size = Size { cols: size.0, rows: size.1 };
        let mut shown: Vec<&str> = Vec::new();
        let all: Vec<Part<'_>> = parts.iter().map(|text| (false, text.as_str())).collect();
        for (seen, text) in seen_in(&all, size).into_iter().zip(&parts) {
            let plain = shown.is_empty() && !text.lines().any(needs_drawing);
            let drawn = drawn(&shown, text, size).filter(|_| !plain).unwrap_or_default();
            prop_assert_eq!(seen, drawn, "{:?} {:?}", shown, text);
            match text.rfind('\n') {
                Some(at) => shown = vec![&text[at + 1..]],
                None => shown.push(text),
            }
            shown.retain(|piece| !piece.is_empty());
        }
    }

    #[test]
    fn any_bytes_on_a_terminal_of_any_size_are_seen_without_a_panic(
        parts in prop::collection::vec((any::<bool>(), prop_oneof![
            "\\PC{0,20}",
            "[\\x00-\\x7f]{0,20}",
            "(\\x1b\\[[0-9;?]{0,8}[@-~]|[ab日\\r\\n\\x08]){0,8}",
        ]), 0..12),
        cols in any::<u32>(),
        rows in any::<u32>(),
    ) {
        for seen in seen_in(&borrowed(&parts), Size { cols, rows }) {
            for line in seen.lines.iter().chain(&seen.typed) {
                prop_assert!(!line.text.is_empty() && !line.text.contains('\n'));
            }
        }
    }
}

proptest! {
    #[test]
    fn what_was_drawn_is_known_as_it_was_seen_or_not_at_all(
        steps in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(vec![None, Some(0), Some(3), Some(9 << 20)]), 0..6), any::<bool>()),
            0..8,
        ),
    ) {
        let mut drawn = Drawn::starting(Offset(10));
        let (mut model, mut start, mut peak) = (Vec::new(), 0, 0);
        for (step, (lens, commits)) in steps.into_iter().enumerate() {
            let base = 10 + model.len() as u64;
            let glimpses: Vec<Glimpse> = lens.into_iter().map(|len| match len {
                None => Glimpse::Unknown,
                Some(0) => Glimpse::default(),
                Some(len) => {
                    let line = Line { text: step.to_string().repeat(len), joined: true };
                    Glimpse::Seen(Seen { lines: vec![line], ..Seen::default() })
                }
            }).collect();
            model.extend(glimpses.iter().cloned());
            drawn.add(Offset(10 + model.len() as u64), (base..).map(Offset).zip(glimpses));
            peak = peak.max(drawn.memory());
            if commits {
                start = base - 10;
                drawn.forget_before(Offset(base));
            }
        }
        let mut forgotten = 0;
        for offset in 0..model.len() as u64 + 20 {
            let known = drawn.seen(Offset(offset));
            let was = offset.checked_sub(10).filter(|at| *at >= start).and_then(|at| model.get(at as usize));
            match (was, known) {
                (Some(Glimpse::Seen(was)), Some(known)) => prop_assert_eq!(was, &*known),
                (Some(Glimpse::Seen(was)), None) => forgotten += was.memory(),
                (_, known) => prop_assert_eq!(known, None, "at {}", offset),
            }
        }
        // What does not fit into the memory is not remembered.
        prop_assert!(forgotten == 0 || peak >= 32 << 20);
        prop_assert!(peak < (32 << 20) + (10 << 20));
    }
}

#[test]
fn what_a_feed_has_seen_it_reads_again_only_where_the_chain_of_a_session_is_broken() {
    let end = serde_json::json!({
        "session": "s", "seq": 0, "time": "2026-03-01T00:00:00Z", "kind": "session.end", "status": "done"
    });
    let end = end.to_string();
    let (shown, mut feed, mut read) = (line((false, "text")), Feed::default(), 0);
    // Events may come behind a session's end; the last one's predecessor never came by.
    let chain = [(&shown, None), (&end, Some(0)), (&shown, Some(1)), (&shown, Some(7))];
    for (offset, (line, previous)) in (0..).zip(chain) {
        let event = Event::decode(line.as_bytes()).unwrap();
        let record = Record {
            offset: Offset(offset),
            previous: previous.map(Offset),
            seq: Seq(0),
            time: Micros(0),
            kind: event.body.kind(),
            verdict: None,
            received: Micros(0),
            producer: "",
            retry: None,
            json: line.as_bytes(),
        };
        feed.next(SessionKey(0), &record, &event, &mut || {
            read += 1;
            None
        });
        assert_eq!(read, u32::from(offset == 3), "at {offset}");
    }
}
