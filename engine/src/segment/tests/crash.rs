//! A crash leaves all of a segment or nothing of it.

use super::super::seal::seal_in_steps;
use super::super::{clean, list, seal};
use super::{disk, open, small};
use crate::disk::RealDisk;
use crate::error::Error;
use crate::view::Part as _;
use std::fs;

#[test]
fn a_stop_after_any_step_leaves_the_whole_segment_or_nothing_and_sealing_again_works() {
    let journal = small();
    let mut names = Vec::new();
    let counted = tempfile::tempdir().unwrap();
    seal_in_steps(&disk(), counted.path(), &journal.input(), None, &mut |name| {
        names.push(name);
        Ok(())
    })
    .unwrap();
    assert!(names.len() >= 9);

    for (stop, name) in names.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut done = 0;
        let stopped = seal_in_steps(&disk(), dir.path(), &journal.input(), None, &mut |_| {
            done += 1;
            if done > stop { Err(Error::Closed) } else { Ok(()) }
        });
        assert!(matches!(stopped, Err(Error::Closed)));

        // What a listing names is whole, before anything is cleaned.
        let found = list(&RealDisk, dir.path()).unwrap();
        for path in &found {
            let segment = open(path).unwrap();
            segment.verify().unwrap();
            assert_eq!(segment.len(), 40);
        }
        let whole = matches!(*name, "rename" | "done");
        assert_eq!(found.len(), usize::from(whole), "after {name}");
        assert_eq!(clean(&RealDisk, dir.path()).unwrap(), usize::from(!whole), "after {name}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), usize::from(whole));

        // The journal is still there: sealing it again succeeds, or says that it is done.
        match seal(&disk(), dir.path(), &journal.input(), None) {
            Ok(report) => open(&report.path).unwrap().verify().unwrap(),
            Err(error) => assert!(whole, "after {name}: {error}"),
        }
        assert_eq!(list(&RealDisk, dir.path()).unwrap().len(), 1);
    }
}

#[test]
fn what_an_earlier_try_left_does_not_stop_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join(".tmp-00000000000000001000");
    fs::create_dir_all(left.join("text")).unwrap();
    fs::write(left.join("events.blk"), b"half").unwrap();
    let report = seal(&disk(), dir.path(), &small().input(), None).unwrap();
    open(&report.path).unwrap().verify().unwrap();
    assert_eq!(clean(&RealDisk, dir.path()).unwrap(), 0);
    assert_eq!(clean(&RealDisk, &dir.path().join("not there")).unwrap(), 0);
}
