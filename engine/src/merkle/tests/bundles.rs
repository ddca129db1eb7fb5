use super::super::bundle::{BlockProof, Bundle, EventProof, FORMAT};
use super::super::checkpoint::Checkpoint;
use super::super::hash::Hash;
use super::super::leaf::{Leaf, Secret, event_hash, event_hashes};
use super::super::note::Signer;
use super::super::tree::inclusion;
use super::{Memory, plain_root};
use crate::block::{Record, Records};
use crate::event::{Kind, Micros, Offset, Seq};
use proptest::prelude::*;

const SECRET: Secret = Secret([6; 16]);

/// A log of a few sessions: which session each event is of, and how many events a block has.
#[derive(Clone, Debug)]
struct Log {
    sessions: Vec<u8>,
    block: usize,
}

impl Log {
    fn line(&self, at: usize) -> String {
        let time = Micros(1_772_000_000_000_000 + at as i64);
        let session = self.sessions[at];
        format!(
            r#"{{"session":"s{session}","time":"{time}","kind":"terminal.output","text":"{at}"}}"#
        )
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        let all: Vec<usize> = (0..self.sessions.len()).collect();
        let payload = |block: &[usize]| {
            let mut payload = Vec::new();
            for at in block {
                let json = self.line(*at);
                let before = self.sessions[..*at].iter();
                let previous = before.clone().rposition(|s| *s == self.sessions[*at]);
                let record = Record {
                    offset: Offset(*at as u64),
                    previous: previous.map(|at| Offset(at as u64)),
                    // The producer leaves numbers out.
                    seq: Seq((at * 2) as u32),
                    time: Micros(1_772_000_000_000_000 + *at as i64),
                    kind: Kind::TerminalOutput,
                    verdict: None,
                    received: Micros(1_772_000_000_000_000),
                    producer: "proxy-1",
                    retry: None,
                    json: json.as_bytes(),
                };
                record.encode(&mut payload);
            }
            payload
        };
        all.chunks(self.block).map(payload).collect()
    }

    /// The proof of a session, without the events at `omit`.
    fn bundle(&self, session: u8, omit: &[usize]) -> Bundle {
        let signer = signer();
        let payloads = self.payloads();
        let leaves: Vec<Leaf> =
            payloads.iter().map(|payload| Leaf::of_block(&SECRET, payload).unwrap()).collect();
        let tree = Memory::of(&leaves.iter().map(Leaf::hash).collect::<Vec<_>>());
        let size = leaves.len() as u64;
        let mut blocks = Vec::new();
        for ((index, leaf), payload) in (0..).zip(&leaves).zip(&payloads) {
            let events: Vec<EventProof> = Records::new(payload)
                .map(Result::unwrap)
                .filter(|record| {
                    let at = record.offset.0 as usize;
                    self.sessions[at] == session && !omit.contains(&at)
                })
                .map(|record| EventProof::new(&record, SECRET.salt(record.offset)).unwrap())
                .collect();
            if !events.is_empty() {
                let path = inclusion(&tree, index, size).unwrap();
                let hashes = event_hashes(&SECRET, payload).unwrap();
                blocks.push(BlockProof::new(index, *leaf, path, &hashes, events).unwrap());
            }
        }
        let root = tree.root();
        let checkpoint = Checkpoint { origin: signer.verifier().name().into(), size, root };
        Bundle {
            format: FORMAT.into(),
            session: format!("s{session}"),
            excerpt: false,
            key: signer.verifier().to_string(),
            checkpoint: checkpoint.sign(&signer),
            blocks,
        }
    }
}

fn signer() -> Signer {
    Signer::from_seed("log.example.com/a", &[5; 32]).unwrap()
}

fn logs() -> impl Strategy<Value = Log> {
    (prop::collection::vec(0u8..4, 1..60), 1usize..20)
        .prop_map(|(sessions, block)| Log { sessions, block })
}

#[test]
fn a_block_commits_to_each_event_in_its_place() {
    let log = Log { sessions: vec![0, 1, 0, 2, 0], block: 5 };
    let payload = log.payloads().remove(0);
    let hashes = event_hashes(&SECRET, &payload).unwrap();
    let leaf = Leaf::of_block(&SECRET, &payload).unwrap();
    assert_eq!((leaf.base, leaf.end(), leaf.count), (Offset(0), Offset(5), 5));
    assert_eq!(leaf.max_time.0 - leaf.min_time.0, 4);
    assert_eq!(leaf.root, plain_root(&hashes));
    let mut bytes = Vec::new();
    Records::new(&payload).nth(3).unwrap().unwrap().encode(&mut bytes);
    assert_eq!(hashes[3], event_hash(SECRET.salt(Offset(3)), &bytes));
    assert_ne!(Leaf::of_block(&Secret([7; 16]), &payload).unwrap().root, leaf.root);
    assert!(Leaf::of_block(&SECRET, b"").is_err());
    assert!(Leaf::of_block(&SECRET, &payload[1..]).is_err());
}

proptest! {
    #[test]
    fn a_session_is_proved_whole(log in logs()) {
        for session in 0..4 {
            let at: Vec<u64> =
                (0..).zip(&log.sessions).filter(|(_, s)| **s == session).map(|(at, _)| at).collect();
            let bundle = log.bundle(session, &[]);
            let json = serde_json::to_vec(&bundle).unwrap();
            let read = Bundle::parse(&json).unwrap();
            prop_assert_eq!(&read, &bundle);
            let checked = read.check(Some(signer().verifier()));
            let (Some(first), Some(last)) = (at.first(), at.last()) else {
                prop_assert!(checked.is_err());
                continue;
            };
            let proved = checked.unwrap();
            prop_assert_eq!(proved.events, at.len() as u64);
            prop_assert_eq!((proved.first.0, proved.last.0, proved.before), (*first, *last, None));
            let unused: u64 = proved.unused_seqs.iter().map(|r| u64::from(r.end() - r.start()) + 1).sum();
            prop_assert_eq!(unused, (last - first) * 2 + 1 - at.len() as u64);
        }
    }

    #[test]
    fn an_event_left_out_is_missed(log in logs(), pick in any::<prop::sample::Index>()) {
        let omit = pick.index(log.sessions.len());
        let session = log.sessions[omit];
        let whole: Vec<usize> =
            (0..log.sessions.len()).filter(|at| log.sessions[*at] == session).collect();
        let checked = log.bundle(session, &[omit]).check(None);
        if whole.len() == 1 {
            prop_assert!(checked.is_err());
        } else if whole.first() == Some(&omit) {
            // Not between the first and the last; the new first one names it.
            prop_assert_eq!(checked.unwrap().before, Some(Offset(omit as u64)));
        } else if whole.last() == Some(&omit) {
            prop_assert_eq!(checked.unwrap().last.0, whole[whole.len() - 2] as u64);
        } else {
            let error = checked.unwrap_err();
            prop_assert!(error.contains("missing"), "{error}");
        }
    }

    #[test]
    fn an_excerpt_proves_what_it_has_and_says_nothing_of_the_rest(
        log in logs(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let session = log.sessions[0];
        let all = log.sessions.len();
        let omit: Vec<usize> = picks.iter().map(|pick| pick.index(all)).collect();
        let mut bundle = log.bundle(session, &omit);
        bundle.excerpt = true;
        let left = (0..all).filter(|at| log.sessions[*at] == session && !omit.contains(at)).count();
        let read = Bundle::parse(&serde_json::to_vec(&bundle).unwrap()).unwrap();
        let checked = read.check(Some(signer().verifier()));
        if left == 0 {
            prop_assert!(checked.is_err());
            return Ok(());
        }
        let proved = checked.unwrap();
        prop_assert_eq!((proved.events, proved.excerpt), (left as u64, true));
        // What is here is proved as strictly.
        let mut changed = bundle.clone();
        changed.blocks[0].events[0].line.push(' ');
        prop_assert!(changed.check(None).is_err());
        changed = bundle;
        changed.session = "s9".into();
        prop_assert!(changed.check(None).is_err());
    }

    #[test]
    fn nothing_in_a_bundle_can_be_changed(
        log in logs(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let bundle = log.bundle(log.sessions[0], &[]);
        let good = bundle.check(None).unwrap();
        let mut json = serde_json::to_vec(&bundle).unwrap();
        let at = at.index(json.len());
        json[at] = byte;
        if let Ok(changed) = Bundle::parse(&json)
            && let Ok(proved) = changed.check(Some(signer().verifier()))
        {
            // Only how the JSON is written.
            prop_assert_eq!(&changed, &bundle);
            prop_assert_eq!(proved, good);
        }
    }
}

#[test]
fn swapped_moved_and_foreign_events_are_found() {
    let log = Log { sessions: vec![0, 1, 0, 0, 1, 0, 0], block: 4 };
    let good = log.bundle(0, &[]);
    assert!(good.check(None).is_ok());
    let refused = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle.check(None).unwrap_err()
    };
    refused(&|bundle| bundle.blocks[0].events.swap(0, 1));
    refused(&|bundle| bundle.blocks.swap(0, 1));
    refused(&|bundle| bundle.session = "s1".into());
    refused(&|bundle| bundle.blocks[0].index = 1);
    refused(&|bundle| bundle.blocks[1].events[0].previous = None);
    refused(&|bundle| bundle.blocks[0].events[0].previous = Some(Offset(9)));
    refused(&|bundle| bundle.blocks[0].events[0].line.push(' '));
    refused(&|bundle| bundle.blocks[0].events[0].seq = Seq(7));
    refused(&|bundle| bundle.blocks[0].leaf.root = Hash::empty());
    refused(&|bundle| bundle.blocks.clear());
    let another = Signer::from_seed("log.example.com/a", &[4; 32]).unwrap();
    refused(&|bundle| bundle.key = another.verifier().to_string());
    assert!(good.check(Some(another.verifier())).is_err());
}
