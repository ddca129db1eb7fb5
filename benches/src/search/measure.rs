//! How long the queries of a class take, cold and warm, and the table of it.

use super::queries::Class;
use anyhow::Result;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Requests of each class, at least, when it is warm.
    pub requests: usize,
    /// A class that takes longer than this has fewer.
    pub class_time: Duration,
    /// Whether the whole system's page cache may be dropped.
    pub whole_cache: bool,
}

impl Effort {
    pub(crate) fn of(quick: bool) -> Effort {
        match quick {
            true => {
                Effort { requests: 20, class_time: Duration::from_millis(500), whole_cache: false }
            }
            false => {
                Effort { requests: 200, class_time: Duration::from_secs(60), whole_cache: true }
            }
        }
    }
}

/// What a class came to in an engine.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub class: Class,
    /// The first query after a start with nothing in memory, in milliseconds.
    pub cold: f64,
    /// The others, the quickest first.
    warm: Vec<f64>,
    /// Queries that found nothing.
    pub empty: usize,
}

impl Figures {
    /// Asks until there are enough answers, or it is late. `ask` gets the number of the query, and answers in
    /// how many milliseconds.
    pub(crate) fn warm(
        (class, cold, empty): (Class, f64, usize),
        effort: Effort,
        mut ask: impl FnMut(usize) -> Result<f64>,
    ) -> Result<Figures> {
        let (mut warm, until) = (Vec::new(), Instant::now() + effort.class_time);
        while warm.len() < effort.requests && (warm.len() < 3 || Instant::now() < until) {
            warm.push(ask(warm.len())?);
        }
        Ok(Figures::new(class, cold, empty, warm))
    }

    pub(crate) fn new(class: Class, cold: f64, empty: usize, mut warm: Vec<f64>) -> Figures {
        warm.sort_by(f64::total_cmp);
        Figures { class, cold, warm, empty }
    }

    fn at(&self, quantile: f64) -> f64 {
        let at = (self.warm.len() as f64 * quantile) as usize;
        self.warm.get(at).or(self.warm.last()).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn p95(&self) -> f64 {
        self.at(0.95)
    }

    fn columns(&self) -> String {
        format!(
            "{:>9.2} {:>8.2} {:>8.2} {:>9.2} {:>5}{}",
            self.at(0.5),
            self.p95(),
            self.at(0.99),
            self.cold,
            self.warm.len(),
            // Only where it is so: nothing was found.
            if self.empty > 0 { format!(" ({} empty)", self.empty) } else { String::new() }
        )
    }
}

const HEAD: &str = "   p50 ms      p95      p99      cold     n";

/// daybook's figures, each beside its target.
pub(crate) fn print(figures: &[Figures]) {
    println!("           {:<14}{HEAD}   target", "daybook");
    for one in figures {
        let target = one.class.target_ms();
        println!(
            "           {:<14}{} {:>6.0} {}",
            one.class.name(),
            one.columns(),
            target,
            if one.p95() <= target { "" } else { "missed" }
        );
    }
}

/// A peer's figures, each beside daybook's: how many times as long it takes at the 95th percentile.
pub(crate) fn print_beside(name: &str, figures: &[Figures], daybook: &[Figures]) {
    println!("           {name:<14}{HEAD}   times daybook's p50, p95, cold");
    for (peer, daybook) in figures.iter().zip(daybook) {
        println!(
            "           {:<14}{}   {:.1}, {:.1}, {:.1}",
            peer.class.name(),
            peer.columns(),
            peer.at(0.5) / daybook.at(0.5),
            peer.p95() / daybook.p95(),
            peer.cold / daybook.cold,
        );
    }
}

/// Takes the files below a directory out of the page cache; says how.
pub(crate) fn drop_caches(dir: &Path, effort: Effort) -> Result<&'static str> {
    // Only what is on the disk can be dropped.
    Command::new("sync").status()?;
    if effort.whole_cache && std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok("the system's page cache dropped");
    }
    forget(dir)?;
    Ok("its files taken out of the page cache by posix_fadvise")
}

fn forget(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if path.is_file() {
            fadvise(File::open(&path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
