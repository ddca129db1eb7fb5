//! Two other people's implementations read what this one writes, and the other way around.

use super::super::checkpoint::Checkpoint;
use super::super::hash::Hash;
use super::super::note::{Note, Signer};
use super::super::tile::Tile;
use super::super::tree::{consistency, inclusion, is_consistent, root, root_from_inclusion};
use super::{Memory, entry, leaves};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use sha2::Sha256;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{HashReader as _, TileHashReader, TileReader};

const SIZES: [u64; 9] = [1, 2, 3, 7, 8, 255, 256, 257, 700];

fn array(hash: Hash) -> ct_merkle::digest::Output<Sha256> {
    hash.0.into()
}

#[test]
fn ct_merkle_and_this_tree_check_each_others_proofs() {
    let leaves = leaves(700);
    let ours = Memory::of(&leaves);
    for new in SIZES {
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        (0..new).for_each(|n| theirs.push(entry(n)));
        let new_root = root(&ours, new).unwrap();
        assert_eq!(theirs.root().as_bytes().as_slice(), new_root.0);
        for index in [0, new / 3, new / 2, new - 1] {
            let path = inclusion(&ours, index, new).unwrap();
            let proof = InclusionProof::from_digests(
                path.iter().map(|h| array(*h)).collect::<Vec<_>>().iter(),
            );
            theirs.root().verify_inclusion(&entry(index), index, &proof).unwrap();
            let proof = theirs.prove_inclusion(index as usize);
            let path = hashes(proof.as_bytes());
            let leaf = leaves[index as usize];
            assert_eq!(root_from_inclusion(leaf, index, new, &path), Some(new_root));
        }
        for old in SIZES.into_iter().filter(|old| *old < new) {
            let old_root = root(&ours, old).unwrap();
            let path = consistency(&ours, old, new).unwrap();
            let proof = ConsistencyProof::from_digests(
                path.iter().map(|h| array(*h)).collect::<Vec<_>>().iter(),
            );
            theirs.root().verify_consistency(&RootHash::new(array(old_root), old), &proof).unwrap();
            let path = hashes(theirs.prove_consistency((new - old) as usize).as_bytes());
            assert!(is_consistent(old, old_root, new, new_root, &path));
        }
    }
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.iter().map(|bytes| Hash(*bytes)).collect()
}

fn theirs(hash: Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(hash.0)
}

/// Hands out tiles as a server of this log does.
struct Tiles<'a>(&'a Memory);

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            // By its path, as it would be asked for over the network.
            let path = tile.path();
            let tile = Tile::parse(path.strip_prefix("tile/8/").unwrap()).unwrap();
            let level = tile.level.unwrap();
            let hashes = &self.0.heights[usize::from(level) * 8];
            let range = tile.entries().unwrap();
            hashes[range.start as usize..range.end as usize].iter().flat_map(|h| h.0).collect()
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn tlog_tiles_reads_these_tiles_and_checks_these_proofs() {
    let leaves = leaves(70_000);
    let ours = Memory::of(&leaves);
    for new in [1, 2, 255, 256, 257, 700, 65_536, 65_537, 70_000] {
        let new_root = root(&ours, new).unwrap();
        let tiles = Tiles(&ours);
        let reader = TileHashReader::new(new, theirs(new_root), &tiles);
        for index in [0, new / 3, new - 1] {
            let leaf = theirs(leaves[index as usize]);
            assert_eq!(tlog_tiles::record_hash(&entry(index)), leaf);
            let path: Vec<_> =
                inclusion(&ours, index, new).unwrap().into_iter().map(theirs).collect();
            tlog_tiles::check_record(&path, new, theirs(new_root), index, leaf).unwrap();
            // The reader checks each tile against the root.
            assert_eq!(tlog_tiles::prove_record(new, index, &reader).unwrap(), path);
            let stored = tlog_tiles::stored_hash_index(0, index);
            assert_eq!(reader.read_hashes(&[stored]).unwrap(), [leaf]);
        }
        for old in [1, 2, 255, 256, 300, 65_536].into_iter().filter(|old| *old < new) {
            let old_root = root(&ours, old).unwrap();
            let path = consistency(&ours, old, new).unwrap();
            let proof: Vec<_> = path.iter().copied().map(theirs).collect();
            tlog_tiles::check_tree(&proof, new, theirs(new_root), old, theirs(old_root)).unwrap();
            let proof = tlog_tiles::prove_tree(new, old, &reader).unwrap();
            let path: Vec<Hash> = proof.iter().map(|hash| Hash(hash.0)).collect();
            assert!(is_consistent(old, old_root, new, new_root, &path));
        }
    }
}

#[test]
fn signed_note_and_tlog_tiles_read_these_checkpoints_and_sign_readable_ones() {
    let ours = Signer::from_seed("log.example.com/a", &[5; 32]).unwrap();
    let checkpoint =
        Checkpoint { origin: "log.example.com/a".into(), size: 700, root: Hash([9; 32]) };
    let note = checkpoint.sign(&ours);

    let verifier = StandardVerifier::new(&ours.verifier().to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let read = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    assert_eq!(read.verify(&known).unwrap().0.len(), 1);
    let parsed = tlog_tiles::Checkpoint::from_bytes(read.text()).unwrap();
    assert_eq!((parsed.origin(), parsed.size()), ("log.example.com/a", 700));
    assert_eq!(parsed.hash().0, checkpoint.root.0);

    let signer = StandardSigner::new(&ours.to_private_text()).unwrap();
    let text = tlog_tiles::Checkpoint::new("log.example.com/a", 700, theirs(checkpoint.root), "");
    let mut theirs = signed_note::Note::new(&text.unwrap().to_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&signer]).unwrap();
    // Ed25519 is deterministic: the same key signs the same note.
    assert_eq!(theirs.to_bytes(), note.as_bytes());
    assert_eq!(Checkpoint::open(&note, ours.verifier()), Ok(checkpoint));
    assert!(Note::parse(&note).is_ok());
}
