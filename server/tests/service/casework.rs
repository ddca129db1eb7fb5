//! Notes, cases, marks and queues, as clients see them.

use crate::support::{Service, command, config, end, name, ndjson, start};
use daybook_engine::event::Micros;
use daybook_engine::retention::Policy;
use daybook_query::case_file;
use daybook_server::Config;
use daybook_server::queue::Rule;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Cursor, Read as _, Write as _};
use std::sync::Arc;

async fn with_sessions(service: &Service, ids: &[&str]) {
    for id in ids {
        let events = [start(id), command(id, 2, "select * from cards"), end(id, 3)];
        let (status, answer) = service.post(ndjson(&events)).await;
        assert_eq!((status.as_u16(), &answer["accepted"]), (200, &json!(3)), "{answer}");
    }
}

async fn post(service: &Service, path: &str, body: &Value) -> (u16, Value) {
    let (status, answer) = service.send(Method::POST, path, &body.to_string()).await;
    (status.as_u16(), answer)
}

fn held(service: &Service) -> BTreeSet<String> {
    let holds = service.engine.holds();
    holds.iter().flat_map(|hold| &hold.scope.sessions).map(ToString::to_string).collect()
}

/// Everything that is sealed, but what is held: two days later.
fn erase_what_is_old(service: &Service) {
    let engine = Arc::clone(&service.engine);
    let erase = move || {
        let policy: Policy = serde_json::from_value(json!({"default": "1d"})).unwrap();
        engine.set_policy(policy, "eve@example.com").unwrap();
        let later = Micros(Micros::now().0 + 2 * 86_400_000_000);
        engine.retain(later, "eve@example.com").unwrap();
    };
    std::thread::spawn(erase).join().unwrap();
}

fn names(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_note_is_an_event_that_takes_no_number_of_the_producers() {
    let service = Service::start().await;
    service.post(ndjson(&[start("s"), command("s", 2, "drop table cards")])).await;
    let note = json!({"text": " looks wrong ", "command": 2, "by": "eve@example.com"});
    let (status, written) = post(&service, "/v1/sessions/s/notes", &note).await;
    assert_eq!(
        (status, &written["text"], &written["by"]),
        (201, &json!("looks wrong"), &note["by"])
    );
    assert_eq!(written["seq"], 1_u32 << 31);
    // The session goes on: with numbers, and with none.
    let mut unnumbered = command("s", 0, "select 1");
    unnumbered.as_object_mut().unwrap().remove("seq");
    let (_, answer) = service.post(ndjson(&[command("s", 3, "select 2"), unnumbered])).await;
    assert_eq!(answer["accepted"], 2, "{answer}");
    let (_, second) = post(&service, "/v1/sessions/s/notes", &json!({"text": "was fine"})).await;
    assert_eq!((&second["seq"], &second["by"]), (&json!((1_u32 << 31) + 1), &json!("local")));
    let page = service.get("/v1/sessions/s/timeline?fold=false").await.1;
    let seqs = page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap());
    assert_eq!(seqs.collect::<Vec<_>>(), [1, 2, 3, 4, 1 << 31, (1 << 31) + 1]);
    let notes = service.get("/v1/sessions/s/notes?limit=1").await.1;
    assert_eq!(notes["items"][0]["text"], "looks wrong");
    let next = notes["next_cursor"].as_str().unwrap();
    let rest = service.get(&format!("/v1/sessions/s/notes?cursor={next}")).await.1;
    assert_eq!(rest["items"][0]["text"], "was fine");
    assert_eq!(service.found("kind:note wrong").await, 1);
    for (at, body, wanted) in [
        ("s", json!({"text": "x", "command": 1}), 400),
        ("s", json!({"text": "  "}), 400),
        ("s", json!({"text": "x".repeat(17 << 10)}), 400),
        ("s", json!({"text": "x", "seq": 9}), 400),
        ("none", json!({"text": "x"}), 404),
        ("daybook.cases", json!({"text": "x"}), 404),
    ] {
        let (status, problem) = post(&service, &format!("/v1/sessions/{at}/notes"), &body).await;
        assert_eq!(status, wanted, "{body}: {problem}");
    }
}

#[tokio::test]
async fn a_case_holds_its_sessions_while_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let service = Service::on(dir, &data, daybook_engine::Options::default(), config()).await;
    with_sessions(&service, &["a", "b", "c"]).await;
    let new = json!({"name": "2026-17", "reason": "subpoena", "sessions": ["a"], "by": "eve@example.com"});
    let (status, case) = post(&service, "/v1/cases", &new).await;
    assert_eq!(
        (status, &case["session_count"], &case["hold"]),
        (201, &json!(1), &Value::Null),
        "{case}"
    );
    let at = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    assert_eq!(held(&service), names(&[]));
    let (status, case) =
        post(&service, &format!("{at}/hold"), &json!({"text": "court order"})).await;
    assert_eq!((status, &case["hold"]["text"]), (200, &json!("court order")));
    assert_eq!(held(&service), names(&["a"]));
    post(&service, &format!("{at}/sessions"), &json!({"add": ["b", "c", "a"]})).await;
    assert_eq!(held(&service), names(&["a", "b", "c"]));
    let (_, case) =
        post(&service, &format!("{at}/sessions"), &json!({"remove": ["c", "none"]})).await;
    assert_eq!((held(&service), &case["session_count"]), (names(&["a", "b"]), &json!(2)));
    // The hold is the case's: it is not released behind its back.
    let hold = format!("/v1/admin/holds/{}?by=x&reason=y", case["id"].as_str().unwrap());
    let (status, problem) = service.send(Method::DELETE, &hold, "").await;
    assert_eq!((status.as_u16(), name(&problem)), (400, "parameter"), "{problem}");
    // And it holds.
    service.engine.seal_now().unwrap();
    erase_what_is_old(&service);
    let there = service.get("/v1/sessions?user=alice@example.com").await.1;
    assert_eq!(there["count"], 2, "c is gone, a and b are held");
    let (status, problem) = post(&service, &format!("{at}/sessions"), &json!({"add": ["c"]})).await;
    assert_eq!(status, 404, "{problem}");
    post(
        &service,
        &format!("{at}/notes"),
        &json!({"text": "asked the DBA", "by": "bob@example.com"}),
    )
    .await;
    let (_, closed) = post(&service, &format!("{at}/close"), &json!({"text": "no findings"})).await;
    assert_eq!(
        (&closed["closed"]["text"], &closed["notes"][0]["by"]),
        (&json!("no findings"), &json!("bob@example.com"))
    );
    for path in ["notes", "hold", "close"] {
        let (status, problem) =
            post(&service, &format!("{at}/{path}"), &json!({"text": "x"})).await;
        assert_eq!((status, name(&problem)), (409, "case"), "{path}");
    }
    // A closed case keeps its hold until that is released.
    assert_eq!(held(&service), names(&["a", "b"]));
    let (status, _) =
        post(&service, &format!("{at}/release"), &json!({"text": "it is over"})).await;
    assert_eq!((status, held(&service)), (200, names(&[])));
    let told = service.get("/v1/sessions/daybook.cases/timeline?fold=false&limit=50").await.1;
    let told: Vec<&str> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["action"].as_str())
        .collect();
    let expected = [
        "case.open",
        "case.add",
        "case.hold",
        "case.add",
        "case.add",
        "case.remove",
        "case.note",
        "case.close",
        "case.release",
    ];
    assert_eq!(told, expected);
    service.end().await;
}

#[tokio::test]
async fn a_hold_that_was_released_at_rest_is_placed_again_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let keep = tempfile::tempdir().unwrap();
    let options = daybook_engine::Options::default;
    let service = Service::on(keep, &data, options(), config()).await;
    with_sessions(&service, &["a"]).await;
    let new = json!({"name": "n", "reason": "r", "sessions": ["a"]});
    let case = post(&service, "/v1/cases", &new).await.1["id"].as_str().unwrap().to_owned();
    post(&service, &format!("/v1/cases/{case}/hold"), &json!({"text": "w"})).await;
    service.end().await;
    let engine = daybook_engine::Engine::open(&data, options()).unwrap();
    let release = move || {
        engine.release(&case, "mallory@example.com", "oops").unwrap().unwrap();
        engine.close().unwrap();
    };
    std::thread::spawn(release).join().unwrap();
    let service = Service::on(dir, &data, options(), config()).await;
    assert_eq!(held(&service), names(&["a"]));
}

#[tokio::test]
async fn a_case_is_exported_with_proofs_and_every_change_of_the_file_is_found() {
    let service = Service::start().await;
    with_sessions(&service, &["a", "b"]).await;
    service.engine.seal_now().unwrap();
    with_sessions(&service, &["c"]).await;
    post(&service, "/v1/sessions/a/notes", &json!({"text": "see this", "command": 2})).await;
    let new = json!({"name": "n", "reason": "r", "sessions": ["a", "c"]});
    let case = post(&service, "/v1/cases", &new).await.1["id"].as_str().unwrap().to_owned();
    let response = service.raw(&format!("/v1/cases/{case}/export")).await;
    assert_eq!(response.headers()["content-type"], "application/zip");
    let bytes = response.bytes().await.unwrap().to_vec();
    let checked = case_file::check(Cursor::new(&bytes), None).unwrap();
    assert_eq!(checked.problems, Vec::<String>::new());
    assert_eq!(checked.case, case);
    let proved = checked.sessions.iter().map(|of| (&*of.id, of.proved.as_ref().unwrap().events));
    assert_eq!(proved.collect::<Vec<_>>(), [("a", 4), ("c", 3)]);
    let key = service.engine.verifier_key().unwrap();
    let key = daybook_engine::merkle::Verifier::parse(&key).unwrap();
    assert!(case_file::check(Cursor::new(&bytes), Some(&key)).unwrap().is_well());

    let events = read(&bytes, "sessions/0001/events.ndjson");
    assert!(events.contains("select * from cards") && events.contains("see this"));
    // One byte of what is read.
    let other = with(&bytes, "sessions/0001/events.ndjson", &events.replace("cards", "birds"));
    let said = case_file::check(Cursor::new(&other), None).unwrap().problems;
    assert_eq!(said.len(), 2, "not as the manifest says, nor as it is proved: {said:?}");
    // The same, and the manifest with it: the proof still tells.
    let manifest = rewritten(&other);
    let other = with(&other, "manifest.json", &manifest);
    let said = case_file::check(Cursor::new(&other), None).unwrap().problems;
    assert!(said.iter().all(|what| what.contains("not those that are proved")), "{said:?}");
    assert_eq!(said.len(), 1);
    // A session is left out, everywhere but in the case.
    let mut manifest: Value = serde_json::from_str(&read(&bytes, "manifest.json")).unwrap();
    manifest["sessions"].as_array_mut().unwrap().pop();
    manifest["files"]
        .as_array_mut()
        .unwrap()
        .retain(|file| !file["name"].as_str().unwrap().contains("0002"));
    let other = with(&bytes, "manifest.json", &manifest.to_string());
    let other = without(&other, "sessions/0002/");
    let said = case_file::check(Cursor::new(&other), None).unwrap().problems;
    assert!(said.iter().any(|what| what.contains("do not name the same case")), "{said:?}");
    // A file is gone, one is added.
    let said = case_file::check(Cursor::new(without(&bytes, "checkpoint")), None).unwrap().problems;
    assert!(said.iter().any(|what| what == "`checkpoint.txt` is missing"), "{said:?}");
    let said = case_file::check(Cursor::new(with(&bytes, "more.txt", "x")), None).unwrap().problems;
    assert!(said.iter().any(|what| what == "`more.txt` is not in the manifest"), "{said:?}");
    assert!(case_file::check(Cursor::new(b"PK"), None).is_err());
}

fn read(zip: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The archive with a file put in another one's place, or added.
fn with(zip: &[u8], name: &str, text: &str) -> Vec<u8> {
    let others = Cursor::new(without(zip, name));
    let mut writer = zip::ZipWriter::new_append(others).unwrap();
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}

/// The archive without the files whose names begin so.
fn without(zip: &[u8], prefix: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let name = file.name().unwrap().into_owned();
        if !name.starts_with(prefix) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(&bytes).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// The manifest of an archive, with the lengths and hashes that its files have.
fn rewritten(zip: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut manifest: Value = serde_json::from_str(&read(zip, "manifest.json")).unwrap();
    for file in manifest["files"].as_array_mut().unwrap() {
        let text = read(zip, file["name"].as_str().unwrap());
        let hash = Sha256::digest(text.as_bytes());
        file["sha256"] = hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        file["bytes"] = text.len().into();
    }
    manifest.to_string()
}

#[tokio::test]
async fn a_queue_has_what_chance_picks_until_somebody_marks_it() {
    let rule = |name: &str, query: &str, sample| Rule {
        query: query.into(),
        sample,
        age_max: std::time::Duration::from_secs(36_500 * 86_400),
        ..Rule::new(name).unwrap()
    };
    let queues = vec![
        rule("all", "role:prod-* type:database", 1_000_000),
        rule("half", "", 500_000),
        rule("none", "role:lab", 1_000_000),
    ];
    let service = Service::with(Config { queues, ..config() }).await;
    let ids: Vec<String> = (0..40).map(|n| format!("s{n:02}")).collect();
    with_sessions(&service, &ids.iter().map(|id| &**id).collect::<Vec<_>>()).await;
    service.post(ndjson(&[start("open")])).await;
    let listed = service.get("/v1/queue").await.1;
    assert_eq!(
        (&listed["count"], &listed["items"][1]["sample_percent"]),
        (&json!(3), &json!(50.0))
    );
    let all = waiting(&service, "all").await;
    assert_eq!(all, ids, "those that ended, the first first");
    let half = waiting(&service, "half").await;
    assert!((8..32).contains(&half.len()), "{half:?}");
    assert_eq!(half, waiting(&service, "half").await, "chance is asked once");
    assert!(waiting(&service, "none").await.is_empty());

    let picked = &half[0];
    let at = format!("/v1/sessions/{picked}/reviewed");
    let mark = json!({"comment": "in order", "by": "eve@example.com"});
    let (status, marked) = post(&service, &at, &mark).await;
    assert_eq!((status, &marked["reviewed"]["by"]), (200, &mark["by"]), "{marked}");
    assert_eq!(marked["queues"], json!(["all", "half"]));
    assert_eq!(post(&service, &at, &mark).await.0, 409);
    assert_eq!(waiting(&service, "half").await, half[1..]);
    assert_eq!(waiting(&service, "all").await.len(), 39);
    let (status, undone) = post(&service, &at, &json!({"undo": true})).await;
    assert_eq!((status, &undone["reviewed"]), (200, &Value::Null));
    assert_eq!(post(&service, &at, &json!({"undo": true})).await.0, 409);
    assert_eq!(waiting(&service, "half").await, half);
    assert_eq!(service.get("/v1/queue/x").await.0, 404);
    assert_eq!(post(&service, "/v1/sessions/x/reviewed", &json!({})).await.0, 404);
}

/// The ids that wait in a queue, page by page.
async fn waiting(service: &Service, queue: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get(&format!("/v1/queue/{queue}?limit=7&cursor={cursor}")).await.1;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 7);
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn what_of_a_session_is_not_here_is_named_and_told_apart() {
    let service = Service::start().await;
    let whole = async |id: &str| service.get(&format!("/v1/sessions/{id}/completeness")).await.1;
    let mut ended = end("s", 7);
    ended["events"] = json!(7);
    service.post(ndjson(&[start("s"), command("s", 2, "a"), command("s", 5, "b"), ended])).await;
    let found = whole("s").await;
    assert_eq!(
        found["gaps"],
        json!([
        {"first": 3, "last": 4, "why": "missing"}, {"first": 6, "last": 6, "why": "missing"}])
    );
    assert_eq!(
        (&found["complete"], &found["lacking"], &found["sent"]),
        (&json!(false), &json!(3), &json!(7))
    );
    // A note is none of the producer's, and what was late comes.
    post(&service, "/v1/sessions/s/notes", &json!({"text": "where is the rest?"})).await;
    service.post(ndjson(&[command("s", 3, "c"), command("s", 4, "d"), command("s", 6, "e")])).await;
    let found = whole("s").await;
    assert_eq!(
        (&found["complete"], &found["added"], &found["events"]),
        (&json!(true), &json!(1), &json!(7)),
        "{found}"
    );
    // More was sent than came, and no number says so.
    let mut ended = end("t", 2);
    ended["events"] = json!(5);
    service.post(ndjson(&[start("t"), ended])).await;
    let found = whole("t").await;
    assert_eq!((&found["complete"], &found["lacking"]), (&json!(false), &json!(0)));
    // What was here and was erased is no loss of the producer's.
    service.post(ndjson(&[start("u"), command("u", 2, "a")])).await;
    service.engine.seal_now().unwrap();
    service.post(ndjson(&[command("u", 3, "b"), end("u", 4)])).await;
    assert_eq!(whole("u").await["complete"], true);
    erase_what_is_old(&service);
    let found = whole("u").await;
    assert_eq!(found["gaps"], json!([{"first": 1, "last": 2, "why": "erased"}]), "{found}");
    assert_eq!(service.get("/v1/sessions/none/completeness").await.0, 404);
}

#[tokio::test]
async fn what_producers_say_they_sent_is_compared_with_what_is_here_also_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let service = Service::on(dir, &data, Default::default(), config()).await;
    let say = async |by: &str, sent: Value| {
        post(&service, "/v1/producers", &json!({"by": by, "sent": sent})).await
    };
    service.post(ndjson(&[start("s"), command("s", 2, "a"), end("s", 3)])).await;
    service.post(ndjson(&[start("t"), command("t", 3, "b")])).await;
    let (status, found) = say("proxy-1", json!({"s": 3, "t": 3, "lost": 2})).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(
        (&found["sessions"], &found["sent"], &found["stored"], &found["complete"]),
        (&json!(3), &json!(8), &json!(5), &json!(false)),
        "{found}"
    );
    let lacking = json!([
        {"session": "lost", "sent": 2, "stored": 0}, {"session": "t", "sent": 3, "stored": 2}]);
    assert_eq!((&found["lacking"], &found["lacking_sessions"]), (&lacking, &json!(2)));
    assert_eq!(say("proxy-2", json!({"s": 3})).await.1["complete"], true);
    // A note is no event that the producer sent.
    post(&service, "/v1/sessions/t/notes", &json!({"text": "where is the rest?"})).await;
    let of = async |service: &Service| service.get("/v1/producers").await.1["items"].clone();
    assert_eq!(of(&service).await[0]["lacking"], lacking);
    // What was late comes, and a producer may have sent more since.
    service.post(ndjson(&[command("t", 2, "c"), start("lost"), end("lost", 2)])).await;
    assert_eq!(of(&service).await[0]["complete"], true);
    assert_eq!(say("proxy-1", json!({"t": 4})).await.1["lacking"][0]["session"], "t");
    for (sent, what) in [
        (json!({}), "has to have 1 to 1000"),
        (json!({"daybook.reads": 1}), "no id of a producer's session"),
        (json!({"": 1}), "no id of a producer's session"),
        (json!({"s": -1}), "body"),
    ] {
        let (status, problem) = say("proxy-1", sent).await;
        assert_eq!(status, 400, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
    }
    let before = of(&service).await;
    assert_eq!(before.as_array().unwrap().len(), 2);
    assert_eq!(service.found("session:daybook.sent kind:access").await, 3, "it is in the book");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let (engine, to) = (Arc::clone(&service.engine), dir.path().join("backup"));
    let backup = to.clone();
    tokio::task::spawn_blocking(move || engine.backup(&backup)).await.unwrap().unwrap();
    service.end().await;
    let at = copy.clone();
    let restore = move || daybook_engine::Engine::restore(&to, &at, Default::default());
    tokio::task::spawn_blocking(restore).await.unwrap().unwrap();
    let service = Service::on(dir, &copy, Default::default(), config()).await;
    assert_eq!(of(&service).await, before);
}
