//! `words.list`: the words of a finished index, one after the other.
//!
//! tantivy's dictionary finds a word, and what a word starts with. For the end or the inside of words it would
//! have to be unpacked word by word; here they are searched as one text, at the speed of memory.
//!
//! ```text
//!  0          magic   8   "DAYBKWRD"
//!  8          words       of `input`, `output`, `text` and `again`: ascending, each followed by \n
//! end - 36    lens    32  bytes of each of the four, little-endian
//! end - 4     crc      4  CRC-32 of everything before
//! ```
//!
//! Nothing depends on it: where it is missing or damaged, the dictionary is gone through.

use super::schema::TextSchema;
use crate::disk::DiskDirectory;
use crate::error::Error;
use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use std::io::Write;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use tantivy::SegmentReader;
use tantivy::directory::{Directory, FileHandle, TerminatingWrite};

const FILE: &str = "words.list";
const MAGIC: [u8; 8] = *b"DAYBKWRD";
const FIELDS: usize = 4;
const FOOTER_LEN: usize = 8 * FIELDS + 4;
/// No word has it.
const END: u8 = b'\n';

/// The words of an index.
#[derive(Debug)]
pub(super) struct WordList {
    file: Arc<dyn FileHandle>,
    fields: [Range<usize>; FIELDS],
}

impl WordList {
    /// The list of an index; `None` if it has none.
    ///
    /// # Errors
    /// The disk's, or a damaged list.
    pub(super) fn open(directory: &DiskDirectory) -> Result<Option<WordList>, Error> {
        let path = Path::new(FILE);
        if !directory.exists(path).map_err(Error::text)? {
            return Ok(None);
        }
        let file = directory.open_whole(path).map_err(Error::text)?;
        let bytes = file.read_bytes(0..file.len()).map_err(Error::text)?;
        let fields = decode(&bytes)
            .map_err(|what| Error::text(format!("{FILE} in {directory:?}: {what}")))?;
        Ok(Some(WordList { file, fields }))
    }

    /// Calls `visit` with each word of the field at a place that has `part` in it (at its end, if `at_end`), until
    /// that breaks.
    ///
    /// # Errors
    /// The disk's, or what `visit` answers.
    pub(super) fn holding(
        &self,
        field: usize,
        part: &str,
        at_end: bool,
        mut visit: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let range = self.fields.get(field).cloned().unwrap_or_default();
        let words = self.file.read_bytes(range).map_err(Error::text)?;
        let mut needle = part.as_bytes().to_vec();
        needle.extend(at_end.then_some(END));
        let finder = Finder::new(&needle);
        let mut rest: &[u8] = &words;
        while let Some(at) = finder.find(rest) {
            let (before, after) = rest.split_at_checked(at).unwrap_or_default();
            let start = memrchr(END, before).map_or(0, |end| end + 1);
            let Some(len) = memchr(END, after) else { break };
            let word = rest.get(start..at + len).unwrap_or_default();
            if visit(word)?.is_break() {
                break;
            }
            rest = after.get(len + 1..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Writes the list of a finished index's only segment, durably once its directory is.
///
/// # Errors
/// The disk's, or a damaged index.
pub(super) fn write(directory: &DiskDirectory, segment: &SegmentReader) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::text(error);
    let mut file = directory.open_write(Path::new(FILE)).map_err(Error::text)?;
    let mut crc = crc32fast::Hasher::new();
    let mut put = |bytes: &[u8]| {
        crc.update(bytes);
        file.write_all(bytes).map_err(io)
    };
    put(&MAGIC)?;
    let mut lens = [0u64; FIELDS];
    for (len, field) in lens.iter_mut().zip(TextSchema::build().1.of_words()) {
        let index = segment.inverted_index(field).map_err(Error::text)?;
        let mut words = index.terms().stream().map_err(io)?;
        while words.advance() {
            put(words.key())?;
            put(&[END])?;
            *len += words.key().len() as u64 + 1;
        }
    }
    put(lens.map(u64::to_le_bytes).as_flattened())?;
    let crc = crc.finalize();
    file.write_all(&crc.to_le_bytes()).map_err(io)?;
    file.terminate().map_err(io)
}

/// Are these the bytes of a list?
#[must_use]
pub fn is_word_list(bytes: &[u8]) -> bool {
    decode(bytes).is_ok()
}

/// Checks the bytes of a list; answers where the words of each field are.
fn decode(bytes: &[u8]) -> Result<[Range<usize>; FIELDS], &'static str> {
    let short = "it is cut short";
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(short)?;
    if !body.starts_with(&MAGIC) {
        return Err("this is not a list of words of daybook's");
    }
    if u32::from_le_bytes(*crc) != crc32fast::hash(body) {
        return Err("its checksum does not match");
    }
    let words_end = bytes.len().checked_sub(FOOTER_LEN).ok_or(short)?;
    let (lens, _) = body.get(words_end..).unwrap_or_default().as_chunks::<8>();
    let mut at = MAGIC.len();
    let mut fields = [const { 0..0 }; FIELDS];
    for (field, len) in fields.iter_mut().zip(lens) {
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let end = at.checked_add(len).filter(|end| *end <= words_end).ok_or(short)?;
        *field = at..end;
        at = end;
    }
    if at == words_end { Ok(fields) } else { Err("something follows its words") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::disk::RealDisk;
    use proptest::prelude::*;

    fn encode(fields: &[Vec<String>; FIELDS]) -> Vec<u8> {
        let texts = fields
            .each_ref()
            .map(|words| words.iter().map(|word| format!("{word}\n")).collect::<String>());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(texts.concat().bytes());
        bytes.extend(texts.iter().flat_map(|text| (text.len() as u64).to_le_bytes()));
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    proptest! {
        #[test]
        fn words_are_found_by_any_part_and_other_bytes_are_refused(
            fields in [(); FIELDS].map(|()| prop::collection::vec("[ab1.]{1,5}", 0..12)),
            part in "[ab1.]{0,3}",
            at_end: bool,
            noise in prop::collection::vec(any::<u8>(), 0..80),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(&fields);
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), &bytes).unwrap();
            let disk: crate::disk::SharedDisk = Arc::new(RealDisk);
            let directory = DiskDirectory::new(&disk, dir.path());
            let list = WordList::open(&directory).unwrap().unwrap();
            for (field, words) in fields.iter().enumerate() {
                let mut found = Vec::new();
                list.holding(field, &part, at_end, |word| {
                    found.push(String::from_utf8(word.to_vec()).unwrap());
                    Ok(ControlFlow::Continue(()))
                }).unwrap();
                let holds = |word: &&String| match at_end {
                    true => word.ends_with(&part),
                    false => word.contains(&part),
                };
                let expected: Vec<String> = words.iter().filter(holds).cloned().collect();
                prop_assert_eq!(found, expected);
            }
            let _ = decode(&noise);
            let at = flip.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert!(decode(&bytes).is_err());
            prop_assert!(decode(&bytes[..at]).is_err());
        }
    }
}
