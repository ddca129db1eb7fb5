//! Access requests: where a review stands after what was said of it.
//!
//! A review is asked for by one `review.request` and moved on by `review.decision` events. Where it stands is a pure
//! function of these and of who asked: it does not depend on the order in which they arrive. Decisions count in the
//! order of their times (of their numbers, where those are equal), and each does what the table says. What the table
//! has no entry for has no effect, but stays in the log:
//!
//! | it is | `approved` | `rejected` | `revoked` | `expired` | `executed` |
//! |---|---|---|---|---|---|
//! | pending | counted; with enough of them, or a forced one: **approved** | **rejected** | **revoked** | **expired** | |
//! | approved | | | **revoked** | | **executed** |
//! | executed | | | **revoked**, for scope `session` | | |
//! | rejected, revoked, expired | | | | | |
//!
//! - An approval counts once for each who gives it, and not if the requester gives it: nobody approves their own request.
//! - From `expires_at` on a review that is pending can't be approved or rejected any more, whether or not somebody has
//!   said already that it expired.
//! - A command that ran can't be revoked. A session that began can: then it is to end.
//! - Without its request, a review needs one approval and does not expire.

use crate::event::wire::{ReviewDecision, ReviewRequest};
use crate::event::{Decision, Micros, Scope, Seq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A review: what was asked, and what was said of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The request with the lowest seq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<(Seq, Micros, Box<ReviewRequest>)>,
    /// Every decision by seq.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: BTreeMap<Seq, (Micros, Box<ReviewDecision>)>,
}

/// Where a review stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewStatus {
    /// It waits for reviewers.
    Pending,
    /// It has the approvals that it takes.
    Approved,
    /// A reviewer said no.
    Rejected,
    /// The request or its approval was taken back.
    Revoked,
    /// Nobody answered in time.
    Expired,
    /// What was approved has been done.
    Executed,
}

impl ReviewStatus {
    /// Every status.
    pub const ALL: [ReviewStatus; 6] = [
        ReviewStatus::Pending,
        ReviewStatus::Approved,
        ReviewStatus::Rejected,
        ReviewStatus::Revoked,
        ReviewStatus::Expired,
        ReviewStatus::Executed,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReviewStatus::Pending => "pending",
            ReviewStatus::Approved => "approved",
            ReviewStatus::Rejected => "rejected",
            ReviewStatus::Revoked => "revoked",
            ReviewStatus::Expired => "expired",
            ReviewStatus::Executed => "executed",
        }
    }

    /// The status of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<ReviewStatus> {
        ReviewStatus::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Where a decision leads from here; `None` if it has no effect. An approval leads on only once it is the last
    /// one that it takes.
    #[must_use]
    pub fn after(self, decision: Decision, scope: Scope) -> Option<ReviewStatus> {
        use ReviewStatus::{Approved, Executed, Expired, Pending, Rejected, Revoked};
        match (self, decision) {
            (Pending, Decision::Approved) => Some(Approved),
            (Pending, Decision::Rejected) => Some(Rejected),
            (Pending, Decision::Expired) => Some(Expired),
            (Pending | Approved, Decision::Revoked) => Some(Revoked),
            (Executed, Decision::Revoked) if scope == Scope::Session => Some(Revoked),
            (Approved, Decision::Executed) => Some(Executed),
            _ => None,
        }
    }
}

/// Where a review stands, and what brought it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Where it stands.
    pub status: ReviewStatus,
    /// Since when: the time of the request, or of the decision that led there.
    pub since: Option<Micros>,
    /// When it was approved, if it was.
    pub approved_at: Option<Micros>,
    /// Whose approvals count, in the order in which they were given; an approval without a name is `None`.
    pub approvers: Vec<Option<&'a str>>,
    /// The numbers of the decisions that had an effect, in their order.
    pub effective: Vec<Seq>,
}

impl Review {
    /// Where it stands, if `requester` asked for it.
    #[must_use]
    pub fn status(&self, requester: Option<&str>) -> ReviewStatus {
        self.standing(requester).status
    }

    /// Where it stands and what brought it there, if `requester` asked for it.
    #[must_use]
    pub fn standing(&self, requester: Option<&str>) -> Standing<'_> {
        let (scope, needed) = (self.scope(), self.approvals_needed() as usize);
        let mut at = Standing {
            status: ReviewStatus::Pending,
            since: self.request.as_ref().map(|(_, time, _)| *time),
            approved_at: None,
            approvers: Vec::new(),
            effective: Vec::new(),
        };
        for (seq, time, said) in self.in_order() {
            let Some(next) = at.status.after(said.decision, scope) else { continue };
            let by = said.by.as_deref();
            let answers = matches!(said.decision, Decision::Approved | Decision::Rejected);
            if answers && self.expires_at().is_some_and(|expires| time >= expires) {
                continue;
            }
            if said.decision == Decision::Approved {
                if is_same(by, requester)
                    || at.approvers.iter().any(|other| *other == by || is_same(*other, by))
                {
                    continue;
                }
                at.approvers.push(by);
                at.effective.push(seq);
                if at.approvers.len() < needed && !said.forced {
                    continue;
                }
                at.approved_at = Some(time);
            } else {
                at.effective.push(seq);
            }
            (at.status, at.since) = (next, Some(time));
        }
        at
    }

    /// Its decisions by time.
    fn in_order(&self) -> Vec<(Seq, Micros, &ReviewDecision)> {
        let each = self.decisions.iter().map(|(seq, (time, said))| (*seq, *time, &**said));
        let mut all: Vec<_> = each.collect();
        all.sort_by_key(|(seq, time, _)| (*time, *seq));
        all
    }

    /// What it is about. Nothing is known of that without the request; then it is a command.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.request.as_ref().map_or(Scope::Command, |(_, _, request)| request.scope)
    }

    /// How many approvals it takes.
    #[must_use]
    pub fn approvals_needed(&self) -> u32 {
        self.request.as_ref().and_then(|(_, _, r)| r.min_approvals).unwrap_or(1).max(1)
    }

    /// From when on it can't be decided any more.
    #[must_use]
    pub fn expires_at(&self) -> Option<Micros> {
        self.request.as_ref().and_then(|(_, _, request)| request.expires_at)
    }

    /// When something was said of it last, or when it was asked for.
    #[must_use]
    pub fn changed_at(&self) -> Option<Micros> {
        let asked = self.request.as_ref().map(|(_, time, _)| *time);
        self.decisions.values().map(|(time, _)| *time).chain(asked).max()
    }
}

/// Are two names of the same person? Addresses are compared without their case.
#[must_use]
pub fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one.trim().eq_ignore_ascii_case(other.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const WHO: [&str; 4] =
        ["ann@example.com", "bea@example.com", "cid@example.com", "asks@example.com"];

    fn request(scope: Scope, min_approvals: u32, expires_at: Option<i64>) -> Review {
        let request = ReviewRequest {
            scope,
            command: None,
            groups: Vec::new(),
            min_approvals: Some(min_approvals),
            expires_at: expires_at.map(Micros),
            duration_ms: None,
            reason: None,
        };
        Review { request: Some((Seq(0), Micros(0), Box::new(request))), ..Review::default() }
    }

    fn said(decision: Decision, by: &str, forced: bool) -> Box<ReviewDecision> {
        Box::new(ReviewDecision { decision, by: Some(by.into()), comment: None, forced })
    }

    type Said = (i64, Decision, usize, bool);

    /// Where a review stands, from its definition: looks at the whole past of each decision instead of keeping a state.
    fn model(scope: Scope, needed: usize, expires_at: Option<i64>, all: &[Said]) -> ReviewStatus {
        let answers = |(time, ..): &Said| expires_at.is_none_or(|expires| *time < expires);
        let approved_by = |some: &[Said]| -> bool {
            let good =
                some.iter().filter(|one| one.1 == Decision::Approved && one.2 != 3 && answers(one));
            let people: BTreeSet<usize> = good.clone().map(|one| one.2).collect();
            people.len() >= needed
                || good.clone().any(|one| {
                    one.3 && {
                        // One that was counted before, unforced, is not counted again.
                        let before = some.iter().take_while(|other| *other != one);
                        !before.clone().any(|other| {
                            other.1 == Decision::Approved && other.2 == one.2 && answers(other)
                        })
                    }
                })
        };
        let approval = (0..=all.len()).find(|n| approved_by(&all[..*n]));
        let refusal = all.iter().position(|one| match one.1 {
            Decision::Rejected => answers(one),
            Decision::Revoked | Decision::Expired => true,
            _ => false,
        });
        let Some(approval) = approval.filter(|n| refusal.is_none_or(|at| *n <= at)) else {
            return match refusal.map(|at| all[at].1) {
                None => ReviewStatus::Pending,
                Some(Decision::Rejected) => ReviewStatus::Rejected,
                Some(Decision::Revoked) => ReviewStatus::Revoked,
                Some(_) => ReviewStatus::Expired,
            };
        };
        let later = &all[approval..];
        let first = |decision| later.iter().position(|one| one.1 == decision);
        match (first(Decision::Executed), first(Decision::Revoked)) {
            (None, None) => ReviewStatus::Approved,
            (Some(_), None) => ReviewStatus::Executed,
            (Some(ran), Some(revoked)) if ran < revoked && scope == Scope::Command => {
                ReviewStatus::Executed
            }
            (_, Some(_)) => ReviewStatus::Revoked,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_review_stands_where_its_definition_has_it_whatever_comes_first(
            session in any::<bool>(),
            needed in 1..4u32,
            expires_at in prop::option::of(0..24i64),
            mut all in prop::collection::vec((0..3i64, prop::sample::select(Decision::ALL.to_vec()), 0..4usize, prop::bool::weighted(0.1)), 0..12),
            order in any::<u64>(),
        ) {
            let scope = if session { Scope::Session } else { Scope::Command };
            let mut time = 0;
            for one in &mut all {
                time += one.0;
                one.0 = time;
            }
            // Two that are equal in all are one to the model's look at the past.
            all.dedup();
            let mut review = request(scope, needed, expires_at);
            let mut places: Vec<usize> = (0..all.len()).collect();
            places.sort_by_key(|place| (*place as u64 + 1).wrapping_mul(order | 1));
            for place in places {
                let (time, decision, who, forced) = all[place];
                review.decisions.insert(Seq(place as u32 + 1), (Micros(time), said(decision, WHO[who], forced)));
            }
            let expected = model(scope, needed as usize, expires_at, &all);
            let standing = review.standing(Some("Asks@example.com"));
            prop_assert_eq!(standing.status, expected);
            prop_assert!(!standing.approvers.contains(&Some(WHO[3])));
            prop_assert_eq!(standing.approvers.iter().collect::<BTreeSet<_>>().len(), standing.approvers.len());
            // What had no effect can be left out, and nothing else.
            let mut kept = review.clone();
            kept.decisions.retain(|seq, _| standing.effective.contains(seq));
            prop_assert_eq!(&kept.standing(Some("asks@example.com")), &standing);
        }
    }

    #[test]
    fn nobody_approves_their_own_request_and_nobody_twice() {
        let mut review = request(Scope::Command, 2, None);
        for (seq, who) in
            ["asks@example.com", "ann@example.com", "Ann@Example.com"].iter().enumerate()
        {
            let approval = (Micros(seq as i64), said(Decision::Approved, who, false));
            review.decisions.insert(Seq(seq as u32 + 1), approval);
        }
        let standing = review.standing(Some("asks@example.com"));
        assert_eq!(standing.status, ReviewStatus::Pending);
        assert_eq!(standing.approvers, [Some("ann@example.com")]);
        review.decisions.insert(Seq(9), (Micros(9), said(Decision::Approved, WHO[1], false)));
        assert_eq!(review.status(Some("asks@example.com")), ReviewStatus::Approved);
    }

    #[test]
    fn an_approval_after_the_end_or_after_a_rejection_changes_nothing() {
        let mut review = request(Scope::Session, 1, Some(10));
        review.decisions.insert(Seq(1), (Micros(10), said(Decision::Approved, WHO[0], true)));
        assert_eq!(review.status(None), ReviewStatus::Pending);
        review.decisions.insert(Seq(2), (Micros(11), said(Decision::Expired, "daybook", false)));
        assert_eq!(review.status(None), ReviewStatus::Expired);
        // One that was given in time arrives late, and counts.
        review.decisions.insert(Seq(3), (Micros(9), said(Decision::Rejected, WHO[0], false)));
        assert_eq!(review.status(None), ReviewStatus::Rejected);
    }
}
