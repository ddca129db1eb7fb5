use super::super::hash::{Hash, root_of};
use super::super::leaf::Leaf;
use super::super::tile::Tile;
use super::super::tree::{
    consistency, cover, inclusion, is_consistent, root, root_from_cover, root_from_inclusion,
};
use super::{Memory, leaves, plain_root};
use crate::event::{Micros, Offset};
use proptest::prelude::*;

/// The entries and roots of the test vectors that the logs of certificates share.
const ENTRIES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn roots_are_those_of_the_published_vectors() {
    let leaves: Vec<Hash> = ENTRIES.iter().map(|entry| Hash::leaf(&unhex(entry))).collect();
    for (count, root) in ROOTS.iter().enumerate() {
        assert_eq!(root_of(&leaves[..count]).to_string(), *root);
    }
}

#[test]
fn every_proof_of_every_small_tree_holds_and_no_other_does() {
    let leaves = leaves(40);
    let memory = Memory::of(&leaves);
    for size in 0..=40 {
        let of_size = root(&memory, size).unwrap();
        assert_eq!(of_size, plain_root(&leaves[..size as usize]));
        for index in 0..size {
            let path = inclusion(&memory, index, size).unwrap();
            let leaf = leaves[index as usize];
            assert_eq!(root_from_inclusion(leaf, index, size, &path), Some(of_size));
            assert_ne!(root_from_inclusion(Hash::empty(), index, size, &path), Some(of_size));
            for other in (0..size).filter(|other| *other != index) {
                assert_ne!(root_from_inclusion(leaf, other, size, &path), Some(of_size));
            }
            if let Some((_, short)) = path.split_last() {
                assert_ne!(root_from_inclusion(leaf, index, size, short), Some(of_size));
            }
            let long = [path.as_slice(), &[leaf]].concat();
            assert_ne!(root_from_inclusion(leaf, index, size, &long), Some(of_size));
        }
        for old in 0..=size {
            let of_old = root(&memory, old).unwrap();
            let path = consistency(&memory, old, size).unwrap();
            assert!(is_consistent(old, of_old, size, of_size, &path), "{old} {size}");
            if old > 0 && old < size {
                assert!(!is_consistent(old, Hash::empty(), size, of_size, &path));
                assert!(!is_consistent(old, of_old, size, Hash::empty(), &path));
                assert!(!is_consistent(old, of_old, size, of_size, &path[1..]));
                let long = [path.as_slice(), &[of_old]].concat();
                assert!(!is_consistent(old, of_old, size, of_size, &long));
            }
        }
        assert!(inclusion(&memory, size, size).is_err());
        assert!(consistency(&memory, size + 1, size).is_err());
    }
}

proptest! {
    #[test]
    fn a_cover_and_its_leaves_make_the_root(
        count in 1u32..300,
        picks in prop::collection::btree_set(0u32..300, 0..40),
        changed in any::<prop::sample::Index>(),
    ) {
        let leaves = leaves(u64::from(count));
        let root = plain_root(&leaves);
        let places: Vec<u32> = picks.into_iter().filter(|place| *place < count).collect();
        let cover = cover(&leaves, &places);
        let mut named: Vec<(u32, Hash)> = places.iter().map(|p| (*p, leaves[*p as usize])).collect();
        prop_assert_eq!(root_from_cover(count, &named, &cover), Some(root));
        if let Some((_, short)) = cover.split_last() {
            prop_assert_eq!(root_from_cover(count, &named, short), None);
        }
        let long = [cover.as_slice(), &[root]].concat();
        prop_assert_eq!(root_from_cover(count, &named, &long), None);
        if !named.is_empty() {
            let at = changed.index(named.len());
            named[at].1 = Hash::empty();
            prop_assert_ne!(root_from_cover(count, &named, &cover), Some(root));
            named.remove(at);
            prop_assert_ne!(root_from_cover(count, &named, &cover), Some(root));
        }
    }

    #[test]
    fn checking_takes_any_numbers(
        a in any::<u64>(), b in any::<u64>(), count in any::<u32>(),
        places in prop::collection::vec(any::<u32>(), 0..5), len in 0u64..70,
    ) {
        let path = leaves(len);
        let hash = Hash::empty();
        let _ = root_from_inclusion(hash, a, b, &path);
        let _ = is_consistent(a, hash, b, hash, &path);
        let named: Vec<(u32, Hash)> = places.into_iter().map(|place| (place, hash)).collect();
        let _ = root_from_cover(count, &named, &path);
    }

    #[test]
    fn a_leaf_is_its_bytes(
        base in 0u64..1 << 60, count in 1u32.., low in any::<i64>(), more in 0i64..1 << 40, root in any::<[u8; 32]>(),
    ) {
        let leaf = Leaf {
            base: Offset(base),
            count,
            min_time: Micros(low),
            max_time: Micros(low.saturating_add(more)),
            root: Hash(root),
        };
        prop_assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
    }

    #[test]
    fn a_leaf_of_any_bytes_is_refused_or_is_those_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut bytes = bytes;
        for magic in [false, true] {
            if magic && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(b"DBL1");
            }
            if let Ok(leaf) = Leaf::decode(&bytes) {
                prop_assert_eq!(leaf.encode().to_vec(), bytes.clone());
            }
        }
    }

    #[test]
    fn a_tile_is_its_path(level in prop::option::of(0u8..64), index in any::<u64>(), width in 1u32..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(Tile::parse(&tile.path()), Ok(tile));
    }

    #[test]
    fn a_path_of_any_text_is_refused_or_is_a_tiles(path in "(entries|[0-9]{1,3})/(x[0-9]{3}/){0,3}[0-9]{1,4}(.p/[0-9]{1,3})?|.{0,12}") {
        if let Ok(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.path(), path);
        }
    }
}

#[test]
fn tiles_are_those_of_the_specification() {
    let tile = Tile { level: Some(2), index: 1_234_067, width: 256 };
    assert_eq!(tile.path(), "2/x001/x234/067");
    // A tree of 70,000 leaves has 273 full tiles and one of 112, one full and one of 17, one of 1.
    let at = |level, index, width| Tile { level: Some(level), index, width }.is_in(70_000);
    assert!(at(0, 272, 256) && at(0, 273, 112) && !at(0, 273, 113) && !at(0, 274, 1));
    assert!(at(1, 0, 256) && at(1, 1, 17) && !at(1, 1, 18));
    assert!(at(2, 0, 1) && !at(2, 0, 2) && !at(3, 0, 1) && !at(63, 0, 1));
    assert!(!Tile { level: Some(0), index: u64::MAX, width: 1 }.is_in(u64::MAX));
    for path in
        ["0/067/x001", "0/67", "0/x000/067", "64/000", "0/000.p/0", "0/000.p/256", "0", "", "0/"]
    {
        assert!(Tile::parse(path).is_err(), "{path}");
    }
}
