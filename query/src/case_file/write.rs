//! Writing: file after file, into an output that can't be gone back in.

use super::{CASE, CHECKPOINT, FORMAT, FileEntry, MANIFEST, Manifest, SessionFiles, lines};
use crate::columnar;
use crate::error::QueryError;
use crate::export::{ExportRequest, Format, export};
use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::Micros;
use daybook_engine::view::SessionSet;
use daybook_engine::{Engine, Error};
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::sync::Arc;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

/// What is to be in the file.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The case's id.
    pub case: &'a str,
    /// The case as it is answered: JSON with its `id` and its `sessions`.
    pub json: &'a [u8],
    /// Its sessions.
    pub sessions: &'a [Box<str>],
    /// When it is written.
    pub at: Micros,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Sessions with a proof.
    pub proved: usize,
    /// Sessions without.
    pub others: usize,
}

/// Writes a case with all that is in it.
///
/// # Errors
/// The log's, or an output that can't be written.
pub fn write(
    engine: &Engine,
    contents: &Contents<'_>,
    out: &mut (dyn Write + Send),
) -> Result<Written, QueryError> {
    let mut archive = Archive { zip: ZipWriter::new_stream(out), files: Vec::new() };
    archive.file(CASE, |file| file.write_all(contents.json).map_err(failed))?;
    // A log without a key proves nothing, but its sessions can be handed over all the same.
    let checkpoint = engine.checkpoint().or_else(|error| match error {
        Error::Unusable { .. } => Ok("".into()),
        error => Err(error),
    })?;
    archive.file(CHECKPOINT, |file| file.write_all(checkpoint.as_bytes()).map_err(failed))?;
    let mut written = Written::default();
    let mut sessions = Vec::with_capacity(contents.sessions.len());
    for (number, id) in contents.sessions.iter().enumerate() {
        let files = archive.session(engine, id, &format!("sessions/{:04}", number + 1))?;
        if files.proof.is_some() {
            written.proved += 1;
        } else {
            written.others += 1;
        }
        sessions.push(files);
    }
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        case: contents.case.to_owned(),
        exported_at: contents.at.to_string(),
        key: engine.verifier_key().unwrap_or_default(),
        sessions,
        files: std::mem::take(&mut archive.files),
    };
    let json = serde_json::to_vec_pretty(&manifest).map_err(|error| output(&error))?;
    archive.file(MANIFEST, |file| file.write_all(&json).map_err(failed))?;
    archive.zip.finish().map_err(|error| output(&error))?;
    Ok(written)
}

struct Archive<'a> {
    zip: ZipWriter<StreamWriter<&'a mut (dyn Write + Send)>>,
    files: Vec<FileEntry>,
}

impl Archive<'_> {
    fn session(
        &mut self,
        engine: &Engine,
        id: &str,
        folder: &str,
    ) -> Result<SessionFiles, QueryError> {
        let name = |file: &str| format!("{folder}/{file}");
        let (events, proof) = (name("events.ndjson"), name("proof.json"));
        let said =
            |events, proof, why: Option<String>| SessionFiles { id: id.into(), events, proof, why };
        match engine.proof(id) {
            Ok(Some(bundle)) => {
                self.file(&events, |file| {
                    lines(&bundle, &mut |line| file.write_all(line).map_err(failed))
                })?;
                self.file(&proof, |file| {
                    serde_json::to_writer(file, &bundle).map_err(|error| output(&error))
                })?;
                Ok(said(Some(events), Some(proof), None))
            }
            Ok(None) => Ok(said(None, None, Some("the log does not have this session".to_owned()))),
            Err(error @ (Error::TooLarge { .. } | Error::Unusable { .. })) => {
                let snapshot = engine.snapshot();
                let Some(session) = snapshot.sessions.get(id)? else {
                    return Ok(said(None, None, Some(error.to_string())));
                };
                let one = SessionFilter::Keys(Arc::new(SessionSet::from_iter([session.key])));
                let request =
                    ExportRequest { scope: one, ..ExportRequest::new(None, Format::Ndjson) };
                self.file(&events, |file| export(&snapshot, &request, file).map(|_| ()))?;
                Ok(said(Some(events), None, Some(error.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn file(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Hashed<'_, '_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        // How long it gets is known at its end only.
        let options = SimpleFileOptions::default().large_file(true);
        self.zip.start_file(name, options).map_err(|error| output(&error))?;
        let mut file = Hashed { zip: &mut self.zip, hash: Sha256::new(), bytes: 0 };
        write(&mut file)?;
        let Hashed { hash, bytes, .. } = file;
        self.files.push(FileEntry {
            name: name.to_owned(),
            bytes,
            sha256: hex::encode(hash.finalize()),
        });
        Ok(())
    }
}

fn output(error: &dyn std::fmt::Display) -> QueryError {
    failed(io::Error::other(error.to_string()))
}

fn failed(error: io::Error) -> QueryError {
    columnar::Error::from(error).into()
}

/// A file of the archive, which is hashed as it is written.
struct Hashed<'z, 'o> {
    zip: &'z mut ZipWriter<StreamWriter<&'o mut (dyn Write + Send)>>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.zip.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zip.flush()
    }
}
