//! What a bar shows of a whole session: where commands, blocks, reviews and the like are.

use super::pieces::Source;
use crate::timeline::runs::Runs;
use daybook_engine::event::{Kind, Micros, Seq, Verdict};
use daybook_engine::view::EventFacts;
use serde::Serialize;
use std::collections::BTreeMap;

/// At most so many markers of a kind: those that would be at one place of the bar are one.
pub const MARKERS_PER_KIND_MAX: u64 = 500;

/// What is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkerKind {
    /// A command that was let through.
    Command,
    /// A command that was blocked or rejected.
    Blocked,
    /// A review was asked for or decided.
    Review,
    /// The terminal changed its size.
    Resize,
    /// A moment that the recording names.
    Marker,
    /// An investigator's note.
    Note,
    /// Something was shown or typed.
    Activity,
}

/// Something at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Marker {
    /// The moment of the first, in milliseconds from the session's start.
    pub time_ms: u64,
    /// What is there.
    pub kind: MarkerKind,
    /// The number of the first in the session.
    pub seq: Seq,
    /// How many are there.
    pub count: u64,
}

impl MarkerKind {
    fn of(facts: &EventFacts) -> Option<MarkerKind> {
        Some(match facts.kind {
            Kind::Command => match facts.verdict {
                Some(Verdict::Blocked | Verdict::Rejected) => MarkerKind::Blocked,
                Some(Verdict::Pending) => MarkerKind::Review,
                _ => MarkerKind::Command,
            },
            Kind::ReviewRequest | Kind::ReviewDecision => MarkerKind::Review,
            Kind::TerminalResize => MarkerKind::Resize,
            Kind::TerminalMarker => MarkerKind::Marker,
            Kind::Note => MarkerKind::Note,
            Kind::TerminalOutput | Kind::TerminalInput | Kind::Output => MarkerKind::Activity,
            _ => return None,
        })
    }
}

/// What is known of a session without reading its lines.
pub(super) struct Overview {
    pub(super) source: Source,
    pub(super) duration_ms: u64,
    pub(super) markers: Vec<Marker>,
}

impl Overview {
    /// Looks at every event's facts: a session has a bound on its events.
    pub(super) fn of(runs: &Runs<'_>, start: Micros) -> Overview {
        let ms = |time: Micros| u64::try_from(time.0.saturating_sub(start.0) / 1000).unwrap_or(0);
        let (mut source, mut duration_ms) = (Source::Commands, 0);
        runs.each_facts(|facts| {
            if facts.kind == Kind::TerminalOutput {
                source = Source::Terminal;
            }
            duration_ms = duration_ms.max(ms(facts.time));
        });
        let grain = duration_ms / MARKERS_PER_KIND_MAX + 1;
        let mut places: BTreeMap<(u64, MarkerKind), Marker> = BTreeMap::new();
        runs.each_facts(|facts| {
            let Some(kind) = MarkerKind::of(facts) else { return };
            let (time_ms, seq) = (ms(facts.time), facts.seq);
            let marker = Marker { time_ms, kind, seq, count: 0 };
            let at = places.entry((time_ms / grain, kind)).or_insert(marker);
            at.count += 1;
            (at.time_ms, at.seq) = (at.time_ms, at.seq).min((time_ms, seq));
        });
        let mut markers: Vec<Marker> = places.into_values().collect();
        markers.sort_by_key(|marker| (marker.time_ms, marker.seq));
        Overview { source, duration_ms, markers }
    }
}
