//! The settings of feeds: a table `[feed.NAME]` each.

use super::setting::{Field, Setting, one_of};
use super::{file, named};
use crate::output::clean;
use daybook_engine::catalog::filter::{Pattern, SessionFilter, TextFact};
use daybook_query::columnar::parquet::Codec;
use daybook_query::feed::location::Location;
use daybook_query::feed::{Columns, FEEDS_MAX, Partition, Spec};
use daybook_query::ocsf::{Mapping, Outputs, Version};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The table of what a store's client is told.
const STORE_OPTIONS: &str = "store_options";
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A feed as its table has it; what is unsaid depends on the schema.
#[derive(Clone, Debug)]
pub struct Feed {
    name: String,
    location: String,
    store_options: BTreeMap<String, String>,
    schema: Schema,
    version: Option<Version>,
    outputs: Option<Outputs>,
    findings: bool,
    event_data: bool,
    roles: String,
    types: String,
    codec: Codec,
    partition: By,
    region: String,
    account: String,
    file_bytes_max: u64,
    replaced_kept: Duration,
    merge_fewest: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Schema {
    Native,
    Ocsf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    None,
    Day,
    SecurityLake,
}

const SCHEMAS: [(&str, Schema); 2] = [("native", Schema::Native), ("ocsf", Schema::Ocsf)];
const CODECS: [(&str, Codec); 2] = [("zstd", Codec::Zstd), ("snappy", Codec::Snappy)];
const PARTITIONS: [(&str, By); 3] =
    [("none", By::None), ("day", By::Day), ("security-lake", By::SecurityLake)];

/// What is wrong with a feed: the key, and what would be right.
type Wrong = (&'static str, String);

/// The settings of a feed.
pub const SETTINGS: &[Setting<Feed>] = &[
    Setting {
        key: "location",
        what: "where the tables are: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///directory`; empty: in the data directory",
        at: "where it is changed, the tables begin anew there; those that there were stay as they are",
        field: Field::Text(
            |feed| feed.location.clone(),
            |feed, text| {
                text.clone_into(&mut feed.location);
                Ok(())
            },
        ),
    },
    Setting {
        key: "schema",
        what: "the columns: `native`, daybook's own in one table, or `ocsf`, a table for each class",
        at: "a feed that is there keeps its own; with another, `/v1/feeds` has the error, and nothing is written",
        field: Field::Text(
            |feed| name_of(feed.schema, &SCHEMAS),
            |feed, text| {
                feed.schema = one_of(text, &SCHEMAS)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "version",
        what: "the version of OCSF: `1.8.0` (if unsaid) or `1.3.0`, which Amazon Security Lake takes",
        at: "what a version has no place for is in `unmapped`",
        field: Field::Text(
            |feed| feed.version.map_or_else(String::new, |version| version.name().to_owned()),
            |feed, text| {
                feed.version = Some(one_of(text, &Version::ALL.map(|of| (of.name(), of)))?);
                Ok(())
            },
        ),
    },
    Setting {
        key: "outputs",
        what: "what rows have of outputs: their `text` (if unsaid, with `native`), `rendered` (that of terminals as a person saw it), a `hash` and the size (with `ocsf`), or `none`",
        at: "it holds for files that are written from then on, also larger ones in the place of small ones",
        field: Field::Text(
            |feed| feed.outputs.map_or_else(String::new, |outputs| outputs.name().to_owned()),
            |feed, text| {
                feed.outputs = Some(one_of(text, &Outputs::ALL.map(|of| (of.name(), of)))?);
                Ok(())
            },
        ),
    },
    Setting {
        key: "findings",
        what: "in OCSF, is a blocked command a Detection Finding, too?",
        at: "their table begins with what is sealed from then on",
        field: Field::Switch(|feed| &mut feed.findings),
    },
    Setting {
        key: "event_data",
        what: "in `native`, is the column `event_data` filled: the event as it was sent? It is the one of the columns of Teleport's audit log that is empty otherwise",
        at: "files become some twice as large; refused at the start where `outputs` is not `text`",
        field: Field::Switch(|feed| &mut feed.event_data),
    },
    Setting {
        key: "roles",
        what: "only sessions of these roles, as `prod-*, !prod-lab`: `*` stands for anything, and what `!` or `-` stands before is left out; empty: all sessions",
        at: "events are left out whose session is of none, or has not said who it is when they are sealed; the latter are counted in `/v1/feeds`",
        field: Field::Text(
            |feed| feed.roles.clone(),
            |feed, text| {
                only(TextFact::Role, text)?;
                text.clone_into(&mut feed.roles);
                Ok(())
            },
        ),
    },
    Setting {
        key: "types",
        what: "only sessions of roles of these types, written as `roles`",
        at: "as `roles`",
        field: Field::Text(
            |feed| feed.types.clone(),
            |feed, text| {
                only(TextFact::Type, text)?;
                text.clone_into(&mut feed.types);
                Ok(())
            },
        ),
    },
    Setting {
        key: "codec",
        what: "how pages are compressed: `zstd`, or `snappy` for readers that know no other",
        at: "files of both may be in one table",
        field: Field::Text(
            |feed| name_of(feed.codec, &CODECS),
            |feed, text| {
                feed.codec = one_of(text, &CODECS)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "partition",
        what: "the directories of files: `none`, `day` (`eventDay=20260301/`) or `security-lake` (`region=…/accountId=…/eventDay=…/`)",
        at: "a feed that is there keeps its own; with another, `/v1/feeds` has the error, and nothing is written",
        field: Field::Text(
            |feed| name_of(feed.partition, &PARTITIONS),
            |feed, text| {
                feed.partition = one_of(text, &PARTITIONS)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "region",
        what: "the region in the directories, such as `eu-central-1`",
        at: "with `security-lake` the start is refused without one; else with one",
        field: Field::Text(
            |feed| feed.region.clone(),
            |feed, text| {
                feed.region = in_path(text)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "account",
        what: "the account in the directories, such as `123456789012`",
        at: "as `region`",
        field: Field::Text(
            |feed| feed.account.clone(),
            |feed, text| {
                feed.account = in_path(text)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "file_bytes_max",
        what: "about the size of the largest files",
        at: "a file is closed, and the next one begun",
        field: Field::Size(|feed| &mut feed.file_bytes_max, 1 << 20, 1 << 30),
    },
    Setting {
        key: "replaced_kept",
        what: "how long small files stay that a larger one has replaced, for readers in the middle of them",
        at: "they are deleted; such a reader is given the larger one, with `skip_offsets_before`",
        field: Field::Age(
            |feed| &mut feed.replaced_kept,
            Duration::from_secs(60),
            Duration::from_secs(90 * 86_400),
        ),
    },
    Setting {
        key: "merge_fewest",
        what: "neighbours that are small become one file if there are so many",
        at: "fewer stay as they are",
        field: Field::Count(|feed| &mut feed.merge_fewest, 2, 10_000),
    },
];

impl Feed {
    /// A feed of a name, of which nothing is said.
    ///
    /// # Errors
    /// A name that can't be one.
    pub fn new(name: &str) -> Result<Feed, String> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
            return Err(format!(
                "a feed's name has 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`"
            ));
        }
        let Spec { codec, file_bytes_max, merge_fewest, replaced_kept_ms, .. } = Spec::native();
        Ok(Feed {
            name: name.to_owned(),
            location: String::new(),
            store_options: BTreeMap::new(),
            schema: Schema::Native,
            version: None,
            outputs: None,
            findings: false,
            event_data: false,
            roles: String::new(),
            types: String::new(),
            codec,
            partition: By::None,
            region: String::new(),
            account: String::new(),
            file_bytes_max,
            replaced_kept: Duration::from_millis(replaced_kept_ms.max(0).cast_unsigned()),
            merge_fewest,
        })
    }

    /// The feed, if its settings go together.
    fn spec(&self) -> Result<Spec, Wrong> {
        Ok(Spec {
            name: self.name.clone(),
            location: Location::parse(&self.location, &self.store_options)
                .map_err(|what| ("location", what))?,
            columns: self.columns()?,
            sessions: self.sessions()?,
            codec: self.codec,
            partition: self.partition()?,
            file_bytes_max: self.file_bytes_max,
            merge_fewest: self.merge_fewest,
            replaced_kept_ms: i64::try_from(self.replaced_kept.as_millis()).unwrap_or(i64::MAX),
        })
    }

    fn columns(&self) -> Result<Columns, Wrong> {
        let ocsf_only = || "goes with schema = \"ocsf\"".to_owned();
        match self.schema {
            Schema::Native if self.version.is_some() => Err(("version", ocsf_only())),
            Schema::Native if self.findings => Err(("findings", ocsf_only())),
            Schema::Native => {
                let outputs = self.outputs.unwrap_or(Outputs::Text);
                if self.event_data && outputs != Outputs::Text {
                    let what = "has the outputs, too: leave it out, or write outputs = \"text\"";
                    return Err(("event_data", what.to_owned()));
                }
                Ok(Columns::Native { event_data: self.event_data, outputs })
            }
            Schema::Ocsf if self.event_data => {
                Err(("event_data", "goes with schema = \"native\"".to_owned()))
            }
            Schema::Ocsf => Ok(Columns::Ocsf(Mapping {
                version: self.version.unwrap_or_default(),
                outputs: self.outputs.unwrap_or(Outputs::Hash),
                findings: self.findings,
            })),
        }
    }

    fn sessions(&self) -> Result<SessionFilter, Wrong> {
        let roles = only(TextFact::Role, &self.roles).map_err(|what| ("roles", what))?;
        let types = only(TextFact::Type, &self.types).map_err(|what| ("types", what))?;
        Ok(match (roles, types) {
            (None, None) => SessionFilter::All,
            (Some(one), None) | (None, Some(one)) => one,
            (Some(roles), Some(types)) => SessionFilter::And(vec![roles, types]),
        })
    }

    fn partition(&self) -> Result<Partition, Wrong> {
        let said = [("region", &self.region), ("account", &self.account)];
        if self.partition != By::SecurityLake {
            return match said.iter().find(|(_, text)| !text.is_empty()) {
                Some((key, _)) => Err((key, "goes with partition = \"security-lake\"".to_owned())),
                None if self.partition == By::Day => Ok(Partition::Day),
                None => Ok(Partition::None),
            };
        }
        if self.schema != Schema::Ocsf {
            let what = "Amazon Security Lake takes OCSF: write schema = \"ocsf\", version = \"1.3.0\", too";
            return Err(("partition", what.to_owned()));
        }
        if let Some((key, _)) = said.iter().find(|(_, text)| text.is_empty()) {
            return Err((key, "is missing: partition = \"security-lake\" needs it".to_owned()));
        }
        Ok(Partition::SecurityLake { region: self.region.clone(), account: self.account.clone() })
    }
}

/// Reads the tables of all feeds, in the order in which they are written.
///
/// # Errors
/// `line 3: [feed.lake]: ...`: what is wrong there and what would be right.
pub(super) fn read(text: &str, feeds: &DeTable<'_>) -> Result<Vec<Spec>, String> {
    let mut entries: Vec<_> = feeds.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let one = |(name, value): &(&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let table: &std::borrow::Cow<'_, str> = name.get_ref();
        let table = clean::line(table);
        let said = |at: usize, what: String| {
            format!("line {}: [feed.{table}]: {}", file::line(text, at), clean::line(&what))
        };
        let start = name.span().start;
        let DeValue::Table(settings) = value.get_ref() else {
            let line = file::line(text, start);
            return Err(format!("line {line}: [feed.{table}] is a table of a feed's settings"));
        };
        let mut feed = Feed::new(name.get_ref()).map_err(|what| said(start, what))?;
        let mut settings: Vec<_> = settings.iter().collect();
        settings.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in &settings {
            set(&mut feed, key.get_ref(), value.get_ref())
                .map_err(|what| said(key.span().start, what))?;
        }
        feed.spec().map_err(|(wrong, what)| {
            let key = settings.iter().find(|(key, _)| key.get_ref() == wrong);
            said(key.map_or(start, |(key, _)| key.span().start), format!("`{wrong}`: {what}"))
        })
    };
    if let Some((name, _)) = entries.get(FEEDS_MAX) {
        let line = file::line(text, name.span().start);
        return Err(format!("line {line}: there are at most {FEEDS_MAX} feeds"));
    }
    entries.iter().map(one).collect()
}

fn set(feed: &mut Feed, key: &str, value: &DeValue<'_>) -> Result<(), String> {
    if key == STORE_OPTIONS {
        let DeValue::Table(options) = value else {
            let example = "store_options = { region = \"eu-central-1\" }";
            return Err(format!("`{key}` is a table: {example}"));
        };
        for (name, value) in options {
            let value = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Boolean(switch) => switch.to_string(),
                _ => {
                    let name = name.get_ref();
                    return Err(format!("the option `{name}` is a text, or true or false"));
                }
            };
            feed.store_options.insert(name.get_ref().to_string(), value);
        }
        return Ok(());
    }
    let hint = "docs/configuration.md lists them all";
    let setting = named(SETTINGS.iter(), key, &[STORE_OPTIONS], hint)
        .map_err(|hint| format!("unknown key `{key}`; {hint}"))?;
    file::set(setting, feed, value)
}

/// The condition that a text such as `prod-*, !prod-lab` puts on a fact; `None` if it is empty. A session without the
/// fact meets none, also where only some are left out: it may be one of those.
fn only(fact: TextFact, text: &str) -> Result<Option<SessionFilter>, String> {
    let like = |text: &str| SessionFilter::Text(fact, Pattern::wildcard(text));
    let (mut these, mut all) = (Vec::new(), Vec::new());
    if text.trim().is_empty() {
        return Ok(None);
    }
    for one in text.split(',').map(str::trim) {
        match one.strip_prefix(['!', '-']) {
            None => these.push(like(one)),
            Some(left_out) => all.push(SessionFilter::Not(Box::new(like(left_out.trim_start())))),
        }
        if one.trim_start_matches(['!', '-', ' ']).is_empty() {
            return Err(
                "write names with commas between them, such as \"prod-*, !prod-lab\"".into()
            );
        }
    }
    if these.is_empty() {
        these.push(like("*"));
    }
    all.insert(0, SessionFilter::Or(these));
    Ok(Some(SessionFilter::And(all)))
}

/// A text that is a part of paths.
fn in_path(text: &str) -> Result<String, String> {
    if text.len() > NAME_BYTES_MAX || !text.chars().all(is_plain) {
        return Err(format!("write up to {NAME_BYTES_MAX} letters, digits, `-` and `_`"));
    }
    Ok(text.to_owned())
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || ['-', '_'].contains(&c)
}

fn name_of<T: PartialEq>(value: T, all: &[(&'static str, T)]) -> String {
    all.iter().find(|(_, one)| *one == value).map_or("", |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::super::Config;
    use super::*;
    use daybook_engine::event::Seq;
    use daybook_engine::event::SessionKey;
    use daybook_engine::event::wire::Event;
    use daybook_engine::session::{Change, SessionState};

    fn feeds(text: &str) -> Result<Vec<Spec>, String> {
        let mut config = Config::default();
        file::read(text, &mut config).map(|()| config.server().feeds)
    }

    #[test]
    fn a_table_says_what_a_feed_has_and_how() {
        let text = "[feed.lake]\nschema = \"ocsf\"\nversion = \"1.3.0\"\nfindings = true\ncodec = \"snappy\"\n\
                    partition = \"security-lake\"\nregion = \"eu-central-1\"\naccount = \"123456789012\"\n\
                    file_bytes_max = \"256MiB\"\nreplaced_kept = \"1d\"\nmerge_fewest = 4\n\
                    [feed.hashes]\noutputs = \"hash\"\npartition = \"day\"\n";
        let all = feeds(text).unwrap();
        let [native, lake, hashes] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!(format!("{native:?}"), format!("{:?}", Spec::native()));
        let mapping = Mapping { version: Version::V1_3, outputs: Outputs::Hash, findings: true };
        assert_eq!(
            (&*lake.name, lake.columns, lake.codec),
            ("lake", Columns::Ocsf(mapping), Codec::Snappy)
        );
        let partition = Partition::SecurityLake {
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
        };
        assert_eq!(lake.partition, partition);
        assert_eq!(
            (lake.file_bytes_max, lake.replaced_kept_ms, lake.merge_fewest),
            (256 << 20, 86_400_000, 4)
        );
        let columns = Columns::Native { event_data: false, outputs: Outputs::Hash };
        assert_eq!((hashes.columns, &hashes.partition), (columns, &Partition::Day));
    }

    #[test]
    fn a_table_says_where_its_files_are() {
        let text = "[feed.lake]\nlocation = \"s3://lake/audit\"\n\
                    store_options = { endpoint = \"http://127.0.0.1:9000\", allow_http = true }\n";
        let all = feeds(text).unwrap();
        let Location::Remote(remote) = &all[1].location else { panic!("{all:?}") };
        assert_eq!(remote.to_string(), "s3://lake/audit");
        assert_eq!(remote.option("endpoint"), Some("http://127.0.0.1:9000"));
        assert_eq!(remote.option("allow_http"), Some("true"));
        assert_eq!(all[0].location, Location::Data);
    }

    #[test]
    fn the_native_feed_is_there_unless_nobody_asks_for_it() {
        let names = |text: &str| {
            let names = feeds(text).unwrap().into_iter().map(|spec| spec.name);
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(""), "native");
        assert_eq!(names("parquet = false"), "");
        assert_eq!(names("[feed.lake]\nschema = \"ocsf\""), "native lake");
        assert_eq!(names("parquet = false\n[feed.lake]\nschema = \"ocsf\""), "lake");
        let changed = feeds("parquet = false\n[feed.native]\nevent_data = true").unwrap();
        let columns = Columns::Native { event_data: true, outputs: Outputs::Text };
        assert_eq!((changed.len(), changed[0].columns), (1, columns));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_key() {
        for (text, part) in [
            ("feed = 1", "line 1: `feed` has a table for each feed: write [feed.NAME]"),
            ("[feed]\nschema = \"ocsf\"", "line 2: [feed.schema] is a table"),
            ("[feed.\"a b\"]\n", "line 1: [feed.a b]: a feed's name has 1 to 64 letters"),
            ("[feed.x]\nschma = 1", "line 2: [feed.x]: unknown key `schma`; did you mean `schema`"),
            ("[feed.x]\nschema = \"teleport\"", "line 2: [feed.x]: `schema`: write native or ocsf"),
            (
                "[feed.x]\nversion = \"1.3.0\"",
                "line 2: [feed.x]: `version`: goes with schema = \"ocsf\"",
            ),
            ("[feed.x]\n\nfindings = true", "line 3: [feed.x]: `findings`: goes with"),
            (
                "[feed.x]\noutputs = \"hash\"\nevent_data = true",
                "line 3: [feed.x]: `event_data`: has the outputs, too",
            ),
            (
                "[feed.x]\nschema = \"ocsf\"\nevent_data = true",
                "line 3: [feed.x]: `event_data`: goes with",
            ),
            ("[feed.x]\nregion = \"eu\"", "line 2: [feed.x]: `region`: goes with partition"),
            (
                "[feed.x]\nschema = \"ocsf\"\npartition = \"security-lake\"\nregion = \"eu\"",
                "line 1: [feed.x]: `account`: is missing",
            ),
            ("[feed.x]\npartition = \"security-lake\"", "line 2: [feed.x]: `partition`: Amazon"),
            ("[feed.x]\nregion = \"../..\"", "line 2: [feed.x]: `region`: write up to 64 letters"),
            (
                "[feed.x]\nfile_bytes_max = \"1KiB\"",
                "line 2: [feed.x]: `file_bytes_max`: 1KiB is not",
            ),
            ("[feed.x]\nreplaced_kept = 7", "such as 15m"),
            ("[feed.x]\nroles = \"a,,b\"", "line 2: [feed.x]: `roles`: write names"),
            ("[feed.x]\nroles = [\"a\"]", "line 2: [feed.x]: `roles` can't be a array"),
            ("[feed.x]\nlocation = \"lake\"", "line 2: [feed.x]: `location`: `lake` is no address"),
            ("[feed.x]\nlocaton = \"lake\"", "did you mean `location`"),
            (
                "[feed.x]\nstore_options = { region = \"x\" }",
                "line 1: [feed.x]: `location`: `region` is for a store, and no location is named",
            ),
            (
                "[feed.x]\nlocation = \"s3://a\"\nstore_options = { secret = \"hunter2\" }",
                "line 2: [feed.x]: `location`: s3:// has no option `secret`",
            ),
            ("[feed.x]\nstore_options = 7", "line 2: [feed.x]: `store_options` is a table"),
            ("[feed.x]\nstore_options = { region = 7 }", "the option `region` is a text"),
            ("[feed.x]\ntypes = \"!\"", "line 2: [feed.x]: `types`: write names"),
        ] {
            let said = feeds(text).unwrap_err();
            assert!(said.contains(part) && !said.contains("hunter2"), "{text}: {said}");
        }
        let many: String = (0..=FEEDS_MAX).map(|n| format!("[feed.f{n}]\n")).collect();
        assert!(feeds(&many).unwrap_err().contains("at most"));
    }

    #[test]
    fn sessions_are_chosen_by_role_and_type_and_those_unknown_are_not() {
        let state = |start: Option<&str>| {
            let mut state = SessionState::default();
            let line = start.map_or_else(
                || r#"{"session":"s","time":"2026-03-01T10:00:00Z","kind":"note","by":"b","text":"t"}"#.to_owned(),
                |more| format!(r#"{{"session":"s","time":"2026-03-01T10:00:00Z","kind":"session.start",{more}}}"#),
            );
            let event = Event::decode(line.as_bytes()).unwrap();
            state.apply(Change::of(event, Seq(0), 100));
            state
        };
        let chosen = |text: &str, start: Option<&str>| {
            let all = feeds(&format!("[feed.native]\n{text}")).unwrap();
            all[0].sessions.matches("s", SessionKey(1), &state(start))
        };
        let prod = Some(r#""role":"prod-db","type":"database""#);
        let lab = Some(r#""role":"prod-lab","type":"ssh""#);
        for (text, expected) in [
            ("", [true, true, true]),
            ("roles = \"prod-*\"", [true, true, false]),
            ("roles = \"prod-*, !prod-lab\"", [true, false, false]),
            ("roles = \"-*-lab\"", [true, false, false]),
            ("types = \"ssh,kubernetes\"", [false, true, false]),
            ("roles = \"*-db\"\ntypes = \"ssh\"", [false, false, false]),
        ] {
            let found = [chosen(text, prod), chosen(text, lab), chosen(text, None)];
            assert_eq!(found, expected, "{text}");
        }
    }
}
