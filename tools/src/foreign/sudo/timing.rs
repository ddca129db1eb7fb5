//! The records of `timing`.

use super::TTYOUT;

/// One record of `timing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timing {
    /// The next bytes of a stream: 0 stdin, 1 stdout, 2 stderr, 3 ttyin, 4 ttyout.
    Bytes(usize, usize),
    /// Columns and rows.
    Size(u32, u32),
    /// Stopped by, or continued by, this signal.
    Suspended(String),
}

impl Timing {
    /// Reads a line: nanoseconds since the record before, and what it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str) -> Result<(i64, Timing), String> {
        let mut fields = line.split_ascii_whitespace();
        let (kind, delay) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let nanos = delay_nanos(delay).ok_or_else(|| format!("`{delay}` is not a delay"))?;
        let rest: Vec<&str> = fields.collect();
        let record = match (kind, rest.as_slice()) {
            ("0" | "1" | "2" | "3" | "4" | "6", [bytes]) => {
                let bytes =
                    bytes.parse().map_err(|_| format!("`{bytes}` is not a number of bytes"))?;
                let stream = kind.parse::<usize>().map_or(TTYOUT, |stream| stream.min(TTYOUT));
                Timing::Bytes(stream, bytes)
            }
            ("5", [rows, cols]) => {
                let size = cols.parse().ok().zip(rows.parse().ok());
                let (cols, rows) =
                    size.ok_or_else(|| format!("`{rows} {cols}` is not a window's size"))?;
                Timing::Size(cols, rows)
            }
            ("7", [signal]) => Timing::Suspended((*signal).to_owned()),
            _ => return Err(format!("`{}` is no record", line.escape_debug())),
        };
        Ok((nanos, record))
    }
}

/// Seconds with up to nine decimals, after a point or a comma.
fn delay_nanos(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn a_record_is_read_with_a_point_or_a_comma_and_rows_come_before_columns() {
        let read = |line| Timing::read(line).unwrap();
        assert_eq!(read("4 0.032200538 32"), (32_200_538, Timing::Bytes(4, 32)));
        assert_eq!(read("0 12,5 1"), (12_500_000_000, Timing::Bytes(0, 1)));
        assert_eq!(read("6 1 3"), (1_000_000_000, Timing::Bytes(4, 3)));
        assert_eq!(read("5 0.1 40 132"), (100_000_000, Timing::Size(132, 40)));
        assert_eq!(read("7 0.1 TSTP"), (100_000_000, Timing::Suspended("TSTP".into())));
        for bad in ["", "4", "4 x 1", "4 0.1 -1", "8 0.1 1", "5 0.1 40", "4 0.1 1 2", "4 -1.0 1"] {
            Timing::read(bad).unwrap_err();
        }
    }
}
