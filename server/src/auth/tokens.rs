//! Tokens: `tokens.json` in the data directory.
//!
//! ```text
//! token  = "daybook_" id (12 letters and digits) "_" secret (43 letters of base64url: 32 random bytes)
//! file   = {"version":1,"tokens":[{"id","name","scopes",...,"hash"}, ...]}
//! hash   = SHA-256 of the token, in hexadecimal
//! ```
//!
//! Only hashes are stored, and compared in constant time. A secret of 256 random bits can't be guessed from
//! its hash, so one round is enough. A token that was revoked stays in the file: events name it.
//!
//! Whoever may write the file makes and revokes tokens; a server that runs reads it again when it has
//! changed. Writing is atomic: a new file beside it, made durable, then renamed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_engine::block::PRODUCER_BYTES_MAX;
use daybook_engine::event::Micros;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use subtle::ConstantTimeEq as _;

/// The name of the file in a data directory.
pub const FILE: &str = "tokens.json";

const PREFIX: &str = "daybook_";
const VERSION: u32 = 1;
/// The most tokens of a file, revoked ones too.
const TOKENS_MAX: usize = 100_000;
/// How often a server looks whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Sending events.
    Ingest,
    /// Lists, sessions, searches.
    Read,
    /// Files of events.
    Export,
    /// Deciding on access requests.
    Review,
    /// Everything that changes how the server works.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 5] =
        [Scope::Ingest, Scope::Read, Scope::Export, Scope::Review, Scope::Admin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Export => "export",
            Scope::Review => "review",
            Scope::Admin => "admin",
        }
    }

    /// The scope of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What it is called by when it is revoked.
    pub id: Box<str>,
    /// Whose it is: the producer that events are stamped with. Several tokens may be of one name.
    pub name: Box<str>,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Only sessions of these roles (`*` stands for anything); empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Box<str>>,
    /// Only sessions of these users; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Box<str>>,
    /// The groups that whoever has it is in, for access requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Box<str>>,
    /// May it write into sessions that another producer began?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_session: bool,
    /// Bytes of events a second, after decompression, in the long run; `None` for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// When it was made, in microseconds since 1970.
    pub created: i64,
    /// From when on it is not valid any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<i64>,
    hash: Box<str>,
}

/// What a new token is to be.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// Whose it is; its id, if there is none.
    pub name: Option<String>,
    /// What it may be used for; at least one.
    pub scopes: Vec<Scope>,
    /// Only sessions of these roles.
    pub roles: Vec<String>,
    /// Only sessions of these users.
    pub users: Vec<String>,
    /// The groups that whoever has it is in.
    pub groups: Vec<String>,
    /// May it write into sessions that another producer began?
    pub any_session: bool,
    /// Bytes of events a second.
    pub bytes_per_second: Option<u64>,
    /// From when on it is not valid any more.
    pub expires: Option<Micros>,
}

/// What a secret was found to be.
#[derive(Clone, Debug)]
pub enum Found {
    /// A token that may be used.
    Valid(Arc<Token>),
    /// One that was revoked.
    Revoked,
    /// One that is too old.
    Expired,
    /// None.
    Unknown,
}

impl Token {
    /// May it be used for this?
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    tokens: Vec<Token>,
}

impl File {
    fn shared(self) -> Arc<Vec<Arc<Token>>> {
        Arc::new(self.tokens.into_iter().map(Arc::new).collect())
    }
}

/// The tokens of a data directory, read again when the file has changed.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    tokens: RwLock<Arc<Vec<Arc<Token>>>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    looked: Option<Instant>,
    version: Option<(SystemTime, u64)>,
}

impl Tokens {
    /// Reads the tokens of a data directory; one without the file has none.
    ///
    /// # Errors
    /// A file that can't be read, with its path.
    pub fn open(data: &Path) -> io::Result<Tokens> {
        let path = data.join(FILE);
        let version = version(&path);
        let tokens = RwLock::new(read(&path)?.shared());
        let seen = Mutex::new(Seen { looked: Some(Instant::now()), version });
        Ok(Tokens { path, tokens, seen })
    }

    /// Is there a token, valid or not? Then each request needs one.
    #[must_use]
    pub fn required(&self) -> bool {
        self.look();
        !self.tokens.read().is_empty()
    }

    /// The token of a secret.
    #[must_use]
    pub fn find(&self, secret: &str) -> Found {
        self.look();
        let id =
            secret.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).map(|(id, _)| id);
        let tokens = Arc::clone(&self.tokens.read());
        let Some(token) = tokens.iter().find(|token| Some(&*token.id) == id) else {
            return Found::Unknown;
        };
        if !bool::from(hash(secret).as_bytes().ct_eq(token.hash.as_bytes())) {
            return Found::Unknown;
        }
        match (token.revoked, token.expires) {
            (Some(_), _) => Found::Revoked,
            (None, Some(expires)) if Micros::now().0 >= expires => Found::Expired,
            _ => Found::Valid(Arc::clone(token)),
        }
    }

    /// May a token that was found before still be used?
    #[must_use]
    pub fn still_valid(&self, token: &Token) -> bool {
        let known = self.list().into_iter().find(|known| known.id == token.id);
        known.is_some_and(|known| {
            known.revoked.is_none() && known.expires.is_none_or(|at| Micros::now().0 < at)
        })
    }

    /// All of them, the newest last.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Token>> {
        self.look();
        self.tokens.read().to_vec()
    }

    /// Makes a token; answers it with its secret, which is stored nowhere.
    ///
    /// # Errors
    /// A name that is too long, no scope, too many tokens, and the system's.
    pub fn create(&self, new: NewToken) -> io::Result<(Arc<Token>, String)> {
        let (token, secret) = make(new)?;
        let token = Arc::new(token);
        self.change(|tokens| {
            if tokens.len() >= TOKENS_MAX {
                return Err(wrong(format!(
                    "there are {TOKENS_MAX} tokens, as many as there may be"
                )));
            }
            tokens.push(Token::clone(&token));
            Ok(())
        })?;
        Ok((token, secret))
    }

    /// Revokes a token by its id; `None` if there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn revoke(&self, id: &str) -> io::Result<Option<Arc<Token>>> {
        let mut revoked = None;
        self.change(|tokens| {
            if let Some(token) = tokens.iter_mut().find(|token| &*token.id == id) {
                let now = Micros::now().0;
                token.revoked = token.revoked.or(Some(now));
                revoked = Some(Arc::new(token.clone()));
            }
            Ok(())
        })?;
        Ok(revoked)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Token>) -> io::Result<()>) -> io::Result<()> {
        // A lock among processes: two commands at once must not lose a token.
        let lock = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.with_extension("json.tmp"))?;
        lock.lock()?;
        let mut file = read(&self.path)?;
        change(&mut file.tokens)?;
        write(&self.path, &file)?;
        *self.tokens.write() = file.shared();
        Ok(())
    }

    /// Reads the file again if it has changed. One that can't be read changes nothing.
    fn look(&self) {
        let mut seen = self.seen.lock();
        if seen.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        seen.looked = Some(Instant::now());
        let now = version(&self.path);
        if now == seen.version {
            return;
        }
        match read(&self.path) {
            // A file that was taken away does not open what it kept closed.
            Ok(file) if file.tokens.is_empty() && !self.tokens.read().is_empty() => {
                tracing::error!(file = %self.path.display(), "the tokens are gone; those that were read before still count");
            }
            Ok(file) => {
                tracing::info!(tokens = file.tokens.len(), "the tokens were read again");
                *self.tokens.write() = file.shared();
            }
            Err(error) => {
                tracing::error!(%error, "the tokens can't be read; those that were read before still count");
            }
        }
        seen.version = now;
    }
}

fn make(new: NewToken) -> io::Result<(Token, String)> {
    if new.scopes.is_empty() {
        return Err(wrong("a token without a scope is of no use; give it one".to_owned()));
    }
    let mut random = [0; 8 + 32];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let (id, secret) = random.split_at(8);
    let id: String = URL_SAFE_NO_PAD
        .encode(id)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { 'x' })
        .collect();
    let name = new.name.unwrap_or_else(|| id.clone());
    if name.is_empty() || name.len() > PRODUCER_BYTES_MAX || name.contains(char::is_control) {
        return Err(wrong(format!(
            "a token's name has 1 to {PRODUCER_BYTES_MAX} bytes and no control characters"
        )));
    }
    let secret = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let boxed = |names: Vec<String>| names.into_iter().map(String::into_boxed_str).collect();
    let token = Token {
        id: id.into(),
        name: name.into(),
        scopes: new.scopes,
        roles: boxed(new.roles),
        users: boxed(new.users),
        groups: boxed(new.groups),
        any_session: new.any_session,
        bytes_per_second: new.bytes_per_second,
        created: Micros::now().0,
        expires: new.expires.map(|time| time.0),
        revoked: None,
        hash: hash(&secret).into(),
    };
    Ok((token, secret))
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn version(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn read(path: &Path) -> io::Result<File> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(File { version: VERSION, tokens: Vec::new() });
        }
        bytes => bytes?,
    };
    let damaged = |what: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
    };
    let file: File = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if file.version != VERSION {
        return Err(damaged("another version of daybook wrote it".to_owned()));
    }
    Ok(file)
}

fn write(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = path.with_extension("json.new.tmp");
    let mut out =
        fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    out.write_all(&serde_json::to_vec_pretty(file)?)?;
    out.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
