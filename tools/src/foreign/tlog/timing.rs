//! `timing`: which characters and bytes of a message came when.

use super::Message;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    In,
    Out,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Said(Side, Vec<u8>),
    Size(u32, u32),
}

/// One direction of a message: what is left of its characters and bytes.
struct Rest<'a> {
    text: &'a str,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    fn text(&mut self, count: usize) -> Result<&'a str, String> {
        let mut ends = self.text.char_indices().map(|(at, _)| at).chain([self.text.len()]);
        let end = ends.nth(count).ok_or("`timing` wants more characters than there are")?;
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        Ok(taken)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.bytes.get(..count).ok_or("`timing` wants more bytes than there are")?;
        self.bytes = self.bytes.get(count..).unwrap_or_default();
        Ok(taken)
    }
}

/// What happened, each with its milliseconds since the message's time; and what `timing` leaves over.
pub(super) type Pieces = (Vec<(i64, Piece)>, Option<String>);

/// Takes a message apart.
pub(super) fn pieces(message: &Message) -> Result<Pieces, String> {
    let mut input = Rest { text: &message.in_txt, bytes: &message.in_bin };
    let mut output = Rest { text: &message.out_txt, bytes: &message.out_bin };
    let mut pieces: Vec<(i64, Piece)> = Vec::new();
    let (mut clock, mut timing) = (0i64, message.timing.as_str());
    while let Some(sign) = timing.chars().next() {
        timing = timing.get(sign.len_utf8()..).unwrap_or_default();
        let mut number = || -> Result<usize, String> {
            let end = timing.find(|c: char| !c.is_ascii_digit()).unwrap_or(timing.len());
            let (digits, rest) = timing.split_at(end);
            timing = rest;
            digits.parse().map_err(|_| format!("`{digits}` is not a number in `timing`"))
        };
        let first = number()?;
        if sign == '+' {
            let millis = i64::try_from(first).map_err(|_| "a wait in `timing` is too long")?;
            clock = clock.saturating_add(millis);
            continue;
        }
        let (side, from) = match sign {
            '<' | '[' => (Side::In, &mut input),
            _ => (Side::Out, &mut output),
        };
        let bytes = match sign {
            '<' | '>' => from.text(first)?.as_bytes(),
            '[' | ']' => {
                expect(&mut timing, '/')?;
                from.text(first)?;
                from.bytes(count(&mut timing)?)?
            }
            '=' => {
                expect(&mut timing, 'x')?;
                let rows = u32::try_from(count(&mut timing)?);
                let size = u32::try_from(first).ok().zip(rows.ok());
                let (cols, rows) = size.ok_or("a window's size in `timing` is too large")?;
                pieces.push((clock, Piece::Size(cols, rows)));
                continue;
            }
            other => return Err(format!("`{}` means nothing in `timing`", other.escape_debug())),
        };
        match pieces.last_mut() {
            Some((at, Piece::Said(before, said))) if *at == clock && *before == side => {
                said.extend_from_slice(bytes);
            }
            _ => pieces.push((clock, Piece::Said(side, bytes.to_vec()))),
        }
    }
    pieces.retain(|(_, piece)| !matches!(piece, Piece::Said(_, bytes) if bytes.is_empty()));
    let left = [input.text.len(), input.bytes.len(), output.text.len(), output.bytes.len()];
    let left: usize = left.iter().sum();
    Ok((pieces, (left > 0).then(|| format!("`timing` leaves {left} bytes over"))))
}

fn expect(timing: &mut &str, sign: char) -> Result<(), String> {
    let rest = timing.strip_prefix(sign);
    *timing = rest.ok_or_else(|| format!("there is no `{sign}` where `timing` needs one"))?;
    Ok(())
}

fn count(timing: &mut &str) -> Result<usize, String> {
    let end = timing.find(|c: char| !c.is_ascii_digit()).unwrap_or(timing.len());
    let (digits, rest) = timing.split_at(end);
    *timing = rest;
    digits.parse().map_err(|_| format!("`{digits}` is not a number in `timing`"))
}
