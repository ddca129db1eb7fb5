//! Whatever takers, people and clocks do: a model of a few lines says what must hold.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::super::step::{read_request, tell_request};
use super::*;
use proptest::prelude::*;

/// The one who holds a run, as the model has it: it forgets at every lapse and return.
#[derive(Debug, Default)]
struct Model {
    takes: u32,
    starts: u32,
    holder: Option<String>,
    /// Who began last, and is the only one who may say how it ended.
    began: Option<String>,
    cancelled: bool,
}

fn request(repeat: bool, review: bool) -> Request {
    Request {
        session: "s".into(),
        command: Seq(7),
        role: "pg-prod".into(),
        language: Some("sql".into()),
        reason: None,
        repeat,
        review: review.then(|| "r".into()),
        expires: Micros(1_000_000),
        attempts_max: 3,
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let lease = || prop_oneof!["a", "b", "c"].prop_map(Box::<str>::from);
    let why = || Just(Box::<str>::from("it could not"));
    prop_oneof![
        1 => Just(Step::Approve),
        1 => why().prop_map(|why| Step::Reject { why }),
        1 => Just(Step::Expire),
        1 => Just(Step::Cancel),
        4 => lease().prop_map(|id| Step::Take(Lease { taker: id.clone(), id, until: Micros(7) })),
        4 => lease().prop_map(|lease| Step::Start { session: lease.clone(), lease }),
        1 => lease().prop_map(|lease| Step::Return { lease, why: "not now".into() }),
        2 => Just(Step::Lapse),
        2 => lease().prop_map(|lease| Step::Done { lease }),
        1 => lease().prop_map(|lease| Step::Fail { lease: Some(lease), why: "it broke".into() }),
        1 => why().prop_map(|why| Step::Fail { lease: None, why }),
    ]
}

/// The lease that a taker's step names.
fn named(step: &Step) -> Option<&str> {
    match step {
        Step::Start { lease, .. }
        | Step::Return { lease, .. }
        | Step::Done { lease }
        | Step::Fail { lease: Some(lease), .. } => Some(lease),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_taker_at_a_time_and_nothing_is_begun_twice(
        repeat: bool, review: bool, steps in prop::collection::vec(steps(), 1..40)
    ) {
        let mut run = Run::new("run".into(), "ann".into(), request(repeat, review), Micros(0));
        let mut model = Model::default();
        for step in steps {
            let Some(next) = run.after(&step, "somebody", Micros(1)) else { continue };
            prop_assert_eq!(next.version, run.version + 1);
            prop_assert!(!run.state.ended() || run.state == State::Lost, "{:?} is left by {:?}", run.state, step);
            if let Some(lease) = named(&step) {
                let held = model.holder.as_deref() == Some(lease);
                let late = run.state == State::Lost && model.began.as_deref() == Some(lease);
                prop_assert!(held || late, "{:?} by one who does not hold it: {:?}", step, model);
            }
            match &step {
                Step::Take(lease) => {
                    prop_assert_eq!(&model.holder, &None);
                    prop_assert!(!model.cancelled);
                    model.takes += 1;
                    model.holder = Some(lease.id.to_string());
                    model.began = None;
                }
                Step::Start { lease, .. } => {
                    prop_assert!(!model.cancelled);
                    model.starts += 1;
                    model.began = Some(lease.to_string());
                }
                Step::Done { lease } => {
                    prop_assert_eq!(model.began.as_deref(), Some(&**lease));
                    prop_assert_eq!(next.state, State::Done);
                }
                Step::Cancel => model.cancelled = true,
                Step::Return { .. } | Step::Lapse => model.holder = None,
                _ => {}
            }
            prop_assert!(model.takes <= 3);
            prop_assert!(repeat || model.starts <= 1, "begun {} times", model.starts);
            // Said twice it is answered twice, and done once.
            if named(&step).is_some() && next.state != State::Requested && !matches!(step, Step::Return { .. }) {
                prop_assert!(next.knows(&step), "{:?} forgets {:?}", next.state, step);
            }
            run = next;
        }
    }

    #[test]
    fn what_is_told_of_a_step_is_the_step(step in steps(), repeat: bool, review: bool) {
        let mut told = step.tell("run", "somebody");
        if let Step::Take(lease) = &step {
            told.by = lease.taker.clone();
        }
        prop_assert_eq!(Step::read(&told), Some(step));
        let request = request(repeat, review);
        prop_assert_eq!(read_request(&tell_request("run", "ann", &request)), Some(request));
    }
}

#[test]
fn what_is_lost_is_found_by_who_had_it_and_by_nobody_else() {
    let take = |id: &str| Step::Take(Lease { id: id.into(), taker: id.into(), until: Micros(7) });
    let start = |id: &str| Step::Start { lease: id.into(), session: "new".into() };
    let go = |run: &Run, steps: &[Step]| {
        steps.iter().fold(run.clone(), |run, step| run.after(step, "x", Micros(1)).unwrap())
    };
    let run = Run::new("run".into(), "ann".into(), request(false, false), Micros(0));
    let lost = go(&run, &[take("a"), Step::Lapse, take("b"), start("b"), Step::Lapse]);
    assert_eq!((lost.state, lost.attempts), (State::Lost, 2));
    assert_eq!(lost.after(&Step::Done { lease: "a".into() }, "x", Micros(1)), None);
    assert_eq!(lost.after(&take("c"), "x", Micros(1)), None);
    assert_eq!(go(&lost, &[Step::Done { lease: "b".into() }]).state, State::Done);

    // One that may be repeated is offered again, but not after the last attempt.
    let run = Run::new("run".into(), "ann".into(), request(true, false), Micros(0));
    let twice = go(&run, &[take("a"), start("a"), Step::Lapse, take("b"), start("b"), Step::Lapse]);
    assert_eq!((twice.state, twice.result.is_some()), (State::Requested, true));
    assert_eq!(twice.after(&Step::Done { lease: "b".into() }, "x", Micros(1)), None);
    let last = go(&twice, &[take("c"), start("c"), Step::Lapse]);
    assert_eq!((last.state, last.attempts), (State::Failed, 3));
}
