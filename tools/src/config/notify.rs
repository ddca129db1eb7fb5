//! The settings of those who are told of access requests: a table `[notify.NAME]` each.

use super::setting::{Field, Setting, one_of};
use super::tables::{Kind, names};
use daybook_server::notify::{Form, Target, Told};
use std::path::PathBuf;
use std::time::Duration;

/// The most names in each list.
const NAMES_MAX: usize = 256;
/// The most of them.
const TARGETS_MAX: usize = 64;

/// The settings of one who is told.
pub const SETTINGS: &[Setting<Target>] = &[
    Setting {
        key: "url",
        what: "where messages are posted: `https://HOST/PATH`",
        at: "without one, the start is refused",
        field: Field::Text(
            |target| target.url.as_ref().map_or_else(String::new, ToString::to_string),
            Target::set_url,
        ),
    },
    Setting {
        key: "form",
        what: "in which form: `standard` (Standard Webhooks), `slack` (an incoming webhook) or `teams` (a workflow)",
        at: "a receiver that can't read it refuses",
        field: Field::Text(
            |target| target.form.name().to_owned(),
            |target, text| {
                target.form = one_of(text, &Form::ALL)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "secret_file",
        what: "the file of the secret that messages are signed with: `whsec_` and 24 to 64 bytes in base64",
        at: "without one in the form `standard`, or with one that can't be read, the start is refused",
        field: Field::Text(
            |target| {
                let path = target.secret_file.as_ref();
                path.map_or_else(String::new, |path| path.display().to_string())
            },
            |target, text| {
                target.secret_file = (!text.is_empty()).then(|| PathBuf::from(text));
                Ok(())
            },
        ),
    },
    Setting {
        key: "events",
        what: "what is told, with commas between them: `request`, `approved`, `rejected`, `revoked`, `expired`, `executed`",
        at: "nothing else is told",
        field: Field::Text(
            |target| target.events.iter().map(|told| told.name()).collect::<Vec<_>>().join(","),
            |target, text| {
                target.events = Told::parse(&names(text, NAMES_MAX)?)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "roles",
        what: "the resource roles of whose sessions, with commas between them; `*` stands for anything; empty: all",
        at: "of others nothing is told",
        field: Field::Text(
            |target| target.roles.join(","),
            |target, text| {
                target.roles = names(text, NAMES_MAX)?;
                Ok(())
            },
        ),
    },
    Setting {
        key: "give_up_after",
        what: "how long a message is tried again, with waits up to `alert_wait_max`",
        at: "it becomes a dead letter: listed, and sent again on request",
        field: Field::Age(
            |target| &mut target.give_up_after,
            Duration::from_millis(1),
            Duration::from_secs(30 * 86_400),
        ),
    },
];

/// The tables of those who are told.
pub(super) const KIND: Kind<Target> =
    Kind { name: "notify", settings: SETTINGS, new: Target::new, check: Target::check };

/// Are there not too many?
pub(super) fn count(targets: Vec<Target>) -> Result<Vec<Target>, String> {
    match targets.len() > TARGETS_MAX {
        true => Err(format!("there are at most {TARGETS_MAX} tables [notify.NAME]")),
        false => Ok(targets),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::{Config, file};
    use super::*;

    #[test]
    fn tables_say_who_is_told_what() {
        let read = |text: &str| {
            let mut config = Config::default();
            file::read(text, &mut config).map(|()| config)
        };
        let config = read(
            "public_url = \"https://daybook.example.com\"\n[notify.chat]\nurl = \"https://hooks.example.com/hunter2\"\n\
             form = \"slack\"\nevents = \"request, approved\"\nroles = \"prod-*\"\ngive_up_after = \"6h\"\n",
        )
        .unwrap();
        let chat = &config.server.notify[0];
        assert_eq!((&*chat.name, chat.form, chat.events.len()), ("chat", Form::Slack, 2));
        assert_eq!(chat.give_up_after, Duration::from_secs(6 * 3_600));
        assert_eq!(config.server.public_url.as_deref(), Some("https://daybook.example.com"));
        assert!(!format!("{config:?}").contains("hunter2"));
        for (text, part) in [
            ("notify = 1", "line 1: `notify` has a table for each"),
            ("[notify.a]\nform = \"slack\"", "line 1: [notify.a]: `url` is missing"),
            ("[notify.a]\nurl = \"https://h/\"", "line 1: [notify.a]: `secret_file` is missing"),
            ("[notify.a]\nurl = \"ftp://h/\"", "line 2: [notify.a]: `url`: write https://"),
            ("[notify.a]\nevents = \"asked\"", "`asked` is none of request, approved"),
            ("[notify.\"a b\"]\nurl = \"https://h/\"", "a name has"),
            ("public_url = \"daybook\"", "line 1: `public_url`: write https://"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
