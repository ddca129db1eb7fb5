//! The real server as a process of its own, with its CPU time and its memory.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub url: String,
    /// From the start of the process to its ready line.
    pub ready_after: Duration,
}

impl Server {
    /// Starts the `daybook` that was built beside this program.
    pub(crate) fn start(data: &Path, flags: &[&str]) -> Result<Server> {
        let program = program()?;
        let started = Instant::now();
        let mut child = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--set", "audit=false", "--data"])
            .arg(data)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        let stdout = child.stdout.take().context("the server has no output")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Some(at) = line.find("http://") {
                let url = line.get(at..).unwrap_or_default();
                let url = url
                    .split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches('/')
                    .to_owned();
                return Ok(Server { child, url, ready_after: started.elapsed() });
            }
        }
        bail!("the server ended before it was ready")
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// CPU seconds that the server has used so far, of all its threads.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(&format!("/proc/{}/stat", self.child.id()))
    }

    /// The server's resident memory now, in MiB.
    pub(crate) fn memory_mib(&self) -> Result<u64> {
        self.memory("VmRSS")
    }

    /// The server's largest resident memory so far, in MiB.
    pub(crate) fn memory_peak_mib(&self) -> Result<u64> {
        self.memory("VmHWM")
    }

    /// What it holds itself now, in MiB: no pages of mapped files.
    pub(crate) fn memory_held_mib(&self) -> Result<u64> {
        self.memory("RssAnon")
    }

    fn memory(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let kib: u64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
        Ok(kib / 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `kill`, its number may be another process's.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The `daybook` that was built beside this program.
pub(crate) fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("daybook");
    if !program.exists() {
        bail!(
            "{} is not there; build it first: cargo build --release --workspace",
            program.display()
        );
    }
    Ok(program)
}

/// CPU seconds that this process has used so far.
pub(crate) fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds("/proc/self/stat")
}

/// Fields 14 and 15 of `stat` (proc(5)): user and system time in ticks of 1/100 s.
fn cpu_seconds(path: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(path)?;
    // The second field is a name in parentheses and may hold spaces.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next().unwrap_or("0").parse()?;
    let system: f64 = fields.next().unwrap_or("0").parse()?;
    Ok((user + system) / 100.0)
}
