//! The fields of the language, and how the values of filters are read.

use super::ast::Term;
use super::error::{ParseError, nearest};
use super::lexer::{Form, Value};
use super::number::{Comparison, Number, duration_micros};
use daybook_engine::catalog::filter::{Pattern, TextFact};
use daybook_engine::event::text::TextField;
use daybook_engine::event::{Kind, Micros, Verdict};
use daybook_engine::review::ReviewStatus;
use daybook_engine::session::Status;

/// What stands before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldName {
    Text(TextField),
    Fact(TextFact),
    Kind,
    Verdict,
    After,
    Before,
    /// The time that the steps of a `session(...)` may take.
    Within,
    Number(Number),
}

impl FieldName {
    pub(super) const ALL: [(&'static str, FieldName); 30] = [
        ("input", FieldName::Text(TextField::Input)),
        ("output", FieldName::Text(TextField::Output)),
        ("text", FieldName::Text(TextField::Text)),
        ("screen", FieldName::Text(TextField::Screen)),
        ("typed", FieldName::Text(TextField::Typed)),
        ("user", FieldName::Fact(TextFact::User)),
        ("role", FieldName::Fact(TextFact::Role)),
        ("type", FieldName::Fact(TextFact::Type)),
        ("subtype", FieldName::Fact(TextFact::Subtype)),
        ("status", FieldName::Fact(TextFact::Status)),
        ("tag", FieldName::Fact(TextFact::Tag)),
        ("session", FieldName::Fact(TextFact::Id)),
        ("agent", FieldName::Fact(TextFact::Agent)),
        ("review", FieldName::Fact(TextFact::Review)),
        ("review.status", FieldName::Fact(TextFact::ReviewStatus)),
        ("approver", FieldName::Fact(TextFact::Approver)),
        ("kind", FieldName::Kind),
        ("verdict", FieldName::Verdict),
        ("after", FieldName::After),
        ("since", FieldName::After),
        ("before", FieldName::Before),
        ("within", FieldName::Within),
        ("masked", FieldName::Number(Number::Masked)),
        ("duration", FieldName::Number(Number::Duration)),
        ("exit", FieldName::Number(Number::Exit)),
        ("rows", FieldName::Number(Number::Rows)),
        ("commands", FieldName::Number(Number::Commands)),
        ("blocked", FieldName::Number(Number::Blocked)),
        ("approved", FieldName::Number(Number::Approved)),
        ("pending", FieldName::Number(Number::Pending)),
    ];

    pub(super) fn of(name: &str) -> Option<FieldName> {
        FieldName::ALL.iter().find(|(n, _)| *n == name).map(|(_, field)| *field)
    }

    /// The name of a fact.
    pub(super) fn of_fact(fact: TextFact) -> &'static str {
        let field = FieldName::Fact(fact);
        FieldName::ALL.iter().find(|(_, known)| *known == field).map_or(fact.name(), |(n, _)| n)
    }
}

/// An example of a field.
pub(super) fn explain(field: &str) -> String {
    let value = match FieldName::of(field) {
        Some(FieldName::Text(_)) => "\"rm -rf\"",
        Some(FieldName::Kind) => "command",
        Some(FieldName::Verdict) => "blocked",
        Some(FieldName::After | FieldName::Before) => "2026-03-01",
        Some(FieldName::Within) => "10m",
        Some(FieldName::Number(Number::Duration)) => ">5s",
        Some(FieldName::Number(_)) => ">0",
        Some(FieldName::Fact(TextFact::Status)) => "open",
        Some(FieldName::Fact(TextFact::ReviewStatus)) => "pending",
        Some(FieldName::Fact(TextFact::Approver)) => "ann@example.com",
        _ => "prod-*",
    };
    format!("{field}:{value}")
}

/// A filter (any field but the texts).
pub(super) fn filter(field: FieldName, value: Value<'_>, now: Micros) -> Result<Term, ParseError> {
    let Value { form, start, end } = value;
    let (text, quoted) = match &form {
        Form::Bare(text) => (*text, false),
        Form::Exact(text) | Form::ExactCase(text) => (text.as_str(), true),
        Form::Regex(..) => {
            return Err(ParseError::new("expressions are for texts, not for filters", start, end)
                .hint("use `*` for anything: role:prod-*"));
        }
    };
    // The place of a bare value's part: values in quotes are named as a whole.
    let part = |from: usize, length: usize| match quoted {
        true => (start, end),
        false => (start + from, start + from + length),
    };
    match field {
        FieldName::Fact(TextFact::Status) => {
            let names: Vec<&str> = Status::ALL.iter().map(|s| s.name()).collect();
            let chosen = choose(text, "status", &names, part)?;
            let patterns = chosen.into_iter().map(Pattern::exact).collect();
            Ok(Term::Fact(TextFact::Status, patterns))
        }
        FieldName::Fact(TextFact::ReviewStatus) => {
            let names = ReviewStatus::ALL.map(ReviewStatus::name);
            let chosen = choose(text, "status of a review", &names, part)?;
            let patterns = chosen.into_iter().map(Pattern::exact).collect();
            Ok(Term::Fact(TextFact::ReviewStatus, patterns))
        }
        FieldName::Fact(fact) if quoted => Ok(Term::Fact(fact, vec![Pattern::exact(text)])),
        FieldName::Fact(fact) => {
            let mut patterns: Vec<Pattern> = Vec::new();
            for (from, one) in parts(text) {
                if one.is_empty() {
                    return Err(empty_part(part(from, 0)));
                }
                // Two stars say no more than one.
                let mut stars = String::new();
                for c in one.chars() {
                    if c != '*' || !stars.ends_with('*') {
                        stars.push(c);
                    }
                }
                let pattern = Pattern::wildcard(&stars);
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
            Ok(Term::Fact(fact, patterns))
        }
        FieldName::Kind => {
            let names: Vec<&str> = Kind::ALL.iter().map(|k| k.name()).collect();
            let chosen = choose(text, "kind", &names, part)?;
            Ok(Term::Kind(chosen.into_iter().filter_map(Kind::from_name).collect()))
        }
        FieldName::Verdict => {
            let names: Vec<&str> = Verdict::ALL.iter().map(|v| v.name()).collect();
            let chosen = choose(text, "verdict", &names, part)?;
            Ok(Term::Verdict(chosen.into_iter().filter_map(Verdict::from_name).collect()))
        }
        FieldName::Within => Err(ParseError::new(
            "`within:` says how long the steps of a session may take",
            start,
            end,
        )
        .hint("put it behind them: session(drop then export within:10m)")),
        FieldName::After => time(text, now, start, end).map(Term::After),
        FieldName::Before => time(text, now, start, end).map(Term::Before),
        FieldName::Number(number) => {
            let comparison = Comparison::ALL.into_iter().find(|c| text.starts_with(c.sign()));
            let comparison = comparison.unwrap_or(Comparison::Equal);
            let operand = text.get(comparison.sign().len()..).unwrap_or("");
            let (from, to) = part(comparison.sign().len(), operand.len());
            let value = match number {
                Number::Duration => duration(operand, from, to)?,
                _ => operand.parse().map_err(|_| {
                    ParseError::new(format!("`{}` is not a whole number", cut(operand)), from, to)
                        .hint(format!("such as {0}:5 {0}:>0 {0}:!=0", number.name()))
                })?,
            };
            Ok(Term::Number(number, comparison, value))
        }
        // Texts are read by the parser itself.
        FieldName::Text(_) => Err(ParseError::new("a text is no filter", start, end)),
    }
}

/// The values between commas, with their places.
fn parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(',').map(move |one| {
        let from = at;
        at += one.len() + 1;
        (from, one)
    })
}

fn empty_part((start, end): (usize, usize)) -> ParseError {
    ParseError::new("a value is missing here", start, end)
        .hint("write values as one,two without spaces; quote a value that holds a comma")
}

/// Those of `names` that the comma-separated words (with `*`) name, in the order of `names`.
fn choose<'n>(
    text: &str,
    what: &str,
    names: &[&'n str],
    part: impl Fn(usize, usize) -> (usize, usize),
) -> Result<Vec<&'n str>, ParseError> {
    let mut chosen = vec![false; names.len()];
    for (from, one) in parts(text) {
        let pattern = Pattern::wildcard(one);
        let mut known = false;
        for (name, chosen) in names.iter().zip(&mut chosen) {
            if pattern.matches(name) {
                *chosen = true;
                known = true;
            }
        }
        if !known {
            let (start, end) = part(from, one.len());
            let list = format!("{what} is one of {}", names.join(", "));
            let hint = match nearest(one, names.iter().copied(), 2) {
                Some(near) => format!("did you mean `{near}`? {list}"),
                None => list,
            };
            return Err(ParseError::new(format!("there is no {what} `{}`", cut(one)), start, end)
                .hint(hint));
        }
    }
    Ok(names.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| *name).collect())
}

/// Milliseconds.
fn duration(text: &str, start: usize, end: usize) -> Result<i64, ParseError> {
    let refuse = |message: String| {
        ParseError::new(message, start, end)
            .hint("durations are such as duration:>5s duration:<=250ms duration:>1h30m")
    };
    if text == "0" {
        return Ok(0);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refuse(format!("`{}` needs a unit", cut(text))));
    }
    match duration_micros(text) {
        Some(micros) if micros % 1000 == 0 => Ok(micros / 1000),
        Some(_) => Err(refuse("durations are counted in whole milliseconds".to_owned())),
        None => Err(refuse(format!("`{}` is not a duration", cut(text)))),
    }
}

/// The time that steps may take, in microseconds.
pub(super) fn within(value: &Value<'_>) -> Result<i64, ParseError> {
    let text = match &value.form {
        Form::Bare(text) => text,
        Form::Exact(text) | Form::ExactCase(text) | Form::Regex(text, _) => text.as_str(),
    };
    duration_micros(text).ok_or_else(|| {
        ParseError::new(format!("`{}` is not a duration", cut(text)), value.start, value.end)
            .hint("durations are such as within:30s within:10m within:1h30m")
    })
}

/// A date, a minute, an RFC 3339 time, or how long ago.
fn time(text: &str, now: Micros, start: usize, end: usize) -> Result<Micros, ParseError> {
    let refuse = |message: String| {
        ParseError::new(message, start, end).hint(
            "times are such as 2026-03-01, 2026-03-01T14:00Z, 2026-03-01T14:00:30.5+02:00, or how long ago: 24h 7d 30m",
        )
    };
    if let Some(ago) = duration_micros(text) {
        return Ok(Micros(now.0.saturating_sub(ago).max(0)));
    }
    let Some((date, rest)) = text.split_at_checked(10) else {
        return Err(refuse(format!("`{}` is not a time", cut(text))));
    };
    if rest.is_empty() {
        return Micros::parse(&format!("{date}T00:00:00Z"))
            .map_err(|_| refuse(format!("`{}` is not a date between 1970 and 2199", cut(text))));
    }
    let clock = rest.get(1..).filter(|_| rest.starts_with(['T', 't', ' '])).unwrap_or("");
    let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
    let zone = if zone.is_empty() { "Z" } else { zone };
    Micros::parse(&format!("{date}T{clock}{seconds}{zone}"))
        .map_err(|_| refuse(format!("`{}` is not a time between 1970 and 2199", cut(text))))
}

/// A written value, short enough for a message.
fn cut(text: &str) -> String {
    daybook_engine::event::time::excerpt(text)
}
