//! `daybook runner` as it is used: a real server, real runners, a real PostgreSQL, and deaths of either side.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod database;

use common::{Server, daybook};
use database::Database;
use daybook_tools::client::{Client, Sent};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server with a session in it.
struct Book {
    server: Server,
    client: Client,
    dir: tempfile::TempDir,
}

/// A runner; killed when dropped.
struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Runner {
    /// Waits for the end of one that takes a single run; answers its exit code.
    fn ends(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

const FLAGS: [&str; 3] = ["--quiet", "--set", "run_lease=1500ms"];

impl Book {
    /// With commands of a language, numbered from 1.
    async fn open(language: &str, commands: &[&str]) -> Book {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(&dir.path().join("data"), &FLAGS);
        let client = Client::new(&server.address, None).unwrap();
        let mut lines = json!({"session": "s", "seq": 0, "time": "2026-03-01T09:00:00Z",
            "kind": "session.start", "user": "alice@example.com", "role": "lab", "type": "database"})
        .to_string();
        for (at, input) in commands.iter().enumerate() {
            let command = json!({"session": "s", "seq": at + 1, "time": "2026-03-01T09:00:01Z",
                "kind": "command", "input": input, "language": language, "verdict": "passed"});
            lines.push_str(&format!("\n{command}"));
        }
        let Sent::Stored(receipt) = client.send_once(lines.into()).await.unwrap() else {
            panic!("the server is busy")
        };
        assert_eq!(receipt.accepted, 1 + commands.len() as u64);
        Book { server, client, dir }
    }

    fn runner(&self, args: &[&str]) -> Runner {
        let spill = self.dir.path().join("spill");
        let child = daybook()
            .args(["runner", "--server", &self.server.address, "--role", "lab", "--spill"])
            .arg(spill)
            .args(args)
            .stdout(Stdio::null())
            .stderr(std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap())
            .spawn()
            .unwrap();
        Runner(child)
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("runner.log")
    }

    async fn rerun(&self, seq: usize, repeat: bool) -> String {
        let body = json!({"command": seq, "by": "ann@example.com", "repeat": repeat});
        let run = self.client.post("/v1/sessions/s/rerun", &body).await.unwrap();
        run["id"].as_str().unwrap().to_owned()
    }

    async fn run(&self, id: &str) -> Value {
        self.client.get(&format!("/v1/runs/{id}"), &[]).await.unwrap_or_default()
    }

    async fn until(&self, id: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let run = self.run(id).await;
            if run["state"] == state {
                return run;
            }
            let said = std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(60), "not {state}: {run:#}\n{said}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a command again, by a runner of its own; answers the result's command, with what is folded under it.
    async fn result(&self, seq: usize, args: &[&str]) -> Value {
        let id = self.rerun(seq, false).await;
        let mut once = vec!["--once"];
        once.extend(args);
        let code = self.runner(&once).ends();
        let run = self.until(&id, "done").await;
        assert_eq!(code, Some(0));
        let items = self.items(run["result"].as_str().unwrap()).await;
        let kinds: Vec<&str> = items.iter().map(|item| item["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["session.start", "command", "session.end"]);
        assert_eq!(
            (&items[0]["user"], &items[0]["role"]),
            (&json!("ann@example.com"), &json!("lab"))
        );
        assert_eq!(items[0]["agent"], "daybook runner");
        assert_eq!(items[1]["rerun_of"], format!("s:{seq}"));
        items[1].clone()
    }

    async fn items(&self, session: &str) -> Vec<Value> {
        let timeline = self.client.get(&format!("/v1/sessions/{session}/timeline"), &[]).await;
        timeline.unwrap()["items"].as_array().unwrap().clone()
    }

    /// The same server, on the same port, after it was killed.
    fn comes_back(&mut self) {
        let listen = self.server.listen();
        self.server.child.kill().unwrap();
        self.server.child.wait().unwrap();
        std::thread::sleep(Duration::from_millis(2_000));
        self.server = Server::start_at(&listen, &self.dir.path().join("data"), &FLAGS);
    }
}

fn output(command: &Value, stream: &str) -> String {
    let outputs = command["outputs"].as_array().cloned().unwrap_or_default();
    let of = outputs.iter().filter(|output| output["stream"] == stream);
    of.map(|output| output["text"].as_str().unwrap_or_default()).collect()
}

fn is_cut(command: &Value) -> bool {
    command["outputs"].as_array().unwrap().iter().any(|output| output["truncated"] == true)
}

#[tokio::test]
async fn sql_gives_what_psql_prints_and_changes_nothing() {
    let Some(database) = Database::start() else { return };
    let create = "create table cards (id int, owner text, note text); \
        insert into cards values (1, 'Ann', null), (20, 'Bérénice', E'two\nlines'), (300, '', 'x')";
    database.psql(create).unwrap();
    let table = "select id, owner, note from cards order by id";
    let book = Book::open(
        "sql",
        &[
            table,
            "select count(*) from cards; select 'b' as second",
            "delete from cards",
            "commit; delete from cards",
            "select nothing from cards",
            "select pg_sleep(60)",
            "select n, repeat('x', 50) from generate_series(1, 5000) n",
            "begin; delete from cards where id = 300; commit",
        ],
    )
    .await;
    let dsn = database.dsn();
    let on = ["--dsn", &dsn];

    let found = book.result(1, &on).await;
    let trimmed =
        |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&output(&found, "result")), trimmed(&database.psql(table).unwrap()));
    assert_eq!(found["end"]["rows"], 3);
    assert!(found["end"]["duration_ms"].is_u64());

    let two = book.result(2, &on).await;
    assert_eq!(two["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(two["end"]["rows"], 2);

    for seq in [3, 4] {
        let refused = book.result(seq, &on).await;
        let error = refused["end"]["error"].as_str().unwrap();
        assert!(error.contains("read-only transaction"), "{error}");
        assert!(output(&refused, "stderr").starts_with("ERROR:  cannot execute DELETE"));
    }
    let wrong = book.result(5, &on).await;
    assert!(output(&wrong, "stderr").contains("column \"nothing\" does not exist"));
    assert_eq!(wrong["end"]["error"], "ERROR: column \"nothing\" does not exist (42703)");

    let began = Instant::now();
    let late = book.result(6, &["--dsn", &dsn, "--timeout", "500ms"]).await;
    assert!(late["end"]["error"].as_str().unwrap().contains("statement timeout"), "{late}");
    assert!(began.elapsed() < Duration::from_secs(20));

    let bounded =
        book.result(7, &["--dsn", &dsn, "--output-max", "64KiB", "--rows-max", "100"]).await;
    assert!(is_cut(&bounded));
    assert_eq!(bounded["end"]["rows"], 5_000);
    assert!(output(&bounded, "result").ends_with("(5000 rows)\nthe first 100 of them are shown\n"));

    assert_eq!(database.psql("select count(*) from cards").unwrap().lines().nth(2), Some("     3"));
    book.result(8, &["--dsn", &dsn, "--read-write"]).await;
    assert_eq!(database.psql("select count(*) from cards").unwrap().lines().nth(2), Some("     2"));
}

#[tokio::test]
async fn shell_commands_run_in_bounds_and_end_with_all_that_they_began() {
    let temp = tempfile::tempdir().unwrap();
    let mark = temp.path().join("mark");
    let leaves = format!("(sleep 4; touch {}) & echo gone; sleep 60", mark.display());
    let book = Book::open(
        "shell",
        &[
            "printf 'żółć\\n'; echo bad >&2; exit 7",
            "yes",
            &leaves,
            "echo [${DAYBOOK_TOKEN-none}]; cat; sleep 0.5; printf '\\377'",
            "kill -9 $$",
        ],
    )
    .await;
    let found = book.result(1, &["--shell"]).await;
    assert_eq!((&*output(&found, "stdout"), &*output(&found, "stderr")), ("żółć\n", "bad\n"));
    assert_eq!(found["end"]["exit_code"], 7);

    let quiet = book.result(4, &["--shell"]).await;
    assert_eq!(output(&quiet, "stdout").trim_end_matches('\n'), "[none]");
    let all = quiet["outputs"].as_array().unwrap();
    assert!(all.iter().any(|output| output["data"].is_string()), "\\377 is no text: {quiet}");
    assert_eq!(book.result(5, &["--shell"]).await["end"]["exit_code"], 128 + 9);

    // What has to be ended here is not done: its result is there, and says why.
    for (seq, kept) in [(2, "y\n"), (3, "gone")] {
        let id = book.rerun(seq, false).await;
        let args = ["--shell", "--once", "--timeout", "1s", "--output-max", "64KiB"];
        assert_eq!(book.runner(&args).ends(), Some(1));
        let run = book.until(&id, "failed").await;
        assert_eq!(run["why"], "it took longer than 1 s");
        let items = book.items(run["result"].as_str().unwrap()).await;
        assert!(output(&items[1], "stdout").starts_with(kept));
        assert!(output(&items[1], "stdout").len() <= 64 << 10);
        assert_eq!(is_cut(&items[1]), seq == 2);
        assert_eq!(items[2]["status"], "killed");
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!mark.exists(), "what it left behind went on");
}

#[tokio::test]
async fn a_runner_that_is_killed_before_it_began_is_followed_by_another() {
    // It takes the connection, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn =
        format!("postgres://x@127.0.0.1:{}/x?sslmode=disable", silent.local_addr().unwrap().port());
    let book = Book::open("sql", &["select 1"]).await;
    let id = book.rerun(1, false).await;
    let mut first = book.runner(&["--dsn", &dsn]);
    book.until(&id, "leased").await;
    first.0.kill().unwrap();
    let run = book.until(&id, "requested").await;
    assert!(run["why"].as_str().unwrap().contains("not heard of before it began"), "{run}");
    assert!(run["result"].is_null());
    let Some(database) = Database::start() else { return };
    assert_eq!(book.runner(&["--dsn", &database.dsn(), "--once"]).ends(), Some(0));
    assert_eq!(book.until(&id, "done").await["attempts"], 2);

    // What can't be reached is given back, and not tried for ever.
    let id = book.rerun(1, false).await;
    let nobody = "postgres://x@127.0.0.1:1/x";
    for _ in 0..3 {
        assert_eq!(book.runner(&["--dsn", nobody, "--once"]).ends(), Some(1));
    }
    let run = book.until(&id, "failed").await;
    assert!(run["why"].as_str().unwrap().contains("refused"), "{run}");
}

#[tokio::test]
async fn a_runner_that_is_killed_while_it_runs_leaves_a_lost_run_that_is_begun_once() {
    let temp = tempfile::tempdir().unwrap();
    let mark = temp.path().join("mark");
    let slow = format!("echo . >> {}; sleep 5", mark.display());
    let book = Book::open("shell", &[&slow]).await;
    let id = book.rerun(1, false).await;
    let mut first = book.runner(&["--shell"]);
    book.until(&id, "running").await;
    while !mark.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.0.kill().unwrap();
    let second = book.runner(&["--shell"]);
    let run = book.until(&id, "lost").await;
    assert!(run["why"].as_str().unwrap().contains("nobody knows"), "{run}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), ".\n");
    drop(second);

    // Where it may be repeated it is.
    let id = book.rerun(1, true).await;
    let mut first = book.runner(&["--shell"]);
    book.until(&id, "running").await;
    first.0.kill().unwrap();
    let _second = book.runner(&["--shell"]);
    assert_eq!(book.until(&id, "done").await["attempts"], 2);
}

#[tokio::test]
async fn a_server_that_is_killed_in_any_state_finds_the_run_again_and_its_result() {
    let mut book = Book::open("shell", &["echo begun; sleep 4; echo ended"]).await;
    let id = book.rerun(1, false).await;
    book.comes_back();
    book.until(&id, "requested").await;
    let runner = book.runner(&["--shell"]);
    book.until(&id, "running").await;
    // It ends while the server is away: its events wait in the spill.
    book.comes_back();
    let run = book.until(&id, "done").await;
    let items = book.items(run["result"].as_str().unwrap()).await;
    assert_eq!(output(&items[1], "stdout"), "begun\nended\n");
    book.comes_back();
    book.until(&id, "done").await;
    // And the runner takes the next one from the one that came back.
    let id = book.rerun(1, false).await;
    book.until(&id, "done").await;
    runner.signal("-TERM");
    assert_eq!(runner.ends(), Some(0));
}

#[tokio::test]
async fn the_command_asks_waits_and_prints_what_differs() {
    let temp = tempfile::tempdir().unwrap();
    let (counter, esc) = (temp.path().join("n"), "\\033[31m");
    let counts =
        format!("echo . >> {0}; echo same; printf '{esc}'; wc -l < {0}", counter.display());
    let book = Book::open("shell", &[&counts, "echo same"]).await;
    let outputs = [(1, "same\n\u{1b}[31m1\n"), (2, "same\n")].map(|(of, text)| {
        json!({"session": "s", "time": "2026-03-01T09:00:02Z", "kind": "output", "command": of,
            "stream": "stdout", "text": text})
        .to_string()
    });
    let ends = [1, 2].map(|of| {
        json!({"session": "s", "time": "2026-03-01T09:00:02Z", "kind": "command.end", "command": of,
            "exit_code": 0})
        .to_string()
    });
    book.client.send_once([outputs, ends].concat().join("\n").into()).await.unwrap();
    let _runner = book.runner(&["--shell"]);
    let ask = |code, seq| {
        let address = &*book.server.address;
        common::run(code, &["rerun", "s", seq, "--wait", "--quiet", "--server", address])
    };
    assert_eq!(ask(0, "1"), "both gave the same result\n");
    assert_eq!(ask(1, "1"), "  same\n- 1\n+ 2\n  exit_code: 0\n");
    assert_eq!(ask(0, "2"), "both gave the same result\n");
    common::run(2, &["rerun", "s", "99", "--server", &book.server.address]);
}

#[tokio::test]
async fn what_is_called_off_is_ended_and_masked_results_are_left_alone() {
    let book = Book::open("shell", &["echo begun; sleep 60"]).await;
    let id = book.rerun(1, false).await;
    let runner = book.runner(&["--shell", "--once"]);
    book.until(&id, "running").await;
    let path = format!("/v1/runs/{id}");
    book.client.change(Method::DELETE, &path, &[], None).await.unwrap();
    assert_eq!(runner.ends(), Some(1));
    let run = book.until(&id, "cancelled").await;
    assert_eq!(run["cancelled_by"], "local");
    let items = book.items(run["result"].as_str().unwrap()).await;
    assert_eq!(
        (&items[2]["status"], &items[2]["reason"]),
        (&json!("killed"), &json!("it was called off"))
    );

    let masked = json!({"session": "s", "seq": 9, "time": "2026-03-01T09:00:01Z", "kind": "command",
        "input": "echo ann@example.com", "language": "shell", "output": "***", "masked": 1});
    book.client.send_once(masked.to_string().into()).await.unwrap();
    let id = book.rerun(9, false).await;
    assert_eq!(book.runner(&["--shell", "--once"]).ends(), Some(1));
    let run = book.until(&id, "failed").await;
    assert!(run["why"].as_str().unwrap().contains("masks nothing"), "{run}");
    assert!(run["result"].is_null());
    book.result(9, &["--shell", "--unmasked"]).await;
}
