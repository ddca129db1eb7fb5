//! Checking: nothing of the file is believed before.

use super::{
    CASE, CHECKPOINT, CaseSessions, FORMAT, FileEntry, MANIFEST, Manifest, SessionFiles, lines,
};
use daybook_engine::merkle::bundle::{Bundle, Proved};
use daybook_engine::merkle::{Checkpoint, Verifier};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use zip::ZipArchive;

/// The largest proof that is read, in bytes; a node makes none that is larger.
const PROOF_BYTES_MAX: u64 = 2 << 30;
/// The largest of the other files that are read whole, in bytes.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// The most problems that are told.
const PROBLEMS_MAX: usize = 100;

/// What a case's file was found to be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// The case's id.
    pub case: String,
    /// When it was written.
    pub exported_at: String,
    /// Its sessions.
    pub sessions: Vec<CheckedSession>,
    /// The key that all proofs are signed by; none where nothing is proved.
    pub key: Option<String>,
    /// What does not hold.
    pub problems: Vec<String>,
}

/// What was found of a session.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedSession {
    /// Its id.
    pub id: String,
    /// What its proof proves.
    pub proved: Option<Proved>,
    /// Why there is no proof, as the file says.
    pub why: Option<String>,
}

impl Checked {
    /// Does everything hold?
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what);
        }
    }
}

/// Checks the file of a case. With `key`, everything has to be signed by that one.
///
/// # Errors
/// A file that is no case's: what it can't be read as.
pub fn check(file: impl Read + Seek, key: Option<&Verifier>) -> Result<Checked, String> {
    let mut files = Files::open(file)?;
    let manifest: Manifest = files.json(MANIFEST)?;
    if manifest.format != FORMAT {
        return Err(format!("`{MANIFEST}` is of a form that this version does not know"));
    }
    let mut checked = Checked {
        case: manifest.case.clone(),
        exported_at: manifest.exported_at.clone(),
        ..Checked::default()
    };
    let hashes = files.check_all(&manifest, &mut checked);
    match files.json::<CaseSessions>(CASE) {
        Ok(CaseSessions { id, sessions }) => {
            let named: BTreeSet<&str> = sessions.iter().map(|session| &*session.id).collect();
            let listed: BTreeSet<&str> =
                manifest.sessions.iter().map(|session| &*session.id).collect();
            if id != manifest.case || named != listed {
                checked.problem(format!(
                    "`{CASE}` and `{MANIFEST}` do not name the same case with the same sessions"
                ));
            }
        }
        Err(what) => checked.problem(what),
    }
    let mut used = BTreeSet::from([CASE.to_owned(), CHECKPOINT.to_owned()]);
    for session in &manifest.sessions {
        used.extend(session.events.iter().chain(&session.proof).cloned());
        let proved = match files.session(session, &hashes, key) {
            Ok(proved) => proved,
            Err(what) => {
                checked.problem(format!("session {}: {what}", session.id));
                None
            }
        };
        let (id, why) = (session.id.clone(), session.why.clone());
        checked.sessions.push(CheckedSession { id, proved, why });
    }
    for file in manifest.files.iter().filter(|file| !used.contains(&file.name)) {
        checked.problem(format!("`{}` belongs to no session", file.name));
    }
    let keys: BTreeSet<String> = checked
        .sessions
        .iter()
        .filter_map(|session| Some(session.proved.as_ref()?.key.clone()))
        .collect();
    if keys.iter().any(|key| *key != manifest.key) {
        checked
            .problem("the proofs are not all signed by the key that the manifest names".to_owned());
    }
    if !manifest.key.is_empty() {
        let signed =
            Verifier::parse(&manifest.key).map_err(|what| what.to_string()).and_then(|own| {
                let note = files.text(CHECKPOINT)?;
                Checkpoint::open(&note, &own).map(|_| own).map_err(|what| what.to_string())
            });
        match signed {
            Ok(own) if key.is_some_and(|key| *key != own) => {
                checked.problem("the file's key is not the one that is trusted".to_owned());
            }
            Ok(_) => checked.key = Some(manifest.key.clone()),
            Err(what) => checked.problem(format!("`{CHECKPOINT}`: {what}")),
        }
    }
    Ok(checked)
}

/// The files of an archive.
struct Files<R>(ZipArchive<R>);

impl<R: Read + Seek> Files<R> {
    fn open(file: R) -> Result<Files<R>, String> {
        ZipArchive::new(file).map(Files).map_err(|error| format!("this is no archive: {error}"))
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        let file = self.0.by_name(name).map_err(|error| format!("`{name}`: {error}"))?;
        let mut bytes = Vec::new();
        let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("`{name}`: {error}"))?;
        if bytes.len() as u64 > bytes_max {
            return Err(format!("`{name}` has more than {bytes_max} bytes"));
        }
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, String> {
        let bytes = self.read(name, JSON_BYTES_MAX)?;
        serde_json::from_slice(&bytes).map_err(|error| format!("`{name}`: {error}"))
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        String::from_utf8(self.read(name, JSON_BYTES_MAX)?)
            .map_err(|_| format!("`{name}` is no text"))
    }

    /// Is every file there, unchanged, and no other? Answers the SHA-256 of each.
    fn check_all(
        &mut self,
        manifest: &Manifest,
        checked: &mut Checked,
    ) -> BTreeMap<String, String> {
        let mut listed: BTreeMap<&str, &FileEntry> = BTreeMap::new();
        for file in &manifest.files {
            if listed.insert(&file.name, file).is_some() {
                checked.problem(format!("`{}` is listed twice", file.name));
            }
        }
        let mut hashes = BTreeMap::new();
        for at in 0..self.0.len() {
            match self.hash(at) {
                Ok((name, _)) if name == MANIFEST => {}
                Ok((name, found)) => {
                    match listed.remove(&*name) {
                        None => checked.problem(format!("`{name}` is not in the manifest")),
                        Some(file) if *file != found => {
                            checked.problem(format!("`{name}` is not as the manifest says"));
                        }
                        Some(_) => {}
                    }
                    hashes.insert(name, found.sha256);
                }
                Err(what) => checked.problem(what),
            }
        }
        for name in listed.keys() {
            checked.problem(format!("`{name}` is missing"));
        }
        hashes
    }

    fn hash(&mut self, at: usize) -> Result<(String, FileEntry), String> {
        let mut file =
            self.0.by_index(at).map_err(|error| format!("file {at} of the archive: {error}"))?;
        let name = file.name().map_err(|error| format!("file {at} of the archive: {error}"))?;
        let name = name.into_owned();
        let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 64 << 10]);
        loop {
            let read = file.read(&mut piece).map_err(|error| format!("`{name}`: {error}"))?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            hash.update(piece.get(..read).unwrap_or_default());
        }
        let sha256 = hex::encode(hash.finalize());
        Ok((name.clone(), FileEntry { name, bytes, sha256 }))
    }

    /// Is a session as its proof says?
    fn session(
        &mut self,
        session: &SessionFiles,
        hashes: &BTreeMap<String, String>,
        key: Option<&Verifier>,
    ) -> Result<Option<Proved>, String> {
        let Some(proof) = &session.proof else {
            return match session.why {
                Some(_) => Ok(None),
                None => Err("it has no proof, and nothing says why".to_owned()),
            };
        };
        let bundle = Bundle::parse(&self.read(proof, PROOF_BYTES_MAX)?)?;
        let proved = bundle.check(key)?;
        if proved.excerpt {
            return Err("its proof is of an excerpt".to_owned());
        }
        if proved.session != session.id {
            return Err(format!("its proof is of the session {}", proved.session));
        }
        let mut hash = Sha256::new();
        lines(&bundle, &mut |line| {
            hash.update(line);
            Ok(())
        })
        .map_err(|error| error.to_string())?;
        let events = session.events.as_ref().and_then(|name| hashes.get(name));
        if events != Some(&hex::encode(hash.finalize())) {
            return Err("its events are not those that are proved".to_owned());
        }
        Ok(Some(proved))
    }
}
