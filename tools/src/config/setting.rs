//! A setting: where it is kept, what it may be, and how it is read and written.
//!
//! | unit | written | read |
//! |---|---|---|
//! | size | `"64MiB"`, the largest unit that fits | `KiB`, `MiB`, `GiB`, or a number of bytes |
//! | age | `"15m"` | `ms`, `s`, `m`, `h`, `d` |
//! | number | `4096` | a number |
//! | yes or no | `true` | `true`, `false` |
//! | text | `"data"` | a text |

use super::Config;
use std::time::Duration;

/// A setting of the configuration, or of a table in it.
#[derive(Debug)]
pub struct Setting<C = Config> {
    /// Its name in the file.
    pub key: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// What happens at it.
    pub at: &'static str,
    /// Where it is kept, and what it may be.
    pub field: Field<C>,
}

/// Where a setting is kept; sizes, ages and numbers have a least and a most, which they may be.
#[derive(Debug)]
pub enum Field<C = Config> {
    /// Bytes.
    Size(fn(&mut C) -> &mut u64, u64, u64),
    /// Bytes that are memory.
    Memory(fn(&mut C) -> &mut usize, u64, u64),
    /// A time.
    Age(fn(&mut C) -> &mut Duration, Duration, Duration),
    /// How many.
    Number(fn(&mut C) -> &mut u64, u64, u64),
    /// How many, of what is held in memory.
    Count(fn(&mut C) -> &mut usize, u64, u64),
    /// Yes or no.
    Switch(fn(&mut C) -> &mut bool),
    /// A text, and how it is put in its place.
    Text(fn(&C) -> String, fn(&mut C, &str) -> Result<(), String>),
}

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
const AGES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl<C: Clone> Setting<C> {
    /// Sets it from a text.
    ///
    /// # Errors
    /// What would be right.
    pub fn set(&self, config: &mut C, text: &str) -> Result<(), String> {
        match self.field {
            Field::Size(place, least, most) => {
                *place(config) = within(size(text)?, least, most, show_size)?;
            }
            Field::Memory(place, least, most) => {
                let bytes = within(size(text)?, least, most, show_size)?;
                *place(config) = usize::try_from(bytes).map_err(|_| too_large())?;
            }
            Field::Age(place, least, most) => {
                *place(config) = within(age(text)?, least, most, show_age)?;
            }
            Field::Number(place, least, most) => {
                *place(config) = within(number(text)?, least, most, |n| n.to_string())?;
            }
            Field::Count(place, least, most) => {
                let count = within(number(text)?, least, most, |n| n.to_string())?;
                *place(config) = usize::try_from(count).map_err(|_| too_large())?;
            }
            Field::Switch(place) => {
                *place(config) = text.parse().map_err(|_| "write true or false".to_owned())?;
            }
            Field::Text(_, put) => put(config, text)?,
        }
        Ok(())
    }

    /// Its value in a configuration, as it is written in a file.
    #[must_use]
    pub fn value(&self, config: &C) -> String {
        // The places are named once, for writing; a copy is as good for reading.
        let mut copy = config.clone();
        match self.field {
            Field::Size(place, ..) => quoted(&show_size(*place(&mut copy))),
            Field::Memory(place, ..) => quoted(&show_size(*place(&mut copy) as u64)),
            Field::Age(place, ..) => quoted(&show_age(*place(&mut copy))),
            Field::Number(place, ..) => place(&mut copy).to_string(),
            Field::Count(place, ..) => place(&mut copy).to_string(),
            Field::Switch(place) => place(&mut copy).to_string(),
            Field::Text(get, _) => quoted(&get(&copy)),
        }
    }

    /// What it may be, in words.
    #[must_use]
    pub fn range(&self) -> String {
        match self.field {
            Field::Size(_, least, most) | Field::Memory(_, least, most) => {
                format!("size, {} to {}", show_size(least), show_size(most))
            }
            Field::Age(_, least, most) => {
                format!("age, {} to {}", show_age(least), show_age(most))
            }
            Field::Number(_, least, most) | Field::Count(_, least, most) => {
                format!("number, {least} to {most}")
            }
            Field::Switch(_) => "true or false".to_owned(),
            Field::Text(..) => "text".to_owned(),
        }
    }
}

/// A size, such as `64MiB`.
///
/// # Errors
/// What would be right.
pub fn size(text: &str) -> Result<u64, String> {
    with_unit(text, &SIZES)
        .ok_or_else(|| "write a number and one of KiB, MiB, GiB, such as 64MiB".to_owned())
}

/// An age, such as `15m`.
///
/// # Errors
/// What would be right.
pub fn age(text: &str) -> Result<Duration, String> {
    with_unit(text, &AGES)
        .map(Duration::from_millis)
        .ok_or_else(|| "write a number and one of ms, s, m, h, d, such as 15m".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// A number with a unit, by which it is multiplied.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn shown(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    let (unit, factor) = units.iter().find(fits).or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{unit}", value / factor)
}

fn show_size(bytes: u64) -> String {
    shown(bytes, &SIZES)
}

pub(super) fn show_age(age: Duration) -> String {
    shown(u64::try_from(age.as_millis()).unwrap_or(u64::MAX), &AGES)
}

fn within<T: PartialOrd + Copy>(
    value: T,
    least: T,
    most: T,
    show: impl Fn(T) -> String,
) -> Result<T, String> {
    if value < least || value > most {
        return Err(format!("{} is not between {} and {}", show(value), show(least), show(most)));
    }
    Ok(value)
}

/// What a text names among a few things.
pub(super) fn one_of<T: Copy>(text: &str, all: &[(&'static str, T)]) -> Result<T, String> {
    let found = all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ");
    found.ok_or_else(|| format!("write {}", names()))
}

fn too_large() -> String {
    "it is more than this machine can count".to_owned()
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn sizes_and_ages_are_read_as_they_are_written() {
        for text in ["1GiB", "1025MiB", "64MiB", "1KiB", "1025", "0"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
        for text in ["1d", "36h", "15m", "90s", "1500ms"] {
            assert_eq!(show_age(age(text).unwrap()), text);
        }
        assert_eq!(size("64 MiB").unwrap(), 64 << 20);
        for text in ["", "MiB", "64MB", "1.5GiB", "-1", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        // A bare number of what?
        assert!(age("15").is_err());
    }
}
