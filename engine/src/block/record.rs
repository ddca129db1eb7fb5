//! Records: one event in a block's payload. The layout is drawn in [`super`].

use crate::error::Error;
use crate::event::wire::{Event, LINE_BYTES_MAX};
use crate::event::{Kind, Micros, Offset, Seq, Verdict};

/// The fixed part of a record, in bytes.
pub const RECORD_HEADER_LEN: usize = 41;

/// Names an event that has no number of its producer's, so that it can be sent again: the first 16 bytes of
/// SHA-256 over the producer and its idempotency key, each with its length before it, the line's number in the
/// batch (these numbers 8 bytes, LE), and the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retry(pub [u8; 16]);

/// In the byte that has the length of the producer's name: a retry's name follows it.
const HAS_RETRY: u8 = 0x80;

/// The longest name of a producer, in bytes.
pub const PRODUCER_BYTES_MAX: usize = 64;

/// The largest distance that a record can name, further than any log reaches.
const BACK_MAX: u64 = (1 << 48) - 1;

/// One event as it is stored: the line that was sent, and the facts that readers need without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the node's log.
    pub offset: Offset,
    /// The place of the event of the same session that was stored before it; `None` for the first.
    pub previous: Option<Offset>,
    /// Its number in its session.
    pub seq: Seq,
    /// When it happened.
    pub time: Micros,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    pub verdict: Option<Verdict>,
    /// When the server took it in.
    pub received: Micros,
    /// Who sent it; empty where nobody asked.
    pub producer: &'a str,
    /// By what it is known when it is sent again, if its producer gave it no number but a key.
    pub retry: Option<Retry>,
    /// The line as it was sent, without a line break.
    pub json: &'a [u8],
}

impl<'a> Record<'a> {
    /// Appends its bytes to a payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(&(self.json.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.seq.0.to_le_bytes());
        out.extend_from_slice(&self.offset.0.to_le_bytes());
        out.extend_from_slice(&self.time.0.to_le_bytes());
        out.push(self.kind.code());
        out.push(self.verdict.map_or(0, Verdict::code));
        let back = self.previous.and_then(|previous| self.offset.0.checked_sub(previous.0));
        let [b0, b1, b2, b3, b4, b5, ..] = back.unwrap_or(0).min(BACK_MAX).to_le_bytes();
        out.extend_from_slice(&[b0, b1, b2, b3, b4, b5]);
        out.extend_from_slice(&self.received.0.to_le_bytes());
        let producer = self.producer_bytes();
        out.push(producer.len() as u8 | if self.retry.is_some() { HAS_RETRY } else { 0 });
        out.extend_from_slice(producer);
        if let Some(Retry(id)) = self.retry {
            out.extend_from_slice(&id);
        }
        out.extend_from_slice(self.json);
    }

    /// How many bytes it has in a payload.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let retry = self.retry.map_or(0, |Retry(id)| id.len());
        RECORD_HEADER_LEN + self.producer_bytes().len() + retry + self.json.len()
    }

    /// Longer names are refused where producers get them.
    fn producer_bytes(&self) -> &'a [u8] {
        self.producer.as_bytes().get(..PRODUCER_BYTES_MAX).unwrap_or(self.producer.as_bytes())
    }

    /// Decodes the record at the start of `bytes`; answers it and what follows it.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), &'static str> {
        let (head, rest) =
            bytes.split_first_chunk::<RECORD_HEADER_LEN>().ok_or("record header is cut short")?;
        let [
            l0,
            l1,
            l2,
            l3,
            s0,
            s1,
            s2,
            s3,
            o0,
            o1,
            o2,
            o3,
            o4,
            o5,
            o6,
            o7,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            kind,
            verdict,
            b0,
            b1,
            b2,
            b3,
            b4,
            b5,
            r0,
            r1,
            r2,
            r3,
            r4,
            r5,
            r6,
            r7,
            stamp,
        ] = *head;
        let producer_len = stamp & !HAS_RETRY;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > LINE_BYTES_MAX {
            return Err("record is longer than a line may be");
        }
        if usize::from(producer_len) > PRODUCER_BYTES_MAX {
            return Err("a producer's name is longer than one may be");
        }
        let (producer, rest) =
            rest.split_at_checked(usize::from(producer_len)).ok_or("record is cut short")?;
        let producer =
            std::str::from_utf8(producer).map_err(|_| "a producer's name is not UTF-8")?;
        let (retry, rest) = match stamp & HAS_RETRY {
            0 => (None, rest),
            _ => {
                let (id, rest) = rest.split_first_chunk().ok_or("record is cut short")?;
                (Some(Retry(*id)), rest)
            }
        };
        let (json, rest) = rest.split_at_checked(len).ok_or("record is cut short")?;
        let verdict = match verdict {
            0 => None,
            code => Some(Verdict::from_code(code).ok_or("unknown verdict")?),
        };
        let offset = u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let previous = match u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]) {
            0 => None,
            back => Some(offset.checked_sub(back).ok_or("a record names one before the log")?),
        };
        let record = Record {
            offset: Offset(offset),
            previous: previous.map(Offset),
            seq: Seq(u32::from_le_bytes([s0, s1, s2, s3])),
            time: Micros(i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            kind: Kind::from_code(kind).ok_or("unknown kind of event")?,
            verdict,
            received: Micros(i64::from_le_bytes([r0, r1, r2, r3, r4, r5, r6, r7])),
            producer,
            retry,
            json,
        };
        Ok((record, rest))
    }

    /// How many bytes the record at the start of `bytes` has; nothing else of it is looked at.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn len_at(bytes: &[u8]) -> Result<usize, &'static str> {
        let head = bytes.first_chunk::<RECORD_HEADER_LEN>().ok_or("record header is cut short")?;
        let [l0, l1, l2, l3, .., stamp] = *head;
        let retry = if stamp & HAS_RETRY == 0 { 0 } else { size_of::<Retry>() };
        let json = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let len = RECORD_HEADER_LEN + usize::from(stamp & !HAS_RETRY) + retry + json;
        if len > bytes.len() { Err("record is cut short") } else { Ok(len) }
    }

    /// The event, decoded.
    ///
    /// # Errors
    /// A line that is not an event: it was altered after it was accepted.
    pub fn event(&self) -> Result<Event<'a>, Error> {
        Event::decode(self.json).map_err(|what| Error::Corrupt {
            path: format!("event {}", self.offset).into(),
            at: 0,
            what,
        })
    }
}

/// Walks the records of a payload.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The records of a block's raw payload.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Records<'a> {
        Records { rest: payload }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Record::decode(self.rest) {
            Ok((record, rest)) => {
                self.rest = rest;
                Some(Ok(record))
            }
            Err(what) => {
                self.rest = &[];
                Some(Err(what))
            }
        }
    }
}
