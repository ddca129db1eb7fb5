//! A session's timeline as people read it.
//!
//! ```text
//! ses_k3v9…  done  prod-us-east (database/postgres)
//! Maya Lindqvist <maya.lindqvist@example.com>, from 10.0.3.7 by cli
//! 2026-03-01 09:30:00 UTC, 11m 12s · 5 commands · 1 blocked
//!
//! 09:30:05  passed    postgres> SELECT ...
//!                      id | name
//!                     298 rows · 12ms · masked: 5 email
//! 09:31:00  blocked   postgres> DROP TABLE customers;
//!                     rule: DROP TABLE is never allowed on production
//! ```

use crate::output::{self, Paint, clean};
use crate::rows::field;
use serde_json::Value;

/// What stands above a timeline.
#[must_use]
pub fn header(details: &Value, paint: Paint) -> String {
    let line = |name| clean::line(field(details, name));
    let status = line("status");
    let kind = match (line("type"), line("subtype")) {
        (kind, subtype) if subtype.is_empty() => kind,
        (kind, subtype) => format!("{kind}/{subtype}"),
    };
    let mut text = format!(
        "{}  {}  {} ({kind})\n",
        paint.bold(&line("id")),
        paint.state(&status, &status.replace('_', " ")),
        line("role")
    );
    let who = match (line("user_name"), line("user")) {
        (name, user) if name.is_empty() => user,
        (name, user) => format!("{name} <{user}>"),
    };
    let mut who = vec![who];
    for (name, before) in [("agent", "agent "), ("client_ip", "from "), ("origin", "by ")] {
        if !line(name).is_empty() {
            who.push(format!("{before}{}", line(name)));
        }
    }
    text.push_str(&format!("{}\n", who.join(", ")));
    let took = details.get("duration_ms").and_then(Value::as_u64).unwrap_or(0);
    text.push_str(&format!(
        "{} UTC, {} · {}\n",
        output::moment(field(details, "started_at")),
        output::duration_ms(took),
        line("summary")
    ));
    let tags = details.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut notes: Vec<String> = Vec::new();
    if !tags.is_empty() {
        let tags: Vec<String> = tags.iter().filter_map(Value::as_str).map(clean::line).collect();
        notes.push(format!("tags: {}", tags.join(", ")));
    }
    if let Some(metadata) = details.get("metadata").and_then(Value::as_object) {
        for (name, value) in metadata {
            let value = clean::line(value.as_str().unwrap_or_default());
            notes.push(format!("{}: {value}", clean::line(name)));
        }
    }
    for note in notes {
        text.push_str(&paint.dim(&note));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Tells a timeline, item after item.
#[derive(Debug)]
pub struct Story {
    paint: Paint,
    /// How many lines of an output are shown.
    lines_max: usize,
    prompt: String,
    /// What a terminal showed since the last thing that is not terminal output.
    screen: String,
    /// When that began.
    screen_at: String,
}

/// The width of the columns for the time and the verdict.
const MARGIN: usize = 20;

impl Story {
    /// A story with outputs of at most so many lines.
    #[must_use]
    pub fn new(paint: Paint, lines_max: usize) -> Story {
        let (prompt, screen, screen_at) = Default::default();
        Story { paint, lines_max, prompt, screen, screen_at }
    }

    /// Sets what stands before a command.
    pub fn starts_with(&mut self, prompt: &str) {
        self.prompt = clean::text(prompt);
    }

    /// The text of an item; empty while a terminal's output is collected.
    pub fn tell(&mut self, item: &Value) -> String {
        let kind = field(item, "kind");
        match kind {
            "terminal.output" => {
                if self.screen.is_empty() {
                    self.screen_at = field(item, "time").to_owned();
                }
                self.screen.push_str(&content(item));
                return String::new();
            }
            // What is typed is echoed in what is shown.
            "terminal.input" => return String::new(),
            _ => {}
        }
        let mut text = self.end();
        match kind {
            "command" => self.command(item, &mut text),
            "output" => self.block(&content(item), &mut text),
            _ => text.push_str(&self.line(item, kind, &told(item, kind))),
        }
        if kind == "review.request" {
            for decision in listed(item, "decisions") {
                text.push_str(&self.line(decision, "review.decision", &decided(decision)));
            }
        }
        if let Some(omitted) = item.get("folded_omitted").and_then(Value::as_u64) {
            let more = format!("... {omitted} more events; --json shows them");
            text.push_str(&format!("{:MARGIN$}{}\n", "", self.paint.dim(&more)));
        }
        text
    }

    /// What is left of a terminal's output.
    pub fn end(&mut self) -> String {
        if self.screen.is_empty() {
            return String::new();
        }
        let screen = std::mem::take(&mut self.screen);
        let shown = clean::text(&screen);
        let mut text = self.row(&self.screen_at, "", "terminal", "");
        self.block(&shown, &mut text);
        text
    }

    fn row(&self, time: &str, word: &str, label: &str, rest: &str) -> String {
        let moment = output::moment(time);
        let clock = moment.get(11..19).unwrap_or(&moment).to_owned();
        let label = format!("{:<8}", clean::line(label));
        let label =
            if word.is_empty() { self.paint.dim(&label) } else { self.paint.state(word, &label) };
        format!("{}  {label}  {rest}", self.paint.dim(&clock)).trim_end().to_owned() + "\n"
    }

    fn line(&self, item: &Value, kind: &str, rest: &str) -> String {
        let word = match kind {
            "review.decision" => field(item, "decision"),
            "session.end" => field(item, "status"),
            "review.request" => "pending",
            _ => "",
        };
        let label = match kind {
            "session.start" => "start",
            "session.end" => "end",
            "review.request" | "review.decision" => "review",
            "terminal.marker" => "marker",
            "terminal.resize" => "resize",
            "command.end" => "end",
            other => other,
        };
        self.row(field(item, "time"), word, label, rest)
    }

    fn block(&self, raw: &str, text: &mut String) {
        let shown = clean::text(raw);
        let lines: Vec<&str> = shown.trim_end_matches('\n').lines().collect();
        let cut = lines.len() > self.lines_max;
        // One line more is shown rather than a line that says that one is missing.
        let keep =
            if cut && lines.len() > self.lines_max + 1 { self.lines_max } else { lines.len() };
        for line in lines.iter().take(keep) {
            text.push_str(format!("{:MARGIN$}{line}", "").trim_end());
            text.push('\n');
        }
        if keep < lines.len() {
            let more = format!("... {} more lines; --full shows them", lines.len() - keep);
            text.push_str(&format!("{:MARGIN$}{}\n", "", self.paint.dim(&more)));
        }
    }

    fn command(&self, item: &Value, text: &mut String) {
        let verdict = field(item, "verdict");
        let input = clean::text(field(item, "input"));
        let mut lines = input.trim_end().lines();
        let first = format!("{}{}", self.prompt, lines.next().unwrap_or_default());
        let label = if verdict.is_empty() { "command" } else { verdict };
        text.push_str(&self.row(field(item, "time"), verdict, label, &first));
        let indent = MARGIN + output::width(&self.prompt);
        for line in lines {
            text.push_str(&format!("{:indent$}{line}\n", ""));
        }
        if !field(item, "rule").is_empty() {
            let rule = format!("rule: {}", clean::line(field(item, "rule")));
            text.push_str(&format!("{:MARGIN$}{}\n", "", self.paint.state(verdict, &rule)));
        }
        for review in listed(item, "review") {
            self.review(review, text);
            for more in listed(review, "more") {
                self.review(more, text);
            }
        }
        if !field(item, "output").is_empty() {
            self.block(field(item, "output"), text);
        }
        for output in listed(item, "outputs") {
            self.block(&content(output), text);
        }
        let end = item.get("end").filter(|end| end.is_object()).unwrap_or(item);
        let facts = facts(end);
        if !facts.is_empty() {
            text.push_str(&format!("{:MARGIN$}{}\n", "", self.paint.dim(&facts.join(" · "))));
        }
    }

    /// A review under its command: the request with its decisions.
    fn review(&self, review: &Value, text: &mut String) {
        let mut parts = Vec::new();
        if let Some(request) = review.get("request") {
            parts.push(format!("review asked: {}", clean::line(field(request, "reason"))));
        }
        parts.extend(listed(review, "decisions").into_iter().map(decided));
        for part in parts {
            text.push_str(&format!("{:MARGIN$}{}\n", "", self.paint.dim(&part)));
        }
    }
}

/// What is under a name: one item, several, or none.
fn listed<'a>(item: &'a Value, name: &str) -> Vec<&'a Value> {
    match item.get(name) {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

/// The text of an output: `text`, or `data` decoded.
/// The text of an event that has `text`, or `data` in base64.
pub(crate) fn content(item: &Value) -> String {
    use base64::Engine as _;
    let data = field(item, "data");
    if data.is_empty() {
        return field(item, "text").to_owned();
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn decided(decision: &Value) -> String {
    let mut text = clean::line(field(decision, "decision"));
    if !field(decision, "by").is_empty() {
        text.push_str(&format!(" by {}", clean::line(field(decision, "by"))));
    }
    if !field(decision, "comment").is_empty() {
        text.push_str(&format!(": {}", clean::line(field(decision, "comment"))));
    }
    text
}

/// How a command ended, in words.
fn facts(end: &Value) -> Vec<String> {
    let number = |name: &str| end.get(name).and_then(Value::as_u64);
    let mut facts = Vec::new();
    if let Some(rows) = number("rows") {
        facts.push(format!("{} row{}", output::count(rows), if rows == 1 { "" } else { "s" }));
    }
    match end.get("exit_code").and_then(Value::as_i64) {
        Some(0) | None => {}
        Some(code) => facts.push(format!("exit code {code}")),
    }
    if let Some(ms) = number("duration_ms") {
        facts.push(output::duration_ms(ms));
    }
    if let Some(types) = end.get("masked_types").and_then(Value::as_object) {
        let types: Vec<String> =
            types.iter().map(|(kind, n)| format!("{n} {}", clean::line(kind))).collect();
        facts.push(format!("masked: {}", types.join(", ")));
    } else if let Some(masked) = number("masked").filter(|n| *n > 0) {
        facts.push(format!("masked: {masked}"));
    }
    facts
}

/// An event that is not a command, in words.
fn told(item: &Value, kind: &str) -> String {
    let line = |name| clean::line(field(item, name));
    match kind {
        "session.start" => String::new(),
        "session.end" if line("reason").is_empty() => line("status"),
        "session.end" => format!("{}: {}", line("status"), line("reason")),
        "review.request" => format!("{} review asked: {}", line("scope"), line("reason")),
        "review.decision" => decided(item),
        "terminal.resize" => {
            let size = |name: &str| item.get(name).and_then(Value::as_u64).unwrap_or(0);
            format!("{}x{}", size("cols"), size("rows"))
        }
        "note" => format!("{}: {}", line("by"), line("text")),
        "access" => format!("{} {} {}", line("by"), line("action"), line("target")),
        "retention" => {
            let mut told = format!("{} {} {}", line("by"), line("action"), line("target"));
            if !line("case").is_empty() {
                told.push_str(&format!(" (case {})", line("case")));
            }
            if !line("reason").is_empty() {
                told.push_str(&format!(": {}", line("reason")));
            }
            told
        }
        "command.end" => facts(item).join(" · "),
        _ => clean::line(&content(item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_is_told_with_its_rule_its_output_and_its_end() {
        let mut story = Story::new(Paint::plain(), 2);
        story.starts_with("postgres> ");
        let text = story.tell(&json!({
            "kind": "command", "time": "2026-03-01T09:30:05Z", "verdict": "passed", "input": "SELECT\n 1",
            "outputs": [{"text": "a\nb\nc\nd\n"}],
            "end": {"rows": 1, "duration_ms": 12, "masked_types": {"email": 5}},
        }));
        assert_eq!(
            text,
            "09:30:05  passed    postgres> SELECT\n                               1\n                    a\n                    b\n                    ... 2 more lines; --full shows them\n                    1 row · 12ms · masked: 5 email\n"
        );
    }

    #[test]
    fn a_terminal_is_told_as_what_it_showed_when_something_else_follows() {
        let mut story = Story::new(Paint::plain(), 9);
        assert!(story.tell(&json!({"kind": "terminal.output", "time": "2026-03-01T09:30:05Z", "text": "\u{1b}[32mo"})).is_empty());
        assert!(story.tell(&json!({"kind": "terminal.output", "time": "2026-03-01T09:30:06Z", "text": "k\r\n"})).is_empty());
        let text = story.tell(
            &json!({"kind": "session.end", "time": "2026-03-01T09:31:00Z", "status": "done"}),
        );
        assert_eq!(text, "09:30:05  terminal\n                    ok\n09:31:00  end       done\n");
    }
}
