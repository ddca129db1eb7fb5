//! Pulling a feed: its new files into a directory, which then has each row once.
//!
//! ```text
//! DIR/FEED/TABLE/…parquet      the files, as the feed names them
//! DIR/.cursor-FEED-TABLE       up to where they are there
//! DIR/.lock-FEED-TABLE         of two that pull at the same time, one is refused
//! ```
//!
//! Which files are taken and which go, a [`Mirror`] knows. A page is done in this order, and the cursor is written at
//! its end, so that a page that was broken off is done again from the beginning, and comes to the same:
//!
//! 1. what has rows that were erased is deleted;
//! 2. new files are written under another name, compared with their SHA-256, and renamed when they are whole;
//! 3. small files are deleted whose rows a large one has;
//! 4. the cursor is written.
//!
//! Where there are files and no cursor (the first page was broken off, or somebody deleted it), all pages are gone
//! through from the first on; what is there already is not fetched again.

use crate::client::{Client, NotFollowed};
use crate::rows::{field, number};
use anyhow::{Context as _, anyhow, bail};
use daybook_query::feed::mirror::Mirror;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The end of the name of a file that is not whole.
const PART: &str = ".part";
/// How long links are good: as long as a page of large files may take on a slow line.
const LINK: &str = "1d";
/// How long the server waits for something new.
const WAIT: &str = "30s";
/// How often a page is asked for again because a file of it went meanwhile.
const ATTEMPTS: u32 = 10;

/// A table of a feed, and the directory that its files come to.
#[derive(Debug)]
pub struct Puller {
    client: Client,
    feed: String,
    table: String,
    root: PathBuf,
    cursor_file: PathBuf,
    cursor: Option<String>,
    mirror: Mirror,
    /// There were files and no cursor: what the server tells of, from the first file on. Nobody tells then what was
    /// erased before, so what it does not tell of goes; the cursor is written when that is done.
    listed: Option<HashSet<String>>,
    /// What the page at hand came to, over all attempts at it.
    pulled: Pulled,
    /// Held as long as this is.
    _lock: File,
}

/// What a page came to.
#[derive(Debug, Default)]
pub struct Pulled {
    /// Files that are there now, as the server tells of them.
    pub put: Vec<Value>,
    /// Files that are not there any more: their names, and why.
    pub deleted: Vec<(String, &'static str)>,
    /// Is there more already?
    pub more: bool,
}

/// Why a page could not be had.
pub type Failed = NotFollowed;

impl From<anyhow::Error> for NotFollowed {
    fn from(error: anyhow::Error) -> NotFollowed {
        NotFollowed { error, passes: true }
    }
}

impl Puller {
    /// Looks at what is there already.
    ///
    /// # Errors
    /// A directory that can't be used, or that another one pulls into.
    pub fn open(client: Client, to: &Path, feed: &str, table: &str) -> anyhow::Result<Puller> {
        let root = to.join(feed).join(table);
        let failed = || format!("can't use the directory {}", root.display());
        fs::create_dir_all(&root).with_context(failed)?;
        let lock = to.join(format!(".lock-{feed}-{table}"));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let lock = lock.with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another one pulls {feed}/{table} into {} now", to.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
        let mut mirror = Mirror::default();
        known(&root, "", &mut mirror).with_context(failed)?;
        let cursor_file = to.join(format!(".cursor-{feed}-{table}"));
        let cursor = match fs::read_to_string(&cursor_file) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error).with_context(|| format!("can't read {}", cursor_file.display()));
            }
        };
        let (feed, table) = (feed.to_owned(), table.to_owned());
        let listed = (cursor.is_none() && mirror.paths().next().is_some()).then(HashSet::new);
        Ok(Puller {
            client,
            feed,
            table,
            root,
            cursor_file,
            cursor,
            mirror,
            listed,
            pulled: Pulled::default(),
            _lock: lock,
        })
    }

    /// Pulls what is new; `wait` says whether to wait a while where there is nothing.
    ///
    /// # Errors
    /// What the server says, or a disk that can't be written; it can be tried again.
    pub async fn turn(&mut self, wait: bool) -> Result<Pulled, Failed> {
        for _ in 0..ATTEMPTS {
            let page = self.page(wait).await?;
            if self.done(&page).await? {
                let more = page.get("more").and_then(Value::as_bool).unwrap_or(false);
                return Ok(Pulled { more, ..std::mem::take(&mut self.pulled) });
            }
        }
        Err(anyhow!("files of {}/{} go faster than they can be read", self.feed, self.table).into())
    }

    async fn page(&self, wait: bool) -> Result<Value, Failed> {
        let mut params = vec![
            ("feed", self.feed.clone()),
            ("table", self.table.clone()),
            ("link", LINK.to_owned()),
        ];
        params.extend(self.cursor.clone().map(|cursor| ("cursor", cursor)));
        params.extend(wait.then(|| ("wait", WAIT.to_owned())));
        let response =
            self.client.follow("/v1/parquet", &params).await.map_err(|mut refused| {
                if self.cursor.is_some() && !refused.passes {
                    let place = self.cursor_file.display();
                    refused.error = refused.error.context(format!("the cursor is in {place}"));
                }
                refused
            })?;
        let body = response.bytes().await.context("the connection broke")?;
        Ok(serde_json::from_slice(&body).context("the server answered with no page of files")?)
    }

    /// Does what a page says; `false` if a file of it went meanwhile.
    async fn done(&mut self, page: &Value) -> anyhow::Result<bool> {
        let list = |name: &str| page.get(name).and_then(Value::as_array).into_iter().flatten();
        for removed in list("removed") {
            for path in self.mirror.erased_by(&self.path(removed)?) {
                self.delete(path, "erased")?;
            }
        }
        let new = || list("remaining").chain(list("items"));
        for item in new() {
            let path = self.path(item)?;
            if let Some(listed) = &mut self.listed {
                listed.insert(path.clone());
            }
            if self.mirror.wants(&path) {
                if !self.download(item, &path).await? {
                    return Ok(false);
                }
                self.mirror.put(&path);
                self.pulled.put.push(item.clone());
            }
        }
        for item in new() {
            for path in self.mirror.replaced_by(&self.path(item)?) {
                self.delete(path, "replaced")?;
            }
        }
        let cursor = field(page, "next_cursor");
        if cursor.is_empty() {
            bail!("the server answered without a cursor");
        }
        let more = page.get("more").and_then(Value::as_bool).unwrap_or(false);
        if let Some(listed) = self.listed.as_ref().filter(|_| !more) {
            let unknown = self.mirror.paths().filter(|path| !listed.contains(*path));
            for path in unknown.map(str::to_owned).collect::<Vec<_>>() {
                self.delete(path, "unknown")?;
            }
            // So that it is written, also if it is the one that the page before ended with.
            (self.listed, self.cursor) = (None, None);
        }
        if self.listed.is_some() {
            self.cursor = Some(cursor.to_owned());
        } else if self.cursor.as_deref() != Some(cursor) {
            let failed = || format!("can't write {}", self.cursor_file.display());
            write_whole(&self.cursor_file, cursor.as_bytes()).with_context(failed)?;
            self.cursor = Some(cursor.to_owned());
        }
        Ok(true)
    }

    /// Where a file is in the table. What the server says is not trusted with other places.
    fn path(&self, item: &Value) -> anyhow::Result<String> {
        let file = field(item, "file");
        let path = file.strip_prefix(&format!("{}/{}/", self.feed, self.table));
        let plain = |part: &str| {
            !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':', '\0'])
        };
        match path.filter(|path| path.ends_with(".parquet") && path.split('/').all(plain)) {
            Some(path) => Ok(path.to_owned()),
            None => bail!("the server named a file `{}`", crate::output::clean::line(file)),
        }
    }

    fn delete(&mut self, path: String, why: &'static str) -> anyhow::Result<()> {
        let file = self.root.join(&path);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("can't delete {}", file.display()));
            }
        }
        self.mirror.delete(&path);
        let name = format!("{}/{}/{path}", self.feed, self.table);
        self.pulled.put.retain(|item| field(item, "file") != name);
        self.pulled.deleted.push((name, why));
        Ok(())
    }

    /// Writes a file, whole or not at all; `false` if the server has it no more.
    async fn download(&self, item: &Value, path: &str) -> anyhow::Result<bool> {
        let Some(mut response) = self.client.link(field(item, "url")).await? else {
            return Ok(false);
        };
        let file = self.root.join(path);
        let failed = || format!("can't write {}", file.display());
        let dir = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(dir).with_context(failed)?;
        let part = part_of(&file);
        let mut out = File::create(&part).with_context(failed)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) =
            response.chunk().await.with_context(|| format!("{path} broke off"))?
        {
            out.write_all(&piece).with_context(failed)?;
            hash.update(&piece);
            bytes += piece.len() as u64;
        }
        let hash = hex::encode(hash.finalize());
        if bytes != number(item, "bytes") || hash != field(item, "sha256") {
            fs::remove_file(&part).with_context(failed)?;
            bail!("{path} did not arrive as it is: its SHA-256 is another one; it was not kept");
        }
        out.sync_all().with_context(failed)?;
        fs::rename(&part, &file).and_then(|()| sync_dir(dir)).with_context(failed)?;
        Ok(true)
    }
}

/// Notes down the files of a directory, and deletes those that are not whole.
fn known(dir: &Path, prefix: &str, mirror: &mut Mirror) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            known(&entry.path(), &format!("{path}/"), mirror)?;
        } else if name.ends_with(PART) {
            fs::remove_file(entry.path())?;
        } else if !name.starts_with('.') {
            // What else people put there stays, and is not looked at.
            mirror.put(&path);
        }
    }
    Ok(())
}

/// Where a file is until it is whole: beside its place, under a name that readers of `*.parquet` pass over.
fn part_of(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}{PART}"))
}

fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = part_of(file);
    let mut out = File::create(&part)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&part, file)?;
    file.parent().map_or(Ok(()), sync_dir)
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
