#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::{Fault, Kind, Random, Rule, SimDisk};
use crate::disk::{Disk, DiskFile, Open, RealDisk, read_exact_at, write_all_at};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that is done to a disk; numbers choose among few paths.
#[derive(Clone, Debug)]
enum Step {
    Open(usize, u8),
    Write(usize, u64, Vec<u8>),
    SetLen(usize, u64),
    Sync(usize),
    CreateDir(usize),
    Rename(usize, usize),
    Link(usize, usize),
    Remove(usize),
    RemoveDir(usize),
    SyncDir(usize),
    Look(usize),
}

const PATHS: [&str; 9] = ["a", "b", "c", "d/a", "d/b", "d", "e/f/a", "e/f", "e"];

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        4 => (path.clone(), 0..4u8).prop_map(|(p, how)| Step::Open(p, how)),
        6 => (path.clone(), 0..3000u64, prop::collection::vec(any::<u8>(), 0..2000))
            .prop_map(|(p, at, bytes)| Step::Write(p, at, bytes)),
        2 => (path.clone(), 0..4000u64).prop_map(|(p, len)| Step::SetLen(p, len)),
        3 => path.clone().prop_map(Step::Sync),
        2 => path.clone().prop_map(Step::CreateDir),
        4 => (path.clone(), path.clone()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => (path.clone(), path.clone()).prop_map(|(a, b)| Step::Link(a, b)),
        2 => path.clone().prop_map(Step::Remove),
        1 => path.clone().prop_map(Step::RemoveDir),
        3 => path.clone().prop_map(Step::SyncDir),
        2 => path.prop_map(Step::Look),
    ]
}

/// The answer to a step, in a form that can be compared.
fn answer<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Does a step below `root`.
fn run(disk: &dyn Disk, root: &Path, step: &Step) -> String {
    let path = |p: usize| root.join(PATHS[p]);
    match step {
        Step::Open(p, how) => {
            let how = [Open::Read, Open::Write, Open::Create, Open::CreateNew][*how as usize];
            answer(disk.open(&path(*p), how).map(|_| ()))
        }
        Step::Write(p, at, bytes) => {
            answer(disk.open(&path(*p), Open::Write).and_then(|f| write_all_at(&*f, bytes, *at)))
        }
        Step::SetLen(p, len) => {
            answer(disk.open(&path(*p), Open::Write).and_then(|f| f.set_len(*len)))
        }
        Step::Sync(p) => answer(disk.open(&path(*p), Open::Write).and_then(|f| f.sync())),
        Step::CreateDir(p) => answer(disk.create_dir(&path(*p))),
        Step::Rename(a, b) => answer(disk.rename(&path(*a), &path(*b))),
        Step::Link(a, b) => {
            // A name that is there: the system's files are copied over it.
            if disk.stat(&path(*b)).is_ok_and(|meta| meta.is_some()) {
                return String::new();
            }
            disk.link(&path(*a), &path(*b)).map_or_else(|_| "error".to_owned(), |()| String::new())
        }
        Step::Remove(p) => {
            disk.remove_file(&path(*p)).map_or_else(|_| "error".to_owned(), |()| String::new())
        }
        Step::RemoveDir(p) => answer(disk.remove_dir(&path(*p))),
        Step::SyncDir(p) => match disk.stat(&path(*p)) {
            // The system syncs files here, too.
            Ok(Some(meta)) if !meta.is_dir => String::new(),
            _ => answer(disk.sync_dir(&path(*p))),
        },
        Step::Look(p) => {
            format!("{} {}", answer(disk.stat(&path(*p))), answer(disk.list(&path(*p))))
        }
    }
}

/// Everything below a directory.
fn contents(disk: &dyn Disk, dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        for entry in disk.list(&dir.join(&below)).unwrap() {
            let path = below.join(entry.name);
            if entry.meta.is_dir {
                all.insert(Path::new("/").join(&path), None);
                waiting.push(path);
            } else {
                let bytes = disk.read(&dir.join(&path)).unwrap();
                assert_eq!(bytes.len() as u64, entry.meta.len);
                assert_eq!(*disk.map(&dir.join(&path)).unwrap(), bytes);
                all.insert(Path::new("/").join(&path), Some(bytes));
            }
        }
    }
    all
}

/// Makes everything durable that is there.
fn settle(disk: &SimDisk) {
    disk.sync_dir(Path::new("/")).unwrap();
    for (path, bytes) in disk.contents() {
        match bytes {
            None => disk.sync_dir(&path).unwrap(),
            Some(_) => disk.open(&path, Open::Write).unwrap().sync().unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// While nothing goes wrong it is a disk like the system's.
    #[test]
    fn it_does_as_the_systems_files_do(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimDisk::new();
        for step in &steps {
            let (wanted, found) = (run(&RealDisk, dir.path(), step), run(&sim, Path::new("/"), step));
            prop_assert_eq!(wanted, found, "{:?}", step);
        }
        let wanted = contents(&RealDisk, dir.path());
        prop_assert_eq!(&contents(&sim, Path::new("/")), &wanted);
        prop_assert_eq!(&sim.contents(), &wanted);
        sim.copy_to(&RealDisk, &dir.path().join("copy")).unwrap();
        prop_assert_eq!(&contents(&RealDisk, &dir.path().join("copy")), &wanted);
    }

    /// Whatever is done and lost after a sync: what was synced and not touched since is there.
    #[test]
    fn what_was_synced_survives_every_crash(
        before in prop::collection::vec(step(), 1..40),
        after in prop::collection::vec(step(), 0..20),
        seed in any::<u64>(),
    ) {
        let disk = SimDisk::new();
        before.iter().for_each(|step| { run(&disk, Path::new("/"), step); });
        settle(&disk);
        let (settled, wanted) = (disk.operations(), disk.contents());
        for seed in seed..seed + 8 {
            prop_assert_eq!(&disk.crash(settled, seed).contents(), &wanted);
        }
        // Steps on the paths below `d` only.
        for step in &after {
            let elsewhere = match step {
                Step::Open(p, _) | Step::Write(p, _, _) | Step::SetLen(p, _) | Step::Sync(p)
                | Step::CreateDir(p) | Step::Remove(p) | Step::RemoveDir(p) | Step::SyncDir(p)
                | Step::Look(p) => PATHS[*p].starts_with('d'),
                Step::Rename(a, b) | Step::Link(a, b) => {
                    PATHS[*a].starts_with('d') && PATHS[*b].starts_with('d')
                }
            };
            if elsewhere {
                run(&disk, Path::new("/"), step);
            }
        }
        // A file below `d` may have a second name that was not touched, but its bytes were.
        let linked = before.iter().any(|step| matches!(step, Step::Link(..)));
        let mut random = Random::new(seed);
        for _ in 0..32 {
            let k = settled + random.below(disk.operations() - settled + 1);
            let found = disk.crash(k, random.next()).contents();
            for (path, bytes) in &wanted {
                if !path.starts_with("/d") && !linked {
                    prop_assert_eq!(found.get(path), Some(bytes));
                }
            }
        }
    }

    /// A crash loses and keeps, but it makes nothing up: each byte is one that the file had there.
    #[test]
    fn a_file_after_a_crash_is_made_of_what_was_written(
        writes in prop::collection::vec((0..6000u64, 1..2000usize, prop::option::of(0..7000u64)), 1..8),
        seed in any::<u64>(),
    ) {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("f"), Open::CreateNew).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let mut versions = vec![Vec::new()];
        for (i, (at, len, cut)) in writes.iter().enumerate() {
            write_all_at(&*file, &vec![i as u8 + 1; *len], *at).unwrap();
            versions.push(disk.contents().into_values().next().unwrap().unwrap());
            if let Some(cut) = cut {
                file.set_len(*cut).unwrap();
                versions.push(disk.contents().into_values().next().unwrap().unwrap());
            }
        }
        let longest = versions.iter().map(Vec::len).max().unwrap();
        for seed in seed..seed + 24 {
            let found = disk.crash(disk.operations(), seed).contents().into_values().next().unwrap().unwrap();
            prop_assert!(found.len() <= longest);
            for (at, byte) in found.iter().enumerate() {
                let had = versions.iter().any(|v| v.get(at).copied().unwrap_or(0) == *byte);
                prop_assert!(had, "byte {} at {}", byte, at);
            }
        }
    }
}

fn create(disk: &SimDisk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(Path::new(path), Open::Create).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file
}

/// What a path may hold after crashes with many seeds.
fn outcomes(disk: &SimDisk, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let k = disk.operations();
    (0..400).map(|seed| disk.crash(k, seed).contents().remove(Path::new(path)).flatten()).collect()
}

#[test]
fn an_unsynced_file_is_kept_lost_cut_or_torn() {
    let disk = SimDisk::new();
    let file = create(&disk, "/f", &[]);
    disk.sync_dir(Path::new("/")).unwrap();
    for i in 0..4u8 {
        write_all_at(&*file, &[i + 1; 1024], u64::from(i) * 1024).unwrap();
    }
    let found: BTreeSet<Vec<u8>> = outcomes(&disk, "/f").into_iter().map(Option::unwrap).collect();
    let whole = disk.contents().into_values().next().unwrap().unwrap();
    assert!(found.contains(&Vec::new()) && found.contains(&whole));
    assert!(found.iter().any(|bytes| bytes.len() == 2048 && whole.starts_with(bytes)));
    assert!(found.iter().any(|bytes| bytes.len() % 512 != 0));
    // Later writes are there and earlier ones are not.
    assert!(found.iter().any(|b| b.len() == 4096 && b[..512] == [0; 512] && b[3584..] == [4; 512]));
    assert!(found.len() > 50);
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from([Some(whole)]));
}

#[test]
fn a_synced_file_may_lose_its_name_until_its_directory_is_synced() {
    let disk = SimDisk::new();
    create(&disk, "/f", b"bytes").sync().unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from([None, Some(b"bytes".to_vec())]));
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from([Some(b"bytes".to_vec())]));
    disk.create_dir(Path::new("/d")).unwrap();
    create(&disk, "/d/f", b"bytes").sync().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(outcomes(&disk, "/d/f").len(), 2, "its directory's own name is not durable");
}

#[test]
fn a_rename_is_done_or_not_and_never_neither() {
    let disk = SimDisk::new();
    create(&disk, "/to", b"old").sync().unwrap();
    create(&disk, "/from", b"new").sync().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.rename(Path::new("/from"), Path::new("/to")).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let mut found = disk.crash(disk.operations(), seed).contents();
        let (from, to) = (found.remove(Path::new("/from")), found.remove(Path::new("/to")));
        match (from.flatten().as_deref(), to.flatten().as_deref()) {
            (Some(b"new"), Some(b"old")) => seen.insert(false),
            (None, Some(b"new")) => seen.insert(true),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn changes_of_names_are_reordered_among_files_and_directories() {
    let disk = SimDisk::new();
    create(&disk, "/a", b"a").sync().unwrap();
    create(&disk, "/b", b"b").sync().unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let found = disk.crash(disk.operations(), seed).contents();
        seen.insert((found.contains_key(Path::new("/a")), found.contains_key(Path::new("/b"))));
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn what_a_failed_sync_lost_stays_lost_when_a_later_one_succeeds() {
    let disk = SimDisk::new();
    let file = create(&disk, "/f", &[1; 600]);
    disk.sync_dir(Path::new("/")).unwrap();
    disk.inject(Rule::new(Fault::Io).on(&[Kind::Sync]).at("f").once_after(0));
    assert!(file.sync().is_err());
    file.sync().unwrap();
    let mut bytes = [0; 600];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    assert_eq!(bytes, [1; 600], "the running system sees it");
    let found = outcomes(&disk, "/f");
    assert!(found.contains(&Some(Vec::new())) && found.contains(&Some(vec![1; 600])));
    // What is written again and synced is durable.
    write_all_at(&*file, &[2; 600], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "/f"), BTreeSet::from([Some(vec![2; 600])]));
}

#[test]
fn a_full_disk_takes_a_piece_and_then_nothing_and_space_comes_back() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(1000));
    let file = disk.open(Path::new("/f"), Open::Create).unwrap();
    assert_eq!(file.write_at(&[1; 800], 0).unwrap(), 800);
    assert_eq!(disk.free_bytes(Path::new("/")).unwrap(), 200);
    assert_eq!(file.write_at(&[1; 800], 800).unwrap(), 200);
    assert_eq!(file.write_at(&[1; 800], 1000).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(&[2; 800], 0).unwrap(), 800, "over what is there");
    file.set_len(100).unwrap();
    assert_eq!(file.write_at(&[1; 800], 100).unwrap(), 800);
}

#[test]
fn faults_meet_the_operations_that_they_are_meant_for() {
    let disk = SimDisk::new();
    let file = create(&disk, "/f.journal", &[1; 100]);
    disk.inject(Rule::new(Fault::Short).on(&[Kind::Read, Kind::Write]));
    let mut buffer = [0; 100];
    assert!((1..100).contains(&file.read_at(&mut buffer, 0).unwrap()));
    read_exact_at(&*file, &mut buffer, 0).unwrap();
    assert_eq!(buffer, [1; 100]);
    write_all_at(&*file, &[2; 100], 0).unwrap();
    assert_eq!(disk.contents().into_values().next().unwrap().unwrap(), [2; 100]);

    disk.heal();
    disk.inject(Rule::new(Fault::Io).on(&[Kind::Write]).at(".journal").after(2));
    let other = create(&disk, "/other", b"x");
    file.write_at(b"x", 0).unwrap();
    file.write_at(b"x", 0).unwrap();
    assert!(file.write_at(b"x", 0).is_err() && file.write_at(b"x", 0).is_err());
    other.write_at(b"x", 0).unwrap();

    disk.heal();
    disk.inject(Rule::new(Fault::Io).on(&[Kind::Read]).one_in(4, 7));
    let failed = (0..400).filter(|_| file.read_at(&mut buffer, 0).is_err()).count();
    assert!((50..150).contains(&failed), "{failed}");

    disk.heal();
    let before = disk.operations();
    disk.inject(Rule::new(Fault::Gone).on(&[Kind::Sync]).after(1));
    file.sync().unwrap();
    assert!(file.sync().is_err() && file.write_at(b"x", 0).is_err());
    assert!(disk.stat(Path::new("/")).is_err());
    assert_eq!(disk.operations(), before + 1);
    assert_eq!(disk.operation(before + 1), Some((Kind::Sync, "/f.journal".into())));
}

#[test]
fn a_lock_is_held_once_and_not_over_a_crash() {
    let disk = SimDisk::new();
    assert!(disk.lock(Path::new("/LOCK"), false).is_err());
    let held = disk.lock(Path::new("/LOCK"), true).unwrap().unwrap();
    assert!(disk.lock(Path::new("/LOCK"), true).unwrap().is_none());
    assert!(disk.lock(Path::new("/LOCK"), false).unwrap().is_none());
    let after = disk.crash(disk.operations(), 1);
    assert!(after.lock(Path::new("/LOCK"), true).unwrap().is_some());
    drop(held);
    let readers: Vec<_> =
        (0..3).map(|_| disk.lock(Path::new("/LOCK"), false).unwrap().unwrap()).collect();
    assert!(disk.lock(Path::new("/LOCK"), true).unwrap().is_none());
    drop(readers);
    assert!(disk.lock(Path::new("/LOCK"), true).unwrap().is_some());
}
