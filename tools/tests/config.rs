//! Every bound is in one place, and the page says of each what the code does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use common::{Server, daybook, run};
use daybook_server::notify::Target;
use daybook_server::push::Sink;
use daybook_server::queue;
use daybook_server::reviews::rules::Rule;
use daybook_tools::config::{
    Config, FEED_SETTINGS, Feed, NOTIFY_SETTINGS, PUSH_SETTINGS, QUEUE_SETTINGS, REVIEW_SETTINGS,
    SETTINGS, fixed_table, setting, settings_table, toml,
};
use std::path::Path;

fn refused(args: &[&str]) -> String {
    let output = daybook().args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The page with its tables as the code has them: each stands under its heading.
fn rewritten(page: &str) -> String {
    let ([service, log], config) = (SETTINGS, Config::default());
    let sink = Sink::new("NAME").unwrap();
    let mut page = page.to_owned();
    for (heading, table) in [
        ("## The service\n", settings_table(service, &config)),
        ("## The log\n", settings_table(log, &config)),
        ("## Sinks\n", settings_table(PUSH_SETTINGS, &sink)),
        ("## Access requests\n", settings_table(REVIEW_SETTINGS, &Rule::new("NAME"))),
        ("## Notifications\n", settings_table(NOTIFY_SETTINGS, &Target::new("NAME").unwrap())),
        ("## Feeds\n", settings_table(FEED_SETTINGS, &Feed::new("NAME").unwrap())),
        ("## Queues\n", settings_table(QUEUE_SETTINGS, &queue::Rule::new("name").unwrap())),
        ("## Bounds that can't be set\n", fixed_table()),
    ] {
        let from = page.find(heading).expect(heading);
        let start = from + page[from..].find("\n|").unwrap() + 1;
        let end = page[start..].find("\n\n").map_or(page.len(), |len| start + len + 1);
        page.replace_range(start..end, &table);
    }
    page
}

/// With `DAYBOOK_WRITE_DOCS` set, the tables are written; the words around them are people's.
#[test]
fn the_page_has_every_bound_with_its_default_as_the_code_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let right = rewritten(&page);
    if std::env::var_os("DAYBOOK_WRITE_DOCS").is_some() {
        std::fs::write(&path, &right).unwrap();
        return;
    }
    let wrong = right.lines().zip(page.lines()).find(|(right, page)| right != page);
    assert!(
        page == right,
        "docs/configuration.md is not what the code says ({wrong:?}); set DAYBOOK_WRITE_DOCS=1 and run this test again"
    );
}

#[test]
fn every_bound_of_the_engine_and_the_server_can_be_set() {
    let config = Config::default();
    // What is no bound, or has another name in the file.
    let others = [
        "read_only",
        "columnar",
        "hold_queries",
        "disk",
        "encryption",
        "mapping",
        "push",
        "feeds",
        "review_rules",
        "notify",
        "queues",
    ];
    for settings in [format!("{:#?}", config.engine), format!("{:#?}", config.server)] {
        let fields = settings.lines().filter_map(|line| {
            let field = line.strip_prefix("    ")?.split_once(':')?.0;
            (!field.starts_with(' ')).then_some(field)
        });
        let mut count = 0;
        for field in fields.filter(|field| !others.contains(field)) {
            assert!(setting(field).is_ok(), "`{field}` has no setting in tools/src/config");
            count += 1;
        }
        assert!(count > 5, "{settings}");
    }
    // What is no setting of a line: the table's name, and a table in it.
    let sink = format!("{:#?}", Sink::new("NAME").unwrap());
    for field in sink.lines().filter_map(|line| Some(line.strip_prefix("    ")?.split_once(':')?.0))
    {
        let known = PUSH_SETTINGS.iter().any(|setting| setting.key == field);
        assert!(
            known || ["name", "headers"].contains(&field),
            "`{field}` has no setting in tools/src/config"
        );
    }
    let rule = format!("{:#?}", Rule::new("NAME"));
    for field in rule.lines().filter_map(|line| Some(line.strip_prefix("    ")?.split_once(':')?.0))
    {
        let known = REVIEW_SETTINGS.iter().any(|setting| setting.key == field);
        assert!(known || field == "name", "`{field}` has no setting in tools/src/config");
    }
    let target = format!("{:#?}", Target::new("NAME").unwrap());
    for field in
        target.lines().filter_map(|line| Some(line.strip_prefix("    ")?.split_once(':')?.0))
    {
        let known = NOTIFY_SETTINGS.iter().any(|setting| setting.key == field);
        assert!(known || field == "name", "`{field}` has no setting in tools/src/config");
    }
    let feed = format!("{:#?}", Feed::new("NAME").unwrap());
    for field in feed.lines().filter_map(|line| Some(line.strip_prefix("    ")?.split_once(':')?.0))
    {
        let known = FEED_SETTINGS.iter().any(|setting| setting.key == field);
        assert!(
            known || ["name", "store_options"].contains(&field),
            "`{field}` has no setting in tools/src/config"
        );
    }
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daybook.toml");
    let file = file.to_str().unwrap();
    std::fs::write(file, "exports_max = 2\ndata = 'a \"b\" \\ c'\njournal_age_max = \"90s\"\n")
        .unwrap();
    let printed = run(0, &["config", "--config", file, "--listen", "[::1]:0", "--no-parquet"]);
    for line in [
        "exports_max = 2",
        "journal_age_max = \"90s\"",
        "listen = \"[::1]:0\"",
        "parquet = false",
        "data = \"a \\\"b\\\" \\\\ c\"",
    ] {
        assert!(printed.lines().any(|l| l == line), "{line} is not in:\n{printed}");
    }
    std::fs::write(file, &printed).unwrap();
    assert_eq!(run(0, &["config", "--config", file]), printed);
    assert_eq!(run(0, &["config"]), toml(&Config::default()));
    let unset = toml(&Config::default()).lines().filter(|l| l.contains(" = ")).count();
    assert_eq!(unset, SETTINGS.into_iter().flatten().count());
}

#[test]
fn a_file_that_can_not_be_used_is_refused_with_key_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daybook.toml");
    let file = file.to_str().unwrap();
    std::fs::write(file, "# mine\nqueue_byte_max = \"1GiB\"\n").unwrap();
    for command in ["config", "serve"] {
        let said = refused(&[command, "--config", file]);
        assert!(said.contains("line 2: unknown key `queue_byte_max`"), "{said}");
        assert!(said.contains("did you mean `queue_bytes_max`"), "{said}");
    }
    assert!(refused(&["config", "--set", "exports_max=0"]).contains("not between 1 and"));
    assert!(refused(&["config", "--set", "exports_max"]).contains("KEY=VALUE"));
    assert!(refused(&["config", "--journal-bytes", "1KiB"]).contains("not between"));
    assert!(refused(&["serve", "--config", "/nonexistent"]).contains("can't read"));
}

#[test]
fn the_server_runs_with_its_file_and_a_flag_is_over_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("daybook.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1\"\nupload_bytes_max = \"1KiB\"\n").unwrap();
    let server = Server::start(&dir.path().join("data"), &["--config", file.to_str().unwrap()]);
    let events = dir.path().join("events.ndjson");
    let line = r#"{"session":"s","seq":0,"time":"2026-03-01T10:00:00Z","kind":"note","by":"a@example.com","text":"TEXT"}"#;
    std::fs::write(&events, line.replace("TEXT", &"x".repeat(2_000))).unwrap();
    let said = refused(&["import", "--server", &server.address, events.to_str().unwrap()]);
    assert!(said.contains("over the limit of 1024 bytes"), "{said}");
}
