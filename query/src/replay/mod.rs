//! Replays: what stood on a session's terminal at any moment, and how it went on.
//!
//! Events are played in the order of `seq` on the emulator of the engine ([`Emulator`]). Where a session has no
//! terminal, its commands and what came back are played as one. A moment is a whole number of milliseconds since the
//! session's start; all that happened within one is one frame. Time does not run backwards: an event with an earlier
//! time than one before it comes with that one.
//!
//! ```text
//! at ──────────────┐
//! keyframe ─ ─ ─ ─ ▼ whole frame │ changed rows │ changed rows │ … │ next_cursor ─▶ whole frame │ …
//!          played, not shown
//! ```
//!
//! A screen follows from all that was shown before, so a seek plays from the nearest [`Keyframe`] that
//! [`Keyframes`] has kept. The first one into a session that nobody has looked at has to play from its start: at most
//! [`PLAYED_BYTES_MAX`] and [`PLAYED_EVENTS_MAX`] in one request, which then answers no frame and a cursor that goes
//! on from there. What was played is kept, so no request plays it again.
//!
//! | module | what is there |
//! |---|---|
//! | `pieces` | what an event does to the terminal |
//! | `player` | a terminal that events are played on |
//! | `keyframes` | the moments that are kept |
//! | `markers` | what a bar shows of the whole session |

mod keyframes;
mod markers;
pub(crate) mod pieces;
mod player;

pub use keyframes::{Keyframes, MEMORY_MAX};
pub use markers::{MARKERS_PER_KIND_MAX, Marker, MarkerKind};
pub use pieces::Source;
pub use player::{Frame, Row};

use crate::cursor::{self, List};
use crate::error::QueryError;
use crate::excerpt::Excerpt;
use crate::item::Time;
use crate::timeline::runs::{END, Position, Runs};
use daybook_engine::event::{Micros, SessionKey};
use daybook_engine::screen::{Emulator, Keyframe};
use daybook_engine::session::Status;
use daybook_engine::view::Snapshot;
use markers::Overview;
use player::{Player, Step};
use serde::Serialize;

/// The most frames of a page.
pub const LIMIT_MAX: usize = 5_000;

/// A page ends with the frame that brings it over so many bytes of text.
pub const FRAMES_BYTES_MAX: usize = 1 << 20;

/// A request plays so many bytes at most, and to the end of the event that is over it.
pub const PLAYED_BYTES_MAX: usize = 8 << 20;

/// And so many events.
pub const PLAYED_EVENTS_MAX: usize = 100_000;

/// Which page of a replay is asked for. [`ReplayRequest::default`] is the first.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRequest<'a> {
    /// The `next_cursor` of the page before.
    pub cursor: Option<&'a str>,
    /// Without a cursor: the moment of the first frame.
    pub at: Option<Micros>,
    /// At most so many frames after the first, up to [`LIMIT_MAX`].
    pub limit: usize,
}

impl Default for ReplayRequest<'_> {
    fn default() -> Self {
        ReplayRequest { cursor: None, at: None, limit: 500 }
    }
}

/// A page of a replay.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayPage {
    /// When the session started: frames' times count from here.
    pub started_at: Option<Time>,
    /// How long it took, or has taken, to its last event.
    pub duration_ms: u64,
    /// What is played.
    pub source: Source,
    /// The first has every row, the others those that changed. None: the moment is further than one request plays,
    /// and the cursor goes on towards it.
    pub frames: Vec<Frame>,
    /// What the bar of the whole session shows, in the order of time; with the first page alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markers: Option<Vec<Marker>>,
    /// The page of later frames. While the session goes on, there always is one: with what has come since.
    pub next_cursor: Option<String>,
}

/// A page of a session's replay, or `None` if there is no session of this id.
///
/// # Errors
/// A cursor of another list, or what the engine says.
pub fn replay(
    snapshot: &Snapshot,
    id: &str,
    keyframes: &Keyframes,
    request: &ReplayRequest<'_>,
) -> Result<Option<ReplayPage>, QueryError> {
    replay_of(snapshot, id, &Excerpt::default(), keyframes, request)
}

/// As [`replay`], of what an excerpt shows: the screen begins empty with its first event. The keyframes have to be those
/// of this excerpt alone.
///
/// # Errors
/// As [`replay`]; an excerpt without outputs, which has nothing to be played.
pub fn replay_of(
    snapshot: &Snapshot,
    id: &str,
    excerpt: &Excerpt,
    keyframes: &Keyframes,
    request: &ReplayRequest<'_>,
) -> Result<Option<ReplayPage>, QueryError> {
    if excerpt.hides_outputs {
        let what = "the outputs are hidden, so there is nothing to be played";
        return Err(QueryError::Request(what.to_owned()));
    }
    let Some(session) = snapshot.sessions.get(id)? else { return Ok(None) };
    let runs = Runs::shown(snapshot, session.key, excerpt)?;
    let start = session.state.started_at().unwrap_or_default();
    let overview = Overview::of(&runs, start);
    let target = match request.cursor {
        Some(text) => decode(text)?,
        None => request.at.map_or(0, |time| position_after(&runs, start, time)),
    };
    let mut player = nearest(keyframes, session.key, &runs, overview.source, target);
    let from = player.position();
    let step = Step { start, target, limit: request.limit.clamp(1, LIMIT_MAX) };
    let played = player.play(&runs, &step, &mut |position, time, keyframe| {
        let kept = Kept { keyframe, time, before: runs.before(position) };
        keyframes.keep(session.key, overview.source, position, kept);
    })?;
    runs.check()?;
    if player.position() > from {
        let kept = Kept {
            keyframe: player.keyframe(),
            time: player.time(),
            before: runs.before(player.position()),
        };
        keyframes.keep(session.key, overview.source, player.position(), kept);
    }
    let live = matches!(session.state.status(), Status::Open | Status::PendingReview);
    // On the way to a moment the cursor is that moment: its frames are still to come.
    let next = if played.frames.is_empty() { target } else { player.position() };
    Ok(Some(ReplayPage {
        started_at: session.state.started_at().map(Time),
        duration_ms: overview.duration_ms,
        source: overview.source,
        markers: request.cursor.is_none().then_some(overview.markers),
        next_cursor: (played.more || live).then(|| cursor::encode(List::Replay, [next])),
        frames: played.frames,
    }))
}

/// A keyframe with what tells whether it still is one.
#[derive(Clone, Debug)]
struct Kept {
    keyframe: Keyframe,
    /// The latest time of the events before it.
    time: Micros,
    /// How many events were before it: one that arrived late, or was erased, makes it wrong.
    before: u64,
}

impl Kept {
    fn memory(&self) -> usize {
        size_of::<Kept>() + self.keyframe.memory()
    }
}

/// The first place of which the event is after the millisecond of a time.
fn position_after(runs: &Runs<'_>, start: Micros, time: Micros) -> Position {
    let ms = (time.0 - start.0).div_euclid(1000).max(0);
    let after = Micros(start.0.saturating_add((ms + 1).saturating_mul(1000)));
    match runs.at(after) {
        Some(entry) => entry.seq(),
        None => runs.backwards(END).next().map_or(0, |last| last.seq() + 1),
    }
}

/// A player at the nearest moment before a place.
fn nearest(
    keyframes: &Keyframes,
    session: SessionKey,
    runs: &Runs<'_>,
    source: Source,
    target: Position,
) -> Player {
    let kept = keyframes
        .nearest(session, source, target, |position, kept| runs.before(position) == kept.before);
    kept.map_or_else(
        || Player::at_start(source),
        |(position, kept)| Player::new(source, Emulator::at(&kept.keyframe), position, kept.time),
    )
}

fn decode(text: &str) -> Result<Position, QueryError> {
    match cursor::decode(List::Replay, text)? {
        [position] if position <= END => Ok(position),
        _ => Err(QueryError::Cursor("is not one that daybook gave out")),
    }
}
