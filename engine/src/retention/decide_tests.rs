#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::age::Keep;
use super::decide::{Candidate, Cause, Decision, Planned, SessionFacts, plan};
use super::holds::{Hold, Keys, Scope};
use super::policy::{Names, Policy, Rule};
use crate::event::{Micros, SessionKey};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

const SECOND: i64 = 1_000_000;

#[derive(Clone, Debug)]
struct Made {
    created: i64,
    bytes: u64,
    sessions: Vec<SessionFacts>,
}

fn name(of: &'static [&'static str]) -> impl Strategy<Value = Option<Box<str>>> {
    prop::option::weighted(0.8, prop::sample::select(of).prop_map(Into::into))
}

fn names(of: &'static [&'static str]) -> impl Strategy<Value = Option<Names>> {
    prop::option::of(prop::sample::select(of).prop_map(Names::new))
}

fn segment() -> impl Strategy<Value = Made> {
    let session = (
        0u64..12,
        1u64..5,
        name(&["ann", "bob"]),
        name(&["prod", "lab-1", "lab-2"]),
        name(&["ssh", "database"]),
    )
        .prop_map(|(key, events, user, role, kind)| {
            let id = if key == 11 { "daybook".into() } else { format!("s{key}").into() };
            (key, SessionFacts { key: SessionKey(key), id, events, user, role, kind })
        });
    (0i64..40, 1u64..100, prop::collection::vec(session, 1..6)).prop_map(
        |(created, bytes, sessions)| {
            let sessions: BTreeMap<u64, SessionFacts> = sessions.into_iter().collect();
            Made { created: created * SECOND, bytes, sessions: sessions.into_values().collect() }
        },
    )
}

fn keep() -> impl Strategy<Value = Keep> {
    prop_oneof![1 => Just(Keep::Forever), 3 => (1u64..40).prop_map(Keep::Seconds)]
}

fn policy() -> impl Strategy<Value = Policy> {
    let rule =
        (names(&["ann", "*"]), names(&["prod", "lab-*", "*"]), names(&["ssh", "data*"]), keep())
            .prop_map(|(user, role, kind, keep)| Rule { user, role, kind, keep });
    (prop::collection::vec(rule, 0..4), keep(), prop::option::of(1u64..300))
        .prop_map(|(rules, default, bytes_max)| Policy { rules, default, bytes_max })
}

fn hold() -> impl Strategy<Value = Hold> {
    let scope = (
        prop::collection::vec(prop::sample::select(vec!["s1", "s2", "s3"]), 0..2),
        names(&["ann", "b*"]),
        names(&["lab-1", "p*"]),
    )
        .prop_map(|(sessions, users, roles)| Scope {
            sessions: sessions.into_iter().map(Into::into).collect(),
            users: users.into_iter().collect(),
            roles: roles.into_iter().collect(),
            query: None,
        });
    (scope, prop::collection::btree_set(0u64..12, 0..3)).prop_map(|(scope, matched)| Hold {
        id: "h".into(),
        scope,
        case: "c".into(),
        reason: "r".into(),
        by: "b".into(),
        placed: Micros(0),
        matched: Keys(matched.into_iter().map(SessionKey).collect()),
    })
}

/// What goes, said as plainly as it can be: the sessions of each segment, with the causes.
fn naive(
    made: &[Made],
    policy: &Policy,
    holds: &[Hold],
    now: i64,
) -> Vec<BTreeMap<SessionKey, Cause>> {
    let may_go = |session: &SessionFacts| {
        let mut held = *session.id == *"daybook";
        for hold in holds {
            held |= hold.scope.sessions.iter().any(|id| **id == *session.id);
            held |= hold.scope.users.iter().any(|names| names.have(session.user.as_deref()));
            held |= hold.scope.roles.iter().any(|names| names.have(session.role.as_deref()));
            held |= hold.matched.0.contains(&session.key);
        }
        !held
    };
    let mut gone: Vec<BTreeMap<SessionKey, Cause>> = Vec::new();
    for segment in made {
        let mut here = BTreeMap::new();
        for session in segment.sessions.iter().filter(|session| may_go(session)) {
            let mut keep = (policy.default, Cause::Default);
            for (n, rule) in policy.rules.iter().enumerate().rev() {
                let user = rule.user.as_ref().is_none_or(|n| n.have(session.user.as_deref()));
                let role = rule.role.as_ref().is_none_or(|n| n.have(session.role.as_deref()));
                let kind = rule.kind.as_ref().is_none_or(|n| n.have(session.kind.as_deref()));
                if user && role && kind {
                    keep = (rule.keep, Cause::Rule(n));
                }
            }
            if let (Keep::Seconds(seconds), cause) = keep
                && now - segment.created >= seconds as i64 * SECOND
            {
                here.insert(session.key, cause);
            }
        }
        gone.push(here);
    }
    let stays = |segment: &Made, gone: &BTreeMap<SessionKey, Cause>| {
        if gone.len() == segment.sessions.len() {
            return 0;
        }
        let events: u64 = segment.sessions.iter().map(|s| s.events).sum();
        let erased: u64 =
            segment.sessions.iter().filter(|s| gone.contains_key(&s.key)).map(|s| s.events).sum();
        segment.bytes - segment.bytes * erased / events
    };
    for at in 0..made.len() {
        let left: u64 = made.iter().zip(&gone).map(|(segment, gone)| stays(segment, gone)).sum();
        if policy.bytes_max.is_some_and(|max| left > max) {
            for session in made[at].sessions.iter().filter(|session| may_go(session)) {
                gone[at].entry(session.key).or_insert(Cause::Bytes);
            }
        }
    }
    gone
}

fn decide(made: &[Made], policy: &Policy, holds: &[Hold], now: i64) -> super::decide::Plan {
    let candidates: Vec<Candidate> = made
        .iter()
        .map(|segment| Candidate {
            created: Micros(segment.created),
            bytes: segment.bytes,
            events: segment.sessions.iter().map(|s| s.events).sum(),
            due: Micros(0),
        })
        .collect();
    let mut sessions = |at: usize| Ok::<_, Infallible>(made[at].sessions.clone());
    plan(&candidates, policy, holds, Micros(now), &mut sessions).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_goes_is_what_the_rules_say_and_no_session_that_is_held(
        mut made in prop::collection::vec(segment(), 0..7),
        policy in policy(),
        holds in prop::collection::vec(hold(), 0..3),
        now in 0i64..80,
    ) {
        made.sort_by_key(|segment| segment.created);
        let now = now * SECOND;
        let gone = naive(&made, &policy, &holds, now);
        let plan = decide(&made, &policy, &holds, now);
        let mut planned: BTreeMap<usize, Planned> =
            plan.planned.into_iter().map(|p| (p.segment, p)).collect();
        for (at, (segment, gone)) in made.iter().zip(&gone).enumerate() {
            let Some(planned) = planned.remove(&at) else {
                prop_assert!(gone.is_empty(), "{at} stays");
                continue;
            };
            let keys: BTreeSet<SessionKey> = gone.keys().copied().collect();
            let causes: BTreeSet<Cause> = gone.values().copied().collect();
            prop_assert_eq!((planned.sessions, &planned.causes), (keys.len() as u64, &causes));
            let whole = gone.len() == segment.sessions.len();
            let decision = if whole { Decision::Delete } else { Decision::Rewrite { erase: keys } };
            prop_assert_eq!(planned.decision(), decision);
        }
        prop_assert!(planned.is_empty());
        // Nothing goes before it is said to be due, unless for the bytes.
        let by_age = Policy { bytes_max: None, ..policy };
        for (at, due) in plan.due {
            let later = due.0.min(200 * SECOND) - 1;
            if later >= now {
                let plan = decide(&made, &by_age, &[], later);
                prop_assert!(plan.planned.iter().all(|planned| planned.segment != at));
            }
        }
    }
}

#[test]
fn young_segments_are_not_looked_into() {
    let policy = Policy { default: Keep::Seconds(10), ..Policy::default() };
    let young = Candidate { created: Micros(5 * SECOND), bytes: 1, events: 1, due: Micros(0) };
    let known = Candidate { created: Micros(0), due: Micros(100 * SECOND), ..young };
    let mut asked = |at: usize| -> Result<Vec<SessionFacts>, String> { Err(at.to_string()) };
    let now = Micros(14 * SECOND);
    assert!(plan(&[known, young], &policy, &[], now, &mut asked).unwrap().planned.is_empty());
    let old = Candidate { created: Micros(SECOND), ..young };
    assert_eq!(plan(&[known, old], &policy, &[], now, &mut asked), Err("1".to_owned()));
}
