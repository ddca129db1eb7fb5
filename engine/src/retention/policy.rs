//! The policy: how long the sessions of which users, roles and types are kept, and how much in all.
//!
//! ```json
//! {"rules": [{"type": "ssh", "role": "lab-*", "keep": "30d"}, {"role": "prod-*", "keep": "7y"}],
//!  "default": "1y", "bytes_max": 500000000000}
//! ```
//!
//! The first rule that fits a session decides; the default decides where none does. An age counts
//! from when daybook sealed the events into their segment, not from the times that producers wrote
//! into them: an import of old recordings must not vanish the next minute. A rule that names a user,
//! a role or a type does not fit a session of which that is not known. `bytes_max` bounds the sealed
//! segments together: past it the oldest go, whatever their age, but never what is held.

use super::age::Keep;
use crate::catalog::filter::Pattern;
use crate::event::time::excerpt;
use crate::event::wire::NAME_BYTES_MAX;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The most rules of a policy.
pub const RULES_MAX: usize = 256;

/// Names with a shape: `*` stands for anything, also nothing. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Names(Pattern);

impl Names {
    /// The names of a shape.
    #[must_use]
    pub fn new(text: &str) -> Names {
        Names(Pattern::wildcard(text))
    }

    /// Is a name among them? One that is not known is not.
    #[must_use]
    pub fn have(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.0.matches(name))
    }

    /// Is it usable: not empty, not too long?
    pub(super) fn check(&self) -> Result<(), String> {
        let text = self.to_string();
        if text.is_empty() {
            return Err("a name is empty; `*` stands for any".to_owned());
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(format!(
                "`{}` has {} bytes, over the limit of {NAME_BYTES_MAX} for a name",
                excerpt(&text),
                text.len()
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, piece) in self.0.literals().iter().enumerate() {
            write!(f, "{}{piece}", if at > 0 { "*" } else { "" })?;
        }
        Ok(())
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Names::new(&String::deserialize(deserializer)?);
        names.check().map_err(de::Error::custom)?;
        Ok(names)
    }
}

/// How long some sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only sessions of these users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Names>,
    /// Only sessions of these resource roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Names>,
    /// Only sessions of roles of these types.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Names>,
    /// For how long.
    pub keep: Keep,
}

impl Rule {
    /// Does it fit a session?
    #[must_use]
    pub fn fits(&self, user: Option<&str>, role: Option<&str>, kind: Option<&str>) -> bool {
        let fits = |names: &Option<Names>, name| names.as_ref().is_none_or(|n| n.have(name));
        fits(&self.user, user) && fits(&self.role, role) && fits(&self.kind, kind)
    }
}

/// A rule in a line: `type:ssh role:lab-* 30d`. Names with spaces can be said in JSON and TOML alone.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, names) in [("user", &self.user), ("role", &self.role), ("type", &self.kind)] {
            if let Some(names) = names {
                write!(f, "{name}:{names} ")?;
            }
        }
        self.keep.fmt(f)
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Rule, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let keep = words
            .pop()
            .ok_or("a rule is empty; write one such as `type:ssh role:lab-* 30d`")?
            .parse()?;
        let mut rule = Rule { user: None, role: None, kind: None, keep };
        for word in words {
            let (name, names) = word.split_once(':').unwrap_or((word, ""));
            let slot = match name {
                "user" => &mut rule.user,
                "role" => &mut rule.role,
                "type" => &mut rule.kind,
                _ => {
                    return Err(format!(
                        "`{}` names no condition of a rule: write user:NAMES, role:NAMES or type:NAMES, then the age",
                        excerpt(word)
                    ));
                }
            };
            let names = Names::new(names);
            names.check()?;
            if slot.replace(names).is_some() {
                return Err(format!("a rule can name `{name}` once; write a rule for each"));
            }
        }
        Ok(rule)
    }
}

/// How long what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The first that fits a session decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Decides where no rule fits.
    #[serde(default)]
    pub default: Keep,
    /// The most bytes of all sealed segments together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
}

impl Policy {
    /// Is it within its bounds?
    ///
    /// # Errors
    /// What is not, and how to mend it.
    pub fn check(&self) -> Result<(), String> {
        if self.rules.len() > RULES_MAX {
            return Err(format!(
                "a policy with {} rules is over the limit of {RULES_MAX}; let patterns such as `prod-*` stand for many names",
                self.rules.len()
            ));
        }
        for rule in &self.rules {
            for names in [&rule.user, &rule.role, &rule.kind].into_iter().flatten() {
                names.check()?;
            }
        }
        if self.bytes_max == Some(0) {
            return Err(
                "`bytes_max` is 0, which would keep nothing; leave it out for no bound".to_owned()
            );
        }
        Ok(())
    }

    /// How long a session is kept, and the place of the rule that says so; the default has none.
    #[must_use]
    pub fn keep(
        &self,
        user: Option<&str>,
        role: Option<&str>,
        kind: Option<&str>,
    ) -> (Keep, Option<usize>) {
        let rules = self.rules.iter().enumerate();
        let first = rules.filter(|(_, rule)| rule.fits(user, role, kind)).map(|(n, r)| (r.keep, n));
        first.map(|(keep, n)| (keep, Some(n))).next().unwrap_or((self.default, None))
    }

    /// The shortest age that it knows; nothing younger goes for its age.
    #[must_use]
    pub fn shortest(&self) -> Keep {
        let ages = self.rules.iter().map(|rule| rule.keep).chain([self.default]);
        let seconds = ages.filter_map(|keep| match keep {
            Keep::Forever => None,
            Keep::Seconds(seconds) => Some(seconds),
        });
        seconds.min().map_or(Keep::Forever, Keep::Seconds)
    }

    /// Does it delete anything at all?
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.bytes_max.is_some() || self.shortest() != Keep::Forever
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        for text in ["30d", "forever", "type:ssh 30d", "user:*@example.com role:prod-* type:* 7y"] {
            let rule: Rule = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
            let json = serde_json::to_string(&rule).unwrap();
            assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
        }
        for bad in ["", "type:ssh", "kind:ssh 30d", "type: 30d", "type:a type:b 1d", "30d type:ssh"]
        {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_an_unknown_fact_fits_no_name() {
        let rules = ["type:ssh role:lab-* 1d", "type:ssh 30d", "role:* 2y"];
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let policy = Policy { rules, default: Keep::Seconds(9), bytes_max: None };
        let keep = |role, kind| policy.keep(None, role, kind).1;
        assert_eq!(keep(Some("lab-1"), Some("ssh")), Some(0));
        assert_eq!(keep(Some("prod"), Some("ssh")), Some(1));
        assert_eq!(keep(None, Some("ssh")), Some(1));
        assert_eq!(keep(Some("prod"), None), Some(2));
        assert_eq!(keep(None, None), None);
        assert_eq!(policy.shortest(), Keep::Seconds(9));
        assert!(policy.deletes() && !Policy::default().deletes());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            r#"{"rules":[{"keep":"30d","colour":"red"}]}"#,
            r#"{"default":"soon"}"#,
            r#"{"rules":[{"role":"","keep":"30d"}]}"#,
            r#"{"bytes":1}"#,
        ] {
            assert!(serde_json::from_str::<Policy>(bad).is_err(), "{bad}");
        }
        assert!(Policy { bytes_max: Some(0), ..Policy::default() }.check().is_err());
    }
}
