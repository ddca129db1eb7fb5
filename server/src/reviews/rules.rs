//! Rules: what a review takes, by the role, the type and the scope that it is of.
//!
//! A rule makes a request no easier: of two numbers of approvals the larger one counts, of two times the shorter one.
//! Rules are applied when a review is asked for over HTTP, and are then a part of its `review.request`; a proxy that
//! sends such an event itself says what it takes. Who may decide alone is looked up when somebody wants to.

use daybook_engine::catalog::filter::Pattern;
use daybook_engine::event::Scope;
use std::time::Duration;

/// The most names in each list of a rule.
pub const NAMES_MAX: usize = 256;

/// What reviews take that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: Box<str>,
    /// The roles that it is about (`*` stands for anything); empty for all.
    pub roles: Vec<String>,
    /// The types of roles; empty for all.
    pub types: Vec<String>,
    /// Only sessions, or only commands.
    pub scope: Option<Scope>,
    /// The groups of which somebody has to approve; empty leaves that to the request.
    pub groups: Vec<String>,
    /// How many have to approve; 0 leaves that to the request.
    pub min_approvals: u32,
    /// The groups of which one alone may decide.
    pub force: Vec<String>,
    /// How long a review waits at most.
    pub expires_in: Option<Duration>,
    /// How long a session may last at most once it is approved.
    pub duration: Option<Duration>,
}

/// What a request takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The groups that may decide; empty for everybody who may review.
    pub groups: Vec<Box<str>>,
    /// How many have to approve.
    pub min_approvals: Option<u32>,
    /// How long it waits.
    pub expires_in: Option<Duration>,
    /// How long the session may last.
    pub duration: Option<Duration>,
}

impl Rule {
    /// A rule of this name, which says nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Rule {
        Rule { name: name.into(), ..Rule::default() }
    }

    fn is_about(&self, role: &str, kind: &str, scope: Scope) -> bool {
        let any = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|one| Pattern::wildcard(one).matches(name))
        };
        any(&self.roles, role) && any(&self.types, kind) && self.scope.is_none_or(|of| of == scope)
    }

    /// What a request takes that asked for `terms`.
    #[must_use]
    pub fn apply(&self, terms: Terms) -> Terms {
        fn least(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        let groups = match self.groups.is_empty() {
            true => terms.groups,
            false => self.groups.iter().map(|group| group.as_str().into()).collect(),
        };
        Terms {
            groups,
            min_approvals: Some(terms.min_approvals.unwrap_or(1).max(self.min_approvals).max(1)),
            expires_in: least(terms.expires_in, self.expires_in),
            duration: least(terms.duration, self.duration),
        }
    }
}

/// The first rule that is about a role, a type and a scope.
#[must_use]
pub fn of<'a>(rules: &'a [Rule], role: &str, kind: &str, scope: Scope) -> Option<&'a Rule> {
    rules.iter().find(|rule| rule.is_about(role, kind, scope))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_rule_that_is_about_it_makes_a_request_no_easier() {
        let minutes = |n: u64| Some(Duration::from_secs(n * 60));
        let prod = Rule {
            roles: vec!["prod-*".into()],
            scope: Some(Scope::Command),
            groups: vec!["dba".into()],
            min_approvals: 2,
            expires_in: minutes(15),
            ..Rule::new("prod")
        };
        let rest = Rule { types: vec!["ssh".into()], duration: minutes(60), ..Rule::new("rest") };
        let rules = [prod, rest];
        let named = |role, kind, scope| of(&rules, role, kind, scope).map(|rule| &*rule.name);
        assert_eq!(named("prod-eu", "ssh", Scope::Command), Some("prod"));
        assert_eq!(named("prod-eu", "ssh", Scope::Session), Some("rest"));
        assert_eq!(named("lab", "database", Scope::Command), None);
        let asked = Terms {
            groups: vec!["friends".into()],
            min_approvals: Some(1),
            expires_in: minutes(60),
            duration: None,
        };
        let taken = rules[0].apply(asked.clone());
        assert_eq!(
            (&*taken.groups[0], taken.min_approvals, taken.expires_in),
            ("dba", Some(2), minutes(15))
        );
        let stricter = Terms { min_approvals: Some(3), expires_in: minutes(5), ..asked };
        let taken = rules[0].apply(stricter.clone());
        assert_eq!((taken.min_approvals, taken.expires_in), (Some(3), minutes(5)));
        let taken = rules[1].apply(stricter);
        assert_eq!((&*taken.groups[0], taken.duration), ("friends", minutes(60)));
    }
}
