//! Rules of the house that the compiler does not know.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

/// What opens files past the disk.
const FILES: [&str; 4] = ["std::fs", "rustix::fs::open", "MmapDirectory", "memmap2"];

/// Where that is allowed: the system's files, and what a map of one is.
const ALLOWED: [&str; 2] = ["disk/real.rs", "disk/map.rs"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let tests = path.ends_with("tests") || path.ends_with("tests.rs");
        if path.is_dir() && !tests {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !tests {
            found.push(path);
        }
    }
}

/// What does not go through the disk, no test can let fail: a crash there would be met first by users.
#[test]
fn every_file_operation_goes_through_the_disk() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 40);
    let mut past = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        if ALLOWED.contains(&name) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            if !comment && FILES.iter().any(|word| line.contains(word)) {
                past.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(past.is_empty(), "use `disk::Disk` instead: {past:#?}");
}
