//! Elasticsearch's bulk interface, as its shippers use it.

use crate::clients::{debian, python, script, until};
use crate::support::{Service, command, config, end, hanging, ndjson};
use daybook_engine::Options;
use daybook_server::{Config, Mapping};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Response;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

fn body(actions: &[(Value, Value)]) -> String {
    actions.iter().map(|(action, document)| format!("{action}\n{document}\n")).collect()
}

fn create(id: &str) -> Value {
    json!({"create": {"_index": "audit", "_id": id}})
}

fn ran(session: &str, input: &str) -> Value {
    json!({"@timestamp": "2026-03-01T09:30:00Z", "session.id": session,
        "process.command_line": input})
}

async fn bulk(service: &Service, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = service.http.post(format!("{}/_bulk", service.url));
    let request = request.header("content-type", "application/x-ndjson");
    read(request.body(body).send().await.unwrap()).await
}

async fn read(response: Response) -> (u16, Value) {
    assert_eq!(response.headers()["x-elastic-product"], "Elasticsearch");
    (response.status().as_u16(), response.json().await.unwrap())
}

fn statuses(answer: &Value) -> Vec<u64> {
    let items = answer["items"].as_array().unwrap();
    let status = |item: &Value| {
        item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap()
    };
    items.iter().map(status).collect()
}

#[tokio::test]
async fn fields_of_the_common_schema_become_events_nested_and_dotted() {
    let service = Service::start().await;
    let nested = json!({
        "@timestamp": "2026-03-01T09:30:00.5Z",
        "session": {"id": "s"},
        "user": {"name": "al", "email": "alice@example.com", "full_name": "Alice", "roles": ["dba"]},
        "labels": {"role": "prod-eu", "ticket": "T-1"},
        "source": {"ip": "10.0.0.7"},
        "tags": ["production"],
        "process": {"command_line": "kubectl delete pod x", "exit_code": 1},
        "event": {"type": ["denied"], "duration": 2_500_000, "outcome": "failure"},
        "rule": {"name": "no-deletes"},
        "host": {"name": "web-1"},
    });
    let dotted = json!({"@timestamp": "2026-03-01T09:30:01Z", "session.id": "s",
        "db.system": "postgresql", "db.query.text": "select 1", "event.type": "allowed"});
    let log = json!({"@timestamp": "2026-03-01T09:30:02Z", "session.id": "s",
        "message": "connection closed", "log.level": "warn"});
    let ended = json!({"@timestamp": "2026-03-01T09:30:03Z", "session.id": "s",
        "event": {"category": ["session"], "type": ["end"], "outcome": "success"}});
    let actions = [nested, dotted, log, ended].map(|document| (json!({"index": {}}), document));
    let (status, answer) = bulk(&service, body(&actions)).await;
    assert_eq!((status, statuses(&answer)), (200, vec![201; 4]), "{answer}");

    let (_, session) = service.get("/v1/sessions/s").await;
    for (field, value) in [
        ("user", json!("alice@example.com")),
        ("user_name", json!("Alice")),
        ("groups", json!(["dba"])),
        ("role", json!("prod-eu")),
        ("client_ip", json!("10.0.0.7")),
        ("tags", json!(["production"])),
        ("status", json!("done")),
        ("commands", json!(2)),
        ("blocked", json!(1)),
    ] {
        assert_eq!(session[field], value, "{field} in {session}");
    }
    assert_eq!(session["metadata"]["ticket"], "T-1");
    assert_eq!(session["metadata"]["host.name"], "web-1");
    let (_, page) = service.get("/v1/sessions/s/timeline?fold=false").await;
    let expected = json!([
        {"kind": "command", "input": "kubectl delete pod x", "language": "shell", "exit_code": 1,
            "verdict": "blocked", "rule": "no-deletes", "duration_ms": 2},
        {"kind": "command", "input": "select 1", "language": "sql", "verdict": "passed"},
        {"kind": "output", "text": "[warn] connection closed"},
        {"kind": "session.end", "status": "done"},
    ]);
    for (item, expected) in
        page["items"].as_array().unwrap()[1..].iter().zip(expected.as_array().unwrap())
    {
        let mut item = item.as_object().unwrap().clone();
        for added in ["session", "time", "offset", "seq"] {
            item.remove(added);
        }
        assert_eq!(&Value::Object(item), expected);
    }
}

#[tokio::test]
async fn a_bad_document_is_refused_in_its_item_and_the_others_are_stored() {
    let service = Service::start().await;
    let text = format!(
        "{}{}{}",
        body(&[
            (create("1"), ran("s", "good one")),
            (create("2"), json!({"session.id": "s", "message": "no time"})),
            (create("3"), json!({"@timestamp": "2026-03-01T09:30:00Z", "message": "nowhere"})),
            (create("4"), json!({"@timestamp": "2026-03-01T09:30:00Z", "session.id": "s"})),
            (create("5"), json!([1])),
            (json!({"update": {"_id": "1"}}), json!({"doc": {}})),
        ]),
        "{\"create\":{\"_id\":\"6\"}}\n{\"cut\nnonsense\n{\"a\":1}\n{\"delete\":{\"_id\":\"1\"}}\n",
        body(&[(json!({"index": {"_id": 7}}), ran("s", "good two"))]),
    );
    let request = service.http.put(format!("{}/audit/_bulk", service.url)).body(text);
    let response = request.send().await.unwrap();
    let raw = response.text().await.unwrap();
    let start = r#"{"took":"#;
    assert!(
        raw.starts_with(start)
            && raw.contains(r#","errors":true,"items":[{"create":{"_index":"audit","_id":"1","#),
        "{raw}"
    );
    let answer: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(statuses(&answer), [201, 400, 400, 400, 400, 400, 400, 400, 400, 201], "{answer}");
    for (item, says) in [
        (1, "@timestamp"),
        (2, "session.id"),
        (3, "process.command_line"),
        (4, "JSON object"),
        (6, "not JSON"),
    ] {
        let error = &answer["items"][item]["create"]["error"];
        assert_eq!(error["type"], "mapper_parsing_exception");
        assert!(error["reason"].as_str().unwrap().contains(says), "{error}");
    }
    assert_eq!(answer["items"][9]["index"]["_index"], "audit");
    assert_eq!(service.found("good").await, 2);
    let (_, answer) = bulk(&service, "").await;
    assert_eq!(answer["items"], json!([]));
}

#[tokio::test]
async fn the_same_id_again_is_stored_once_also_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let start = async || {
        let options = Options { index_heap_bytes: 16 << 20, ..Options::default() };
        Service::on(tempfile::tempdir().unwrap(), data.path(), options, config()).await
    };
    let mut service = start().await;
    let sent = body(&[
        (create("a"), ran("s", "echo one")),
        (create("b"), ran("s", "echo two")),
        (create("a"), ran("s", "echo one")),
        (create("a"), ran("other", "echo one")),
    ]);
    let (_, answer) = bulk(&service, sent.clone()).await;
    assert_eq!(statuses(&answer), [201, 201, 200, 201], "an id is its session's: {answer}");
    for round in 0..3 {
        let (_, answer) = bulk(&service, sent.clone()).await;
        assert_eq!((statuses(&answer), &answer["errors"]), (vec![200; 4], &json!(false)));
        // What was stored first stays, whether that is what was asked for or not.
        let index = json!({"index": {"_id": "a"}});
        let other = [(create("a"), ran("s", "echo other")), (index, ran("s", "echo other"))];
        let (_, answer) = bulk(&service, body(&other)).await;
        assert_eq!(statuses(&answer), [200, 400], "{answer}");
        let error = &answer["items"][1]["index"]["error"]["type"];
        assert_eq!(error, "version_conflict_engine_exception");
        assert_eq!(
            (service.found("echo").await, service.found("kind:session.start").await),
            (3, 0)
        );
        service.stop.take().unwrap().send(()).unwrap();
        (&mut service.running).await.unwrap();
        if round == 1 {
            // From a journal the first time, from a segment the next.
            service.engine.seal_now().unwrap();
        }
        service.engine.close().unwrap();
        drop(service);
        service = start().await;
    }
}

#[tokio::test]
async fn many_requests_with_the_same_ids_at_once_store_each_once() {
    let service = Service::start().await;
    let actions: Vec<_> = (0..50)
        .map(|n| (create(&format!("{n}")), ran(&format!("s-{}", n % 7), &format!("echo n{n}"))))
        .collect();
    let sent = body(&actions);
    let requests = (0..12).map(|_| bulk(&service, sent.clone()));
    let answers = futures_util::future::join_all(requests).await;
    let created = answers.iter().flat_map(|(_, a)| statuses(a)).filter(|status| *status == 201);
    assert_eq!(created.count(), 50);
    assert_eq!(service.found("kind:command").await, 50);
}

#[tokio::test]
async fn documents_that_are_events_are_taken_as_they_are() {
    let service = Service::start().await;
    let mut unnumbered = command("s", 0, "select three");
    unnumbered.as_object_mut().unwrap().remove("seq");
    let actions = [
        (create("x"), command("s", 1, "select one")),
        (create("y"), unnumbered),
        (create("z"), end("s", 9)),
        (
            create("w"),
            json!({"session": "s", "time": "2026-03-01T09:30:00Z", "kind": "command", "input": "x", "colour": "red"}),
        ),
    ];
    let (_, answer) = bulk(&service, body(&actions)).await;
    assert_eq!(statuses(&answer), [201, 201, 201, 400], "{answer}");
    let (_, again) = bulk(&service, body(&actions[..3])).await;
    assert!(statuses(&again).iter().all(|status| [200, 201].contains(status)), "{again}");
    let (_, tally) = service.post(ndjson(&[command("s", 1, "select one")])).await;
    assert_eq!((&tally["accepted"], &tally["duplicates"]), (&json!(0), &json!(1)));
    let (_, page) = service.get("/v1/sessions/s/timeline").await;
    assert_eq!(page["count"], 3);
    assert_eq!((&page["items"][1]["id"], &page["items"][1]["seq"]), (&json!("y"), &json!(2)));
}

#[tokio::test]
async fn which_field_is_which_can_be_configured() {
    let mut mapping = Mapping::default();
    mapping.set("session", vec!["conn".to_owned()]).unwrap();
    mapping.set("input", vec!["query.sql".to_owned()]).unwrap();
    let service = Service::with(Config { mapping, ..config() }).await;
    let document =
        json!({"@timestamp": 1772357400000_u64, "conn": 17, "query": {"sql": "select 17"}});
    let (_, answer) = bulk(&service, body(&[(json!({"create": {}}), document)])).await;
    assert_eq!(statuses(&answer), [201], "{answer}");
    let (_, page) = service.get("/v1/sessions/17/timeline").await;
    assert_eq!(
        (&page["items"][0]["input"], &page["items"][0]["time"]),
        (&json!("select 17"), &json!("2026-03-01T09:30:00.000000Z"))
    );
}

#[tokio::test]
async fn what_is_overloaded_says_so_for_the_whole_request_and_stores_nothing() {
    let limits = Config {
        uploads_bytes_max: 8 << 20,
        busy_wait: Duration::from_millis(50),
        request_bytes_max: 1 << 20,
        ..config()
    };
    let service = Service::with(limits).await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&vec![b' '; 2 << 20]).unwrap();
    for (encoding, sent) in [("gzip", gzip.finish().unwrap()), ("identity", vec![b' '; 2 << 20])] {
        let request = service.http.post(format!("{}/_bulk", service.url)).body(sent);
        let (status, answer) =
            read(request.header("content-encoding", encoding).send().await.unwrap()).await;
        assert_eq!((status, &answer["status"]), (413, &json!(413)), "{answer}");
    }
    // Two uploads of unknown length hold all the memory that there is.
    let mut held = Vec::new();
    for _ in 0..2 {
        let request = service.http.post(format!("{}/v1/events", service.url));
        held.push(tokio::spawn(request.body(hanging()).send()));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sent = body(&[(create("1"), ran("s", "echo held"))]);
    let request = service.http.post(format!("{}/_bulk", service.url)).body(sent);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    let (status, answer) = read(response).await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (429, &json!("es_rejected_execution_exception"))
    );
    held.iter().for_each(|upload| upload.abort());
    service.engine.close().unwrap();
    let (status, answer) = bulk(&service, body(&[(create("1"), ran("s", "echo late"))])).await;
    assert_eq!((status, &answer["status"]), (503, &json!(503)), "{answer}");
}

#[tokio::test]
async fn what_shippers_ask_first_is_answered_and_browsers_get_the_page() {
    let service = Service::start().await;
    let (status, root) = read(service.raw("/").await).await;
    assert_eq!((status, root["version"]["number"].as_str()), (200, Some("8.19.0")));
    let response = service.http.head(&service.url).send().await.unwrap();
    assert_eq!(response.headers()["x-elastic-product"], "Elasticsearch");
    let page = service.http.get(&service.url).header(ACCEPT, "text/html").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    for path in [
        "/_license",
        "/_xpack?categories=x",
        "/_cluster/health",
        "/_ilm/policy/filebeat",
        "/_index_template/logs",
        "/_template/x",
        "/_ingest/pipeline/p",
        "/_nodes",
        "/_nodes/http",
        "/_logstash/pipeline",
        "/_data_stream/x",
    ] {
        let (status, answer) = read(service.raw(path).await).await;
        assert!(status == 200 && answer.is_object(), "{path}: {answer}");
        let head = service.http.head(format!("{}{path}", service.url)).send().await.unwrap();
        assert_eq!(head.status(), 200, "{path}");
    }
    let (_, license) = read(service.raw("/_license").await).await;
    assert_eq!(license["license"]["status"], "active");
    let put = service.http.put(format!("{}/_index_template/logs", service.url)).body("{}");
    assert_eq!(read(put.send().await.unwrap()).await.1["acknowledged"], true);
}

#[tokio::test]
async fn the_python_client_sends_and_sends_again() {
    let Some(python) = python() else { return };
    let service = Service::start().await;
    assert_eq!(script(&python, "bulk.py", &service.url, &[]).await, "sent\n");
    assert_eq!(service.found("pod999marker").await, 1);
    let (_, page) = service.get("/v1/sessions?q=role:prod-eu").await;
    assert_eq!(page["count"], 5);
    let (_, stats) = service.get("/v1/stats").await;
    assert_eq!(stats["events"], 1005, "a thousand commands and a start for each session");
}

#[tokio::test]
async fn rsyslog_sends_what_it_receives() {
    if !debian(
        "/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so",
        &["rsyslog", "rsyslog-elasticsearch"],
    ) {
        return;
    }
    let service = Service::start().await;
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let port = service.url.rsplit(':').next().unwrap();
    let conf = format!(
        r#"global(workDirectory="{at}")
module(load="imfile")
module(load="omelasticsearch")
input(type="imfile" File="{at}/in.log" Tag="audit" addMetadata="on")
template(name="document" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="log.level" name="syslogseverity-text" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  constant(outname="session.id" value="syslog" format="jsonf")
}}
template(name="id" type="string" string="%$!metadata!filename%:%$!metadata!fileoffset%")
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="document"
  searchIndex="syslog" searchType="" bulkmode="on" writeoperation="create" bulkid="id" dynbulkid="on"
  action.resumeRetryCount="-1" action.resumeInterval="1" errorfile="{at}/errors.json")
"#
    );
    std::fs::write(dir.path().join("rsyslog.conf"), conf).unwrap();
    let lines: String = (0..200).map(|n| format!("session opened marker{n} \"x\"\n")).collect();
    std::fs::write(dir.path().join("in.log"), lines).unwrap();
    let mut rsyslog = Command::new("/usr/sbin/rsyslogd")
        .args(["-n", "-iNONE", "-f"])
        .arg(dir.path().join("rsyslog.conf"))
        .spawn()
        .unwrap();
    until("rsyslog sends 200 lines", async || service.found("session:syslog").await >= 200).await;
    // Killed before it could note down how far it was, it sends what it does not know to be stored.
    rsyslog.kill().unwrap();
    rsyslog.wait().unwrap();
    let mut again = Command::new("/usr/sbin/rsyslogd")
        .args(["-n", "-iNONE", "-f"])
        .arg(dir.path().join("rsyslog.conf"))
        .spawn()
        .unwrap();
    let mut file =
        std::fs::OpenOptions::new().append(true).open(dir.path().join("in.log")).unwrap();
    writeln!(file, "session closed marker200").unwrap();
    until("rsyslog goes on", async || service.found("marker200").await == 1).await;
    again.kill().unwrap();
    again.wait().unwrap();
    assert_eq!(service.found("session:syslog kind:output").await, 201);
    let errors = std::fs::read_to_string(dir.path().join("errors.json")).unwrap_or_default();
    assert_eq!(errors, "");
}
