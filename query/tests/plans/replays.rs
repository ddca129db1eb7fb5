//! The screen at any moment is that of an emulator that plays everything from the start, however it is come to.

use super::model::Model;
use daybook_engine::event::wire::Body;
use daybook_engine::event::{Kind, Micros};
use daybook_engine::screen::{Emulator, Size};
use daybook_query::replay::{
    Frame, Keyframes, MarkerKind, ReplayPage, ReplayRequest, Row, Source, replay,
};
use proptest::prelude::*;
use serde_json::json;

/// A terminal of a session, in parts that hold its events in whatever order they came.
fn terminal() -> impl Strategy<Value = Model> {
    let text = prop_oneof![
        4 => prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..6).prop_map(|all| all.concat()),
        1 => any::<String>(),
    ];
    let body = prop_oneof![
        8 => text.prop_map(|text| json!({"kind": "terminal.output", "text": text})),
        1 => prop::collection::vec(any::<u8>(), 0..24).prop_map(|bytes| json!({
            "kind": "terminal.output", "text": String::from_utf8_lossy(&bytes)})),
        1 => (1..20u32, 1..9u32).prop_map(|(cols, rows)| json!({
            "kind": "terminal.resize", "cols": cols, "rows": rows})),
        1 => Just(json!({"kind": "terminal.input", "text": "x"})),
        1 => Just(json!({"kind": "command", "input": "a", "verdict": "blocked"})),
    ];
    let events = prop::collection::vec((body, 0..4_000i64, any::<u16>()), 1..60);
    (events, prop::collection::vec(1..20usize, 0..3)).prop_map(|(events, sizes)| {
        let mut lines: Vec<(u16, String)> = Vec::new();
        for (seq, (mut event, time, arrival)) in events.into_iter().enumerate() {
            event["session"] = json!("s");
            event["seq"] = json!(seq);
            // Some at the same moment, some before the one that they come after.
            let time = START + seq as i64 * 700 + time;
            event["time"] = json!(Micros(time).to_string());
            lines.push((arrival / 16_384, event.to_string()));
        }
        lines.sort_by_key(|(arrival, _)| *arrival);
        Model::new(lines.into_iter().map(|(_, line)| line).collect(), &sizes)
    })
}

const START: i64 = 1_772_000_000_000_000;

const PIECES: [&str; 24] = [
    "a",
    "bc ",
    "界",
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\u{8}",
    "\u{1b}[31m",
    "\u{1b}[1;44m",
    "\u{1b}[0m",
    "\u{1b}[2J",
    "\u{1b}[H",
    "\u{1b}[3;2H",
    "\u{1b}[K",
    "\u{1b}[?1049h",
    "\u{1b}[?1049l",
    "\u{1b}[?25l",
    "\u{1b}[?25h",
    "\u{1b}7",
    "\u{1b}8",
    "\u{1b}[2;4r",
    "\u{1b}[4",
    "\u{1b}]0;t",
];

/// The whole screen of a moment, from the start.
fn played(model: &Model, ms: u64) -> Frame {
    let mut emulator = Emulator::new(Size::default());
    let start = started(model);
    let mut latest = i64::MIN;
    for event in model.of("s") {
        let time = (event.facts.time.0 - start) / 1000;
        if latest.max(time) > ms as i64 {
            break;
        }
        latest = latest.max(time);
        match event.event().body {
            Body::TerminalOutput(content) => emulator.show(&content.as_text()),
            Body::TerminalResize { cols, rows } => emulator.resize(Size { cols, rows }),
            _ => {}
        }
    }
    let look = emulator.look();
    let lines = look.rows.iter().cloned().enumerate().map(|(row, runs)| Row { row, runs });
    Frame {
        time_ms: u64::try_from(latest).unwrap_or(0),
        cols: look.size.cols,
        rows: look.size.rows,
        cursor: look.cursor,
        lines: lines.collect(),
    }
}

fn started(model: &Model) -> i64 {
    model.sessions.0["s"].1.started_at().unwrap().0
}

fn page(model: &Model, keyframes: &Keyframes, request: &ReplayRequest<'_>) -> ReplayPage {
    replay(&model.snapshot, "s", keyframes, request).unwrap().unwrap()
}

/// Puts a frame over a screen.
fn over(screen: &mut Frame, frame: &Frame) {
    if (screen.cols, screen.rows) != (frame.cols, frame.rows) {
        let empty = |row| Row { row, runs: Vec::new() };
        screen.lines = (0..frame.rows as usize).map(empty).collect();
    }
    (screen.time_ms, screen.cols, screen.rows) = (frame.time_ms, frame.cols, frame.rows);
    screen.cursor = frame.cursor;
    for line in &frame.lines {
        screen.lines[line.row] = line.clone();
    }
}

/// The screens of all moments at which something changed, page by page.
fn walk(model: &Model, keyframes: &Keyframes, limit: usize) -> Vec<Frame> {
    let mut screens: Vec<Frame> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let request = ReplayRequest { cursor: cursor.as_deref(), limit, ..Default::default() };
        let page = page(model, keyframes, &request);
        let (first, others) = page.frames.split_first().unwrap();
        assert!(others.len() <= limit);
        assert_eq!(first.lines.len(), first.rows as usize);
        if let Some(last) = screens.last() {
            assert_eq!(&first.lines, &last.lines, "a page begins where the one before ends");
            assert_eq!((first.cursor, first.rows), (last.cursor, last.rows));
        }
        let mut screen = first.clone();
        screens.push(screen.clone());
        for frame in others {
            over(&mut screen, frame);
            screens.push(screen.clone());
        }
        // The session is open, so there always is a cursor.
        let next = page.next_cursor.unwrap();
        if others.is_empty() && cursor.as_deref() == Some(&*next) {
            return screens;
        }
        cursor = Some(next);
    }
}

fn screen(frame: &Frame) -> (u32, u32, Option<daybook_engine::screen::Cursor>, &[Row]) {
    (frame.cols, frame.rows, frame.cursor, &frame.lines)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_screen_at_any_moment_is_the_same_by_a_seek_and_by_playing_to_it(
        model in terminal(),
        moments in prop::collection::vec(0..60_000i64, 1..6),
        limit in 1..7usize,
        memory in prop::sample::select(vec![0, 8_000, 64 << 20]),
    ) {
        // Without a terminal the commands would be played.
        prop_assume!(model.events.iter().any(|event| event.facts.kind == Kind::TerminalOutput));
        let keyframes = Keyframes::with_memory(memory);
        let screens = walk(&model, &keyframes, limit);
        for moment in moments {
            // With what was kept on the way, and with nothing.
            for keyframes in [&keyframes, &Keyframes::default()] {
                let at = Some(Micros(started(&model) + moment));
                let page = page(&model, keyframes, &ReplayRequest { at, limit, cursor: None });
                let ms = (moment / 1000) as u64;
                let first = &page.frames[0];
                let wanted = played(&model, ms);
                prop_assert_eq!(screen(first), screen(&wanted));
                let shown = screens.iter().rev().find(|frame| frame.time_ms <= ms);
                prop_assert_eq!(screen(first), screen(shown.unwrap_or(&screens[0])));
                prop_assert!(page.frames.iter().skip(1).all(|frame| frame.time_ms > ms));
                prop_assert!(page.frames.is_sorted_by_key(|frame| frame.time_ms));
            }
            prop_assert!(keyframes.memory() <= memory.max(8_000));
        }
    }

    #[test]
    fn an_event_that_arrives_late_is_on_every_screen_after_it(
        model in terminal(),
        left_out in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<String> = model.events.iter().map(|e| e.line.clone()).collect();
        let mut early = lines.clone();
        let late = early.remove(left_out.index(lines.len()));
        prop_assume!(!early.is_empty());
        let keyframes = Keyframes::default();
        walk(&Model::new(early.clone(), &[]), &keyframes, 3);
        early.push(late);
        let all = Model::new(early, &[]);
        let fresh = walk(&all, &Keyframes::default(), 3);
        prop_assert_eq!(walk(&all, &keyframes, 3), fresh);
    }
}

fn session(lines: &[serde_json::Value]) -> Model {
    let lines = lines.iter().enumerate().map(|(seq, event)| {
        let mut event = event.clone();
        event["session"] = json!("s");
        event["seq"] = json!(seq);
        event.to_string()
    });
    Model::new(lines.collect(), &[])
}

fn text(frame: &Frame) -> String {
    let line = |row: &Row| row.runs.iter().map(|run| run.text.as_str()).collect::<String>();
    frame.lines.iter().map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[test]
fn a_session_without_a_terminal_is_played_by_its_commands() {
    let model = session(&[
        json!({"kind": "command", "time": "2026-03-01T09:00:00Z", "input": "select 1", "language": "sql"}),
        json!({"kind": "output", "time": "2026-03-01T09:00:01Z", "command": 0, "text": "1\n2"}),
        json!({"kind": "command", "time": "2026-03-01T09:00:02Z", "input": "rm \u{1b}[2J\r\nx",
            "verdict": "blocked", "rule": "no-rm"}),
        json!({"kind": "session.end", "time": "2026-03-01T09:00:03Z", "status": "done"}),
    ]);
    let found = page(&model, &Keyframes::default(), &ReplayRequest::default());
    assert_eq!(found.source, Source::Commands);
    assert_eq!(found.duration_ms, 3_000);
    assert_eq!(found.next_cursor, None);
    let at = Some(Micros::parse("2026-03-01T09:00:03Z").unwrap());
    let end = page(&model, &Keyframes::default(), &ReplayRequest { at, ..Default::default() });
    // What was entered does nothing to the screen.
    assert_eq!(
        text(&end.frames[0]),
        "sql> select 1\n1\n2\n$ rm ^[[2J\nx\nblocked by the rule no-rm"
    );
    let kinds: Vec<_> = found.markers.unwrap().iter().map(|m| (m.kind, m.time_ms)).collect();
    assert_eq!(
        kinds,
        [(MarkerKind::Command, 0), (MarkerKind::Activity, 1_000), (MarkerKind::Blocked, 2_000)]
    );
}

#[test]
fn markers_are_bounded_and_count_what_they_stand_for() {
    let lines: Vec<_> = (0..5_000)
        .map(|n| json!({"kind": "command", "time": Micros(START + n * 1_000_000).to_string(), "input": "a"}))
        .collect();
    let model = session(&lines);
    let found = page(&model, &Keyframes::default(), &ReplayRequest::default()).markers.unwrap();
    assert!((400..=500).contains(&found.len()), "{}", found.len());
    assert_eq!(found.iter().map(|marker| marker.count).sum::<u64>(), 5_000);
    assert!(model.events.iter().all(|event| event.facts.kind == Kind::Command));
}

#[test]
fn a_moment_that_is_further_than_one_request_plays_is_come_to_by_its_cursor() {
    let block = "x".repeat(1 << 20);
    let lines: Vec<_> = (0..20)
        .map(|n| {
            json!({"kind": "terminal.output", "text": format!("{block}\r\n{n}"),
            "time": Micros(START + n * 1_000_000).to_string()})
        })
        .collect();
    let model = session(&lines);
    let keyframes = Keyframes::default();
    let at = Some(Micros(START + 18_000_000));
    let mut found = page(&model, &keyframes, &ReplayRequest { at, ..Default::default() });
    let mut turns = 0;
    while found.frames.is_empty() {
        turns += 1;
        let cursor = found.next_cursor.as_deref();
        found = page(&model, &keyframes, &ReplayRequest { cursor, ..Default::default() });
    }
    assert!((2..=3).contains(&turns), "{turns}");
    assert!(text(&found.frames[0]).ends_with("\n18"));
    // Now it is answered at once.
    let found = page(&model, &keyframes, &ReplayRequest { at, ..Default::default() });
    assert!(text(&found.frames[0]).ends_with("\n18"));
}
