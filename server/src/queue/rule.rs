//! `[queue.NAME]`: which sessions are to be looked at.

use super::sample::ALL;
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::Micros;
use daybook_query::lang;
use std::time::Duration;

/// The most queues.
pub const RULES_MAX: usize = 50;

/// Which sessions are to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The queue's name: small letters, digits and `-`.
    pub name: Box<str>,
    /// Which sessions, in daybook's language; facts of sessions only.
    pub query: Box<str>,
    /// How many of them, in millionths.
    pub sample: u32,
    /// How long after its end a session is to be looked at; then it leaves the queue.
    pub age_max: Duration,
}

impl Rule {
    /// A queue of all sessions.
    ///
    /// # Errors
    /// A name that can't be used.
    pub fn new(name: &str) -> Result<Rule, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
            return Err("a queue's name has 1 to 64 small letters, digits and `-`".to_owned());
        }
        Ok(Rule {
            name: name.into(),
            query: "".into(),
            sample: ALL,
            age_max: Duration::from_secs(90 * 86_400),
        })
    }

    /// The sessions that its query asks for, now.
    ///
    /// # Errors
    /// A query that can't be read, or that asks about events.
    pub fn filter(&self, now: Micros) -> Result<SessionFilter, String> {
        if self.query.trim().is_empty() {
            return Ok(SessionFilter::All);
        }
        let query = lang::parse(&self.query, now).map_err(|error| error.to_string())?;
        query.session_filter().ok_or_else(|| {
            "a queue asks about sessions only, such as role:prod-* type:database blocked:>0"
                .to_owned()
        })
    }

    /// The sample in words, such as `10 %`.
    #[must_use]
    pub fn percent(&self) -> f64 {
        f64::from(self.sample) / f64::from(ALL) * 100.0
    }
}
