//! What came to a terminal since the last line break on its screen.

use super::draw::{COLS_MAX, Drawing};
use super::{BYTES_MAX, Chars, EVENTS_MAX, Line, Seen, keys};
use crate::event::wire::{Body, Event};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

impl Default for Size {
    /// What terminals have had since there are terminals.
    fn default() -> Size {
        Size { cols: 80, rows: 24 }
    }
}

impl Size {
    /// The size that an event says the terminal has from then on.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Size> {
        match &event.body {
            Body::SessionStart(start) => Some(Size { cols: start.cols?, rows: start.rows? }),
            Body::TerminalResize { cols, rows } => Some(Size { cols: *cols, rows: *rows }),
            _ => None,
        }
    }
}

/// What came to a terminal since the last line break on its screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Events that it has taken in; a piece knows which of them it was.
    events: usize,
}

/// What one event brought.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    typed: bool,
    text: String,
    chars: Chars,
    event: usize,
}

/// What an event shows or types.
pub(super) fn own<'a>(event: &'a Event<'_>) -> Option<(bool, Cow<'a, str>)> {
    match &event.body {
        Body::TerminalOutput(content) => Some((false, content.as_text())),
        Body::TerminalInput(content) => Some((true, content.as_text())),
        _ => None,
    }
}

impl Context {
    /// What is seen with an event that comes now.
    #[must_use]
    pub fn seen(&self, event: &Event<'_>, size: Size) -> Seen {
        let Some((typed, text)) = own(event) else { return Seen::default() };
        // The emulator is not ours, and terminals are sent anything.
        let seen = catch_unwind(AssertUnwindSafe(|| {
            if typed { self.typed(&text, size) } else { self.shown(&text, size) }
        }));
        seen.ok().flatten().unwrap_or_default()
    }

    /// What was sent, with an event that comes now.
    pub(super) fn sent(&self, event: &Event<'_>) -> Chars {
        let now = own(event).map_or(Chars::default(), |(_, text)| Chars::of(&text));
        self.pieces.iter().fold(now, |all, piece| all.and(piece.chars))
    }

    /// What it holds in memory, about, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.bytes + self.pieces.len() * size_of::<Piece>()
    }

    /// Takes an event in.
    pub fn push(&mut self, event: &Event<'_>) {
        match own(event) {
            Some((typed, text)) => self.push_text(typed, &text),
            None => self.pass(),
        }
    }

    /// Takes in an event that neither shows nor types anything.
    pub fn pass(&mut self) {
        self.events += 1;
        self.bound();
    }

    pub(super) fn push_text(&mut self, typed: bool, text: &str) {
        self.events += 1;
        let text = match text.rfind('\n').filter(|_| !typed) {
            Some(at) => {
                self.pieces.clear();
                self.bytes = 0;
                text.get(at + 1..).unwrap_or_default()
            }
            None => text,
        };
        let text = tail(text);
        if !text.is_empty() {
            self.bytes += text.len();
            let chars = Chars::of(text);
            let event = self.events;
            self.pieces.push_back(Piece { typed, text: text.to_owned(), chars, event });
        }
        self.bound();
    }

    fn bound(&mut self) {
        while let Some(first) = self.pieces.front()
            && (self.bytes > BYTES_MAX || self.events - first.event >= EVENTS_MAX)
        {
            self.bytes -= first.text.len();
            self.pieces.pop_front();
        }
    }

    fn shown(&self, text: &str, size: Size) -> Option<Seen> {
        let shown: Vec<&str> =
            self.pieces.iter().filter(|piece| !piece.typed).map(|piece| &*piece.text).collect();
        let draws = text.lines().any(needs_drawing);
        // Most events of a terminal are keys that are echoed, or whole lines: neither costs a drawing.
        if !may_complete(shown.last().copied().unwrap_or_default(), text)
            || (shown.is_empty() && !draws)
        {
            return None;
        }
        match plain_line(&shown, text, size).filter(|_| !draws) {
            Some(line) => {
                let text = line.trim_end().to_owned();
                let before = shown.iter().map(|piece| (*piece).to_owned()).collect();
                let lines = vec![Line { text, joined: true }];
                (!line.trim_end().is_empty()).then_some(Seen { lines, typed: None, before })
            }
            None => drawn(&shown, text, size),
        }
    }

    fn typed(&self, text: &str, size: Size) -> Option<Seen> {
        let end = text.find(['\r', '\n'])?;
        let last = text.get(..end).unwrap_or_default();
        // Keys of a line that was ended before belong to that line.
        let ended = |piece: &Piece| piece.typed && piece.text.contains(['\r', '\n']);
        let from = self.pieces.iter().rposition(ended).map_or(0, |at| at + 1);
        if !self.pieces.iter().skip(from).any(|piece| piece.typed) {
            // Typed in one go it is the event's own text.
            return None;
        }
        let mut typed = String::new();
        let mut before = Vec::new();
        if let Some(piece) = from.checked_sub(1).and_then(|at| self.pieces.get(at)) {
            let begun = piece.text.rfind(['\r', '\n']).and_then(|at| piece.text.get(at + 1..));
            typed.push_str(begun.unwrap_or_default());
        }
        let mut drawing = Drawing::new(size)?;
        let mut prompt = None;
        let of_the_line = |(at, piece): &(usize, &Piece)| !piece.typed || *at >= from;
        for (_, piece) in self.pieces.iter().enumerate().filter(of_the_line) {
            before.push(piece.text.clone());
            if piece.typed {
                prompt.get_or_insert_with(|| drawing.line_to_cursor());
                typed.push_str(&piece.text);
            } else {
                drawing.feed(&piece.text);
            }
        }
        typed.push_str(last);
        let line = drawing.line();
        let prompt = prompt.unwrap_or_default();
        let echoed = line.strip_prefix(prompt.trim_end()).unwrap_or(&line).trim();
        let text = if echoed.is_empty() { keys::line(&typed) } else { echoed.to_owned() };
        let typed = (!text.is_empty()).then_some(Line { text, joined: true })?;
        Some(Seen { lines: Vec::new(), typed: Some(typed), before })
    }
}

/// Draws what was shown before and a text, and sees the lines that the text completes.
pub(super) fn drawn(shown: &[&str], text: &str, size: Size) -> Option<Seen> {
    let mut drawing = Drawing::new(size)?;
    shown.iter().for_each(|piece| drawing.feed(piece));
    drawing.forget_lines();
    let mut lines = Vec::new();
    let mut joined = !shown.is_empty();
    let mut parts = text.split_inclusive('\n');
    while let Some(part) = parts.next() {
        if joined || needs_drawing(part) {
            drawing.feed(part);
            let done = drawing.take_lines().into_iter();
            lines.extend(done.map(|text| Line { text, joined }));
        } else {
            drawing.feed("\r\n");
            drawing.forget_lines();
        }
        joined &= !part.ends_with('\n');
        if !joined && !parts.clone().any(needs_drawing) {
            break;
        }
    }
    let before = shown.iter().map(|piece| (*piece).to_owned()).collect();
    (!lines.is_empty()).then_some(Seen { lines, typed: None, before })
}

/// The first line of a text behind what was shown before it, if none of it has to be drawn and it fits on the
/// screen.
fn plain_line(shown: &[&str], text: &str, size: Size) -> Option<String> {
    let (first, _) = text.split_once('\n')?;
    let mut line = shown.concat();
    line.push_str(first.strip_suffix('\r').unwrap_or(first));
    let fits = line.len() < size.cols as usize && size.cols <= COLS_MAX && size.rows >= 2;
    (!shown.is_empty() && fits && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
        .then_some(line)
}

/// May a text lead the cursor to another line? `before` is what was shown last: a sequence may begin there.
fn may_complete(before: &str, text: &str) -> bool {
    let open = before.rfind('\u{1b}').and_then(|at| before.get(at..)).unwrap_or_default();
    let mut bytes = open.bytes().chain(text.bytes()).peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' | 0x0b | 0x0c => return true,
            // C1 controls are two bytes of UTF-8.
            0xc2 if bytes.peek().is_some_and(|next| *next < 0xa0) => return true,
            0x1b => {
                if bytes.next() != Some(b'[') {
                    return true;
                }
                // Of control sequences these stay on the line: colours, erasing in it, moves in it.
                let mut private = false;
                let end = loop {
                    match bytes.next() {
                        Some(b'?') => private = true,
                        Some(b'0'..=b'9' | b';') => {}
                        end => break end,
                    }
                };
                // Of private modes one that switches screens moves the cursor.
                if private || !end.is_some_and(|end| b"mKCDGP@X".contains(&end)) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Does a line not look as its bytes say? (Tabs and a carriage return at its end change nothing.)
pub(super) fn needs_drawing(line: &str) -> bool {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        || line.contains(|c: char| ('\u{80}'..='\u{9f}').contains(&c))
}

/// The end of a text that fits into a context.
fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(BYTES_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}
