//! The flags that narrow lists and searches.

use crate::source::{parsed, values};
use daybook_engine::catalog::filter::{Pattern, TextFact};
use daybook_engine::event::Micros;
use daybook_engine::session::Status;
use daybook_query::lang::{Expr, Query, Term};

/// Which sessions, by what is known of them. `*` stands for anything; of several values with commas
/// between them one has to fit.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FilterArgs {
    /// Only this user's
    #[arg(long)]
    user: Option<String>,
    /// Only through this resource role, such as prod-*
    #[arg(long)]
    role: Option<String>,
    /// Only roles of this type: database, ssh, kubernetes, application
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only with this status: open, pending_review, done, failed, killed, rejected
    #[arg(long, value_parser = parse_statuses)]
    status: Option<String>,
    /// Only with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only from this time on: 2026-03-01, 2026-03-01T14:00Z, or 24h, 7d before now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub after: Option<Micros>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub before: Option<Micros>,
}

impl FilterArgs {
    /// The conditions on sessions' texts.
    #[must_use]
    pub fn facts(&self) -> Vec<(TextFact, String)> {
        [
            (TextFact::User, &self.user),
            (TextFact::Role, &self.role),
            (TextFact::Type, &self.kind),
            (TextFact::Status, &self.status),
            (TextFact::Tag, &self.tag),
        ]
        .into_iter()
        .filter_map(|(fact, value)| value.clone().map(|value| (fact, value)))
        .collect()
    }

    /// A query narrowed by the flags; here the times are those of events.
    ///
    /// # Errors
    /// A query that can't be read.
    pub fn narrow(&self, text: &str) -> anyhow::Result<Query> {
        let facts = self.facts().into_iter();
        let terms = facts
            .map(|(fact, value)| Term::Fact(fact, values(&value).map(Pattern::wildcard).collect()))
            .chain(self.after.map(Term::After))
            .chain(self.before.map(Term::Before));
        let mut query = parsed(text)?;
        for term in terms {
            query = query.and(Query { expr: Expr::Term(term) });
        }
        Ok(query)
    }
}

/// Checks the names of statuses.
fn parse_statuses(text: &str) -> Result<String, String> {
    let names = Status::ALL.map(Status::name);
    match values(text).find(|value| !names.contains(value)) {
        Some(other) => Err(format!("`{other}` is no status; there are {}", names.join(", "))),
        None => Ok(text.to_owned()),
    }
}

/// Reads a time: RFC 3339, a date, a date with hours and minutes, or a span before now.
///
/// # Errors
/// A text that is none of these.
pub fn parse_time(text: &str) -> Result<Micros, String> {
    if let Some(span) = span_micros(text) {
        return Ok(Micros(Micros::now().0.saturating_sub(span).max(0)));
    }
    let wire = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => match text.strip_suffix('Z').unwrap_or(text) {
            minutes if minutes.len() == 16 => format!("{minutes}:00Z"),
            seconds if seconds.len() == 19 => format!("{seconds}Z"),
            _ => text.to_owned(),
        },
    };
    Micros::parse(&wire).map_err(|_| {
        format!(
            "`{text}` is no time; write 2026-03-01, 2026-03-01T14:00Z, or 24h or 7d for before now"
        )
    })
}

fn span_micros(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|n| *n >= 0)?;
    number.checked_mul(seconds)?.checked_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_time_may_be_a_date_a_minute_or_a_span_before_now() {
        let wire = |text: &str| parse_time(text).unwrap().to_string();
        assert_eq!(wire("2026-03-01"), "2026-03-01T00:00:00.000000Z");
        assert_eq!(wire("2026-03-01T14:00Z"), "2026-03-01T14:00:00.000000Z");
        assert_eq!(wire("2026-03-01T14:00:05+02:00"), "2026-03-01T12:00:05.000000Z");
        let day = Micros::now().0 - parse_time("24h").unwrap().0;
        assert!((day - 86_400_000_000).abs() < 5_000_000);
        assert!(parse_time("soon").is_err() && parse_time("-3h").is_err());
    }

    #[test]
    fn flags_and_a_query_become_one_query_that_reads_back() {
        let args = FilterArgs {
            user: Some("ana@example.com".into()),
            role: Some("prod-*".into()),
            after: Some(Micros(0)),
            ..FilterArgs::default()
        };
        let query = args.narrow("drop OR truncate").unwrap();
        assert_eq!(parsed(&query.to_string()).unwrap(), query);
    }
}
