//! What a log says of its command: `log.json`, or the older `log`.

use crate::asciicast::Labels;
use crate::foreign::text;
use crate::line::{self, cut};
use daybook_engine::event::Micros;
use serde_json::{Map, Value, json};

/// What a log says of its command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// When it started.
    pub started: Micros,
    /// Who called sudo.
    pub user: String,
    /// As whom it ran.
    pub run_as: String,
    /// The machine; the older form does not say.
    pub host: Option<String>,
    /// The command and its arguments, as one would type them.
    pub command: String,
    /// Columns and rows.
    pub size: Option<(u64, u64)>,
    /// How it ended: an exit code, a signal.
    pub ended: Option<(Option<i64>, Option<String>)>,
    /// What else it says.
    pub notes: Vec<(&'static str, String)>,
}

impl Log {
    /// Reads `log.json`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(bytes: &[u8]) -> Result<Log, String> {
        let log: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let whole = |value: &Value, field: &str| value.get(field).and_then(Value::as_u64);
        let time = log.get("timestamp").ok_or("there is no `timestamp`")?;
        let micros = whole(time, "seconds")
            .and_then(|seconds| seconds.checked_mul(1_000_000))
            .and_then(|m| m.checked_add(whole(time, "nanoseconds").unwrap_or(0) / 1_000))
            .and_then(|micros| i64::try_from(micros).ok())
            .ok_or("`timestamp` is not a time")?;
        let user = text(&log, "submituser").ok_or("there is no `submituser`")?;
        let arguments = log.get("runargv").and_then(Value::as_array);
        // `command` is the path that was run, the first argument only what it was called by.
        let arguments = arguments.into_iter().flatten().skip(1).filter_map(Value::as_str);
        let program = text(&log, "command").unwrap_or_default();
        let command = std::iter::once(program).chain(arguments).map(quoted).collect::<Vec<_>>();
        let code = log.get("exit_value").and_then(Value::as_i64);
        let signal = text(&log, "signal").map(str::to_owned);
        let ended = log.get("run_time").is_some() || code.is_some() || signal.is_some();
        let names = ["runcwd", "rungroup", "runchroot", "submitcwd", "ttyname", "uuid"];
        let notes = names.into_iter().filter_map(|name| Some((name, text(&log, name)?.to_owned())));
        Ok(Log {
            started: Micros(micros),
            user: user.to_owned(),
            run_as: text(&log, "runuser").unwrap_or("root").to_owned(),
            host: text(&log, "submithost").map(str::to_owned),
            command: command.join(" "),
            size: whole(&log, "columns").zip(whole(&log, "lines")),
            ended: ended.then_some((code, signal)),
            notes: notes.collect(),
        })
    }

    /// Reads the older `log`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_text(bytes: &[u8]) -> Result<Log, String> {
        let all = String::from_utf8_lossy(bytes);
        let mut lines = all.lines();
        let first = lines.next().unwrap_or_default();
        let fields: Vec<&str> = first.split(':').collect();
        let &[epoch, user, run_as, group, tty, ref size @ ..] = fields.as_slice() else {
            return Err(
                "its first line is not `time:user:runuser:rungroup:tty:lines:cols`".to_owned()
            );
        };
        let seconds: i64 =
            epoch.parse().map_err(|_| format!("`{epoch}` is not a time in seconds"))?;
        let started = seconds.checked_mul(1_000_000).ok_or("its time is out of range")?;
        let size = match size {
            [rows, cols, ..] => cols.parse().ok().zip(rows.parse().ok()),
            _ => None,
        };
        let cwd = lines.next().unwrap_or_default();
        let notes = [("rungroup", group), ("submitcwd", cwd), ("ttyname", tty)];
        let notes = notes.into_iter().filter(|(_, value)| !value.is_empty());
        Ok(Log {
            started: Micros(started),
            user: user.to_owned(),
            run_as: if run_as.is_empty() { "root" } else { run_as }.to_owned(),
            command: lines.collect::<Vec<_>>().join("\n"),
            size,
            notes: notes.map(|(name, value)| (name, value.to_owned())).collect(),
            ..Log::default()
        })
    }

    pub(super) fn id(&self, timing: &[u8]) -> String {
        // The older form has no host and seconds only; a log's first record never changes.
        let first = timing.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let time = self.started.0.to_le_bytes();
        let mut parts = vec![&time[..], self.user.as_bytes(), self.run_as.as_bytes()];
        parts
            .extend([self.host.as_deref().unwrap_or_default().as_bytes(), self.command.as_bytes()]);
        parts.extend(self.notes.iter().map(|(_, value)| value.as_bytes()));
        parts.push(first);
        line::id("sudo", &parts)
    }

    pub(super) fn start(&self, labels: &Labels) -> Value {
        let mut metadata = Map::new();
        metadata.insert("runuser".into(), json!(cut(&self.run_as)));
        for (name, value) in &self.notes {
            metadata.insert((*name).to_owned(), json!(cut(value)));
        }
        let role = labels.role.as_ref().or(self.host.as_ref()).map(|role| cut(role));
        json!({
            "user": cut(labels.user.as_ref().unwrap_or(&self.user)), "role": role,
            "type": labels.kind.as_deref().unwrap_or("ssh"), "subtype": "sudo", "origin": "sudo",
            "cols": self.size.map(|(cols, _)| cols), "rows": self.size.map(|(_, rows)| rows),
            "metadata": metadata,
        })
    }
}

/// An argument as one would type it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::super::tests::JSON;
    use super::*;

    #[test]
    fn both_forms_of_the_log_say_who_ran_what() {
        let log = Log::from_json(JSON).unwrap();
        assert_eq!((log.user.as_str(), log.run_as.as_str()), ("alice", "nobody"));
        assert_eq!(log.command, "/usr/bin/sh -c 'echo it'\\''s'");
        assert_eq!((log.started, log.size), (Micros(1_772_357_400_082_998), Some((80, 24))));
        let old = Log::from_text(
            b"1772357400:alice:nobody::/dev/pts/0:24:80\n/srv/app\n/usr/bin/sh -c x\n",
        )
        .unwrap();
        assert_eq!((old.command.as_str(), old.size), ("/usr/bin/sh -c x", Some((80, 24))));
        let older = Log::from_text(b"1772357400:alice:root::/dev/pts/0\n/\n/bin/ls").unwrap();
        assert_eq!((older.run_as.as_str(), older.size), ("root", None));
        for bad in [&b""[..], b"x:alice:root::tty\n", b"99999999999999999999:a:b:c:d"] {
            Log::from_text(bad).unwrap_err();
        }
    }
}
