//! What people see: tables, colours, times and sizes in words. Programs get JSON instead.

pub mod clean;
mod human;
mod paint;
mod table;

pub use human::{bytes, count, duration_ms, moment};
pub use paint::Paint;
pub use table::{Align, Column, Table, terminal_width};

use std::io::Write as _;

/// Writes to standard output. A reader that went away (`| head`) is no error: answers whether more
/// is wanted.
///
/// # Errors
/// The system's.
pub fn print(text: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::new(error).context("can't write to standard output")),
    }
}

/// Writes one line of JSON to standard output, as [`print()`] does.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<bool> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    print(&line)
}
