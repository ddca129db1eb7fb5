//! A PostgreSQL server of a test's own, as Debian packages it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; ended when dropped. It listens on a socket in its directory alone.
pub struct Database {
    server: Child,
    bin: PathBuf,
    dir: tempfile::TempDir,
}

/// The directory of the server's programs, the newest version's.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut bins: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    bins.retain(|bin| bin.join("initdb").is_file());
    bins.sort();
    bins.pop()
}

/// A program as a user that it runs for: not root.
fn as_somebody(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl Database {
    /// Starts one; `None`, with a line that says so, where PostgreSQL is not installed.
    pub fn start() -> Option<Database> {
        let Some(bin) = programs() else {
            println!("skipped: PostgreSQL is not installed (`apt-get install postgresql`)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let data = dir.path().join("data");
        let made = as_somebody(&bin.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "-D"])
            .arg(&data)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = as_somebody(&bin.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "timezone=UTC", "-k"])
            .arg(dir.path())
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let database = Database { server, bin, dir };
        let began = Instant::now();
        while database.psql("select 1").is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(database)
    }

    /// What `daybook runner --dsn` takes.
    pub fn dsn(&self) -> String {
        format!("host={} user=postgres dbname=postgres", self.dir.path().display())
    }

    /// What psql prints for some SQL, or what it says is wrong with it.
    pub fn psql(&self, sql: &str) -> Result<String, String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-U", "postgres", "-h"])
            .arg(self.dir.path())
            .args(["-c", sql])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        match output.status.success() {
            true => Ok(said.trim_end_matches('\n').to_owned() + "\n"),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SIGQUIT ends it with all its processes, at once.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}
