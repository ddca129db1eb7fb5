//! `events.blk`: a segment's events in blocks, in the order of their ordinals.

use super::build::Plan;
use super::index::NewBlock;
use crate::block::{BlockBuilder, FILE_HEADER_LEN, FileHeader, FileKind};
use crate::disk::{Disk, FileWriter, Open};
use crate::error::Error;
use std::io::Write as _;
use std::path::Path;

/// Bytes of a block before compression, unless one line is longer. Half of a journal's: a timeline's
/// page is less than this, and what is read beside it was decompressed for nothing.
pub const BLOCK_BYTES: usize = 128 << 10;

/// zstd's level. On 170 MB of real sessions in blocks of this size, level 3 takes a quarter more time
/// and saves nothing; level 6 saves 6 % and takes nearly five times as long.
const LEVEL: i32 = 1;

/// Writes the file; answers its blocks.
///
/// # Errors
/// The system's.
pub fn write(disk: &dyn Disk, plan: &Plan<'_>, path: &Path) -> Result<Vec<NewBlock>, Error> {
    let keys = disk.keys().map(|keys| &**keys);
    let (header, cipher) = FileHeader::new(FileKind::Segment, plan.tables.base, path, keys)?;
    let salt = header.salt;
    let mut file =
        FileWriter::new(disk.open(path, Open::CreateNew).map_err(Error::io("create", path))?);
    let mut compressor =
        zstd::bulk::Compressor::new(LEVEL).map_err(Error::io("set up compression for", path))?;
    let mut out = header.encode().to_vec();
    let mut pos = FILE_HEADER_LEN as u64;
    let mut blocks = Vec::new();
    let mut builder = BlockBuilder::default();
    let mut first = 0u32;
    let mut flush = |builder: &mut BlockBuilder, first: u32, out: &mut Vec<u8>| {
        let base = u64::from(first);
        let (header, _) = builder.finish(base, salt, cipher.as_ref(), &mut compressor, out)?;
        blocks.push(NewBlock {
            pos,
            first,
            count: header.count,
            times: (header.min_time, header.max_time),
            stored_len: header.stored_len,
            plain: header.flags.plain,
        });
        pos += header.len_in_file();
        file.write_all(out).map_err(Error::io("write", path))?;
        out.clear();
        Ok::<u32, Error>(header.count)
    };
    for at in &plan.order {
        let (record, plain) =
            plan.record(*at).ok_or_else(|| Error::corrupt(path, 0, "an event was lost"))?;
        let len = record.encoded_len();
        if !builder.is_empty() && builder.raw_len() + len > BLOCK_BYTES {
            first += flush(&mut builder, first, &mut out)?;
        }
        builder.push(&record, plain);
    }
    if !builder.is_empty() {
        flush(&mut builder, first, &mut out)?;
    }
    file.finish().map_err(Error::io("sync", path))?;
    Ok(blocks)
}
