//! Numbers and times as people read them.

use daybook_engine::event::Micros;

/// `12,345`
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1.4 MB`; powers of a thousand.
#[must_use]
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") }
}

/// `12ms`, `4.2s`, `3m 05s`, `2h 10m`, `3d 4h`
#[must_use]
pub fn duration_ms(ms: u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", seconds, ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A time on the wire as `2026-03-01 09:30:00`, in UTC; as it is if it is no time.
#[must_use]
pub fn moment(wire: &str) -> String {
    match Micros::parse(wire) {
        Ok(micros) => {
            let text = micros.to_string();
            text.get(..19).unwrap_or(&text).replace('T', " ")
        }
        Err(_) => super::clean::line(wire),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(bytes(1_400_000), "1.4 MB");
        assert_eq!(duration_ms(185_000), "3m 05s");
        assert_eq!(moment("2026-03-01T10:30:00.5+01:00"), "2026-03-01 09:30:00");
    }
}
