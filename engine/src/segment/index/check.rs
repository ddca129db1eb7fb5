//! What is damaged in an index, section by section.

use super::read::Index;
use super::{HEADER_LEN, Section, TOC_LEN};
use crate::error::Error;
use std::ops::Range;

impl Index {
    /// Every section whose checksum does not match, and every gap between sections that is not zero:
    /// its bytes, and what is wrong. Reads all of the index.
    #[must_use]
    pub fn damage(&self) -> Vec<(Range<u64>, String)> {
        let mut damage = Vec::new();
        let mut end = HEADER_LEN + TOC_LEN;
        for (section, place) in Section::ALL.into_iter().zip(&self.sections) {
            let bytes = |range: Range<usize>| range.start as u64..range.end as u64;
            let gap = self.map.get(end..place.bytes.start).unwrap_or_default();
            if gap.iter().any(|byte| *byte != 0) {
                let what = format!("bytes before the section `{}` are not zero", section.name());
                damage.push((bytes(end..place.bytes.start), what));
            }
            if crc32fast::hash(self.bytes(section)) != place.crc {
                let what =
                    format!("the checksum of the section `{}` does not match", section.name());
                damage.push((bytes(place.bytes.clone()), what));
            }
            end = place.bytes.end;
        }
        if self.map.faulted() {
            damage.push((0..self.map.len() as u64, "the file shrank while it was read".to_owned()));
        }
        damage
    }

    /// Checks sections that nobody has asked for before.
    pub(super) fn check_sections(&self, sections: &[Section]) -> Result<(), Error> {
        for section in sections {
            let at = *section as usize - 1;
            let (Some(place), Some(sound)) = (self.sections.get(at), self.sound.get(at)) else {
                continue;
            };
            let check = || {
                self.fetch(&[*section]);
                crc32fast::hash(self.bytes(*section)) == place.crc
            };
            if !sound.get_or_init(check) {
                return Err(self.corrupt(*section, "its checksum does not match"));
            }
        }
        Ok(())
    }

    /// Checks the checksum of every section and that what lies between them is zero. Reads all of it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for the first section that is not what was written.
    pub fn verify(&self) -> Result<(), Error> {
        match self.damage().into_iter().next() {
            None => Ok(()),
            Some((bytes, what)) => Err(Error::corrupt(&self.path, bytes.start, what)),
        }
    }

    /// Was what was read of it what was written? To be asked after reading.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the file shrank under its reader.
    pub fn whole(&self) -> Result<(), Error> {
        if self.map.faulted() {
            let what = "the file shrank under its reader, or the disk can't read it";
            return Err(Error::corrupt(&self.path, 0, what));
        }
        Ok(())
    }

    /// The bytes of the part of an index that an error of [`Index::open`] names by its place.
    #[must_use]
    pub fn part_at(at: u64, len: u64) -> Range<u64> {
        let (header, toc) = (HEADER_LEN as u64, (HEADER_LEN + TOC_LEN) as u64);
        let part = match at {
            _ if at < header => 0..header,
            _ if at < toc => header..toc,
            _ => at..len,
        };
        part.start.min(len)..part.end.min(len)
    }
}
