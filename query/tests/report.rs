//! A report says what a simple count over all sessions says.
#![allow(clippy::unwrap_used, reason = "tests")]

use daybook_engine::catalog::filter::SessionFilter;
use daybook_engine::event::Micros;
use daybook_engine::{Batch, Engine, Options};
use daybook_query::report::{Hours, ReportParams, csv, html, report};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Known {
    user: u8,
    role: u8,
    hour: u32,
    commands: u32,
    blocked: u32,
    ended: bool,
    marked: bool,
}

fn known() -> impl Strategy<Value = Known> {
    (0_u8..4, 0_u8..3, 0_u32..400, 0_u32..4, 0_u32..3, any::<bool>(), any::<bool>()).prop_map(
        |(user, role, hour, commands, blocked, ended, marked)| Known {
            user,
            role,
            hour,
            commands,
            blocked,
            ended,
            marked,
        },
    )
}

/// Hours after the first of March 2026, a Sunday.
fn time(hour: u32) -> Micros {
    let Micros(first) = Micros::parse("2026-03-01T00:00:00Z").unwrap();
    Micros(first + i64::from(hour) * 3_600_000_000)
}

fn write(engine: &Engine, sessions: &[Known]) {
    let mut batch = Batch::new();
    for (id, one) in sessions.iter().enumerate() {
        let mut line = |seq: u32, rest: String| {
            let at = time(one.hour);
            let line = format!(r#"{{"session":"s{id}","seq":{seq},"time":"{at}",{rest}}}"#);
            batch.push(1, line.as_bytes()).unwrap();
        };
        let (user, role) = (one.user, one.role);
        line(
            0,
            format!(r#""kind":"session.start","user":"u{user}","role":"r{role}","type":"ssh""#),
        );
        for seq in 0..one.commands + one.blocked {
            let verdict = if seq < one.blocked { "blocked" } else { "passed" };
            line(seq + 1, format!(r#""kind":"command","input":"ls","verdict":"{verdict}""#));
        }
        if one.ended {
            line(99, r#""kind":"session.end","status":"done""#.to_owned());
        }
    }
    assert!(engine.append_blocking(batch).unwrap().rejected.is_empty());
}

fn out_of_hours(hour: u32) -> bool {
    let (day, hour) = (hour / 24 % 7, hour % 24);
    day == 0 || day == 6 || !(8..18).contains(&hour)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_report_is_the_count_of_its_sessions(
        sessions in proptest::collection::vec(known(), 1..60),
        from in 0_u32..300,
        role in proptest::option::of(0_u8..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let engine: Arc<Engine> = Engine::open(dir.path(), Options::default()).unwrap();
        write(&engine, &sessions);
        let marked: BTreeSet<String> =
            (0..sessions.len()).filter(|id| sessions[*id].marked).map(|id| format!("s{id}")).collect();
        let found = report(&engine.snapshot(), &ReportParams {
            after: time(from),
            before: time(350),
            roles: role.iter().map(|role| format!("r{role}")).collect(),
            scope: SessionFilter::All,
            hours: &Hours::default(),
            reviewed: &|id| marked.contains(id),
        }).unwrap();
        let of = |one: &&Known| {
            (from..350).contains(&one.hour) && role.is_none_or(|role| role == one.role)
        };
        let inside: Vec<&Known> = sessions.iter().filter(of).collect();
        let count = |what: &dyn Fn(&Known) -> u32| inside.iter().map(|one| u64::from(what(one))).sum::<u64>();
        let totals = &found.totals;
        prop_assert!(found.complete);
        prop_assert_eq!(totals.counts.sessions, inside.len() as u64);
        prop_assert_eq!(totals.counts.commands, count(&|one| one.commands + one.blocked));
        prop_assert_eq!(totals.counts.blocked, count(&|one| one.blocked));
        prop_assert_eq!(totals.open, count(&|one| u32::from(!one.ended)));
        prop_assert_eq!(totals.counts.unreviewed, count(&|one| u32::from(one.ended && !one.marked)));
        prop_assert_eq!(totals.counts.out_of_hours, count(&|one| u32::from(out_of_hours(one.hour))));
        let users: BTreeSet<u8> = inside.iter().map(|one| one.user).collect();
        prop_assert_eq!(totals.counts.users, users.len() as u64);
        let pairs: BTreeSet<(u8, u8)> = inside.iter().map(|one| (one.user, one.role)).collect();
        let is_new = |(user, role): &&(u8, u8)| {
            !sessions.iter().any(|one| (one.user, one.role) == (*user, *role) && one.hour < from)
        };
        prop_assert_eq!(totals.first_time, pairs.iter().filter(is_new).count() as u64);
        for rows in [&found.days, &found.by_role, &found.by_user] {
            prop_assert_eq!(rows.iter().map(|row| row.counts.sessions).sum::<u64>(), inside.len() as u64);
            prop_assert_eq!(rows.iter().map(|row| row.counts.blocked).sum::<u64>(), totals.counts.blocked);
        }
        prop_assert_eq!(found.by_hour.iter().sum::<u64>(), inside.len() as u64);
        let mut table = Vec::new();
        csv::write(&found, &mut table).unwrap();
        let line = format!("total,,commands,{}\n", totals.counts.commands);
        prop_assert!(String::from_utf8(table).unwrap().contains(&line));
        prop_assert!(html::page(&found).contains("Compliance report"));
        engine.close().unwrap();
    }
}

#[test]
fn what_was_recorded_is_no_markup_and_no_formula() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let line = r#"{"session":"s","seq":0,"time":"2026-03-02T10:00:00Z","kind":"session.start","user":"=cmd|<script>alert(1)</script>","role":"r\u202ex","type":"ssh"}"#;
    let mut batch = Batch::new();
    batch.push(1, line.as_bytes()).unwrap();
    engine.append_blocking(batch).unwrap();
    let found = report(
        &engine.snapshot(),
        &ReportParams {
            after: time(0),
            before: time(400),
            roles: Vec::new(),
            scope: SessionFilter::All,
            hours: &Hours::default(),
            reviewed: &|_| false,
        },
    )
    .unwrap();
    let page = html::page(&found);
    assert!(
        !page.contains("<script") && page.contains("&lt;script&gt;") && !page.contains('\u{202e}')
    );
    let mut table = Vec::new();
    csv::write(&found, &mut table).unwrap();
    assert!(String::from_utf8(table).unwrap().contains("user,'=cmd|"));
    engine.close().unwrap();
}
