//! sudo's log server protocol: a client made of bytes for what sudo itself never does, then sudo.

use crate::clients::{debian, until};
use crate::support::{Service, config};
use daybook_engine::{Engine, Options};
use daybook_server::{Config, Server};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A server that listens for sudo.
struct Sudo {
    service: Service,
    address: SocketAddr,
}

async fn serve(data: &Path, more: Config) -> Sudo {
    let options = Options { index_heap_bytes: 16 << 20, ..Options::default() };
    let engine = Engine::open(data, options).unwrap();
    let limits = Config { sudo_listen: Some("127.0.0.1:0".parse().unwrap()), ..more };
    let server = Server::bind(limits, Arc::clone(&engine)).await.unwrap();
    let (url, address) = (server.url(), server.sudo_address().unwrap());
    let reload = server.reload();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.serve(async move {
        let _ = stopped.await;
    }));
    Sudo { service: Service::of(url, reload, engine, stop, running), address }
}

impl Sudo {
    async fn stop(mut self) {
        self.service.stop.take().unwrap().send(()).unwrap();
        (&mut self.service.running).await.unwrap();
        self.service.engine.close().unwrap();
    }

    /// The only session's id and its events.
    async fn session(&self) -> (String, Vec<Value>) {
        let (_, page) = self.service.get("/v1/sessions").await;
        assert_eq!(page["count"], 1, "{page}");
        let id = page["items"][0]["id"].as_str().unwrap().to_owned();
        let events = self.events(&id).await;
        (id, events)
    }

    async fn events(&self, id: &str) -> Vec<Value> {
        let path = format!("/v1/sessions/{id}/timeline?fold=false&limit=1000");
        let (_, page) = self.service.get(&path).await;
        page["items"].as_array().unwrap().clone()
    }
}

fn shown(events: &[Value]) -> String {
    let text = |event: &Value| event["text"].as_str().map(str::to_owned);
    events.iter().filter(|e| e["kind"] == "terminal.output").filter_map(text).collect()
}

/// Protobuf: a field of bytes, and one of a number.
fn bytes(tag: u8, value: &[u8]) -> Vec<u8> {
    let (mut out, mut len) = (vec![tag << 3 | 2], value.len());
    while len > 127 {
        out.push((len & 127) as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(value);
    out
}

fn number(tag: u8, mut value: u64) -> Vec<u8> {
    // What is nothing is left out.
    if value == 0 {
        return Vec::new();
    }
    let mut out = vec![tag << 3];
    while value > 127 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn time(seconds: u64, nanos: u64) -> Vec<u8> {
    [number(1, seconds), number(2, nanos)].concat()
}

fn info(tag: u8, key: &str, value: &str) -> Vec<u8> {
    bytes(tag, &[bytes(1, key.as_bytes()), bytes(3, value.as_bytes())].concat())
}

fn accept(records: bool) -> Vec<u8> {
    let facts = [
        info(2, "submituser", "alice"),
        info(2, "submithost", "web-1"),
        info(2, "command", "/bin/sh"),
    ];
    let fields = [bytes(1, &time(1_772_357_400, 5)), facts.concat(), number(3, u64::from(records))];
    bytes(1, &fields.concat())
}

/// The nth output, 0.1 s and a nanosecond after the one before.
fn output(n: u32) -> Vec<u8> {
    let io = [bytes(1, &time(0, 100_000_001)), bytes(2, format!("line {n}\r\n").as_bytes())];
    bytes(7, &io.concat())
}

fn exit(code: u64) -> Vec<u8> {
    bytes(3, &[bytes(1, &time(2, 0)), number(2, code)].concat())
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("line {n}\r\n")).collect()
}

struct Client(TcpStream);

impl Client {
    async fn open(address: SocketAddr) -> Client {
        let mut client = Client(TcpStream::connect(address).await.unwrap());
        let hello = client.hear().await.unwrap();
        assert!(hello.0 == 1 && String::from_utf8_lossy(&hello.1).contains("daybook"));
        client.say(&bytes(13, &bytes(1, b"test"))).await;
        client
    }

    async fn say(&mut self, message: &[u8]) {
        let mut frame = (message.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(message);
        self.0.write_all(&frame).await.unwrap();
    }

    /// The next message's tag and body; `None` at the end.
    async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(Duration::from_secs(20), async {
            let len = self.0.read_u32().await.ok()?;
            let mut message = vec![0; len as usize];
            self.0.read_exact(&mut message).await.ok()?;
            let start = 1 + message[1..].iter().position(|byte| *byte < 128).unwrap() + 1;
            Some((message[0] >> 3, message.split_off(start)))
        })
        .await
        .expect("the server says something")
    }

    async fn named(&mut self) -> String {
        let (tag, id) = self.hear().await.unwrap();
        assert_eq!(tag, 3);
        String::from_utf8(id).unwrap()
    }
}

#[tokio::test]
async fn a_client_goes_on_at_the_commit_point_and_nothing_is_lost_or_stored_twice() {
    let data = tempfile::tempdir().unwrap();
    let sudo = serve(data.path(), config()).await;
    let mut client = Client::open(sudo.address).await;
    client.say(&accept(true)).await;
    let id = client.named().await;
    for n in 0..5 {
        client.say(&output(n)).await;
    }
    let (tag, committed) = client.hear().await.unwrap();
    assert_eq!((tag, &committed), (2, &time(0, 500_000_005)), "all that came");
    // Stored, but the client did not hear it.
    for n in 5..8 {
        client.say(&output(n)).await;
    }
    until("all are stored", async || shown(&sudo.session().await.1) == lines(0..8)).await;
    drop(client);
    sudo.stop().await;

    for round in 0..2 {
        let sudo = serve(data.path(), config()).await;
        let mut client = Client::open(sudo.address).await;
        let restart = [bytes(1, id.as_bytes()), bytes(2, &committed)].concat();
        client.say(&bytes(4, &restart)).await;
        for n in 5..10 {
            client.say(&output(n)).await;
        }
        client.say(&exit(3)).await;
        loop {
            match client.hear().await.expect("a last commit point") {
                (2, last) if last == time(1, 10) => break,
                (tag, said) => assert_eq!(tag, 2, "{}", String::from_utf8_lossy(&said)),
            }
        }
        let (found, events) = sudo.session().await;
        assert_eq!((found, shown(&events)), (id.clone(), lines(0..10)), "round {round}");
        let kinds: Vec<&str> = events.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[..2], ["session.start", "command"]);
        assert_eq!(kinds[12..], ["command.end", "session.end"]);
        assert_eq!(events[11]["time"], "2026-03-01T09:30:01.000000015Z");
        assert_eq!(
            (&events[12]["exit_code"], &events[12]["duration_ms"]),
            (&json!(3), &json!(2000))
        );
        sudo.service.engine.seal_now().unwrap();
        sudo.stop().await;
    }
    let sudo = serve(data.path(), config()).await;
    for (id, place, says) in [("none", time(0, 0), "no session"), (&*id, time(0, 7), "no record")] {
        let mut client = Client::open(sudo.address).await;
        client.say(&bytes(4, &[bytes(1, id.as_bytes()), bytes(2, &place)].concat())).await;
        let (tag, said) = client.hear().await.unwrap();
        assert!(tag == 4 && String::from_utf8_lossy(&said).contains(says), "{said:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_stores_and_commits_what_has_come() {
    let data = tempfile::tempdir().unwrap();
    let sudo = serve(data.path(), config()).await;
    let mut client = Client::open(sudo.address).await;
    client.say(&accept(true)).await;
    let id = client.named().await;
    client.say(&output(0)).await;
    client.say(&output(1)).await;
    until("both are stored", async || shown(&sudo.session().await.1) == lines(0..2)).await;
    let stopping = tokio::spawn(sudo.stop());
    let mut last = Vec::new();
    while let Some((tag, said)) = client.hear().await {
        assert_eq!(tag, 2);
        last = said;
    }
    assert_eq!(last, time(0, 200_000_002));
    drop(client);
    stopping.await.unwrap();
    let sudo = serve(data.path(), config()).await;
    assert_eq!((sudo.session().await.0, shown(&sudo.events(&id).await)), (id, lines(0..2)));
}

#[tokio::test]
async fn verdicts_and_what_a_command_runs_are_commands() {
    let data = tempfile::tempdir().unwrap();
    let sudo = serve(data.path(), config()).await;
    let mut client = Client::open(sudo.address).await;
    let facts = [info(3, "submithost", "web-2"), info(3, "command", "/bin/cat")].concat();
    client
        .say(&bytes(
            2,
            &[bytes(1, &time(1_772_357_400, 0)), bytes(2, b"command not allowed"), facts].concat(),
        ))
        .await;
    assert_eq!(client.hear().await, None, "nothing more to say");
    let mut client = Client::open(sudo.address).await;
    client
        .say(&bytes(5, &[bytes(1, &time(1_772_357_401, 0)), bytes(2, b"bad sudoers")].concat()))
        .await;
    assert_eq!(client.hear().await, None);
    let mut client = Client::open(sudo.address).await;
    client.say(&accept(true)).await;
    let id = client.named().await;
    client.say(&accept(false)).await;
    client.say(&bytes(11, &[bytes(1, &time(1, 0)), number(2, 40), number(3, 120)].concat())).await;
    client.say(&bytes(12, &[bytes(1, &time(1, 0)), bytes(2, b"TSTP")].concat())).await;
    client.say(&bytes(9, &[bytes(1, &time(1, 0)), bytes(2, &[0xff, 0xfe])].concat())).await;
    client.say(&exit(0)).await;
    while client.hear().await.is_some() {}
    let mut client = Client::open(sudo.address).await;
    client.say(&accept(false)).await;
    drop(client);
    until("four sessions", async || sudo.service.get("/v1/sessions").await.1["count"] == 4).await;
    until("all have ended", async || {
        sudo.service.get("/v1/sessions?status=open").await.1["count"] == 0
    })
    .await;
    assert_eq!(sudo.service.found("verdict:blocked kind:command").await, 2);
    assert_eq!(sudo.service.found("verdict:passed kind:command").await, 3);
    let events = sudo.events(&id).await;
    let kinds: Vec<&str> = events.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "session.start",
            "command",
            "command",
            "terminal.resize",
            "terminal.marker",
            "output",
            "command.end",
            "session.end"
        ]
    );
    assert_eq!((&events[3]["cols"], &events[3]["rows"]), (&json!(120), &json!(40)));
    assert_eq!((&events[4]["text"], &events[5]["data"]), (&json!("suspend: TSTP"), &json!("//4=")));
}

#[tokio::test]
async fn what_is_too_much_or_no_message_is_answered_with_an_error_and_closed() {
    let data = tempfile::tempdir().unwrap();
    let limits =
        Config { idle_max: Duration::from_millis(300), sudo_connections_max: 2, ..config() };
    let sudo = serve(data.path(), limits).await;
    for (sent, says) in [
        (&[0, 32, 0, 1][..], "over the limit"),
        (&[0xff; 64], "over the limit"),
        (&[0, 0, 0, 2, 0xff, 0xff], "not a ClientMessage"),
        (&[0, 0, 0, 0], "not known"),
        (&[0, 0, 0, 9, 1], "nothing came"),
        (&[], "nothing came"),
    ] {
        let mut client = Client::open(sudo.address).await;
        client.0.write_all(sent).await.unwrap();
        let (tag, said) = client.hear().await.unwrap();
        let said = String::from_utf8_lossy(&said);
        assert!(tag == 4 && said.contains(says), "{sent:?}: {said}");
        assert_eq!(client.hear().await, None);
    }
    let mut early = Client::open(sudo.address).await;
    early.say(&output(1)).await;
    assert_eq!(early.hear().await.unwrap().0, 4, "records before a session");
    drop(early);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _two = (Client::open(sudo.address).await, Client::open(sudo.address).await);
    let mut third = Client(TcpStream::connect(sudo.address).await.unwrap());
    assert_eq!(third.hear().await, None);
    sudo.stop().await;
}

/// Runs a shell script where `/etc/sudoers` is another one; `None` where that can't be.
fn with_sudoers(sudoers: &str, dir: &Path, script: &str) -> Option<Output> {
    use std::os::unix::fs::PermissionsExt;
    if !debian("/usr/sbin/sudo_sendlog", &["sudo"]) {
        return None;
    }
    let file = dir.join("sudoers");
    let _ = std::fs::remove_file(&file);
    std::fs::write(&file, sudoers).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o440)).unwrap();
    let mounted = format!("mount --bind {} /etc/sudoers", file.display());
    let mut command = Command::new("unshare");
    let possible = command.args(["-m", "sh", "-c", &mounted]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("skipped: this process may not mount a sudoers file of its own");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{mounted} && {script}")]);
    Some(command.current_dir("/").output().unwrap())
}

#[tokio::test]
async fn sudo_writes_straight_into_the_log() {
    let data = tempfile::tempdir().unwrap();
    let sudo = serve(data.path(), config()).await;
    let sudoers = format!(
        "Defaults log_servers={}, log_output, log_input, log_subcmds, !log_server_verify, log_exit_status\n\
         Defaults !syslog, !fqdn\n\
         Defaults:nobody !authenticate\n\
         root ALL=(ALL:ALL) NOPASSWD: ALL\n\
         nobody ALL=(root) NOPASSWD: /bin/echo\n",
        sudo.address
    );
    let dir = data.path().to_owned();
    let script = "script -qec 'sudo /bin/sh -c \"echo terminal-$((40+2)); exit 3\"' /dev/null </dev/null; \
        setpriv --reuid=65534 --clear-groups sudo -n /bin/echo piped </dev/null; \
        setpriv --reuid=65534 --clear-groups sudo -n /bin/cat /etc/shadow </dev/null; true";
    let ran = tokio::task::spawn_blocking(move || with_sudoers(&sudoers, &dir, script));
    let Some(ran) = ran.await.unwrap() else { return };
    let said =
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("terminal-42") && said.contains("piped"), "{said}");
    until("three sessions", async || sudo.service.get("/v1/sessions").await.1["count"] == 3).await;
    let ended = async || sudo.service.get("/v1/sessions?status=open").await.1["count"] == 0;
    until("all have ended", ended).await;
    assert_eq!(sudo.service.found("kind:terminal.output terminal-42").await, 1, "{said}");
    assert_eq!(sudo.service.found("kind:output piped").await, 1, "{said}");
    assert_eq!(sudo.service.found("kind:command verdict:blocked /bin/cat").await, 1, "{said}");
    let (_, page) = sudo.service.get("/v1/sessions?sort=started").await;
    let first = &page["items"][0];
    assert_eq!(
        (&first["user"], &first["type"], &first["status"]),
        (&json!("root"), &json!("sudo"), &json!("done"))
    );
    let events = sudo.events(first["id"].as_str().unwrap()).await;
    let end = events.iter().find(|event| event["kind"] == "command.end").unwrap();
    assert_eq!(end["exit_code"], 3, "{events:?}");
    sudo.stop().await;
}

#[tokio::test]
async fn sudos_own_client_resumes_in_the_middle() {
    let data = tempfile::tempdir().unwrap();
    let sudo = serve(data.path(), config()).await;
    let io = tempfile::tempdir().unwrap();
    let sudoers = format!(
        "Defaults log_output, !compress_io, use_pty, iolog_dir={}, iolog_file=log, !syslog, !fqdn\nroot ALL=(ALL:ALL) NOPASSWD: ALL\n",
        io.path().display()
    );
    let dir = data.path().to_owned();
    let script = "script -qec 'sudo /bin/sh -c \"for n in 1 2 3 4 5 6 7 8; do echo part-\\$n; sleep 0.2; done\"' /dev/null </dev/null";
    let ran = tokio::task::spawn_blocking(move || with_sudoers(&sudoers, &dir, script));
    let Some(ran) = ran.await.unwrap() else { return };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let log = io.path().join("log");
    let timing = std::fs::read_to_string(log.join("timing")).unwrap();
    // The fourth record's end, to the nanosecond: where the client goes on.
    let nanos = |delay: &str| {
        let (seconds, rest) = delay.split_once('.').unwrap();
        seconds.parse::<u64>().unwrap() * 1_000_000_000 + rest.parse::<u64>().unwrap()
    };
    let delays = timing.lines().take(4).map(|line| nanos(line.split(' ').nth(1).unwrap()));
    let stop: u64 = delays.sum();
    let stop = format!("{},{}", stop / 1_000_000_000, stop % 1_000_000_000);
    let send = async |address: SocketAddr, more: &[&str]| {
        let mut command = Command::new("/usr/sbin/sudo_sendlog");
        command.args(["-h", "127.0.0.1", "-p", &address.port().to_string()]).args(more).arg(&log);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{more:?}: {said}");
    };
    let whole: String = (1..9).map(|n| format!("part-{n}\r\n")).collect();
    // Told to stop by itself, the client closes at once, and nobody knows what has come; so it sends all,
    // then again from the middle on.
    send(sudo.address, &[]).await;
    let (id, events) = sudo.session().await;
    // The terminal may show the end of its input before.
    assert!(shown(&events).ends_with(&whole), "{events:?}");
    sudo.stop().await;
    let sudo = serve(data.path(), config()).await;
    for _ in 0..2 {
        send(sudo.address, &["-i", &id, "-r", &stop]).await;
        assert_eq!(sudo.session().await, (id.clone(), events.clone()));
    }
    sudo.stop().await;
}
