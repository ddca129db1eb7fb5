//! Which characters can't have been seen: whoever looks for a text spares the drawing where one of its own was
//! never sent.

/// A set of visible ASCII characters, in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chars(u128);

impl Chars {
    /// Those of a text; others of its characters are left out.
    #[must_use]
    pub fn of(text: &str) -> Chars {
        let visible = text.bytes().filter(u8::is_ascii_graphic);
        Chars(visible.fold(0, |all, byte| all | 1 << byte.to_ascii_lowercase()))
    }

    /// Those of either.
    #[must_use]
    pub fn and(self, other: Chars) -> Chars {
        Chars(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub fn both(self, other: Chars) -> Chars {
        Chars(self.0 & other.0)
    }

    /// Can they be on a screen that these were sent to?
    #[must_use]
    pub fn may_show(self, sent: Chars) -> bool {
        // The one that a terminal draws by itself, to be adjusted by (DECALN).
        self.0 & !(sent.0 | Chars::of("E").0) == 0
    }
}
