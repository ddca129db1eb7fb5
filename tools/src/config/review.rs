//! The settings of rules for access requests: a table `[review.NAME]` each.

use super::setting::{Field, Setting, age, one_of, show_age};
use super::tables::{Kind, names};
use daybook_engine::event::Scope;
use daybook_server::reviews::rules::{NAMES_MAX, Rule};
use std::time::Duration;

/// The most of them.
const RULES_MAX: usize = 256;
/// A review waits, and a session lasts, at most so long.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The settings of a rule.
pub const SETTINGS: &[Setting<Rule>] = &[
    Setting {
        key: "roles",
        what: "the resource roles that it is about, with commas between them; `*` stands for anything; empty: all",
        at: "the first rule that fits counts",
        field: Field::Text(|rule| rule.roles.join(","), |rule, text| put(&mut rule.roles, text)),
    },
    Setting {
        key: "types",
        what: "the types of roles that it is about, such as `database,ssh`; empty: all",
        at: "as `roles`",
        field: Field::Text(|rule| rule.types.join(","), |rule, text| put(&mut rule.types, text)),
    },
    Setting {
        key: "scope",
        what: "is it about `session`s, about `command`s, or about `any`?",
        at: "as `roles`",
        field: Field::Text(
            |rule| rule.scope.map_or("any", Scope::name).to_owned(),
            |rule, text| {
                let all = [
                    ("session", Some(Scope::Session)),
                    ("command", Some(Scope::Command)),
                    ("any", None),
                ];
                rule.scope = one_of(text, &all)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "groups",
        what: "the groups of which somebody has to approve, with commas between them; empty: those that the request names",
        at: "who is in none of them can't decide",
        field: Field::Text(|rule| rule.groups.join(","), |rule, text| put(&mut rule.groups, text)),
    },
    Setting {
        key: "min_approvals",
        what: "how many have to approve; 0: as many as the request says",
        at: "a request that asks for more takes more",
        field: Field::Text(
            |rule| rule.min_approvals.to_string(),
            |rule, text| {
                let number = text.parse().ok().filter(|number| *number <= 100);
                rule.min_approvals = number.ok_or("write a number from 0 to 100")?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "force",
        what: "the groups of which one alone may decide, with commas between them",
        at: "empty: nobody may",
        field: Field::Text(|rule| rule.force.join(","), |rule, text| put(&mut rule.force, text)),
    },
    Setting {
        key: "expires_in",
        what: "how long a review waits at most, such as `30m`; empty: as the request says",
        at: "it is expired",
        field: Field::Text(
            |rule| lasting(rule.expires_in),
            |rule, text| put_age(&mut rule.expires_in, text),
        ),
    },
    Setting {
        key: "duration",
        what: "how long a session may last once it is approved, such as `8h`; empty: as the request says",
        at: "its proxy is to end it: the review's `valid_until` says when",
        field: Field::Text(
            |rule| lasting(rule.duration),
            |rule, text| put_age(&mut rule.duration, text),
        ),
    },
];

/// The tables of rules.
pub(super) const KIND: Kind<Rule> =
    Kind { name: "review", settings: SETTINGS, new: |name| Ok(Rule::new(name)), check: |_| Ok(()) };

/// Are there not too many?
pub(super) fn count(rules: Vec<Rule>) -> Result<Vec<Rule>, String> {
    match rules.len() > RULES_MAX {
        true => Err(format!("there are at most {RULES_MAX} tables [review.NAME]")),
        false => Ok(rules),
    }
}

fn put(place: &mut Vec<String>, text: &str) -> Result<(), String> {
    *place = names(text, NAMES_MAX)?;
    Ok(())
}

fn lasting(age: Option<Duration>) -> String {
    age.map_or_else(String::new, show_age)
}

fn put_age(place: &mut Option<Duration>, text: &str) -> Result<(), String> {
    *place = match text {
        "" => None,
        text => match age(text)? {
            age if age.is_zero() || age > DURATION_MAX => {
                return Err("write an age up to 366d, such as 30m".to_owned());
            }
            age => Some(age),
        },
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::super::{Config, file};
    use super::*;

    fn rules(text: &str) -> Result<Vec<Rule>, String> {
        let mut config = Config::default();
        file::read(text, &mut config).map(|()| config.server.review_rules)
    }

    #[test]
    fn tables_say_what_reviews_take_in_the_order_of_the_file() {
        let read = rules(
            "[review.z]\nroles = \"prod-*, stage\"\nscope = \"command\"\ngroups = \"dba\"\nmin_approvals = 2\n\
             force = \"oncall\"\nexpires_in = \"30m\"\n[review.a]\ntypes = \"ssh\"\nduration = \"8h\"\n",
        )
        .unwrap();
        let [z, a] = &*read else { panic!("{read:?}") };
        assert_eq!(
            (&*z.name, &*z.roles, z.scope),
            ("z", &["prod-*".to_owned(), "stage".to_owned()][..], Some(Scope::Command))
        );
        assert_eq!(
            (z.min_approvals, &*z.force, z.expires_in),
            (2, &["oncall".to_owned()][..], Some(Duration::from_secs(1_800)))
        );
        assert_eq!((&*a.name, a.scope, a.duration), ("a", None, Some(Duration::from_secs(28_800))));
        for (text, part) in [
            ("review = 1", "line 1: `review` has a table for each rule"),
            ("[review]\nroles = \"x\"", "line 2: [review.roles] is a table"),
            (
                "[review.a]\nscope = \"all\"",
                "line 2: [review.a]: `scope`: write session or command or any",
            ),
            (
                "[review.a]\ngroup = \"x\"",
                "line 2: [review.a]: unknown key `group`; did you mean `groups`",
            ),
            ("[review.a]\ngroups = \"x,,y\"", "names with commas"),
            ("[review.a]\nmin_approvals = 101", "from 0 to 100"),
            ("[review.a]\nexpires_in = \"0s\"", "such as 30m"),
            ("[review.a]\nduration = 5", "such as 15m"),
        ] {
            let said = rules(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
