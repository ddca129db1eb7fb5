//! The disk alone: how fast a process can write and sync.

use anyhow::Result;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

/// Prints the rate of append + fdatasync for some block sizes.
pub(crate) fn report(dir: &Path, quick: bool) -> Result<()> {
    let rounds = if quick { 20 } else { 300 };
    for size in [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20] {
        let (rate, p50_us) = append_and_sync(dir, size, rounds)?;
        println!(
            "disk       write + fdatasync of {:>5} KiB: {rate:>7.1} MB/s, p50 {p50_us} µs",
            size >> 10
        );
    }
    Ok(())
}

/// Appends `rounds` blocks of `size` bytes, each made durable; answers MB/s and the median in µs.
pub(crate) fn append_and_sync(dir: &Path, size: usize, rounds: u64) -> Result<(f64, u128)> {
    let path = dir.join("disk");
    let file = File::create(&path)?;
    // Bytes that do not compress, should the file system try.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let block: Vec<u8> = (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    let mut times = Vec::new();
    let started = Instant::now();
    for i in 0..rounds {
        let one = Instant::now();
        file.write_all_at(&block, i * size as u64)?;
        file.sync_data()?;
        times.push(one.elapsed().as_micros());
    }
    let rate = (rounds * size as u64) as f64 / 1e6 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    std::fs::remove_file(&path)?;
    Ok((rate, times.get(times.len() / 2).copied().unwrap_or(0)))
}
