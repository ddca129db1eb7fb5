//! The emulator: draws what a terminal is sent, and takes note of the lines that are completed.

use super::Size;
use avt::parser::Function;
use avt::{Observation, Observer, Operation, Terminal};

/// Terminals of other sizes are drawn at these: what a size says costs memory.
const COLS: std::ops::RangeInclusive<u32> = 2..=COLS_MAX;
pub(super) const COLS_MAX: u32 = 512;
const ROWS: std::ops::RangeInclusive<u32> = 2..=128;

/// The size that a terminal is drawn at.
pub(super) fn clamped(size: Size) -> Size {
    Size {
        cols: size.cols.clamp(*COLS.start(), *COLS.end()),
        rows: size.rows.clamp(*ROWS.start(), *ROWS.end()),
    }
}

/// Does a program fill the screen, such as an editor?
pub(super) fn is_full_screen(terminal: &Terminal) -> bool {
    terminal.active_screen_kind() == avt::ScreenKind::Alternate
}

/// A screen that is being drawn.
pub(super) struct Drawing {
    terminal: Terminal,
    lines: Lines,
}

/// Watches the cursor.
#[derive(Default)]
struct Lines {
    done: Vec<String>,
    /// Something was printed to the line under the cursor since it was last completed.
    touched: bool,
    /// The line under the cursor, before something that may lead away from it.
    leaving: Option<(usize, String)>,
}

impl Drawing {
    /// An empty screen; `None` for a size that no screen has, which does not happen.
    pub(super) fn new(size: Size) -> Option<Drawing> {
        let size = clamped(size);
        let terminal = Terminal::new(size.cols as usize, size.rows as usize).ok()?;
        Some(Drawing { terminal, lines: Lines::default() })
    }

    /// Draws.
    pub(super) fn feed(&mut self, text: &str) {
        // A line feed alone starts a line, as the terminal's driver has it.
        let mut parts = text.split('\n');
        if let Some(first) = parts.next() {
            self.terminal.feed_with(first, &mut self.lines);
        }
        for part in parts {
            self.terminal.feed_with("\r\n", &mut self.lines);
            self.terminal.feed_with(part, &mut self.lines);
        }
    }

    /// The lines that were completed since they were last taken.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines.done)
    }

    /// Forgets the lines that were completed.
    pub(super) fn forget_lines(&mut self) {
        self.lines.done.clear();
    }

    /// The line under the cursor.
    pub(super) fn line(&self) -> String {
        under_cursor(&self.terminal, false).1
    }

    /// The line under the cursor, as far as that.
    pub(super) fn line_to_cursor(&self) -> String {
        under_cursor(&self.terminal, true).1
    }
}

/// The row that the line under the cursor starts in, and its text.
fn under_cursor(terminal: &Terminal, to_cursor: bool) -> (usize, String) {
    let (screen, cursor) = (terminal.screen(), terminal.cursor());
    let wrapped = |row: usize| screen.line(row).is_some_and(avt::Line::is_wrapped);
    let mut first = cursor.row;
    while first > 0 && wrapped(first - 1) {
        first -= 1;
    }
    let mut text = String::new();
    let mut row = first;
    while let Some(line) = screen.line(row) {
        let ends = to_cursor && row == cursor.row;
        let cells = line.cells().iter().take(if ends { cursor.col } else { usize::MAX });
        text.extend(cells.filter(|cell| cell.width() > 0).map(avt::Cell::char));
        if ends || !line.is_wrapped() {
            break;
        }
        row += 1;
    }
    text.truncate(text.trim_end().len());
    (first, text)
}

/// May the cursor be on another line after this, or the line gone?
fn may_leave(operation: &Operation) -> bool {
    match operation {
        Operation::Function(function) => !matches!(
            function,
            Function::Print(_)
                | Function::Rep(_)
                | Function::Sgr(_)
                | Function::Cr
                | Function::Bs
                | Function::Ht
                | Function::Cub(_)
                | Function::Cuf(_)
                | Function::Cha(_)
                | Function::Dch(_)
                | Function::Ech(_)
                | Function::Ich(_)
                | Function::El(_)
                | Function::Decsc
        ),
        Operation::Resize { .. } => true,
    }
}

impl Observer for Lines {
    type Output = ();

    fn before(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        self.leaving =
            (self.touched && may_leave(operation)).then(|| under_cursor(context.terminal(), false));
    }

    fn after(&mut self, context: &mut Observation<'_>, operation: &Operation) {
        if matches!(operation, Operation::Function(Function::Print(_) | Function::Rep(_))) {
            self.touched = true;
        }
        let Some((row, text)) = self.leaving.take() else { return };
        let breaks = matches!(operation, Operation::Function(Function::Lf | Function::Nel));
        if breaks || under_cursor(context.terminal(), true).0 != row {
            self.touched = false;
            if !text.is_empty() && self.done.last() != Some(&text) {
                self.done.push(text);
            }
        }
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}
