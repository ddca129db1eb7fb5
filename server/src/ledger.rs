//! Ledgers: what people do at this node, written in the book itself.
//!
//! ```text
//! act ─► decide (what the acts before amount to: may this be done?) ─► tell: an `access` event, durable ─► apply ─► answer
//! ```
//!
//! The state is a fold over the acts of one of daybook's own sessions ([`OwnSession`]). Acts are one at a time, so two
//! who want the same thing can't both have it; and an act is in the log before it changes anything, so a crash forgets
//! none that was answered.
//!
//! A file beside the log has the state up to some act, so that a start reads only those that came after:
//!
//! ```text
//! {"sha256":...,"version":1,"through":SEQ,"state":{...}}
//! ```
//!
//! It may be deleted: then all acts are read again.

use crate::problem::Problem;
use daybook_engine::event::wire::Access;
use daybook_engine::event::{Micros, Seq};
use daybook_engine::{Act, Beside, Engine, Error, OwnSession};
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::watch;

const VERSION: u32 = 1;
/// After so many acts the file is written again.
const KEEP_AFTER: u32 = 256;

/// What acts amount to.
pub trait Fold: Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The session that tells of them.
    const SESSION: OwnSession;
    /// The file that has the state.
    const FILE: Beside;

    /// Takes in one act. What it can't make anything of it leaves: a newer version may have told it.
    fn apply(&mut self, act: &Act);
}

#[derive(Serialize, Deserialize)]
struct File<S> {
    version: u32,
    through: Option<Seq>,
    state: S,
}

/// The acts of one of daybook's own sessions, and what they amount to.
#[derive(Debug)]
pub struct Ledger<F>(Arc<Inner<F>>);

#[derive(Debug)]
struct Inner<F> {
    engine: Arc<Engine>,
    state: RwLock<F>,
    /// Held while something is done.
    at: Mutex<At>,
    changes: watch::Sender<u64>,
}

/// How far the state is.
#[derive(Debug)]
struct At {
    through: Option<Seq>,
    /// Acts since the file was written.
    since: u32,
}

impl<F> Clone for Ledger<F> {
    fn clone(&self) -> Ledger<F> {
        Ledger(Arc::clone(&self.0))
    }
}

impl<F: Fold> Ledger<F> {
    /// Reads the state, and the acts that came after it.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer version wrote; a part of the log that can't be read.
    pub fn open(engine: &Arc<Engine>) -> Result<Ledger<F>, Error> {
        let file: Option<File<F>> = engine.beside(F::FILE)?;
        if let Some(version) = file.as_ref().map(|file| file.version).filter(|v| *v != VERSION) {
            let what = format!("its version is {version}, this daybook reads {VERSION}");
            return Err(Error::Unusable { path: engine.dir().join(F::FILE.name()), what });
        }
        let (through, state) =
            file.map_or_else(Default::default, |file| (file.through, file.state));
        let (changes, _) = watch::channel(0);
        let inner = Inner {
            engine: Arc::clone(engine),
            state: RwLock::new(state),
            at: Mutex::new(At { through, since: 0 }),
            changes,
        };
        inner.catch_up(&mut inner.at.lock())?;
        Ok(Ledger(Arc::new(inner)))
    }

    /// Looks at what all acts so far amount to.
    pub fn read<T>(&self, look: impl FnOnce(&F) -> T) -> T {
        look(&self.0.state.read())
    }

    /// Changes whenever something was done, for those who wait for it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Does something: `decide` looks at the state and the time, and says what is to be told, if anything, and what is
    /// to be answered. The answer comes once that is durable and part of the state. It is done whole, also when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// What `decide` answers, and the log's; then nothing was done, but where the log failed while it wrote: a start
    /// tells.
    pub async fn act<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&F, Micros) -> Result<(Vec<Access>, T), Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.act(decide)).await.map_err(Problem::internal)?
    }
}

impl<F: Fold> Inner<F> {
    fn act<T>(
        &self,
        decide: impl FnOnce(&F, Micros) -> Result<(Vec<Access>, T), Problem>,
    ) -> Result<T, Problem> {
        let mut at = self.at.lock();
        // There is nothing to catch up with, unless the log failed to answer last time.
        self.catch_up(&mut at)?;
        let (acts, answer) = decide(&self.state.read(), Micros::now())?;
        if !acts.is_empty() {
            self.engine.tell(F::SESSION, &acts)?;
            self.catch_up(&mut at)?;
        }
        Ok(answer)
    }

    /// Takes in the acts of the log that the state has not.
    fn catch_up(&self, at: &mut At) -> Result<(), Error> {
        let mut new = Vec::new();
        self.engine.acts(F::SESSION, at.through, &mut |act| new.push(act))?;
        if new.is_empty() {
            return Ok(());
        }
        {
            let mut state = self.state.write();
            for act in &new {
                state.apply(act);
            }
        }
        at.through = new.last().map(|act| act.seq);
        at.since = at.since.saturating_add(u32::try_from(new.len()).unwrap_or(u32::MAX));
        if at.since >= KEEP_AFTER {
            at.since = 0;
            let state = self.state.read();
            let file = File { version: VERSION, through: at.through, state: &*state };
            if let Err(error) = self.engine.keep_beside(F::FILE, &file) {
                // The log has it all.
                tracing::warn!(%error, file = F::FILE.name(), "a ledger's state is not kept; it is made of the log again");
            }
        }
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::http::StatusCode;
    use daybook_engine::Options;
    use std::collections::BTreeMap;

    /// Who has what.
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Taken {
        by: BTreeMap<Box<str>, Box<str>>,
        acts: u64,
    }

    impl Fold for Taken {
        const SESSION: OwnSession = OwnSession::Runs;
        const FILE: Beside = Beside::Runs;

        fn apply(&mut self, act: &Act) {
            self.acts += 1;
            let Access { by, target: Some(target), .. } = &act.access else { return };
            self.by.insert(target.clone(), by.clone());
        }
    }

    async fn take(ledger: &Ledger<Taken>, by: &str, what: &str) -> Result<bool, Problem> {
        let (by, what) = (by.to_owned(), what.to_owned());
        ledger
            .act(move |taken, _| {
                let conflict =
                    || Problem::new("taken", StatusCode::CONFLICT, "Taken", "somebody has it");
                if taken.by.contains_key(&*what) {
                    return Err(conflict());
                }
                Ok((vec![Access::new(&by, "take", &what).with("note", "in \"quotes\"")], true))
            })
            .await
    }

    fn open(dir: &std::path::Path) -> (Arc<Engine>, Ledger<Taken>) {
        let engine = Engine::open(dir, Options::default()).unwrap();
        let ledger = Ledger::open(&engine).unwrap();
        (engine, ledger)
    }

    #[tokio::test]
    async fn one_of_many_has_it_and_a_start_knows_who() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, ledger) = open(dir.path());
        for what in 0..300 {
            let what = what.to_string();
            let all = (0..4).map(|by| {
                let (ledger, what) = (ledger.clone(), what.clone());
                tokio::spawn(async move { take(&ledger, &format!("taker-{by}"), &what).await })
            });
            let mut got = 0;
            for one in all.collect::<Vec<_>>() {
                got += u32::from(one.await.unwrap().is_ok());
            }
            assert_eq!(got, 1, "of {what}");
            if what == "100" {
                engine.seal_now().unwrap();
            }
        }
        let before = ledger.read(|taken| serde_json::to_string(taken).unwrap());
        // It was kept after 256, and the rest is in the log only.
        let kept: File<Taken> = engine.beside(Beside::Runs).unwrap().unwrap();
        assert_eq!(kept.state.acts, 256);
        drop((ledger, engine));
        let (engine, ledger) = open(dir.path());
        assert_eq!(ledger.read(|taken| serde_json::to_string(taken).unwrap()), before);
        assert_eq!(ledger.read(|taken| (taken.acts, taken.by.len())), (300, 300));
        drop((ledger, engine));
        std::fs::remove_file(dir.path().join("runs.json")).unwrap();
        let (_engine, ledger) = open(dir.path());
        assert_eq!(ledger.read(|taken| serde_json::to_string(taken).unwrap()), before);
    }

    #[tokio::test]
    async fn no_producer_writes_into_it() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, ledger) = open(dir.path());
        assert!(take(&ledger, "carol@example.com", "it").await.unwrap());
        for session in ["daybook", "daybook.runs", "daybook.x"] {
            let line = format!(
                r#"{{"session":"{session}","time":"2026-03-01T10:00:00Z","kind":"access","by":"eve@example.com","action":"take","target":"it"}}"#
            );
            let refused = daybook_engine::Batch::new().push(1, line.as_bytes()).unwrap_err();
            assert!(refused.contains("daybook's own record"), "{refused}");
        }
        let found = engine.snapshot().sessions.get("daybook.runs").unwrap().unwrap();
        assert_eq!(found.state.facts().unwrap().role.as_deref(), Some("daybook.runs"));
        assert_eq!(found.state.events, 2);
    }
}
