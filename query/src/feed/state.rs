//! What the log of a Delta Lake table amounts to.

use super::Error;
use super::delta::{self, Action, Add, Metadata, Protocol, Remove, Txn};
use super::table::{commit_path, now_ms};
use serde_json::Value;
use std::collections::BTreeMap;

/// How long it is known what was removed, in milliseconds: 90 days.
const GONE_KEPT_MS: i64 = 90 * 86_400_000;

/// What a table's log amounts to.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The version of the last commit; -1 before the first.
    pub version: i64,
    /// What the table is.
    pub metadata: Option<Metadata>,
    /// The files that belong to it, by path, with the version that brought them.
    pub live: BTreeMap<String, Live>,
    /// Those that do not any more, by path.
    pub gone: BTreeMap<String, Gone>,
    /// How far each writer is.
    pub txns: BTreeMap<String, i64>,
    /// When its last commit was made, in milliseconds since 1970; 0 if that is not known.
    pub(super) committed: i64,
}

/// A file that belongs to a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The file.
    pub add: Add,
    /// The version that brought it; that of the checkpoint, where no more is known.
    pub version: i64,
}

/// A file that went.
#[derive(Clone, Debug, PartialEq)]
pub struct Gone {
    /// That it went.
    pub remove: Remove,
    /// What it was, where that is known.
    pub add: Option<Add>,
    /// The version that took it away.
    pub version: i64,
}

impl State {
    /// Takes in a commit.
    pub(super) fn apply(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let version = self.version + 1;
        let actions = delta::decode(bytes)
            .map_err(|what| Error::Table(format!("{}: {what}", commit_path(version))))?;
        self.version = version;
        self.committed = self.committed.max(time_of(&actions));
        // In a commit a file may go and come back: what comes counts.
        let (comes, others): (Vec<Action>, Vec<Action>) =
            actions.into_iter().partition(|action| matches!(action, Action::Add(_)));
        for action in others.into_iter().chain(comes) {
            self.take(action);
        }
        let old = now_ms() - GONE_KEPT_MS;
        self.gone.retain(|_, gone| gone.remove.deletion_timestamp.is_none_or(|at| at > old));
        Ok(())
    }

    pub(super) fn take(&mut self, action: Action) {
        let version = self.version;
        match action {
            Action::MetaData(metadata) => self.metadata = Some(metadata),
            Action::Txn(Txn { app_id, version, .. }) => {
                self.txns.insert(app_id, version);
            }
            Action::Add(add) => {
                self.gone.remove(&add.path);
                self.live.insert(add.path.clone(), Live { add, version });
            }
            Action::Remove(remove) => {
                let add = self.live.remove(&remove.path).map(|live| live.add);
                self.gone.insert(remove.path.clone(), Gone { remove, add, version });
            }
            Action::CommitInfo(_) | Action::Protocol(_) => {}
        }
    }

    /// What amounts to it.
    pub(super) fn actions(&self) -> Vec<Action> {
        let txns = self.txns.iter().map(|(app_id, version)| {
            Action::Txn(Txn { app_id: app_id.clone(), version: *version, last_updated: None })
        });
        let mut actions = vec![Action::Protocol(Protocol::OURS)];
        actions.extend(self.metadata.clone().map(Action::MetaData));
        actions.extend(txns);
        actions.extend(self.gone.values().map(|gone| Action::Remove(gone.remove.clone())));
        actions.extend(
            self.live
                .values()
                .map(|live| Action::Add(Add { data_change: false, ..live.add.clone() })),
        );
        actions
    }
}

/// When a commit was made, as its actions say.
pub(super) fn time_of(actions: &[Action]) -> i64 {
    let infos = actions.iter().filter_map(|action| match action {
        Action::CommitInfo(info) => info.get("timestamp").and_then(Value::as_i64),
        _ => None,
    });
    infos.max().unwrap_or(0)
}
