//! The settings of the log.

use super::setting::{Field, Setting, age, show_age};
use daybook_engine::event::wire::{LINE_BYTES_MAX, SESSION_BYTES_MAX};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of the log.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        key: "event_bytes_max",
        what: "one event's line",
        at: "the line is rejected, with its length and the bound; the others are stored",
        field: Field::Size(
            |config| &mut config.engine.event_bytes_max,
            1 << 10,
            LINE_BYTES_MAX as u64,
        ),
    },
    Setting {
        key: "session_id_bytes_max",
        what: "a session's id",
        at: "the line is rejected; the others are stored",
        field: Field::Size(
            |config| &mut config.engine.session_id_bytes_max,
            1,
            SESSION_BYTES_MAX as u64,
        ),
    },
    Setting {
        key: "session_events_max",
        what: "events of one session",
        at: "further events of it are rejected, with the bound; other sessions' are stored",
        field: Field::Number(|config| &mut config.engine.session_events_max, 1, 1 << 32),
    },
    Setting {
        key: "session_reviews_max",
        what: "reviews, decisions and pending commands of one session: its state holds them all",
        at: "further ones of it are rejected, with the bound; its other events are stored",
        field: Field::Number(|config| &mut config.engine.session_reviews_max, 1, 1_000_000),
    },
    Setting {
        key: "queue_bytes_max",
        what: "batches that wait to be written",
        at: "503 `busy` with `Retry-After`; nothing of that chunk is stored",
        field: Field::Size(|config| &mut config.engine.queue_bytes_max, 1 << 20, 1 << 40),
    },
    Setting {
        key: "unsealed_bytes_max",
        what: "records in journals that are not sealed yet, twice `journal_bytes_max` at least; each event takes about 40 bytes of memory until it is",
        at: "from half of it on batches take longer; past it 503 `busy` with `Retry-After` until some are sealed",
        field: Field::Size(|config| &mut config.engine.unsealed_bytes_max, 1 << 20, 1 << 40),
    },
    Setting {
        key: "journal_bytes_max",
        what: "records in a journal; sealing takes about this much memory",
        at: "it is closed and sealed into a segment",
        field: Field::Size(|config| &mut config.engine.journal_bytes_max, 64 << 10, 16 << 30),
    },
    Setting {
        key: "journal_age_max",
        what: "a journal's age",
        at: "it is closed and sealed into a segment",
        field: Field::Age(
            |config| &mut config.engine.journal_age_max,
            Duration::from_millis(100),
            Duration::from_secs(7 * 86_400),
        ),
    },
    Setting {
        key: "fresh_sessions_max",
        what: "new sessions that are in memory only, which each list goes through",
        at: "the catalog is committed, as it is before each seal",
        field: Field::Number(|config| &mut config.engine.fresh_sessions_max, 1, 1 << 32),
    },
    Setting {
        key: "free_bytes_min",
        what: "bytes of the disk that are kept free for sealing; a twentieth of a smaller disk",
        at: "507 `full` with `Retry-After` until there is more; reads, sealing and indexing go on; logged",
        field: Field::Size(|config| &mut config.engine.free_bytes_min, 0, 1 << 40),
    },
    Setting {
        key: "open_files_max",
        what: "files that the process may have open; 0: as many as the system lets it",
        at: "from 80 % on in `/readyz`, `/v1/stats` and the log; then a segment waits to be sealed, and connections to be accepted",
        field: Field::Number(|config| &mut config.engine.open_files_max, 0, 1 << 30),
    },
    Setting {
        key: "cache_bytes",
        what: "memory for decompressed blocks",
        at: "the blocks that were not read for longest make room",
        field: Field::Size(|config| &mut config.engine.cache_bytes, 1 << 20, 1 << 40),
    },
    Setting {
        key: "text_index",
        what: "are texts indexed?",
        at: "without it, searches read the log",
        field: Field::Switch(|config| &mut config.engine.text_index),
    },
    Setting {
        key: "merge",
        what: "are small segments of a day merged into larger ones?",
        at: "without it, they stay as they were sealed",
        field: Field::Switch(|config| &mut config.engine.merge),
    },
    Setting {
        key: "merge_bytes_max",
        what: "events in a segment that was merged; merging takes about this much memory",
        at: "what would be more stays in segments of its own",
        field: Field::Size(|config| &mut config.engine.merge_bytes_max, 64 << 10, 1 << 30),
    },
    Setting {
        key: "index_bytes_max",
        what: "records whose texts are not in the index yet",
        at: "they are committed to it; searches read the rest themselves",
        field: Field::Size(|config| &mut config.engine.index_bytes_max, 64 << 10, 16 << 30),
    },
    Setting {
        key: "index_age_max",
        what: "how long a text may not be in the index yet",
        at: "they are committed to it; searches read the rest themselves",
        field: Field::Age(
            |config| &mut config.engine.index_age_max,
            Duration::from_millis(10),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "index_heap_bytes",
        what: "memory of the text index before it writes",
        at: "it writes; nothing waits for it",
        field: Field::Memory(|config| &mut config.engine.index_heap_bytes, 16 << 20, 4 << 30),
    },
    Setting {
        key: "encryption_key_file",
        what: "the file of encryption keys; none, and no `DAYBOOK_ENCRYPTION_KEY`: nothing is encrypted",
        at: "a line that is no key, and a key that a file of the log wants, stop the start",
        field: Field::Text(
            |config| {
                let file = config.encryption_key_file.as_deref().unwrap_or(Path::new(""));
                file.display().to_string()
            },
            |config, text| {
                config.encryption_key_file = (!text.is_empty()).then(|| PathBuf::from(text));
                Ok(())
            },
        ),
    },
    Setting {
        key: "encryption_cache_bytes",
        what: "memory for decrypted parts of text indexes",
        at: "the parts that were not read for longest make room",
        field: Field::Size(|config| &mut config.engine.encryption_cache_bytes, 1 << 20, 1 << 40),
    },
    Setting {
        key: "merkle",
        what: "is the Merkle log kept?",
        at: "without it nothing can be proved, also not later; off only to measure",
        field: Field::Switch(|config| &mut config.engine.merkle),
    },
    Setting {
        key: "origin",
        what: "the log's name in checkpoints, such as daybook.example.com/acme; asked for once, when a data directory is new",
        at: "the name stays that of the directory's key",
        field: Field::Text(
            |config| config.engine.origin.clone(),
            |config, text| {
                if !daybook_engine::merkle::note::is_name(text) {
                    return Err(
                        "write a URL without the scheme, with no spaces and no `+`".to_owned()
                    );
                }
                text.clone_into(&mut config.engine.origin);
                Ok(())
            },
        ),
    },
    Setting {
        key: "checkpoint_age_max",
        what: "how long an event may not be covered by a signed checkpoint",
        at: "one is signed; also whenever a journal closes",
        field: Field::Age(
            |config| &mut config.engine.checkpoint_age_max,
            Duration::from_millis(10),
            Duration::from_secs(86_400),
        ),
    },
    Setting {
        key: "proof_bytes_max",
        what: "lines in the proof of one session; it is put together in memory",
        at: "413 `too-large`",
        field: Field::Size(|config| &mut config.engine.proof_bytes_max, 1 << 20, 16 << 30),
    },
    Setting {
        key: "retention_interval",
        what: "how often what the retention policy lets go is deleted, such as 1h; `never`: only on demand",
        at: "a pass runs; each deletion is an event",
        field: Field::Text(
            |config| config.engine.retention_interval.map_or("never".to_owned(), show_age),
            |config, text| {
                config.engine.retention_interval = match text {
                    "never" => None,
                    text => Some(age(text).and_then(|interval| match interval.as_secs() {
                        0 => Err("write 1s or more, or never".to_owned()),
                        _ => Ok(interval),
                    })?),
                };
                Ok(())
            },
        ),
    },
    Setting {
        key: "parquet",
        what: "is there the feed `native` of Parquet files, if no table `[feed.native]` asks for it?",
        at: "without it, there are the feeds that have a table",
        field: Field::Switch(|config| &mut config.parquet),
    },
];
