//! Sample sessions: what a newcomer sees first, and realistic input for tests and measurements.
//!
//! Two weeks of work in an invented shop: databases, hosts, clusters and web applications; people and
//! agents; blocked commands, reviews, masked fields, terminal recordings, and a few sessions that are
//! still open. The same options give the same lines, byte for byte.
//!
//! | module | what is there |
//! |---|---|
//! | [`cast`] | people, agents, resource roles |
//! | [`step`] | a command with its verdict and what came back |
//! | `postgres`, `mysql`, `ssh`, `kubernetes`, `application` | scripts: what is done in a session |
//! | `scribe` | a script to events |

mod application;
pub mod cast;
mod kubernetes;
mod mysql;
mod postgres;
pub mod rng;
mod scribe;
mod ssh;
pub mod step;

use cast::REVIEWERS;
use daybook_engine::event::{Decision, Micros};
use rng::Rng;
use scribe::Scribe;
use step::Step;

/// The seed of the sample data that `serve --demo` loads.
pub const SEED: u64 = 0xda7b_0000;
/// How many sessions `serve --demo` loads.
pub const SESSIONS: usize = 240;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What is generated.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// The present: sessions started in the two weeks before it.
    pub now: Micros,
    /// How many sessions.
    pub sessions: usize,
}

impl Options {
    /// The sample data of `serve --demo`, as of now.
    #[must_use]
    pub fn standard() -> Options {
        Options { seed: SEED, now: Micros::now(), sessions: SESSIONS }
    }
}

/// What is done in a session.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    title: &'static str,
    tags: &'static [&'static str],
    steps: Vec<Step>,
}

impl Script {
    fn new(title: &'static str, tags: &'static [&'static str], steps: Vec<Step>) -> Script {
        Script { title, tags, steps }
    }
}

/// A decision of a review: usually this one, sometimes the other.
fn decided(
    rng: &mut Rng,
    usual: Decision,
    comment: &'static str,
) -> Option<(&'static str, Decision, &'static str)> {
    let by = rng.pick(REVIEWERS);
    if rng.chance(80) {
        Some((by, usual, comment))
    } else {
        Some((by, Decision::Rejected, "not without a ticket, please add one"))
    }
}

/// How a session goes on after its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Failed,
    Killed,
    Open,
    Waiting,
    SessionWaiting,
    SessionRejected,
}

/// The lines of the sample sessions as NDJSON without line breaks, in the order of their times.
#[must_use]
pub fn lines(options: &Options) -> Vec<String> {
    let mut rng = Rng::new(options.seed);
    let mut events: Vec<(Micros, String)> = Vec::new();
    for index in 0..options.sessions {
        let fate = fate_of(index, &mut rng);
        let start = start_of(fate, options.now, &mut rng);
        // Each session has a stream of its own, so that a change of one script leaves the others.
        let own = Rng::new(rng.bits());
        events.extend(session(own, fate, start, options.now));
    }
    events.sort_by_key(|(time, _)| *time);
    events.into_iter().map(|(_, line)| line).collect()
}

/// The same without requests for access. One that waits expires after a while, which is an event that daybook adds: so
/// who counts what was sent finds as many.
#[must_use]
pub fn lines_without_requests(options: &Options) -> Vec<String> {
    let mut lines = lines(options);
    lines.retain(|line| !line.contains("\"review.request\""));
    lines
}

/// The fates of the first sessions are fixed, so that every status is there however few there are.
fn fate_of(index: usize, rng: &mut Rng) -> Fate {
    match index {
        0..=3 => Fate::Open,
        4 | 5 => Fate::Waiting,
        6 => Fate::SessionWaiting,
        7 => Fate::SessionRejected,
        8 => Fate::Killed,
        9 => Fate::Failed,
        _ => match rng.between(0, 99) {
            0..=3 => Fate::Killed,
            4..=9 => Fate::Failed,
            10 | 11 => Fate::SessionRejected,
            _ => Fate::Done,
        },
    }
}

/// When a session starts: now for those that go on, else in working hours more often than at night.
fn start_of(fate: Fate, Micros(now): Micros, rng: &mut Rng) -> Micros {
    let jitter = rng.between(0, 999_999) as i64;
    if matches!(fate, Fate::Open | Fate::Waiting | Fate::SessionWaiting) {
        return Micros(now - rng.between(240, 1_500) as i64 * SECOND - jitter);
    }
    let mut start = now - 1_800 * SECOND;
    for _ in 0..8 {
        let back = rng.between(1_800, 14 * 86_400 - 1) as i64 * SECOND;
        start = now - back - jitter;
        let hour = start.rem_euclid(DAY) / (3_600 * SECOND);
        let weekend = matches!((start.div_euclid(DAY) + 4).rem_euclid(7), 0 | 6);
        let chance = if (7..18).contains(&hour) { 90 } else { 18 };
        if rng.chance(if weekend { chance / 4 } else { chance }) {
            break;
        }
    }
    Micros(start)
}

fn session(mut rng: Rng, fate: Fate, start: Micros, now: Micros) -> Vec<(Micros, String)> {
    let mut role = rng.pick(cast::ROLES);
    let mut script = script_for(&mut rng, role);
    // A session that waits needs a command that waits: draw until a script has one.
    for _ in 0..200 {
        if fate != Fate::Waiting || script.steps.iter().any(|step| step.review.is_some()) {
            break;
        }
        role = rng.pick(cast::ROLES);
        script = script_for(&mut rng, role);
    }
    match fate {
        Fate::Waiting => {
            let at = script.steps.iter().position(|step| step.review.is_some()).unwrap_or(0);
            script.steps.truncate(at + 1);
            if let Some(review) = script.steps.last_mut().and_then(|step| step.review.as_mut()) {
                review.decision = None;
            }
        }
        Fate::SessionWaiting | Fate::SessionRejected => script.steps.clear(),
        Fate::Open | Fate::Killed => {
            let keep = script.steps.len().saturating_sub(1).max(1);
            script.steps.truncate(keep);
        }
        Fate::Done | Fate::Failed => {}
    }
    let mut scribe = Scribe::new(rng, start, now);
    scribe.start(role, &script);
    match fate {
        Fate::SessionWaiting => scribe.ask_for_session(None),
        Fate::SessionRejected => scribe.ask_for_session(Some(Decision::Rejected)),
        _ => scribe.play(&script),
    }
    match fate {
        Fate::Done => scribe.end("done", Some(0), None),
        Fate::Failed => scribe.end("failed", Some(255), Some("connection reset by the resource")),
        Fate::Killed => scribe.end("killed", None, Some("ended by amara.diallo@example.com")),
        _ => {}
    }
    scribe.into_events()
}

fn script_for(rng: &mut Rng, role: cast::Role) -> Script {
    let production = role.environment == "production";
    match (role.kind, role.subtype) {
        ("database", Some("mysql")) => mysql::script(rng, production),
        ("database", _) => postgres::script(rng, production),
        ("ssh", _) => ssh::script(rng, role.target),
        ("kubernetes", _) => kubernetes::script(rng, production),
        _ => application::script(rng, role.target),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use daybook_engine::event::Kind;
    use daybook_engine::event::wire::Event;
    use daybook_engine::session::{Change, SessionState, Status};
    use std::collections::{BTreeMap, BTreeSet};

    fn folded(options: &Options) -> BTreeMap<String, SessionState> {
        let mut sessions: BTreeMap<String, (SessionState, BTreeSet<u32>)> = BTreeMap::new();
        for line in lines(options) {
            let event = Event::decode(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(event.time <= options.now, "{line}");
            let seq = event.seq.expect("a numbered event");
            let (state, seqs) = sessions.entry(event.session.to_string()).or_default();
            assert!(seqs.insert(seq.0), "twice: {line}");
            state.apply(Change::of(event, seq, line.len() as u64));
        }
        for (state, seqs) in sessions.values() {
            assert_eq!(seqs.len() as u64, state.events);
            assert_eq!(seqs.last().map(|s| u64::from(*s) + 1), Some(state.events), "a gap");
        }
        sessions.into_iter().map(|(id, (state, _))| (id, state)).collect()
    }

    #[test]
    fn the_sample_sessions_have_everything_that_a_newcomer_should_see() {
        let options =
            Options { seed: SEED, now: Micros(1_773_500_000_000_000), sessions: SESSIONS };
        let sessions = folded(&options);
        assert_eq!(sessions.len(), SESSIONS);
        let with =
            |test: &dyn Fn(&SessionState) -> bool| sessions.values().filter(|s| test(s)).count();
        for status in Status::ALL {
            assert!(with(&|s| s.status() == status) > 0, "none is {status:?}");
        }
        assert!(with(&|s| s.status() == Status::Done) > SESSIONS / 2);
        assert!(with(&|s| s.blocked() > 0) > 30);
        assert!(with(&|s| s.approved() > 0) > 15);
        assert!(with(&|s| s.pending() > 0) >= 2);
        assert!(with(&|s| s.masked > 0) > 40);
        assert!(with(&|s| s.facts().unwrap().agent.is_some()) > 20);
        for kind in ["database", "ssh", "kubernetes", "application"] {
            assert!(with(&|s| s.facts().unwrap().kind.as_deref() == Some(kind)) > 10, "{kind}");
        }
        let two_weeks = options.now.0 - 14 * DAY - DAY;
        assert_eq!(with(&|s| s.started_at().unwrap().0 < two_weeks), 0);
    }

    #[test]
    fn terminals_are_recorded_and_their_blocked_commands_marked() {
        let options =
            Options { seed: SEED, now: Micros(1_773_500_000_000_000), sessions: SESSIONS };
        let kinds: Vec<Kind> = lines(&options)
            .iter()
            .map(|line| Event::decode(line.as_bytes()).unwrap().body.kind())
            .collect();
        for kind in [Kind::TerminalOutput, Kind::TerminalInput, Kind::TerminalMarker] {
            assert!(kinds.contains(&kind), "no {kind}");
        }
    }

    #[test]
    fn the_same_options_give_the_same_lines_and_another_seed_others() {
        let options = Options { seed: 1, now: Micros(1_773_500_000_000_000), sessions: 12 };
        assert_eq!(lines(&options), lines(&options));
        assert_ne!(lines(&options), lines(&Options { seed: 2, ..options }));
    }
}
