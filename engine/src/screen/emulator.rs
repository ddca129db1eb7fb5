//! A terminal that is played: what stands on it at a moment, row by row, and what changed since the last look.
//!
//! Everything that was recorded ends here: escape sequences drive this emulator and nothing else, and what
//! comes out is characters with colours.

use super::Size;
use super::draw::{clamped, is_full_screen};
use avt::observer::DirtyRows;
use avt::{Pen, Terminal};
use serde::{Serialize, Serializer};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A terminal that is played.
pub struct Emulator {
    terminal: Terminal,
    dirty: DirtyRows,
    /// What was seen at the last look.
    seen: Look,
    /// Which rows may have changed since.
    touched: Vec<bool>,
}

/// What brings an emulator to a moment again: its size, and what has to be shown to an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyframe {
    size: Size,
    dump: Box<str>,
}

impl Keyframe {
    /// What it holds in memory, about, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Keyframe>() + self.dump.len()
    }
}

/// All that stands on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns and rows.
    pub size: Size,
    /// Where the cursor is, if it is shown.
    pub cursor: Option<Cursor>,
    /// The rows from the top, each as runs of one style; without the blanks at their ends.
    pub rows: Vec<Vec<Run>>,
}

impl Look {
    fn nothing() -> Look {
        Look { size: Size { cols: 0, rows: 0 }, cursor: None, rows: Vec::new() }
    }
}

/// Where a cursor is, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// The column; the one behind the last if the next character begins a line.
    pub col: usize,
    /// The row.
    pub row: usize,
}

/// Neighbours of one style.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Their characters.
    pub text: String,
    /// How many columns they take, if that is not one each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// The colour of the characters; none is the terminal's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fg: Option<Color>,
    /// The colour behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bg: Option<Color>,
    /// In bold.
    #[serde(skip_serializing_if = "is_false")]
    pub bold: bool,
    /// Fainter than others.
    #[serde(skip_serializing_if = "is_false")]
    pub faint: bool,
    /// In italics.
    #[serde(skip_serializing_if = "is_false")]
    pub italic: bool,
    /// Underlined.
    #[serde(skip_serializing_if = "is_false")]
    pub underline: bool,
    /// Struck through.
    #[serde(skip_serializing_if = "is_false")]
    pub strikethrough: bool,
    /// Blinking.
    #[serde(skip_serializing_if = "is_false")]
    pub blink: bool,
    /// With the two colours exchanged.
    #[serde(skip_serializing_if = "is_false")]
    pub inverse: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A colour: a number of the palette of 256, or `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Of the palette; the first 16 are the terminal's own.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Color::Indexed(number) => to.serialize_u8(*number),
            Color::Rgb(r, g, b) => to.collect_str(&format_args!("#{r:02x}{g:02x}{b:02x}")),
        }
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("seen", &self.seen.size).finish_non_exhaustive()
    }
}

impl Emulator {
    /// An empty terminal. What a size says costs memory, so it is held to what screens have.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a size that was clamped is not zero")]
    pub fn new(size: Size) -> Emulator {
        let size = clamped(size);
        let terminal = Terminal::new(size.cols as usize, size.rows as usize).expect("a size");
        let touched = vec![true; size.rows as usize];
        Emulator { terminal, dirty: DirtyRows::new(), seen: Look::nothing(), touched }
    }

    /// A terminal at the moment of a keyframe.
    #[must_use]
    pub fn at(keyframe: &Keyframe) -> Emulator {
        let mut emulator = Emulator::new(keyframe.size);
        emulator.guarded(|emulator| emulator.feed(&keyframe.dump));
        emulator
    }

    /// What brings an emulator to this moment again.
    #[must_use]
    pub fn keyframe(&self) -> Keyframe {
        let dump = catch_unwind(AssertUnwindSafe(|| self.terminal.dump())).unwrap_or_default();
        Keyframe { size: self.size(), dump: dump.into() }
    }

    /// Shows what a terminal is sent.
    pub fn show(&mut self, text: &str) {
        self.guarded(|emulator| {
            let mut parts = text.split('\n');
            emulator.feed(parts.next().unwrap_or_default());
            for part in parts {
                // As in `Drawing::feed`; programs that fill the screen mean what they say.
                let full = is_full_screen(&emulator.terminal);
                emulator.feed(if full { "\n" } else { "\r\n" });
                emulator.feed(part);
            }
        });
    }

    /// Changes the size.
    pub fn resize(&mut self, size: Size) {
        let size = clamped(size);
        self.guarded(|emulator| {
            let (cols, rows) = (size.cols as usize, size.rows as usize);
            let rows = emulator.terminal.resize_with(cols, rows, &mut emulator.dirty);
            emulator.touch(&rows);
        });
    }

    /// Is the cursor where a line begins?
    #[must_use]
    pub fn begins_line(&self) -> bool {
        self.terminal.cursor().col == 0
    }

    /// All that stands on it.
    pub fn look(&mut self) -> &Look {
        self.changes();
        &self.seen
    }

    /// Looks at it: which rows are not as they were at the last look; `None` if all is as it was.
    pub fn changes(&mut self) -> Option<(&Look, Vec<usize>)> {
        let size = self.size();
        let cursor = self.terminal.cursor();
        let cursor = cursor.visible.then_some(Cursor { col: cursor.col, row: cursor.row });
        let mut changed = Vec::new();
        if size != self.seen.size {
            self.touched = vec![true; size.rows as usize];
            self.seen.rows = vec![Vec::new(); size.rows as usize];
            changed.extend(0..size.rows as usize);
        }
        let lines = self.terminal.screen().visible_lines().zip(&self.touched);
        for (row, ((line, touched), seen)) in lines.zip(&mut self.seen.rows).enumerate() {
            if *touched {
                let now = runs(line);
                if now != *seen {
                    *seen = now;
                    changed.push(row);
                }
            }
        }
        self.touched.fill(false);
        let same = changed.is_empty() && cursor == self.seen.cursor;
        (self.seen.size, self.seen.cursor) = (size, cursor);
        changed.sort_unstable();
        changed.dedup();
        (!same).then_some((&self.seen, changed))
    }

    fn size(&self) -> Size {
        let (cols, rows) = self.terminal.size();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Size { cols: number(cols), rows: number(rows) }
    }

    fn feed(&mut self, text: &str) {
        let rows = self.terminal.feed_with(text, &mut self.dirty);
        self.touch(&rows);
    }

    fn touch(&mut self, rows: &[usize]) {
        self.touched.resize(self.terminal.size().1, true);
        for row in rows {
            if let Some(touched) = self.touched.get_mut(*row) {
                *touched = true;
            }
        }
    }

    /// The emulator is not ours, and terminals are sent anything: what it fails at leaves an empty screen.
    fn guarded(&mut self, draw: impl FnOnce(&mut Emulator)) {
        let size = self.size();
        if catch_unwind(AssertUnwindSafe(|| draw(self))).is_err() {
            let empty = Emulator::new(size);
            self.terminal = empty.terminal;
            self.dirty = empty.dirty;
            self.touched = empty.touched;
        }
    }
}

/// A row as runs of one style.
fn runs(line: &avt::Line) -> Vec<Run> {
    let cells = line.cells();
    let blank =
        |cell: &avt::Cell| cell.char() == ' ' && cell.width() == 1 && cell.pen().is_default();
    let end = cells.iter().rposition(|cell| !blank(cell)).map_or(0, |last| last + 1);
    let mut runs: Vec<Run> = Vec::new();
    let mut pen: Option<&Pen> = None;
    let (mut columns, mut characters) = (0, 0);
    let close = |runs: &mut Vec<Run>, columns: usize, characters: usize| {
        if let Some(run) = runs.last_mut() {
            run.width = (columns != characters).then_some(columns);
        }
    };
    for cell in cells.iter().take(end).filter(|cell| cell.width() > 0) {
        if pen != Some(cell.pen()) {
            close(&mut runs, columns, characters);
            (columns, characters) = (0, 0);
            pen = Some(cell.pen());
            runs.push(styled(cell.pen()));
        }
        if let Some(run) = runs.last_mut() {
            run.text.push(cell.char());
        }
        columns += usize::from(cell.width());
        characters += 1;
    }
    close(&mut runs, columns, characters);
    runs
}

fn styled(pen: &Pen) -> Run {
    let color = |color: avt::Color| match color {
        avt::Color::Indexed(number) => Color::Indexed(number),
        avt::Color::RGB(rgb) => Color::Rgb(rgb.r, rgb.g, rgb.b),
    };
    Run {
        text: String::new(),
        width: None,
        fg: pen.foreground().map(color),
        bg: pen.background().map(color),
        bold: pen.is_bold(),
        faint: pen.is_faint(),
        italic: pen.is_italic(),
        underline: pen.is_underline(),
        strikethrough: pen.is_strikethrough(),
        blink: pen.is_blink(),
        inverse: pen.is_inverse(),
    }
}
