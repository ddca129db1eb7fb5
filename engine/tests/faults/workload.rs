//! Random workloads on a disk in memory.

use super::model::{Model, Name, append_all, batch, check_ack, role};
use daybook_engine::disk::sim::{Random, SimDisk};
use daybook_engine::event::Micros;
use daybook_engine::retention::{Keep, Names, NewHold, Policy, Rule, Scope};
use daybook_engine::{Engine, Options};
use std::path::Path;
use std::sync::Arc;

/// Where the log is on the disk.
pub const DIR: &str = "/data";

/// The words that texts are made of.
pub const WORDS: [&str; 8] =
    ["select", "drop", "table", "customers", "kubectl", "delete", "Größe", "x7"];

/// Something that is done to a log. A new kind of work is a line here, one in [`Step::random`] and one
/// in [`Run::step`].
#[derive(Clone, Debug)]
enum Step {
    /// Batches that are sent at once.
    Append(Vec<Vec<(Name, String)>>),
    Seal,
    Merge,
    Checkpoint,
    /// A pass of retention, long after everything is past its age.
    Retain,
    /// A legal hold on a session that retention may erase.
    Hold,
    Reopen,
    /// The process is killed, and started again.
    Kill,
    Pause,
}

impl Step {
    fn random(random: &mut Random, next: &mut [u32; 6]) -> Step {
        match random.below(23) {
            0..12 => {
                let batches = 1 + random.below(3);
                Step::Append((0..batches).map(|_| some_events(random, next)).collect())
            }
            12 | 13 => Step::Seal,
            14 => Step::Reopen,
            15 => Step::Kill,
            16 | 17 => Step::Merge,
            18 | 19 => Step::Checkpoint,
            20 => Step::Retain,
            21 => Step::Hold,
            _ => Step::Pause,
        }
    }
}

/// Small bounds, so that a short run does all that a long one does.
pub fn options(disk: &SimDisk) -> Options {
    Options {
        journal_bytes_max: 24 << 10,
        index_bytes_max: 6 << 10,
        index_heap_bytes: 0,
        fresh_sessions_max: 2,
        cache_bytes: 1 << 20,
        disk: disk.shared(),
        ..Options::default()
    }
}

/// A workload that was run: what the disk did, and what has to be in the log.
pub struct Run {
    pub disk: SimDisk,
    pub model: Model,
    engine: Option<Arc<Engine>>,
}

impl Run {
    /// Runs the workload of a seed to its end.
    pub fn of(seed: u64) -> Run {
        let mut random = Random::new(seed);
        let disk = SimDisk::new();
        let mut run = Run { disk, model: Model::default(), engine: None };
        let mut next = [0; 6];
        run.open();
        if let Some(engine) = &run.engine {
            let short = Rule {
                user: None,
                role: Some(Names::new("short")),
                kind: None,
                keep: Keep::Seconds(43_200),
            };
            let policy = Policy { rules: vec![short], ..Policy::default() };
            engine.set_policy(policy, "eve@example.com").unwrap();
        }
        for _ in 0..8 + random.below(24) {
            let step = Step::random(&mut random, &mut next);
            run.step(step);
        }
        run.engine = None;
        run
    }

    fn open(&mut self) {
        self.engine = None;
        self.engine = Some(Engine::open(Path::new(DIR), options(&self.disk)).unwrap());
    }

    fn step(&mut self, step: Step) {
        let Some(engine) = self.engine.clone() else { return };
        match step {
            Step::Append(batches) => {
                let before = self.disk.operations();
                batches.iter().for_each(|events| self.model.send(events, before));
                let sent = batches.iter().map(|b| batch(b.iter().map(|(_, line)| line.as_str())));
                append_all(&engine, sent.collect(), &mut |at, ack| {
                    check_ack(&ack.unwrap(), batches[at].len());
                    self.model.acked(&batches[at], self.disk.operations());
                });
            }
            Step::Seal => engine.seal_now().unwrap(),
            Step::Reopen => {
                engine.close().unwrap();
                drop(engine);
                self.open();
            }
            Step::Kill => {
                engine.kill();
                drop(engine);
                self.open();
            }
            Step::Merge => _ = engine.merge_now().unwrap(),
            Step::Checkpoint => {
                let note = engine.checkpoint().unwrap();
                self.model.checkpoints.push((self.disk.operations(), note.to_string()));
            }
            Step::Retain => {
                self.model.retain(self.disk.operations());
                let later = Micros(Micros::now().0 + 86_400_000_000);
                engine.retain(later, "the clock").unwrap();
            }
            Step::Hold => {
                let sessions = vec!["s5".into()];
                let hold = NewHold {
                    scope: Scope { sessions, ..Scope::default() },
                    case: "2026-17".into(),
                    reason: "a test".into(),
                    by: "eve@example.com".into(),
                };
                engine.hold(hold).unwrap();
                self.model.held.insert("s5".to_owned());
            }
            // The threads in the background come further.
            Step::Pause => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
}

/// A batch of events: mostly the next ones of their sessions, some late, some sent before, some with a
/// number that has been given to another content.
fn some_events(random: &mut Random, next: &mut [u32; 6]) -> Vec<(Name, String)> {
    let count = if random.one_in(8) { 60 } else { 1 + random.below(12) };
    (0..count)
        .map(|_| {
            let session = random.below(next.len() as u64) as usize;
            let seq = match random.below(12) {
                0 => random.below(u64::from(next[session]) + 1) as u32,
                1 => next[session] + 1 + random.below(3) as u32,
                _ => {
                    next[session] += 1;
                    next[session] - 1
                }
            };
            // The content follows from the name, but once in a while.
            let other = u64::from(random.one_in(40));
            let name = (format!("s{session}"), seq);
            let line = line(&name, other);
            (name, line)
        })
        .collect()
}

/// The line of an event; another one for another `version`.
pub fn line((session, seq): &Name, version: u64) -> String {
    let number = session.bytes().map(u64::from).sum::<u64>();
    let mut random = Random::new(number << 32 | u64::from(*seq) << 8 | version);
    let text = some_text(&mut random);
    let body = match (seq, random.below(12)) {
        (0, _) => {
            format!(
                r#""kind":"session.start","user":"ann@example.com","role":"{}","type":"database","tags":["eu"]"#,
                role(session)
            )
        }
        (_, 0..5) => {
            let verdict = random.pick(&["passed", "blocked", "pending", "approved"]).unwrap();
            format!(r#""kind":"command","input":"{text}","verdict":"{verdict}""#)
        }
        (_, 5..8) => format!(r#""kind":"output","command":{},"text":"{text}""#, seq / 2),
        (_, 8..11) => format!(r#""kind":"terminal.output","text":"{text}""#),
        _ => r#""kind":"session.end","status":"done""#.to_owned(),
    };
    format!(
        r#"{{"session":"{session}","seq":{seq},"time":"2026-03-01T10:{:02}:{:02}.{version:06}Z",{body}}}"#,
        seq / 60 % 60,
        seq % 60,
    )
}

fn some_text(random: &mut Random) -> String {
    let mut words = vec![*random.pick(&WORDS).unwrap()];
    if random.one_in(2) {
        words.push(random.pick(&WORDS).unwrap());
    }
    let mut text = words.join(" ");
    // What can't be compressed makes blocks of several sectors.
    for _ in 0..if random.one_in(6) { random.below(40) } else { 1 } {
        text.push_str(&format!(" {:x}", random.next()));
    }
    text
}
