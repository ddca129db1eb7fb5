//! Random logs: a few sessions, few words, few times, so that everything meets.

use super::model::Model;
use daybook_engine::OWN_SEQ_MIN;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[derive(Clone, Debug)]
struct Draft {
    session: usize,
    gap: u32,
    time: i64,
    kind: usize,
    words: Vec<&'static str>,
    target: Index,
    verdict: Option<&'static str>,
    numbered: bool,
}

const WORDS: [&str; 6] = ["alpha", "beta", "gamma", "Alpha-1", "be\\\"ta", "ünï"];

fn draft() -> impl Strategy<Value = Draft> {
    (
        0..4usize,
        prop_oneof![8 => Just(1u32), 1 => 2..5u32, 1 => 300..900u32, 1 => 999..1002u32],
        0..40i64,
        0..14usize,
        prop::collection::vec(select(&WORDS[..]), 0..5),
        any::<Index>(),
        prop::option::of(select(vec!["passed", "blocked", "pending", "approved"])),
        any::<bool>(),
    )
        .prop_map(|(session, gap, time, kind, words, target, verdict, numbered)| Draft {
            session,
            gap,
            time,
            kind,
            words,
            target,
            verdict,
            numbered,
        })
}

/// The line of a draft, given the number it has and the numbers of its session before it.
fn line(draft: &Draft, seq: u32, earlier: &[u32]) -> String {
    let text = draft.words.join(" ");
    let time = 1_767_225_600 + draft.time * 1_000;
    let time = daybook_engine::event::Micros(time * 1_000_000);
    let target = if earlier.is_empty() { 77 } else { earlier[draft.target.index(earlier.len())] };
    let review = draft.target.index(3);
    let body = match draft.kind {
        0 => {
            let user = ["alice", "bob"][draft.session % 2];
            format!("\"session.start\",\"user\":\"{user}@example.com\",\"role\":\"r{review}\"")
        }
        1..=4 => {
            let verdict =
                draft.verdict.map(|v| format!(",\"verdict\":\"{v}\"")).unwrap_or_default();
            format!("\"command\",\"input\":\"{text}\"{verdict}")
        }
        5..=7 => format!("\"output\",\"command\":{target},\"text\":\"{text}\""),
        8 => format!("\"output\",\"text\":\"{text}\""),
        9 => format!("\"command.end\",\"command\":{target}"),
        10 => format!(
            "\"review.request\",\"review\":\"v{review}\",\"scope\":\"command\",\"command\":{target}"
        ),
        11 => format!(
            "\"review.decision\",\"review\":\"v{review}\",\"decision\":\"approved\",\"comment\":\"{text}\""
        ),
        12 => format!("\"terminal.output\",\"text\":\"{text}\""),
        _ => format!("\"note\",\"by\":\"carol\",\"text\":\"{text}\""),
    };
    let number = match (draft.numbered, draft.gap) {
        (false, 1) => String::new(),
        _ => format!("\"seq\":{seq}, "),
    };
    format!("{{\"session\":\"s{}\", {number}\"time\":\"{time}\",\"kind\":{body}}}", draft.session)
}

/// A log in some parts. Events arrive in the order of their numbers, but for a few neighbours.
pub fn model(events_max: usize) -> impl Strategy<Value = Model> {
    let swaps = prop::collection::vec(any::<Index>(), 0..6);
    let sizes = prop::collection::vec(1..events_max, 0..4);
    (prop::collection::vec(draft(), 1..events_max), swaps, sizes).prop_map(
        |(drafts, swaps, sizes)| {
            let mut seqs: Vec<Vec<u32>> = vec![Vec::new(); 4];
            let mut next = [0u32; 4];
            let mut lines: Vec<String> = Vec::new();
            let mut apart = OWN_SEQ_MIN.0;
            for draft in &drafts {
                // Some decisions are daybook's own.
                if draft.kind == 11 && draft.time % 2 == 0 {
                    let own = Draft { numbered: true, gap: 2, ..draft.clone() };
                    lines.push(line(&own, apart, &seqs[draft.session]));
                    apart += 1;
                    continue;
                }
                let seq = next[draft.session] + draft.gap - 1;
                next[draft.session] = seq + 1;
                lines.push(line(draft, seq, &seqs[draft.session]));
                seqs[draft.session].push(seq);
            }
            // Only numbered lines may change places: the others are numbered by arrival.
            for swap in swaps {
                let at = swap.index(lines.len());
                let numbered = |line: &String| line.contains("\"seq\":");
                if at > 0 && numbered(&lines[at]) && numbered(&lines[at - 1]) {
                    lines.swap(at, at - 1);
                }
            }
            Model::new(lines, &sizes)
        },
    )
}
