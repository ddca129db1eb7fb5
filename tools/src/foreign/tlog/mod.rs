//! tlog's recordings: JSON messages, each with a piece of a session.
//!
//! ```text
//! {"ver":"2.3","host":"..","rec":"id of the recording","user":"..","term":"xterm","session":1,
//!  "id":1,"pos":0,"time":1772357427.653,
//!  "timing":"=80x24+1>6]2/2>3","in_txt":"","in_bin":[],"out_txt":"héllo ??x","out_bin":[255,254]}
//!
//! timing: any number of    +MS      wait so many milliseconds
//!                          <N  >N   the next N characters of in_txt, of out_txt
//!                          [N/M     skip N characters of in_txt, and take M bytes of in_bin in their place
//!                          ]N/M     the same for out
//!                          =WxH     the window has this size
//! ```
//!
//! `id` counts the messages of a recording from 1, `pos` is in milliseconds since its start, `time` (since
//! 2.3) in seconds since 1970. Messages come one a line, or as journald's entries.
//!
//! The session's id is `tlog-` and `rec`. A message's events have the numbers from `id` × 4,096 + 1 on; what
//! follows one another without a wait is one event. `id` × 4,096 is for the end, if this message does not come.

mod timing;

use super::{Found, is_over, journal, seconds, values};
use crate::asciicast::Labels;
use crate::line::{self, cut};
use daybook_engine::event::Micros;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use timing::{Piece, Side, pieces};

/// Numbers that one message has.
const SEQS: u32 = 4_096;

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    ver: serde_json::Value,
    #[serde(default)]
    host: String,
    rec: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    term: String,
    #[serde(default)]
    session: u64,
    id: u32,
    pos: u64,
    time: Option<f64>,
    timing: String,
    #[serde(default)]
    in_txt: String,
    #[serde(default)]
    in_bin: Vec<u8>,
    #[serde(default)]
    out_txt: String,
    #[serde(default)]
    out_bin: Vec<u8>,
}

/// What a recording has come to.
struct Recording {
    next: u32,
    last: Micros,
}

/// Reads messages.
///
/// # Errors
/// A file without a message that can be read.
pub fn tlog(bytes: &[u8], labels: &Labels) -> Result<Found, String> {
    let mut found = Found::default();
    let mut messages = Vec::new();
    for (line, value) in values(bytes) {
        match value {
            Ok(value) => messages.push((line, value.to_string().into_bytes(), None)),
            Err(what) => found.skip(line, what),
        }
    }
    read(messages, found, labels)
}

/// Reads the messages of journald's entries.
///
/// # Errors
/// Entries without a message of tlog's that can be read.
pub fn read(
    messages: Vec<journal::Message>,
    mut found: Found,
    labels: &Labels,
) -> Result<Found, String> {
    let mut recordings = BTreeMap::new();
    for (line, bytes, entry_time) in messages {
        // Other programs write to the journal too.
        if !bytes.windows(5).any(|window| window == b"\"rec\"") {
            continue;
        }
        match serde_json::from_slice::<Message>(&bytes) {
            Err(error) => found.skip(line, format!("not a message of tlog's: {error}")),
            Ok(message) if !major_is_known(&message.ver) => {
                found.skip(
                    line,
                    format!("version {} of tlog's format is not known; 2 is", message.ver),
                );
            }
            Ok(message) => add(&message, line, entry_time, &mut recordings, &mut found, labels),
        }
    }
    if recordings.is_empty() && found.lines.is_empty() {
        let first = found.skipped.first();
        return Err(first.map_or_else(
            || "it holds no message of tlog's".to_owned(),
            |skipped| format!("line {}: {}", skipped.line, skipped.what),
        ));
    }
    for (session, recording) in recordings {
        if is_over(recording.last)
            && let Some(seq) = recording.next.checked_mul(SEQS)
        {
            let end = json!({"status": "done"});
            found.lines.push(line::event(&session, seq, recording.last, "session.end", end));
        }
    }
    Ok(found)
}

fn major_is_known(version: &serde_json::Value) -> bool {
    let version = super::plain(version);
    version == "null" || version.split('.').next() == Some("2")
}

fn add(
    message: &Message,
    line: u64,
    entry_time: Option<Micros>,
    recordings: &mut BTreeMap<String, Recording>,
    found: &mut Found,
    labels: &Labels,
) {
    let session =
        match message.rec.len() <= 200 && message.rec.chars().all(|c| c.is_ascii_graphic()) {
            true => format!("tlog-{}", message.rec),
            false => line::id("tlog", &[message.rec.as_bytes()]),
        };
    // Before 2.3 only the journal, or the file, says when it was.
    let pos = i64::try_from(message.pos.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let time = message.time.and_then(seconds).or(entry_time);
    let time = time.unwrap_or(Micros(labels.started.0.saturating_add(pos)));
    let Some(seq) = message.id.checked_mul(SEQS).filter(|_| message.id > 0) else {
        found.skip(
            line,
            format!("a message's `id` is 1 to {}, not {}", u32::MAX / SEQS, message.id),
        );
        return;
    };
    let (events, rest) = match pieces(message) {
        Ok(read) => read,
        Err(what) => {
            found.skip(line, format!("message {} of {}: {what}", message.id, message.rec));
            return;
        }
    };
    if events.len() >= SEQS as usize {
        let what = format!("a message of {} pieces, over the limit of {}", events.len(), SEQS - 1);
        found.skip(line, what);
        return;
    }
    if let Some(what) = rest {
        found.skip(line, format!("message {} of {}: {what}", message.id, message.rec));
    }
    let known = recordings.get(&session);
    if known.is_none() {
        // The same from each message, so that the parts of a recording can be imported one by one.
        let started = Micros(time.0.saturating_sub(pos) / 1_000 * 1_000);
        found.lines.push(line::event(
            &session,
            0,
            started,
            "session.start",
            start(message, labels),
        ));
        if message.id > 1 {
            let what = format!(
                "the recording {} begins at message {}; what was before is not here",
                message.rec, message.id
            );
            found.skip(line, what);
        }
    } else if let Some(known) = known.filter(|known| message.id > known.next) {
        let what =
            format!("messages {} to {} of {} are missing", known.next, message.id - 1, message.rec);
        found.skip(line, what);
    }
    let mut last = time;
    for ((millis, piece), seq) in events.iter().zip(seq + 1..) {
        last = Micros(time.0.saturating_add(millis.saturating_mul(1_000)));
        let (kind, fields) = match piece {
            Piece::Said(Side::In, bytes) => ("terminal.input", line::content(bytes)),
            Piece::Said(Side::Out, bytes) => ("terminal.output", line::content(bytes)),
            Piece::Size(cols, rows) => ("terminal.resize", json!({"cols": cols, "rows": rows})),
        };
        found.lines.push(line::event(&session, seq, last, kind, fields));
    }
    let recording = recordings.entry(session).or_insert(Recording { next: 0, last });
    recording.next = recording.next.max(message.id.saturating_add(1));
    recording.last = recording.last.max(last);
}

fn start(message: &Message, labels: &Labels) -> serde_json::Value {
    let given = |label: &Option<String>, said: &str| {
        let said = Some(said).filter(|said| !said.is_empty());
        label.as_deref().or(said).map(cut)
    };
    json!({
        "user": given(&labels.user, &message.user), "role": given(&labels.role, &message.host),
        "type": labels.kind.as_deref().unwrap_or("ssh"), "origin": "tlog",
        "metadata": {"TERM": cut(&message.term), "audit_session": message.session.to_string()},
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use crate::foreign::testing::{events, of_kind};
    use proptest::prelude::*;

    /// What `tlog-rec` of Debian's tlog 12.1 wrote.
    const REAL: &[u8] = include_bytes!("../../../tests/fixtures/tlog.json");

    #[test]
    fn a_real_recording_is_read_to_the_byte() {
        let found = tlog(REAL, &Labels::default()).unwrap();
        assert_eq!(found.skipped, []);
        let events = events(&found);
        assert_eq!(events[0]["user"], "alice");
        let shown = of_kind(&events, "terminal.output");
        // "héllo \xff\xfex\r\n"
        assert_eq!(shown[0]["data"], "aMOpbGxvIP/+eA0K");
        assert_eq!(shown[shown.len() - 1]["text"], "40 132\r\n");
        let resized = of_kind(&events, "terminal.resize");
        assert_eq!((&resized[1]["cols"], &resized[1]["rows"]), (&132.into(), &40.into()));
        assert_eq!(of_kind(&events, "session.end").len(), 1);
        assert_eq!(tlog(REAL, &Labels::default()).unwrap(), found);
    }

    #[test]
    fn messages_in_a_journal_are_the_same_events_whatever_else_is_there() {
        let plain = tlog(REAL, &Labels::default()).unwrap();
        let text = String::from_utf8(REAL.to_vec()).unwrap();
        let (mut json, mut export) = (String::new(), String::new());
        for line in text.lines() {
            let entry = json!({"__REALTIME_TIMESTAMP": "1", "MESSAGE": line, "TLOG_REC": "x"});
            json.push_str(&format!("{entry}\n{{\"MESSAGE\":\"a lamp \\\"recovered\\\"\"}}\n"));
            export.push_str(&format!("__CURSOR=c\nMESSAGE={line}\n\n"));
        }
        let mut noted = Found::default();
        let messages = journal::from_json(json.as_bytes(), &mut noted);
        assert_eq!(read(messages, noted, &Labels::default()).unwrap(), plain);
        let mut noted = Found::default();
        let messages = journal::from_export(export.as_bytes(), &mut noted);
        assert_eq!(read(messages, noted, &Labels::default()).unwrap(), plain);
    }

    #[test]
    fn a_part_has_the_numbers_that_it_has_in_the_whole_and_what_is_missing_is_said() {
        let whole = tlog(REAL, &Labels::default()).unwrap();
        let second = REAL.split(|byte| *byte == b'\n').nth(1).unwrap();
        let part = tlog(second, &Labels::default()).unwrap();
        let shown = part.lines.iter().find(|line| line.contains("40 132")).unwrap();
        assert!(whole.lines.contains(shown) && part.lines.first() == whole.lines.first());
        assert!(part.skipped[0].what.contains("begins at message 2"), "{:?}", part.skipped);
        let text = String::from_utf8_lossy(second).replace("\"id\":2", "\"id\":5");
        let first = REAL.split(|byte| *byte == b'\n').next().unwrap();
        let gap = tlog(&[first, text.as_bytes()].join(&b"\n"[..]), &Labels::default()).unwrap();
        assert!(gap.skipped[0].what.contains("messages 2 to 4"), "{:?}", gap.skipped);
    }

    #[test]
    fn a_message_that_is_wrong_is_named() {
        for (timing, what) in [
            (">9", "more characters"),
            ("]0/9", "more bytes"),
            ("!1", "means nothing"),
            ("=80", "no `x`"),
            (">1", "leaves 1 bytes"),
        ] {
            let bad = json!({"ver": 2.3, "rec": "r", "id": 1, "pos": 0, "time": 1.0, "timing": timing, "out_txt": "ab"}).to_string();
            let good = json!({"ver": "2.1", "rec": "r2", "id": 1, "pos": 7, "timing": ">1", "out_txt": "a"}).to_string();
            let found = tlog(format!("{good}\n{bad}\n").as_bytes(), &Labels::default()).unwrap();
            assert!(found.skipped[0].what.contains(what), "{:?}", found.skipped);
            assert_eq!(found.skipped[0].line, 2);
        }
        assert!(tlog(b"{\"rec\":1}", &Labels::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_timing_makes_it_panic(
            timing in "([+<>=\\[\\]][0-9]{0,3}([/x][0-9]{1,2})?|.){0,9}",
            text in "\\PC{0,6}",
            bytes in proptest::collection::vec(any::<u8>(), 0..5),
        ) {
            let message = json!({"ver": "2.3", "rec": "r", "id": 1, "pos": 0, "time": 17e8, "timing": timing,
                "in_txt": text, "out_txt": text, "in_bin": bytes, "out_bin": bytes}).to_string();
            if let Ok(found) = tlog(message.as_bytes(), &Labels::default()) {
                events(&found);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = tlog(&bytes, &Labels::default());
        }
    }
}
