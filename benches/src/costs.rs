//! What the Merkle log and encryption cost: the same load with one of them on and off, in turns, so that
//! what else the machine does meanwhile meets all of them.

use crate::ingest::until_sealed;
use crate::mb;
use crate::server::program;
use crate::source::Source;
use anyhow::{Result, ensure};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// One way to run the server, and what all its rounds took.
struct Variant<'a> {
    place: usize,
    name: &'static str,
    flags: &'a [&'a str],
    cpu: f64,
    merkle: f64,
    /// MB per CPU second, round by round.
    rounds: Vec<f64>,
}

/// Loads everything with each of the variants in turn, and compares them with the usual one.
pub(crate) fn report(dir: &Path, source: &Source, producers: usize, quick: bool) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let keys = dir.join("encryption.keys");
    let line = Command::new(program()?).arg("keygen").output()?;
    ensure!(line.status.success(), "daybook keygen: {}", String::from_utf8_lossy(&line.stderr));
    std::fs::write(&keys, line.stdout)?;
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600))?;
    let keys = keys.display().to_string();
    let encrypted = ["--encryption-key-file", keys.as_str()];
    let variant = |place, name, flags| {
        let rounds = Vec::new();
        Variant { place, name, flags, cpu: 0.0, merkle: 0.0, rounds }
    };
    let mut variants = [
        variant(0, "as it is", &[]),
        variant(1, "no Merkle log", &["--set", "merkle=false"]),
        variant(2, "encrypted", &encrypted),
    ];
    let rounds: u32 = if quick { 2 } else { 4 };
    if !quick {
        // The first run pays for what the others find in memory.
        let place = dir.join("warm");
        drop(until_sealed(&place, source, producers, &[])?);
        std::fs::remove_dir_all(&place)?;
    }
    for round in 0..rounds {
        // Each of them comes first in some round.
        variants.rotate_left(usize::from(round > 0));
        for (at, variant) in variants.iter_mut().enumerate() {
            let place = dir.join(format!("{round}-{at}"));
            let sealed = until_sealed(&place, source, producers, variant.flags)?;
            variant.cpu += sealed.cpu;
            variant.merkle += sealed.stats["cpu_seconds"]["merkle"].as_f64().unwrap_or(0.0);
            variant.rounds.push(mb(source.raw_bytes) / sealed.cpu);
            drop(sealed);
            std::fs::remove_dir_all(&place)?;
        }
    }
    let rate = |variant: &Variant<'_>| f64::from(rounds) * mb(source.raw_bytes) / variant.cpu;
    variants.sort_by_key(|variant| variant.place);
    for variant in &variants {
        let each: Vec<String> = variant.rounds.iter().map(|rate| format!("{rate:.1}")).collect();
        println!(
            "costs      {:<13} {:.1} MB per CPU second until all is sealed (rounds: {}); stage merkle {:.1} % of the CPU time",
            variant.name,
            rate(variant),
            each.join(", "),
            100.0 * variant.merkle / variant.cpu,
        );
    }
    let [usual, no_merkle, encrypted] = &variants;
    println!(
        "           loss by the Merkle log {:.1} %, by encryption {:.1} %",
        100.0 * (1.0 - rate(usual) / rate(no_merkle)),
        100.0 * (1.0 - rate(encrypted) / rate(usual)),
    );
    Ok(())
}
