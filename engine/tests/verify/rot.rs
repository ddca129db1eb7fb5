//! Any byte of any file may rot: it is named, the rest can be read, and what is derived is mended.

use super::support::{check, files, small};
use std::fs;

/// Bytes of a file that are tried: all of a small file, some of a larger one.
fn sample(len: usize, seed: &mut u64) -> Vec<usize> {
    const ALL: usize = 160;
    if len <= ALL {
        return (0..len).collect();
    }
    // Its ends, where headers and footers are, and a seeded choice between.
    let mut places: Vec<usize> = (0..48).chain(len - 48..len).collect();
    for _ in 0..64 {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        places.push((*seed >> 33) as usize % len);
    }
    places.sort_unstable();
    places.dedup();
    places
}

#[test]
fn a_byte_that_rotted_is_named_with_its_file_and_range() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    assert!(check(dir.path()).is_well());
    let (mut seed, mut tried) = (7, 0);
    let mut unseen = Vec::new();
    for file in files(dir.path()) {
        let path = dir.path().join(&file);
        let good = fs::read(&path).unwrap();
        for at in sample(good.len(), &mut seed) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&path, &bad).unwrap();
            let report = check(dir.path());
            let named = report.findings.iter().any(|finding| {
                finding.file == file && (finding.from..finding.to).contains(&(at as u64))
            });
            tried += 1;
            if !named {
                unseen.push(format!("{} byte {at}: {:?}", file.display(), report.findings));
            }
        }
        fs::write(&path, &good).unwrap();
    }
    println!("{tried} bytes were tried");
    assert!(
        unseen.is_empty(),
        "{} of {tried}:\n{}",
        unseen.len(),
        unseen[..unseen.len().min(20)].join("\n")
    );
}
