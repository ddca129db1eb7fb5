use super::super::checkpoint::Checkpoint;
use super::super::hash::Hash;
use super::super::note::{Note, Signer, Verifier};
use proptest::prelude::*;

fn signer(name: &str) -> Signer {
    Signer::from_seed(name, &[7; 32]).unwrap()
}

/// The example of the specification.
#[test]
fn the_published_note_is_good() {
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let verifier = Verifier::parse(key).unwrap();
    assert_eq!(verifier.to_string(), key);
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let text = Note::parse(note).unwrap().verify(&[verifier]).unwrap();
    assert_eq!(text, "This is an example message.\n");
}

#[test]
fn keys_are_their_texts() {
    let signer = signer("log.example.com/a");
    let again = Signer::parse(&signer.to_private_text()).unwrap();
    assert_eq!(again.verifier(), signer.verifier());
    assert_eq!(Verifier::parse(&signer.verifier().to_string()).as_ref(), Ok(signer.verifier()));
    assert!(!format!("{signer:?}").contains("PRIVATE"));
    let text = signer.verifier().to_string();
    for wrong in
        [text.replace("/a", "/b"), text.replace('+', " "), text[..text.len() - 4].to_owned()]
    {
        assert!(Verifier::parse(&wrong).is_err(), "{wrong}");
    }
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb"] {
        assert!(Signer::from_seed(name, &[7; 32]).is_err(), "{name:?}");
    }
}

#[test]
fn a_checkpoint_is_opened_by_its_key_alone() {
    let signer = signer("log.example.com/a");
    let checkpoint =
        Checkpoint { origin: "log.example.com/a".into(), size: 9, root: Hash([3; 32]) };
    let note = checkpoint.sign(&signer);
    assert_eq!(Checkpoint::open(&note, signer.verifier()), Ok(checkpoint.clone()));
    let other = Signer::from_seed("log.example.com/a", &[8; 32]).unwrap();
    assert!(Checkpoint::open(&note, other.verifier()).is_err());
    // Another name at the same key signs for another log.
    let wrong = Checkpoint { origin: "log.example.com/b".into(), ..checkpoint.clone() };
    assert!(Checkpoint::open(&wrong.sign(&signer), signer.verifier()).is_err());
    // A witness's signature beside it changes nothing; one with the key's name and id does.
    let witness = Signer::from_seed("witness.example.com", &[9; 32]).unwrap();
    let line = |note: &str| note.lines().last().unwrap().to_owned() + "\n";
    let both = note.clone() + &line(&checkpoint.sign(&witness));
    assert_eq!(Checkpoint::open(&both, signer.verifier()), Ok(checkpoint.clone()));
    let forged = Checkpoint { size: 10, ..checkpoint }.sign(&signer);
    assert!(Checkpoint::open(&(note + &line(&forged)), signer.verifier()).is_err());
}

#[test]
fn checkpoints_with_anything_odd_are_refused() {
    let root = Hash([3; 32]).to_base64();
    let good = format!("a\n1\n{root}\n");
    assert!(Checkpoint::parse(&good).is_ok());
    assert!(Checkpoint::parse(&format!("{good}extension\n")).is_ok());
    for wrong in [
        format!("a\n01\n{root}\n"),
        format!("a\n+1\n{root}\n"),
        format!("a\n-1\n{root}\n"),
        format!("a\n0\n{root}\n"),
        format!("a\n18446744073709551616\n{root}\n"),
        format!("a\n1\n{root}"),
        format!("a\n1\n{root}\n\n"),
        format!("\n1\n{root}\n"),
        format!("a b\n1\n{root}\n"),
        "a\n1\n".into(),
        "a\n1\nAAAA\n".into(),
        String::new(),
    ] {
        assert!(Checkpoint::parse(&wrong).is_err(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn no_byte_of_a_note_can_change(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let signer = signer("log.example.com/a");
        let checkpoint = Checkpoint { origin: "log.example.com/a".into(), size: 9, root: Hash([3; 32]) };
        let note = checkpoint.sign(&signer);
        let mut bytes = note.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(changed) = String::from_utf8(bytes) {
            let opened = Checkpoint::open(&changed, signer.verifier());
            prop_assert!(changed == note || opened.is_err());
        }
    }

    #[test]
    fn a_note_of_any_text_is_refused_or_taken_apart(
        text in "(.{0,20}\n){0,3}\n?(\u{2014} [a-z+ ]{0,4} ?[A-Za-z0-9+/=]{0,12}\n){0,3}|\\PC{0,40}"
    ) {
        let key = signer("a").verifier().clone();
        let _ = Note::parse(&text).map(|note| note.verify(&[key]).is_ok());
        let _ = (Checkpoint::parse(&text), Checkpoint::peek(&text));
        let _ = (Verifier::parse(&text), Signer::parse(&text));
    }
}
