//! PostgreSQL beside daybook, as products of this field use it: a row for each event, a GIN index over a
//! `tsvector` of its texts, `synchronous_commit=on`. The same events, the same number of producers and size of
//! batch, a multi-row insert for each batch, which is acknowledged once it is on the disk.
//!
//! It is skipped where PostgreSQL is not installed. As root, it runs as the user `postgres`.

use crate::outcome::{Outcome, Sent};
use crate::source::Source;
use anyhow::{Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

pub(crate) const PORT: u16 = 7_439;

const TABLE: &str = "
create table events (
    session text not null, seq int not null, line jsonb not null, body text not null,
    words tsvector generated always as (to_tsvector('simple', body)) stored,
    primary key (session, seq));
create index on events using gin (words);";

const INSERT: &str = "insert into events (session, seq, line, body)
    select s, q, l::jsonb, b from unnest($1::text[], $2::int[], $3::text[], $4::text[]) as e (s, q, l, b)
    on conflict do nothing";

/// A PostgreSQL of its own; stopped when dropped.
pub(crate) struct Postgres {
    child: Child,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: it ends its connections and stops.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.child.wait();
    }
}

/// Reports a few numbers of producers and sizes of batch.
pub(crate) fn report(dir: &Path, source: &Source, quick: bool) -> Result<()> {
    let Some(programs) = programs() else {
        println!("postgres   it is not installed (apt-get install postgresql): skipped");
        return Ok(());
    };
    let runs: &[(usize, usize)] = match quick {
        true => &[(1, 1), (8, 100)],
        false => &[(1, 1), (8, 1), (64, 1), (8, 100), (64, 100), (8, 1_000)],
    };
    let lasts = if quick { Duration::from_millis(300) } else { Duration::from_secs(4) };
    std::fs::create_dir_all(dir)?;
    let server = start(&programs, dir, &["shared_buffers=512MB"])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Outcome::print_head("postgres");
    runtime.block_on(async {
        let admin = connect().await?;
        admin.batch_execute(TABLE).await?;
        for (run, (producers, batch)) in runs.iter().enumerate() {
            let before = cpu_seconds(server.child.id())?;
            let mut outcome = load(source, (run, *producers, *batch), lasts).await?;
            outcome.cpu = cpu_seconds(server.child.id())? - before;
            outcome.print(*producers, *batch);
        }
        anyhow::Ok(())
    })
}

/// Where its programs are.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    programs.filter(|dir| dir.join("postgres").is_file()).max()
}

/// A command of its, as a user that it runs as.
fn command(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

/// Starts one with the data in this directory, or with none, and these settings.
pub(crate) fn start(programs: &Path, dir: &Path, settings: &[&str]) -> Result<Postgres> {
    let data = dir.join("data");
    // Its user has to get there.
    let open = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
    };
    open(dir)?;
    if let Some(parent) = dir.parent() {
        open(parent)?;
    }
    if !data.exists() {
        let made = command(&programs.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(&data)
            .current_dir("/")
            .stdout(Stdio::null())
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    }
    let child = command(&programs.join("postgres"))
        .args(["-c", "synchronous_commit=on", "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "max_connections=1100"])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(["-c", "unix_socket_directories=", "-p", &PORT.to_string(), "-D"])
        .arg(&data)
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let server = Postgres { child };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for _ in 0..600 {
        if runtime.block_on(connect()).is_ok() {
            return Ok(server);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("PostgreSQL did not start")
}

/// A connection to the one that runs.
pub(crate) async fn connect() -> Result<Client> {
    let settings = format!("host=127.0.0.1 port={PORT} user=postgres");
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn load(
    source: &Source,
    (run, producers, batch): (usize, usize, usize),
    lasts: Duration,
) -> Result<Outcome> {
    let mut clients = Vec::new();
    for _ in 0..producers {
        clients.push(connect().await?);
    }
    let lines: Arc<Vec<(String, String)>> = Arc::new(
        source.lines.iter().take(20_000).map(|line| (line.clone(), texts(line))).collect(),
    );
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    let until = started + lasts;
    for (producer, client) in clients.into_iter().enumerate() {
        let lines = Arc::clone(&lines);
        let session = format!("r{run}p{producer}");
        tasks.spawn(async move { produce(&client, &session, &lines, batch, until).await });
    }
    Outcome::of(tasks, started).await
}

async fn produce(
    client: &Client,
    session: &str,
    lines: &[(String, String)],
    batch: usize,
    until: Instant,
) -> Result<Sent> {
    let insert = client.prepare(INSERT).await?;
    let (mut sent, mut seq, mut next) = (Sent::new()?, 0i32, lines.iter().cycle());
    while Instant::now() < until {
        let events: Vec<&(String, String)> = next.by_ref().take(batch).collect();
        let sessions = vec![session; batch];
        let seqs: Vec<i32> = (seq..).take(batch).collect();
        let sent_lines: Vec<&str> = events.iter().map(|(line, _)| line.as_str()).collect();
        let sent_texts: Vec<&str> = events.iter().map(|(_, text)| text.as_str()).collect();
        let bytes = sent_lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>();
        let began = Instant::now();
        let stored = client.execute(&insert, &[&sessions, &seqs, &sent_lines, &sent_texts]).await?;
        ensure!(stored == batch as u64, "{stored} of {batch} rows were stored");
        sent.acknowledged(began, stored, bytes)?;
        seq += i32::try_from(batch)?;
    }
    Ok(sent)
}

/// What daybook indexes of an event, as one text without the byte that PostgreSQL does not take.
pub(crate) fn texts(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let texts = ["input", "output", "text", "error"];
    let texts: Vec<&str> = texts.iter().filter_map(|name| event[*name].as_str()).collect();
    texts.join(" ").replace('\0', " ")
}

/// CPU seconds of a process and all that it started, those that have ended too.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        let Some((head, rest)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let own = head.starts_with(&format!("{pid} "));
        if own || number(1) == Some(u64::from(pid)) {
            let ended = if own { 4 } else { 2 };
            ticks += (11..11 + ended).filter_map(number).sum::<u64>();
        }
    }
    ensure!(ticks > 0, "PostgreSQL is gone");
    Ok(ticks as f64 / 100.0)
}
