//! What the names on a command line stand for: files, and the logs in directories.

use crate::foreign::is_io_log;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};

/// Something to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// A directory that sudo's I/O logging left.
    IoLog {
        /// Where.
        dir: PathBuf,
        /// Was it named itself? One that was found among others does not stop them.
        named: bool,
    },
}

/// How deep directories are looked into.
const DEPTH_MAX: u32 = 16;

/// What is to be imported, in order.
///
/// # Errors
/// A directory that can't be read, or without a log in it.
pub fn inputs(names: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for name in names {
        if !name.is_dir() {
            inputs.push(Input::File(name.clone()));
        } else if is_io_log(name) {
            inputs.push(Input::IoLog { dir: name.clone(), named: true });
        } else {
            let before = inputs.len();
            walk(name, DEPTH_MAX, &mut inputs)?;
            if inputs.len() == before {
                bail!(
                    "{} is a directory without a log of sudo's in it (one has `timing`, and `log` or `log.json`); name files instead",
                    name.display()
                );
            }
        }
    }
    Ok(inputs)
}

fn walk(dir: &Path, depth: u32, inputs: &mut Vec<Input>) -> anyhow::Result<()> {
    let unread = || format!("can't read the directory {}", dir.display());
    let mut below = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(unread)? {
        let entry = entry.with_context(unread)?;
        // Not through links: they may lead round in circles.
        if entry.file_type().with_context(unread)?.is_dir() {
            below.push(entry.path());
        }
    }
    below.sort();
    for dir in below {
        if is_io_log(&dir) {
            inputs.push(Input::IoLog { dir, named: false });
        } else if depth > 0 {
            walk(&dir, depth - 1, inputs)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn logs_are_found_in_directories_and_a_directory_without_one_is_said() {
        let temp = tempfile::tempdir().unwrap();
        let log = |name: &str| {
            let dir = temp.path().join(name);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("timing"), "").unwrap();
            std::fs::write(dir.join("log"), "").unwrap();
            dir
        };
        let (one, two) = (log("00/00/01"), log("00/00/02"));
        let empty = temp.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        let found = inputs(&[temp.path().to_owned(), "x.cast".into(), one.clone()]).unwrap();
        let expected = [
            Input::IoLog { dir: one.clone(), named: false },
            Input::IoLog { dir: two, named: false },
            Input::File("x.cast".into()),
            Input::IoLog { dir: one, named: true },
        ];
        assert_eq!(found, expected);
        assert!(inputs(&[empty]).unwrap_err().to_string().contains("without a log"));
    }
}
