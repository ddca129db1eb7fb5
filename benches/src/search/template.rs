//! An event of the source, taken apart so that it can be written again: for another session, at another time,
//! and with other identifiers in its texts.

use super::seeded::{Seeded, hash};
use anyhow::{Context as _, Result};
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use serde_json::Value;
use std::ops::Range;

/// The fields whose identifiers change.
const TEXTS: [&str; 4] = ["input", "output", "text", "error"];

/// Of so many identifiers one is another in each repetition of its session: the rest stays as it was.
const ONE_IN: u64 = 3;

/// An event without its session, number and time.
#[derive(Debug)]
pub(crate) struct Template {
    pub kind: String,
    pub verdict: Option<String>,
    /// After the session's first event, in microseconds.
    pub after_us: i64,
    pub seq: u64,
    /// All other fields as JSON, each with a comma before it.
    rest: String,
    /// Where identifiers stand in it.
    identifiers: Vec<Range<usize>>,
    /// Where its first text ends: there a marker fits.
    text_end: Option<usize>,
    text_bytes: u64,
}

impl Template {
    /// Takes apart a line; `index` is its number if it has none.
    pub(crate) fn of(line: &str, index: u64) -> Result<Template> {
        let event = Event::decode(line.as_bytes()).map_err(anyhow::Error::msg)?;
        let text_bytes = Texts::of(&event).iter().map(|(_, text)| text.len() as u64).sum();
        let value: Value = serde_json::from_str(line)?;
        let fields = value.as_object().context("a line is no object")?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut template = Template {
            kind: text("kind").context("a line without a kind")?,
            verdict: text("verdict"),
            after_us: event.time.0,
            seq: event.seq.map_or(index, |seq| u64::from(seq.0)),
            rest: String::new(),
            identifiers: Vec::new(),
            text_end: None,
            text_bytes,
        };
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("session" | "seq" | "time" | "kind" | "user" | "user_name" | "role", _) => {}
                (_, Value::String(text)) if TEXTS.contains(&name.as_str()) => {
                    template.rest.push_str(&format!(",\"{name}\":\""));
                    template.push_text(text)?;
                    template.text_end.get_or_insert(template.rest.len());
                    template.rest.push('"');
                }
                _ => template.rest.push_str(&format!(",{}:{value}", Value::from(name.as_str()))),
            }
        }
        Ok(template)
    }

    /// Whether it has a text.
    pub(crate) fn has_text(&self) -> bool {
        self.text_end.is_some()
    }

    fn push_text(&mut self, text: &str) -> Result<()> {
        let mut done = 0;
        for found in identifiers(text) {
            self.push_escaped(text.get(done..found.start).unwrap_or_default())?;
            let start = self.rest.len();
            self.rest.push_str(text.get(found.clone()).unwrap_or_default());
            self.identifiers.push(start..self.rest.len());
            done = found.end;
        }
        self.push_escaped(text.get(done..).unwrap_or_default())
    }

    fn push_escaped(&mut self, text: &str) -> Result<()> {
        let quoted = serde_json::to_string(text)?;
        self.rest.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        Ok(())
    }

    /// The other fields as JSON, with the identifiers of this repetition, and a marker if there is one.
    /// Also how many bytes of text there are in them.
    pub(crate) fn write(&self, repetition: u64, marker: Option<&str>) -> (String, u64) {
        let mut out = String::with_capacity(self.rest.len() + 64);
        let (mut done, mut marked) = (0, None);
        let mut copy = |out: &mut String, from: usize, to: usize| {
            let mut from = from;
            if let (Some(marker), Some(end)) = (marker, self.text_end)
                && marked.is_none()
                && (from..=to).contains(&end)
            {
                out.push_str(self.rest.get(from..end).unwrap_or_default());
                out.push_str(marker);
                (from, marked) = (end, Some(end));
            }
            out.push_str(self.rest.get(from..to).unwrap_or_default());
        };
        for place in &self.identifiers {
            copy(&mut out, done, place.start);
            vary(&mut out, self.rest.get(place.clone()).unwrap_or_default(), repetition);
            done = place.end;
        }
        copy(&mut out, done, self.rest.len());
        // Identifiers and markers need no escapes: what is longer is as much longer as a text.
        let text_bytes = self.text_bytes + out.len() as u64 - self.rest.len() as u64;
        (out, text_bytes)
    }
}

/// Numbers of five digits and more, addresses, and hexadecimal names of eight and more: what differs from one
/// day to the next.
fn identifiers(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = text
        .get(rest..)
        .and_then(|rest| rest.find(|c: char| c.is_ascii_alphanumeric()))
        .map(|at| rest + at)
    {
        let tail = text.get(start..).unwrap_or_default();
        let length = |part: fn(char) -> bool| tail.find(|c| !part(c)).unwrap_or(tail.len());
        let address = length(|c| c.is_ascii_digit() || c == '.');
        let word = length(|c| c.is_alphanumeric() || c == '_');
        let take = if is_address(tail.get(..address).unwrap_or_default()) {
            found.push(start..start + address);
            address
        } else {
            if is_identifier(tail.get(..word).unwrap_or_default()) {
                found.push(start..start + word);
            }
            word
        };
        rest = start + take.max(1);
    }
    found
}

pub(crate) fn is_address(text: &str) -> bool {
    text.split('.').count() == 4
        && text.split('.').all(|part| part.len() <= 3 && part.parse::<u8>().is_ok())
}

fn is_identifier(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let all_hex = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (digits == word.len() && digits >= 5)
        || (all_hex && digits > 0 && digits < word.len() && word.len() >= 8)
}

/// The identifier that stands for this one in a repetition: the same one wherever it occurs there.
fn vary(out: &mut String, identifier: &str, repetition: u64) {
    let mut seeded = Seeded::of(&[repetition, hash(identifier)]);
    if seeded.below(ONE_IN) > 0 {
        out.push_str(identifier);
    } else if is_address(identifier) {
        let [a, b, c] = [256, 256, 256].map(|bound| seeded.below(bound));
        out.push_str(&format!("10.{a}.{b}.{c}"));
    } else {
        out.extend(identifier.bytes().map(|byte| match byte {
            b'0'..=b'9' => char::from(b'0' + seeded.below(10) as u8),
            _ => char::from(b'a' + seeded.below(6) as u8),
        }));
    }
}
