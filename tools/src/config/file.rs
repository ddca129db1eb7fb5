//! Reading the configuration's file: TOML, all keys on its top level but for the tables `[retention]`, `[mapping]`,
//! `[push.NAME]`, `[feed.NAME]`, `[review.NAME]`, `[notify.NAME]` and `[queue.NAME]`.

use super::setting::Setting;
use super::{Config, feed, notify, push, queue, review, setting};
use crate::output::clean;
use daybook_engine::retention::Policy;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Sets what a file says.
///
/// # Errors
/// `line 3: ...`: what is wrong there and what would be right.
pub(super) fn read(text: &str, config: &mut Config) -> Result<(), String> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("line {}: it is not TOML: {}", line(text, at), clean::line(error.message()))
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    // The map is in the order of the names; errors are told in the order of the file.
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        let said = |what: String| format!("line {}: {what}", line(text, key.span().start));
        if name == "retention" {
            config.retention = Some(retention(text).map_err(|what| said(clean::line(&what)))?);
            continue;
        }
        if name == "mapping" {
            mapping(text, config).map_err(|what| said(clean::line(&what)))?;
            continue;
        }
        if name == "push" {
            let DeValue::Table(sinks) = value.get_ref() else {
                return Err(said("`push` has a table for each sink: write [push.NAME]".to_owned()));
            };
            config.server.push = push::read(text, sinks)?;
            continue;
        }
        if name == "queue" {
            let DeValue::Table(queues) = value.get_ref() else {
                let what = "`queue` has a table for each queue: write [queue.NAME]";
                return Err(said(what.to_owned()));
            };
            let queues = queue::KIND.read(text, queues)?;
            config.server.queues = queue::count(queues).map_err(said)?;
            continue;
        }
        if name == "feed" {
            let DeValue::Table(feeds) = value.get_ref() else {
                return Err(said("`feed` has a table for each feed: write [feed.NAME]".to_owned()));
            };
            config.feeds = feed::read(text, feeds)?;
            continue;
        }
        if name == "notify" {
            let DeValue::Table(targets) = value.get_ref() else {
                return Err(said("`notify` has a table for each: write [notify.NAME]".to_owned()));
            };
            let targets = notify::KIND.read(text, targets)?;
            config.server.notify = notify::count(targets).map_err(said)?;
            continue;
        }
        if name == "review" {
            let DeValue::Table(rules) = value.get_ref() else {
                return Err(said(
                    "`review` has a table for each rule: write [review.NAME]".to_owned(),
                ));
            };
            let rules = review::KIND.read(text, rules)?;
            config.server.review_rules = review::count(rules).map_err(said)?;
            continue;
        }
        let setting = setting(name)
            .map_err(|hint| said(format!("unknown key `{}`; {hint}", clean::line(name))))?;
        set(setting, config, value.get_ref()).map_err(said)?;
    }
    Ok(())
}

/// Sets a setting from a value of the file.
///
/// # Errors
/// The setting, and what would be right.
pub(super) fn set<C: Clone>(
    setting: &Setting<C>,
    config: &mut C,
    value: &DeValue<'_>,
) -> Result<(), String> {
    let name = setting.key;
    let value = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Boolean(switch) => switch.to_string(),
        other => {
            let kind = other.type_str();
            return Err(format!("`{name}` can't be a {kind}: it is a {}", setting.range()));
        }
    };
    setting.set(config, &value).map_err(|what| format!("`{name}`: {what}"))
}

/// The table `[retention]`: the policy, as the admin API has it too.
fn retention(text: &str) -> Result<Policy, String> {
    #[derive(Deserialize)]
    struct Only {
        retention: Policy,
    }
    let Only { retention } = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    retention.check().map(|()| retention)
}

/// The table `[mapping]`: for fields of events, the fields of documents that they are taken from.
fn mapping(text: &str, config: &mut Config) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Only {
        mapping: BTreeMap<String, Vec<String>>,
    }
    let Only { mapping } = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    mapping.into_iter().try_for_each(|(field, sources)| config.server.mapping.set(&field, sources))
}

/// The line of a byte, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use std::time::Duration;

    fn refused(text: &str) -> String {
        read(text, &mut Config::default()).unwrap_err()
    }

    #[test]
    fn a_file_sets_what_it_names_and_nothing_else() {
        let mut config = Config::default();
        let text = "# comment\nlisten = \"127.0.0.1:9\"\njournal_age_max = '20s'\n\
                    upload_bytes_max = 1_048_576\nparquet = false\n";
        read(text, &mut config).unwrap();
        assert_eq!(config.server.listen.port(), 9);
        assert_eq!(config.engine.journal_age_max, Duration::from_secs(20));
        assert_eq!(config.server.upload_bytes_max, 1 << 20);
        assert!(!config.parquet);
        assert_eq!(config.engine.queue_bytes_max, Config::default().engine.queue_bytes_max);
    }

    #[test]
    fn a_table_says_how_long_what_is_kept() {
        let mut config = Config::default();
        let text = "exports_max = 2\n[retention]\ndefault = \"1y\"\nbytes_max = 1000\n\
                    [[retention.rules]]\ntype = \"ssh\"\nrole = \"lab-*\"\nkeep = \"30d\"\n";
        read(text, &mut config).unwrap();
        let policy = config.retention.unwrap();
        assert_eq!(policy.rules[0].to_string(), "role:lab-* type:ssh 30d");
        assert_eq!((policy.default.to_string(), policy.bytes_max), ("1y".to_owned(), Some(1000)));
        let error = refused("[retention]\ndefault = \"soon\"\n");
        assert!(error.starts_with("line 1: `soon` is not an age"), "{error}");
        assert!(refused("[retention]\nkeep = \"1d\"\n").contains("unknown field `keep`"));
    }

    #[test]
    fn a_table_says_which_field_of_a_document_is_which() {
        let mut config = Config::default();
        read("[mapping]\nuser = [\"actor.mail\"]\nrole = []\n", &mut config).unwrap();
        let mut expected = daybook_server::Mapping::default();
        expected.set("user", vec!["actor.mail".to_owned()]).unwrap();
        expected.set("role", Vec::new()).unwrap();
        assert_eq!(config.server.mapping, expected);
        let error = refused("\n[mapping]\nusr = [\"x\"]\n");
        assert!(error.starts_with("line 2: `usr` is not a field"), "{error}");
        assert!(refused("[mapping]\nuser = \"x\"\n").contains("expected"), "a list");
    }

    #[test]
    fn a_table_says_where_events_are_sent() {
        let mut config = Config::default();
        let text = "[push.siem]\nurl = \"https://siem.example.com/in\"\nformat = \"ocsf\"\nversion = \"1.3.0\"\n\
                    query = 'verdict:blocked'\nbatch_bytes_max = \"4MiB\"\nwait_max = \"1m\"\n\
                    headers = { x-key = \"hunter2\" }\n\
                    [push.old]\nurl = \"syslog+tls://logs.example.com\"\nfacility = 16\nfrom = \"start\"\n";
        read(text, &mut config).unwrap();
        let [siem, old] = &*config.server.push else { panic!("{:?}", config.server.push) };
        assert_eq!((&*siem.name, siem.batch_bytes_max), ("siem", 4 << 20));
        assert_eq!((&*siem.query, siem.wait_max.as_secs()), ("verdict:blocked", 60));
        assert!(siem.headers.contains_key("x-key") && !format!("{config:?}").contains("hunter2"));
        assert_eq!(old.url.as_ref().unwrap().to_string(), "syslog+tls://logs.example.com:6514");
        assert_eq!(
            (&*old.name, old.facility, old.from),
            ("old", 16, daybook_server::push::Begin::Start)
        );
        for (text, part) in [
            ("push = 1", "line 1: `push` has a table for each sink"),
            ("[push]\nurl = \"https://s/\"", "line 2: [push.url] is a table"),
            ("[push.siem]\nquery = 'x'", "line 1: [push.siem]: `url` is missing"),
            ("[push.siem]\nurl = \"siem\"", "line 2: [push.siem]: `url`: write https://"),
            (
                "[push.siem]\nurl = \"https://s/\"\nformt = 1",
                "line 3: [push.siem]: unknown key `formt`; did you mean `format`",
            ),
            ("[push.siem]\nurl = \"https://s/\"\nheader = 1", "did you mean `headers`"),
            (
                "[push.siem]\nurl = \"https://s/\"\nquery = 'since:1h'",
                "line 3: [push.siem]: `query`: a sink's query has no time",
            ),
            ("[push.siem]\nurl = \"https://s/\"\nquery = 'usr:x'", "line 3: [push.siem]: `query`:"),
            ("[push.siem]\nurl = \"https://s/\"\nresend = 5", "`resend` goes with"),
            ("[push.siem]\nurl = \"https://s/\"\ntimeout = 5", "such as 15m"),
            (
                "[push.siem]\nurl = \"https://s/\"\nheaders = { x-key = 7 }",
                "line 3: [push.siem]: the header `x-key` is a text",
            ),
            (
                "[push.siem]\nurl = \"https://s/\"\nheaders = { host = \"hunter2\" }",
                "the sink's own",
            ),
            ("[push.\"a b\"]\nurl = \"https://s/\"", "a sink's name has"),
        ] {
            let said = refused(text);
            assert!(said.contains(part) && !said.contains("hunter2"), "{text}: {said}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let error = refused("\n# x\njurnal_bytes_max = \"1GiB\"\n");
        assert!(error.starts_with("line 3: unknown key `jurnal_bytes_max`"), "{error}");
        assert!(error.contains("did you mean `journal_bytes_max`"), "{error}");
        let error = refused("[server]\nlisten = \"127.0.0.1:9\"\n");
        assert!(error.starts_with("line 1: unknown key `server`"), "{error}");
        assert!(!refused("zzzzzzzzzzzzzzzzzzzz = 1").contains("did you mean"));
    }

    #[test]
    fn a_value_that_can_not_be_used_is_refused_and_never_clamped() {
        for (text, part) in [
            ("\nqueue_bytes_max = \"1KiB\"", "line 2: `queue_bytes_max`: 1KiB is not between"),
            ("journal_age_max = 15", "such as 15m"),
            ("journal_bytes_max = \"64MB\"", "such as 64MiB"),
            ("exports_max = -1", "not a number"),
            ("parquet = \"maybe\"", "true or false"),
            ("listen = \"here\"", "an address"),
            ("exports_max = [4]", "can't be a array"),
            ("listen = ", "it is not TOML"),
            ("exports_max = 1\nexports_max = 2", "line 2"),
        ] {
            assert!(refused(text).contains(part), "{text}: {}", refused(text));
        }
    }
}
