//! Micro-benchmarks: block encode and decode, append, timeline read, parse.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

use daybook_engine::block::{BlockBuilder, BlockHeader, Record, Records};
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Kind, Micros, Offset, Seq, Verdict};
use daybook_engine::{Batch, Engine, Options};

fn line(session: usize, seq: u32) -> String {
    format!(
        r#"{{"session":"s{session}","seq":{seq},"time":"{}","kind":"command","input":"select id, total from orders where customer = {seq}","language":"sql","verdict":"passed","duration_ms":{},"output":"id | total\n{seq} | {}\n(1 row)\n"}}"#,
        Micros(1_772_000_000_000_000 + i64::from(seq) * 1_000),
        seq % 90,
        u64::from(seq) * 37
    )
}

fn lines(count: u32) -> Vec<String> {
    (0..count).map(|i| line(i as usize % 50, i / 50)).collect()
}

fn block(c: &mut Criterion) {
    let lines = lines(1_000);
    let bytes: u64 = lines.iter().map(|l| l.len() as u64).sum();
    let mut group = c.benchmark_group("block");
    group.throughput(Throughput::Bytes(bytes));
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let mut encode = || -> (BlockHeader, Vec<u8>) {
        let mut builder = BlockBuilder::default();
        for (i, line) in lines.iter().enumerate() {
            let record = Record {
                offset: Offset(i as u64),
                previous: (i as u64).checked_sub(1).map(Offset),
                seq: Seq(i as u32),
                time: Micros(i as i64),
                kind: Kind::Command,
                verdict: Some(Verdict::Passed),
                received: Micros(1_772_000_000_000_000),
                producer: "proxy-1",
                retry: None,
                json: line.as_bytes(),
            };
            builder.push(&record, true);
        }
        let mut out = Vec::new();
        let (header, _) = builder.finish(0, 7, None, &mut compressor, &mut out).unwrap();
        (header, out)
    };
    group.bench_function("encode", |b| b.iter(&mut encode));
    let (header, out) = encode();
    let stored = &out[daybook_engine::block::BLOCK_HEADER_LEN..];
    group.bench_function("decode", |b| {
        b.iter(|| {
            let payload = header.open_payload(7, black_box(stored), None).unwrap();
            Records::new(&payload).map(|r| r.unwrap().json.len()).sum::<usize>()
        });
    });
    group.finish();
}

fn event(c: &mut Criterion) {
    let lines = lines(1_000);
    let mut group = c.benchmark_group("event");
    group.throughput(Throughput::Bytes(lines.iter().map(|l| l.len() as u64).sum()));
    group.bench_function("decode", |b| {
        b.iter(|| lines.iter().filter(|l| Event::decode(l.as_bytes()).is_ok()).count());
    });
    group.finish();
}

fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { text_index: false, journal_bytes_max: u64::MAX, ..Options::default() };
    let engine = Engine::open(dir.path(), options).unwrap();
    let mut round = 0;
    let mut group = c.benchmark_group("append");
    let one: u64 = lines(1_000).iter().map(|l| l.len() as u64).sum();
    group.throughput(Throughput::Bytes(one));
    group.bench_function("1000 events, durable", |b| {
        b.iter_batched(
            || {
                round += 1;
                let mut batch = Batch::new();
                for i in 0..1_000_u32 {
                    batch.push(0, line(round, i).as_bytes()).unwrap();
                }
                batch
            },
            |batch| engine.append_blocking(batch).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn timeline(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), Options::default()).unwrap();
    let mut batch = Batch::new();
    for line in lines(50_000) {
        batch.push(0, line.as_bytes()).unwrap();
    }
    engine.append_blocking(batch).unwrap();
    engine.seal_now().unwrap();
    let request =
        daybook_query::timeline::TimelineRequest { limit: 100, fold: true, ..Default::default() };
    c.bench_function("timeline/first page of 100", |b| {
        b.iter(|| {
            daybook_query::timeline::timeline(&engine.snapshot(), "s7", &request).unwrap().unwrap()
        });
    });
}

fn parse(c: &mut Criterion) {
    let text = r#"user:alice@example.com role:prod-* (drop OR truncate) "from customers" output:~"ERROR: .*" after:2026-03-01 -verdict:blocked"#;
    c.bench_function("query/parse", |b| {
        b.iter(|| {
            daybook_query::lang::parse(black_box(text), Micros(1_772_000_000_000_000)).is_ok()
        });
    });
}

criterion_group!(benches, block, event, append, timeline, parse);
criterion_main!(benches);
