//! Tables in an object store: S3 and what speaks its protocol, Google Cloud Storage, Azure, or a directory elsewhere.
//!
//! | what a table asks | what the store is asked |
//! |---|---|
//! | put only where nothing is | a put on the condition that there is none (`If-None-Match: *`), which one of two writers gets |
//! | put a file | one put, or pieces of 8 MiB that are an object when the last one is there |
//! | read, list, delete | the same |
//!
//! A request that fails by the network or by the store being busy is tried again a few times; what the store answered in
//! the end is in the error. An answer that never came leaves open whether the object is there: tables know what to do.
//! A store that puts in spite of the condition would lose what another node writes, so it is refused when it is opened.
//!
//! | module | what is there |
//! |---|---|
//! | `connect` | a location to a client |
//! | `credentials` | who a client is, by a file |

mod connect;
mod credentials;

use daybook_engine::disk::{DiskFile, Open, SharedDisk, read_exact_at};
use daybook_query::feed::Error;
use daybook_query::feed::location::Remote;
use daybook_query::feed::store::Store;
use futures_util::TryStreamExt as _;
use object_store::path::Path as ObjectPath;
use object_store::{
    Error as ObjectError, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload,
};
use std::ops::Range;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;

/// Files are put in pieces of this size: S3 wants 5 MiB at least.
const PIECE_BYTES: u64 = 8 << 20;
/// Once the server is to stop, what is under way has this long.
const STOP: Duration = Duration::from_secs(5);
/// How often it is looked whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So long is what a store answered in an error at most, in characters.
const ANSWER_CHARS_MAX: usize = 400;
/// An object that is there only to be refused a second time.
const PROOF: &str = "_daybook/put-once";

/// A place in an object store.
#[derive(Debug)]
pub(super) struct RemoteStore {
    store: Arc<dyn ObjectStore>,
    /// How the place is written, for errors.
    address: String,
    /// Where it is in the store.
    prefix: String,
    around: Around,
}

/// What a feed's thread has for its stores.
#[derive(Clone, Debug)]
pub(super) struct Around {
    pub disk: SharedDisk,
    /// What requests run on. Stores are asked from threads that may wait: feeds' own, and those for reads.
    pub runtime: Handle,
    pub stopping: Arc<AtomicBool>,
}

/// Where tables are in an object store, each in a directory of its own.
#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    address: String,
    prefix: String,
    around: Around,
}

impl Bucket {
    /// The place that a location names; nothing is asked of the store yet.
    ///
    /// # Errors
    /// A location, or credentials, that can't be used.
    pub fn open(remote: &Remote, around: &Around) -> Result<Bucket, Error> {
        let store = connect::client(remote);
        let store = store.map_err(|what| Error::Store(format!("{remote}: {what}")))?;
        let address = remote.to_string().trim_end_matches('/').to_owned();
        let prefix = connect::prefix(remote).to_owned();
        Ok(Bucket { store, address, prefix, around: around.clone() })
    }

    /// Where a table is.
    pub fn table(&self, name: &str) -> RemoteStore {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        RemoteStore {
            store: Arc::clone(&self.store),
            address: format!("{}/{name}", self.address),
            prefix: format!("{}{slash}{name}", self.prefix),
            around: self.around.clone(),
        }
    }
}

impl RemoteStore {
    /// Sees to it that the store does not put where something is, if it is not to.
    ///
    /// # Errors
    /// The store's, or that it does not keep two writers apart.
    pub fn prove(&self) -> Result<(), Error> {
        let once =
            b"Here daybook sees whether this store puts only once what is to be put only once.\n";
        if self.put_new(PROOF, once)? && self.put_new(PROOF, once)? {
            let what = "the store puts an object where there is one, though it is told not to (If-None-Match: *); two nodes would overwrite each other";
            return Err(self.error(PROOF, what));
        }
        Ok(())
    }

    fn at(&self, path: &str) -> Result<ObjectPath, Error> {
        let path = format!("{}/{path}", self.prefix);
        ObjectPath::parse(&path).map_err(|error| Error::Store(format!("{path}: {error}")))
    }

    fn error(&self, path: &str, what: impl std::fmt::Display) -> Error {
        Error::Store(format!("{}/{path}: {what}", self.address))
    }

    /// Waits for a request; what failed is told apart from what is not there.
    fn wait<T>(
        &self,
        path: &str,
        request: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<Result<T, ObjectError>, Error> {
        let stop = async {
            while !self.around.stopping.load(Relaxed) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(STOP).await;
        };
        let answer = self.around.runtime.block_on(async {
            tokio::select! {
                answer = request => Some(answer),
                () = stop => None,
            }
        });
        match answer {
            None => Err(self.error(path, "the server stops, and the store does not answer")),
            Some(Ok(value)) => Ok(Ok(value)),
            Some(Err(
                error @ (ObjectError::NotFound { .. }
                | ObjectError::AlreadyExists { .. }
                | ObjectError::Precondition { .. }),
            )) if !no_bucket(&error) => Ok(Err(error)),
            Some(Err(error)) => Err(self.error(path, said(&error))),
        }
    }

    /// Waits for a request whose object has to be there.
    fn done<T>(
        &self,
        path: &str,
        request: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<T, Error> {
        self.wait(path, request)?.map_err(|error| self.error(path, said(&error)))
    }

    /// Puts a file in pieces, one at a time: of a file no more than that is in memory.
    async fn put_pieces(
        &self,
        to: &ObjectPath,
        file: &dyn DiskFile,
        len: u64,
    ) -> Result<(), ObjectError> {
        let mut upload = self.store.put_multipart(to).await?;
        let put = pieces(&mut *upload, file, len).await;
        if put.is_err() {
            // Pieces that are left cost money until the bucket's rules delete them; that this fails, too, is likely.
            let _ = tokio::time::timeout(STOP, upload.abort()).await;
        }
        put
    }
}

async fn pieces(
    upload: &mut dyn MultipartUpload,
    file: &dyn DiskFile,
    len: u64,
) -> Result<(), ObjectError> {
    let mut at = 0;
    while at < len {
        let piece = piece(file, at..len.min(at + PIECE_BYTES))?;
        at += piece.content_length() as u64;
        upload.put_part(piece).await?;
    }
    upload.complete().await.map(drop)
}

fn piece(file: &dyn DiskFile, range: Range<u64>) -> Result<PutPayload, ObjectError> {
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len];
    let read = read_exact_at(file, &mut bytes, range.start);
    read.map_err(|error| ObjectError::Generic { store: "local", source: Box::new(error) })?;
    Ok(bytes.into())
}

impl Store for RemoteStore {
    fn put_new(&self, path: &str, bytes: &[u8]) -> Result<bool, Error> {
        let at = self.at(path)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&at, PutPayload::from(bytes.to_vec()), options);
        match self.wait(path, put)? {
            Ok(_) => Ok(true),
            Err(ObjectError::AlreadyExists { .. } | ObjectError::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.error(path, said(&error))),
        }
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let at = self.at(path)?;
        self.done(path, self.store.put(&at, PutPayload::from(bytes.to_vec()))).map(drop)
    }

    fn put_file(&self, path: &str, file: &Path) -> Result<(), Error> {
        let at = self.at(path)?;
        // The engine's disk reads what it encrypted.
        let opened = self.around.disk.open(file, Open::Read);
        let opened = opened.map_err(daybook_engine::Error::io("open", file))?;
        let len = opened.len().map_err(daybook_engine::Error::io("read", file))?;
        if len <= PIECE_BYTES {
            let whole = piece(&*opened, 0..len).map_err(|error| self.error(path, said(&error)))?;
            self.done(path, self.store.put(&at, whole))?;
        } else {
            self.done(path, self.put_pieces(&at, &*opened, len))?;
        }
        Ok(self.around.disk.remove_file(file).map_err(daybook_engine::Error::io("delete", file))?)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let at = self.at(path)?;
        match self.wait(path, async { self.store.get(&at).await?.bytes().await })? {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(path, said(&error))),
        }
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Vec<u8>, Error> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let at = self.at(path)?;
        let bytes = self.done(path, self.store.get_range(&at, range.clone()))?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(self.error(path, "the object is shorter than it was written"));
        }
        Ok(bytes.into())
    }

    fn exists(&self, path: &str) -> Result<bool, Error> {
        let at = self.at(path)?;
        match self.wait(path, self.store.head(&at))? {
            Ok(_) => Ok(true),
            Err(ObjectError::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.error(path, said(&error))),
        }
    }

    fn list(&self, dir: &str, after: &str) -> Result<Vec<String>, Error> {
        let at = self.at(dir)?;
        let listed = match after.is_empty() {
            true => self.store.list(Some(&at)),
            false => self.store.list_with_offset(Some(&at), &self.at(&format!("{dir}/{after}"))?),
        };
        let names = async {
            let mut names = Vec::new();
            let mut listed = pin!(listed);
            while let Some(object) = listed.try_next().await? {
                // Not what is in directories below it.
                let mut parts = object.location.prefix_match(&at).into_iter().flatten();
                if let (Some(name), None) = (parts.next(), parts.next())
                    && name.as_ref() > after
                {
                    names.push(name.as_ref().to_owned());
                }
            }
            Ok(names)
        };
        let mut names = self.done(dir, names)?;
        names.sort_unstable();
        Ok(names)
    }

    fn files(&self) -> Result<Vec<String>, Error> {
        let root = ObjectPath::parse(&self.prefix)
            .map_err(|error| Error::Store(format!("{}: {error}", self.prefix)))?;
        let mut listed = self.store.list(Some(&root));
        let files = async move {
            let mut files = Vec::new();
            while let Some(object) = listed.try_next().await? {
                let parts: Vec<String> = object
                    .location
                    .prefix_match(&root)
                    .into_iter()
                    .flatten()
                    .map(|part| part.as_ref().to_owned())
                    .collect();
                let path = parts.join("/");
                if path.ends_with(".parquet") && !path.starts_with('_') {
                    files.push(path);
                }
            }
            Ok(files)
        };
        self.done("", files)
    }

    fn piece_bytes(&self) -> u64 {
        PIECE_BYTES / 2
    }

    fn delete(&self, path: &str) -> Result<(), Error> {
        let at = self.at(path)?;
        match self.wait(path, self.store.delete(&at))? {
            Ok(()) | Err(ObjectError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(path, said(&error))),
        }
    }
}

/// Is the whole bucket missing? Then what is asked for is not just not there yet.
fn no_bucket(error: &ObjectError) -> bool {
    let text = error.to_string();
    ["NoSuchBucket", "ContainerNotFound", "specified bucket does not exist"]
        .iter()
        .any(|name| text.contains(name))
}

/// What a store answered: the code and the message, where it is one of those that say both in XML.
fn said(error: &ObjectError) -> String {
    let text = error.to_string();
    let between = |from: &str, to: &str| Some(text.split_once(from)?.1.split_once(to)?.0);
    if let Some(code) = between("<Code>", "</Code>") {
        let message = between("<Message>", "</Message>").unwrap_or("");
        return format!("{code}: {message}").chars().take(ANSWER_CHARS_MAX).collect();
    }
    // The cause of the cause is what is wrong.
    let mut texts = vec![text];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if texts.iter().all(|known| !known.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    let line = texts.join(": ").split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(ANSWER_CHARS_MAX).collect()
}
