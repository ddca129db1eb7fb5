//! Replays.

use utoipa::ToSchema;

/// A page of a session's replay.
#[derive(ToSchema)]
pub struct ReplayPage {
    /// When the session started: the frames' times count from here.
    #[schema(required = true)]
    started_at: Option<String>,
    /// How long it took, or has taken, to its last event, in milliseconds.
    duration_ms: u64,
    /// What is played: its terminal, or its commands where it has none.
    source: ReplaySource,
    /// The frames, in the order of time. None: the moment is far from every one that was looked at, and the cursor goes
    /// on towards it.
    frames: Vec<Frame>,
    /// Where commands, blocks, reviews and the like are; without a cursor alone.
    #[schema(nullable = false)]
    markers: Option<Vec<Marker>>,
    /// The page of later frames; null at the end of a session that has ended. One that goes on always has one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// What is played.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ReplaySource {
    Terminal,
    Commands,
}

/// What stands on the terminal from a moment on.
#[derive(ToSchema)]
pub struct Frame {
    /// The moment, in milliseconds from the session's start.
    time_ms: u64,
    /// Columns.
    cols: u32,
    /// How many rows there are.
    rows: u32,
    /// Where the cursor is; null if it is hidden.
    #[schema(required = true)]
    cursor: Option<Cursor>,
    /// The rows: every one in a page's first frame, in others those that changed.
    lines: Vec<Row>,
}

/// Where a cursor is.
#[derive(ToSchema)]
pub struct Cursor {
    /// The column, counted from 0; the one behind the last if the next character begins a line.
    col: u32,
    /// The row, counted from 0.
    row: u32,
}

/// A row of a frame.
#[derive(ToSchema)]
pub struct Row {
    /// Which one, counted from 0 at the top.
    row: u32,
    /// What stands in it, each run in one style; nothing is blank.
    runs: Vec<Run>,
}

/// Neighbours of one style; what is left out is false, or the terminal's own.
#[derive(ToSchema)]
pub struct Run {
    /// Their characters.
    text: String,
    /// How many columns they take, if that is not one each.
    #[schema(nullable = false)]
    width: Option<u32>,
    /// The colour of the characters: a number of the palette of 256, or `#rrggbb`.
    #[schema(nullable = false)]
    fg: Option<Color>,
    /// The colour behind them.
    #[schema(nullable = false)]
    bg: Option<Color>,
    /// In bold.
    #[schema(nullable = false)]
    bold: Option<bool>,
    /// Fainter than others.
    #[schema(nullable = false)]
    faint: Option<bool>,
    /// In italics.
    #[schema(nullable = false)]
    italic: Option<bool>,
    /// Underlined.
    #[schema(nullable = false)]
    underline: Option<bool>,
    /// Struck through.
    #[schema(nullable = false)]
    strikethrough: Option<bool>,
    /// Blinking.
    #[schema(nullable = false)]
    blink: Option<bool>,
    /// With the two colours exchanged.
    #[schema(nullable = false)]
    inverse: Option<bool>,
}

/// A colour.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum Color {
    /// Of the palette.
    Indexed(u8),
    /// `#rrggbb`.
    Rgb(String),
}

/// Something at a moment of a session.
#[derive(ToSchema)]
pub struct Marker {
    /// The moment of the first, in milliseconds from the session's start.
    time_ms: u64,
    /// What is there.
    kind: MarkerKind,
    /// The number of the first in the session.
    seq: u64,
    /// How many are there.
    count: u64,
}

/// What is at a moment.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum MarkerKind {
    Command,
    Blocked,
    Review,
    Resize,
    Marker,
    Note,
    Activity,
}
