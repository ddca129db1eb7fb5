//! The settings of queues of sessions to look at: a table `[queue.NAME]` each.

use super::setting::{Field, Setting};
use super::tables::Kind;
use daybook_engine::event::Micros;
use daybook_server::queue::{ALL, RULES_MAX, Rule};
use std::time::Duration;

/// The settings of a queue.
pub const SETTINGS: &[Setting<Rule>] = &[
    Setting {
        key: "query",
        what: "which sessions, in the query language: facts of sessions only, such as `role:prod-* type:database`; empty: all",
        at: "one that asks about events is refused at the start",
        field: Field::Text(
            |rule| rule.query.to_string(),
            |rule, text| {
                let asked = Rule { query: text.into(), ..rule.clone() };
                asked.filter(Micros::now())?;
                *rule = asked;
                Ok(())
            },
        ),
    },
    Setting {
        key: "sample",
        what: "how many of these sessions are to be looked at, such as `10 %` or `0.5 %`; chance picks them",
        at: "a larger sample has all that a smaller one had",
        field: Field::Text(
            |rule| format!("{} %", rule.percent()),
            |rule, text| {
                rule.sample = millionths(text)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "age_max",
        what: "how long after its end a session is to be looked at",
        at: "it leaves the queue; reports count it as not reviewed",
        field: Field::Age(
            |rule| &mut rule.age_max,
            Duration::from_secs(60),
            Duration::from_secs(36_500 * 86_400),
        ),
    },
];

/// A share such as `10 %`.
fn millionths(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').map(str::trim_end).and_then(|n| n.parse::<f64>().ok());
    let percent = number.filter(|percent| (0.0..=100.0).contains(percent));
    let percent = percent.ok_or_else(|| "write a share from `0 %` to `100 %`".to_owned())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within 0 and ALL"
    )]
    Ok((percent / 100.0 * f64::from(ALL)).round() as u32)
}

/// A queue's table.
pub(super) const KIND: Kind<Rule> =
    Kind { name: "queue", settings: SETTINGS, new: Rule::new, check: |_| Ok(()) };

/// All of them, if they are not too many.
///
/// # Errors
/// How many there may be.
pub(super) fn count(rules: Vec<Rule>) -> Result<Vec<Rule>, String> {
    if rules.len() <= RULES_MAX {
        return Ok(rules);
    }
    Err(format!("there are {} queues, and may be {RULES_MAX}", rules.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crate::config::Config;
    use crate::config::file::read;

    fn refused(text: &str) -> String {
        read(text, &mut Config::default()).unwrap_err()
    }

    #[test]
    fn a_table_says_which_sessions_are_to_be_looked_at() {
        let mut config = Config::default();
        let text = "[queue.prod-db]\nquery = 'role:prod-* type:database'\nsample = \"12.5 %\"\nage_max = \"30d\"\n\
                    [queue.all]\n";
        read(text, &mut config).unwrap();
        let queues = &config.server.queues;
        assert_eq!((&*queues[0].name, queues[0].sample), ("prod-db", 125_000));
        assert_eq!((queues[0].age_max.as_secs(), &*queues[1].query), (30 * 86_400, ""));
        for (text, part) in [
            ("queue = 1", "line 1: `queue` has a table for each queue"),
            (
                "[queue.x]\nquery = 'cards'",
                "line 2: [queue.x]: `query`: a queue asks about sessions",
            ),
            ("[queue.x]\nsample = \"10\"", "write a share"),
            ("[queue.x]\nsample = \"101 %\"", "write a share"),
            ("[queue.x]\nsampl = \"1 %\"", "did you mean `sample`"),
            ("[queue.X]\n", "small letters"),
        ] {
            let said = refused(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
