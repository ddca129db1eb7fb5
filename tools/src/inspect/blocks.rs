//! Journals and segments' `events.blk`: the header, then block after block, each read and checked
//! whole. After damage the walk goes on at the next whole block.

use super::{Block, Report, time};
use anyhow::Context as _;
use daybook_engine::Error;
use daybook_engine::block::{
    BLOCK_HEADER_LEN, BlockFile, BlockHeader, FILE_HEADER_LEN, FileKind, Records, scan,
};
use daybook_engine::disk::Disk;
use daybook_engine::event::Micros;
use std::path::Path;

/// Reports on a file of blocks.
pub(super) fn report(disk: &dyn Disk, path: &Path, kind: FileKind) -> anyhow::Result<Report> {
    let length =
        std::fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?.len();
    let name = match kind {
        FileKind::Journal => "journal",
        FileKind::Segment => "events of a segment",
    };
    let mut report = Report::new(path, name, length);
    let file = match BlockFile::open(disk, path, kind) {
        Ok(file) => file,
        Err(Error::Corrupt { at, what, .. }) => {
            report.damaged(at, what);
            return Ok(report);
        }
        Err(Error::Io { .. }) if length < FILE_HEADER_LEN as u64 => {
            report.damaged(0, "the file header is cut short");
            return Ok(report);
        }
        Err(error) => return Err(error.into()),
    };
    let header = file.header();
    report.say("base", header.base.0);
    report.say("created", time(header.created));
    report.say("salt", format!("{:08x}", header.salt));
    if header.key != 0 {
        let why = match file.cipher() {
            Err(Error::NoKey { why, .. }) => format!("what is in the blocks is not checked: {why}"),
            _ => format!("key {}", header.key),
        };
        report.say("encryption", why);
    }
    walk(&file, length, &mut report)?;
    let sum = |of: fn(&Block) -> u64| report.blocks.iter().map(of).sum::<u64>();
    let (events, raw, stored) =
        (sum(|b| b.count.into()), sum(|b| b.raw.into()), sum(|b| b.stored.into()));
    report.say("blocks", report.blocks.len());
    report.say("events", events);
    report.say("raw", raw);
    report.say("stored", stored);
    if stored > 0 {
        report.say("ratio", format!("{:.2}", raw as f64 / stored as f64));
    }
    let from = report.blocks.iter().map(|b| &b.from).min().cloned();
    let to = report.blocks.iter().map(|b| &b.to).max().cloned();
    if let (Some(from), Some(to)) = (from, to) {
        report.say("from", from);
        report.say("to", to);
    }
    Ok(report)
}

fn walk(file: &BlockFile, length: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut at = FILE_HEADER_LEN as u64;
    let mut next_base = None;
    let keyed = file.cipher().is_ok();
    while at < length {
        let block = (at + BLOCK_HEADER_LEN as u64 <= length).then(|| {
            // Without its key a block can be seen to be whole, not what is in it.
            if keyed { file.read(at) } else { file.read_stored(at) }
        });
        match block {
            Some(Ok((header, payload))) => {
                let payload = keyed.then_some(payload);
                if let Some(what) = contradiction(&header, payload.as_deref(), next_base) {
                    report.damaged(at, what);
                }
                next_base = Some(header.base + u64::from(header.count));
                report.blocks.push(row(at, &header));
                at += header.len_in_file();
            }
            broken => {
                let what = match broken {
                    Some(Err(Error::Corrupt { what, .. })) => what,
                    Some(Err(Error::Io { source, .. }))
                        if source.kind() == std::io::ErrorKind::UnexpectedEof =>
                    {
                        "the block is cut short".to_owned()
                    }
                    Some(Err(error)) => return Err(error.into()),
                    _ => "the block's header is cut short".to_owned(),
                };
                match scan(file, at + 1, length)? {
                    Some(good) => {
                        let lost =
                            format!("{what}; {} bytes up to the next whole block", good - at);
                        report.damaged(at, lost);
                        next_base = None;
                        at = good;
                    }
                    None => {
                        let tail = format!("{what}; no whole block follows (a torn tail)");
                        report.damaged(at, tail);
                        return Ok(());
                    }
                }
            }
        }
    }
    Ok(())
}

fn row(at: u64, header: &BlockHeader) -> Block {
    Block {
        at,
        base: header.base,
        count: header.count,
        raw: header.raw_len,
        stored: header.stored_len,
        plain: header.flags.plain,
        from: time(header.min_time),
        to: time(header.max_time),
    }
}

/// What a block says of itself against what is in it.
fn contradiction(
    header: &BlockHeader,
    payload: Option<&[u8]>,
    base: Option<u64>,
) -> Option<String> {
    if let Some(base) = base
        && base != header.base
    {
        return Some(format!("the block starts at event {}, but {base} is next", header.base));
    }
    let payload = payload?;
    let (mut count, mut min, mut max) = (0u32, Micros(i64::MAX), Micros(i64::MIN));
    for record in Records::new(payload) {
        let record = match record {
            Ok(record) => record,
            Err(what) => return Some(format!("record {count} of the block: {what}")),
        };
        if let Err(error) = record.event() {
            return Some(error.to_string());
        }
        count += 1;
        (min, max) = (min.min(record.time), max.max(record.time));
    }
    if count != header.count {
        return Some(format!("the block says {} events, but holds {count}", header.count));
    }
    if (min, max) != (header.min_time, header.max_time) {
        return Some("the block's times are not those of its events".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

    use super::*;
    use daybook_engine::block::{BlockBuilder, FileHeader, Record};
    use daybook_engine::disk::RealDisk;
    use daybook_engine::event::{Kind, Offset, Seq};

    /// A journal of `blocks` blocks of three events each; answers where the blocks start.
    fn journal(path: &Path, blocks: u64) -> Vec<usize> {
        let salt = 77;
        let header = FileHeader {
            kind: FileKind::Journal,
            salt,
            base: Offset(0),
            created: Micros(1),
            id: [0; 16],
            key: 0,
            check: [0; 8],
        };
        let mut bytes = header.encode().to_vec();
        let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
        let mut starts = Vec::new();
        for block in 0..blocks {
            let mut builder = BlockBuilder::default();
            for i in 0..3 {
                let time = Micros(1_700_000_000_000_000 + (block * 3 + i) as i64);
                let json = format!(
                    "{{\"session\":\"s\",\"seq\":{},\"time\":\"{time}\",\"kind\":\"command\",\"input\":\"SELECT {i}\"}}",
                    block * 3 + i
                );
                builder.push(
                    &Record {
                        offset: Offset(block * 3 + i),
                        previous: None,
                        seq: Seq((block * 3 + i) as u32),
                        time,
                        kind: Kind::Command,
                        verdict: None,
                        received: Micros(1_772_000_000_000_000),
                        producer: "proxy-1",
                        retry: None,
                        json: json.as_bytes(),
                    },
                    true,
                );
            }
            starts.push(bytes.len());
            builder.finish(block * 3, salt, None, &mut compressor, &mut bytes).unwrap();
        }
        std::fs::write(path, bytes).unwrap();
        starts
    }

    #[test]
    fn a_whole_journal_is_reported_without_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.journal");
        journal(&path, 4);
        let report = report(&RealDisk, &path, FileKind::Journal).unwrap();
        assert!(!report.is_damaged(), "{:?}", report.damage);
        assert_eq!(report.fields.get("events"), Some(&12.into()));
    }

    #[test]
    fn a_flipped_byte_is_found_where_it_is_and_the_blocks_behind_it_are_still_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.journal");
        let starts = journal(&path, 4);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[starts[1] + BLOCK_HEADER_LEN + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let report = report(&RealDisk, &path, FileKind::Journal).unwrap();
        let at: Vec<u64> = report.damage.iter().map(|d| d.at).collect();
        assert_eq!(at, [starts[1] as u64]);
        assert_eq!(report.blocks.len(), 3);
    }

    #[test]
    fn a_torn_tail_is_named_so_wherever_it_was_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.journal");
        let starts = journal(&path, 2);
        let bytes = std::fs::read(&path).unwrap();
        for end in starts[1] + 1..bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let report = report(&RealDisk, &path, FileKind::Journal).unwrap();
            assert_eq!(report.blocks.len(), 1);
            assert!(report.damage[0].what.contains("torn tail"), "{:?}", report.damage);
        }
    }
}
