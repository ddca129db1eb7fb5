//! Writes a script down as events: gives each its time and number, and draws a terminal recording
//! where the session has one.

use super::cast::{AGENTS, PEOPLE, Person, REVIEWERS, Role};
use super::rng::Rng;
use super::step::Step;
use super::{SECOND, Script};
use daybook_engine::event::{Decision, Micros, Verdict};
use serde_json::{Map, Value, json};

/// The writer of one session.
pub(super) struct Scribe {
    rng: Rng,
    id: String,
    seq: u32,
    time: i64,
    /// No event is later than this.
    now: i64,
    language: &'static str,
    /// The prompt of a terminal recording, if there is one.
    prompt: Option<String>,
    events: Vec<(Micros, String)>,
}

impl Scribe {
    pub(super) fn new(mut rng: Rng, start: Micros, now: Micros) -> Scribe {
        Scribe {
            id: format!("ses_{}", rng.id(12)),
            rng,
            seq: 0,
            time: start.0,
            now: now.0,
            language: "shell",
            prompt: None,
            events: Vec::new(),
        }
    }

    pub(super) fn into_events(self) -> Vec<(Micros, String)> {
        self.events
    }

    /// Writes one event; answers its number. Fields that are null are left out.
    fn write(&mut self, kind: &str, fields: Value) -> u32 {
        let seq = self.seq;
        self.seq += 1;
        self.time = self.time.min(self.now);
        let time = Micros(self.time);
        let mut line = Map::new();
        line.insert("session".into(), json!(self.id));
        line.insert("seq".into(), json!(seq));
        line.insert("time".into(), json!(time.to_string()));
        line.insert("kind".into(), json!(kind));
        if let Value::Object(fields) = fields {
            line.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.events.push((time, Value::Object(line).to_string()));
        seq
    }

    fn wait_ms(&mut self, low: u64, high: u64) -> u64 {
        let ms = self.rng.between(low, high);
        self.time += ms as i64 * 1_000 + self.rng.between(0, 999) as i64;
        ms
    }

    pub(super) fn start(&mut self, role: Role, script: &Script) {
        let person: Person = self.rng.pick(PEOPLE);
        let agent = self.rng.chance(22).then(|| self.rng.pick(AGENTS));
        self.language = match role.kind {
            "database" => "sql",
            "application" => "http",
            _ => "shell",
        };
        let recorded = role.kind == "ssh" && agent.is_none() && self.rng.chance(75);
        let (cols, rows) = self.rng.pick(&[(120, 32), (100, 30), (160, 45)]);
        let mut tags = vec![role.environment];
        tags.extend(script.tags);
        let mut metadata = Map::new();
        metadata.insert("title".into(), json!(script.title));
        metadata.insert("target".into(), json!(role.target));
        if self.rng.chance(45) {
            metadata
                .insert("ticket".into(), json!(format!("OPS-{}", self.rng.between(2_000, 9_999))));
        }
        let origin = if agent.is_some() { "mcp" } else { self.rng.pick(&["cli", "web", "cli"]) };
        let ip = format!("10.0.{}.{}", self.rng.between(1, 9), self.rng.between(2, 250));
        self.write(
            "session.start",
            json!({
                "user": person.user, "user_name": person.name, "groups": person.groups,
                "role": role.name, "type": role.kind, "subtype": role.subtype, "agent": agent,
                "origin": origin, "client_ip": ip, "tags": tags, "metadata": metadata,
                "cols": recorded.then_some(cols), "rows": recorded.then_some(rows),
            }),
        );
        if recorded {
            let name = person.user.split('.').next().unwrap_or("user");
            self.prompt = Some(format!(
                "\u{1b}[1;32m{name}@{}\u{1b}[0m:\u{1b}[1;34m~\u{1b}[0m$ ",
                role.target
            ));
            self.wait_ms(300, 900);
            self.screen(&format!("Last login from {ip}\r\n"));
        }
        self.wait_ms(1_200, 6_000);
    }

    /// Asks for the whole session to be allowed, before anything is done in it.
    pub(super) fn ask_for_session(&mut self, decision: Option<Decision>) {
        let review = format!("rev_{}", self.rng.id(8));
        let expires = Micros(self.time + 3_600 * SECOND).to_string();
        self.write(
            "review.request",
            json!({
                "review": review, "scope": "session", "groups": ["security"], "min_approvals": 1,
                "expires_at": expires, "reason": "break-glass access outside of on-call",
            }),
        );
        if let Some(decision) = decision {
            self.wait_ms(40_000, 400_000);
            let by = self.rng.pick(REVIEWERS);
            self.write(
                "review.decision",
                json!({
                    "review": review, "decision": decision, "by": by,
                    "comment": "on-call has it, no second session needed",
                }),
            );
        }
    }

    pub(super) fn play(&mut self, script: &Script) {
        for step in &script.steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        if let Some(prompt) = self.prompt.clone() {
            self.type_line(&prompt, &step.input);
        }
        let command = self.write(
            "command",
            json!({
                "input": step.input, "language": self.language, "verdict": step.verdict,
                "rule": step.rule,
            }),
        );
        if step.verdict == Verdict::Blocked {
            self.refuse(step);
            return;
        }
        if let Some(review) = &step.review {
            self.review(command, step);
            if !step.ran() {
                if review.decision.is_some() {
                    self.wait_ms(2_000, 9_000);
                }
                return;
            }
        }
        let took = self.wait_ms(4, 900);
        for (stream, text) in step.outputs.iter().filter(|(_, text)| !text.is_empty()) {
            if self.prompt.is_some() {
                self.screen(&text.replace('\n', "\r\n"));
                if !text.ends_with('\n') {
                    self.screen("\r\n");
                }
            } else {
                self.write("output", json!({"command": command, "stream": stream, "text": text}));
            }
            self.wait_ms(1, 30);
        }
        let masked: u64 = step.masked.iter().map(|(_, count)| count).sum();
        let types: Map<String, Value> =
            step.masked.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
        self.write(
            "command.end",
            json!({
                "command": command, "duration_ms": took, "exit_code": step.exit_code,
                "rows": step.rows, "error": step.error,
                "masked": (masked > 0).then_some(masked),
                "masked_types": (masked > 0).then_some(types),
            }),
        );
        self.wait_ms(2_500, 45_000);
    }

    fn refuse(&mut self, step: &Step) {
        self.wait_ms(1, 8);
        if self.prompt.is_some() {
            let rule = step.rule.unwrap_or("not allowed");
            self.write("terminal.marker", json!({"text": format!("blocked: {}", step.input)}));
            self.screen(&format!("\u{1b}[1;31mblocked\u{1b}[0m: {rule}\r\n"));
        }
        self.wait_ms(3_000, 20_000);
    }

    fn review(&mut self, command: u32, step: &Step) {
        let Some(review) = &step.review else { return };
        let id = format!("rev_{}", self.rng.id(8));
        self.wait_ms(5, 40);
        let expires = Micros(self.time + 3_600 * SECOND).to_string();
        self.write(
            "review.request",
            json!({
                "review": id, "scope": "command", "command": command, "groups": [review.group],
                "min_approvals": 1, "expires_at": expires, "reason": review.reason,
            }),
        );
        if self.prompt.is_some() {
            self.screen("\u{1b}[33mwaiting for a review...\u{1b}[0m\r\n");
        }
        let Some((by, decision, comment)) = review.decision else { return };
        self.wait_ms(15_000, 420_000);
        self.write(
            "review.decision",
            json!({"review": id, "decision": decision, "by": by, "comment": comment}),
        );
        if decision == Decision::Approved {
            self.wait_ms(200, 1_500);
            self.write("review.decision", json!({"review": id, "decision": "executed"}));
        }
        if self.prompt.is_some() {
            self.screen(&format!("\u{1b}[36m{decision}\u{1b}[0m by {by}\r\n"));
        }
    }

    /// Shows the prompt and a line as it is typed: the keys, and their echo.
    fn type_line(&mut self, prompt: &str, input: &str) {
        self.screen(prompt);
        self.wait_ms(300, 2_400);
        let letters: Vec<char> = input.chars().collect();
        let burst = self.rng.between(2, 6) as usize;
        for keys in letters.chunks(burst) {
            let keys: String = keys.iter().collect();
            self.write("terminal.input", json!({"text": keys}));
            self.wait_ms(1, 6);
            self.screen(&keys);
            self.wait_ms(60, 420);
        }
        self.write("terminal.input", json!({"text": "\r"}));
        self.screen("\r\n");
    }

    fn screen(&mut self, text: &str) {
        self.write("terminal.output", json!({"text": text}));
    }

    pub(super) fn end(&mut self, status: &str, exit_code: Option<i64>, reason: Option<&str>) {
        self.wait_ms(800, 30_000);
        if self.prompt.is_some() && status == "done" {
            self.screen("logout\r\n");
        }
        self.write(
            "session.end",
            json!({"status": status, "exit_code": exit_code, "reason": reason}),
        );
    }
}
