//! Tiles: the tree in pieces of 256 hashes that any web server can hand out, as C2SP writes it
//! (<https://c2sp.org/tlog-tiles>).
//!
//! ```text
//! tile/<L>/<N>[.p/<W>]            hashes: the i-th is the root over the leaves
//!                                 (256 N + i) 256^L .. (256 N + i + 1) 256^L
//! tile/entries/<N>[.p/<W>]        the leaves themselves, each with its length before it (2, big-endian)
//! ```
//!
//! `N` is written in groups of three digits, all but the last with an `x` before them: 1234067 is
//! `x001/x234/067`. `W` is there when the tile is not full yet: 1 to 255 entries.

/// How many hashes a full tile has.
pub const TILE_WIDTH: u64 = 256;
/// The largest level that a tile can have.
const LEVEL_MAX: u8 = 63;

/// Which tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// How many times 256 leaves stand under each of its hashes; `None` for the leaves themselves.
    pub level: Option<u8>,
    /// Its number in its level.
    pub index: u64,
    /// How many entries it has: 1 to 256.
    pub width: u32,
}

impl Tile {
    /// Reads what follows `tile/` in a path.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(path: &str) -> Result<Tile, &'static str> {
        let (level, rest) = path.split_once('/').ok_or("a tile's path is tile/LEVEL/NUMBER")?;
        let level = match level {
            "entries" => None,
            digits => Some(
                decimal(digits)
                    .and_then(|n| u8::try_from(n).ok())
                    .filter(|n| *n <= LEVEL_MAX)
                    .ok_or("a tile's level is 0 to 63, or `entries`")?,
            ),
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH as u32),
            Some((number, width)) => {
                let width = decimal(width).filter(|w| (1..TILE_WIDTH).contains(w));
                (number, width.ok_or("a partial tile's width is 1 to 255")? as u32)
            }
        };
        let index = number_of(number).ok_or("a tile's number is written as x001/x234/067")?;
        Ok(Tile { level, index, width })
    }

    /// Its path, after `tile/`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        let level = self.level.map_or("entries".to_owned(), |level| level.to_string());
        let full = u64::from(self.width) == TILE_WIDTH;
        let part = if full { String::new() } else { format!(".p/{}", self.width) };
        format!("{level}/{number}{part}")
    }

    /// Where its entries are in its level.
    #[must_use]
    pub fn entries(&self) -> Option<std::ops::Range<u64>> {
        let start = self.index.checked_mul(TILE_WIDTH)?;
        Some(start..start.checked_add(u64::from(self.width))?)
    }

    /// Is it in a tree of this size? A partial tile is as long as the tree that has it is known.
    #[must_use]
    pub fn is_in(&self, size: u64) -> bool {
        let entries = match self.level {
            None | Some(0) => size,
            Some(level) => size.checked_shr(u32::from(level) * 8).unwrap_or(0),
        };
        self.entries().is_some_and(|range| range.end <= entries)
    }
}

/// A number in plain decimal.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    if digits && plain { text.parse().ok() } else { None }
}

fn number_of(text: &str) -> Option<u64> {
    let mut groups = text.split('/').peekable();
    let mut number: u64 = 0;
    let mut first = true;
    loop {
        let group = groups.next()?;
        let last = groups.peek().is_none();
        let digits = if last { group } else { group.strip_prefix('x')? };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: u64 = digits.parse().ok()?;
        // One number, one path.
        if first && !last && value == 0 {
            return None;
        }
        first = false;
        number = number.checked_mul(1000)?.checked_add(value)?;
        if last {
            return Some(number);
        }
    }
}
