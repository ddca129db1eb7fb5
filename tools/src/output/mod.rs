//! What people see: tables, colours, a pager, times and sizes in words. Programs get JSON or CSV instead.

mod cell;
pub mod clean;
mod csv;
mod form;
mod human;
mod pager;
mod paint;
mod picture;
mod table;

pub use cell::{Cell, width};
pub use csv::Csv;
pub use form::{Form, FormArgs};
pub use human::{bytes, count, duration_ms, moment};
pub use pager::{Out, PagerArgs};
pub use paint::{Look, Paint};
pub use picture::Picture;
pub use table::{Align, Column, Table, terminal_width};

use std::io::{ErrorKind, Write as _};

/// Writes to standard output. A reader that went away (`| head`) is no error: answers whether more
/// is wanted.
///
/// # Errors
/// The system's.
pub fn print(text: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whether more is wanted after something was written.
fn written(result: std::io::Result<()>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("can't write to standard output")),
    }
}

/// Writes one line of JSON to standard output, as [`print()`] does. Characters that could drive a
/// terminal are escaped, also those that JSON leaves as they are.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<bool> {
    let mut line = clean::json(&serde_json::to_string(value)?).into_owned();
    line.push('\n');
    print(&line)
}

/// Writes a list: as JSON, one object a line, or as the text that is made of it.
///
/// # Errors
/// As [`print()`].
pub fn print_list(
    items: &[serde_json::Value],
    json: bool,
    text: impl FnOnce(&[serde_json::Value]) -> String,
) -> anyhow::Result<()> {
    if !json {
        return print(&text(items)).map(drop);
    }
    for item in items {
        if !print_json(item)? {
            break;
        }
    }
    Ok(())
}
