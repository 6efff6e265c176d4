//! Index strings: all that faiss knows comes back as it was written, and errors point at the place.

use super::*;
use crate::element::Element;

const TRANSFORMS: [&str; 12] = [
    "",
    "PCA64,",
    "PCAR64,",
    "PCAW64,",
    "PCAWR8,",
    "OPQ16,",
    "OPQ16_64,",
    "RR,",
    "RR64,",
    "HR,",
    "ITQ,",
    "L2norm,",
];
const LISTS: [&str; 5] = ["", "IVF,", "IVF1,", "IVF1024,", "IVF65536_HNSW32,"];
const CODES: [&str; 15] = [
    "Flat",
    "SQ8",
    "SQ6",
    "SQ4",
    "SQfp16",
    "SQbf16",
    "SQ8_direct",
    "PQ16",
    "PQ16x4",
    "PQ16x4fs",
    "PQ16x4fsr",
    "RaBitQ",
    "RaBitQ4",
    "RaBitQfs",
    "RaBitQfs2",
];
const REFINES: [&str; 5] = ["", ",RFlat", ",Refine(SQ8)", ",Refine(SQfp16)", ",Refine(PQ32)"];

fn read(text: &str) -> Result<Description> {
    parse::parse(text).map(|(description, _)| description)
}

#[test]
fn parse_known_strings_comes_back_as_written() {
    for id_map in ["", "IDMap,", "IDMap2,"] {
        for transform in TRANSFORMS {
            for lists in LISTS {
                for code in CODES {
                    for refine in REFINES {
                        let text = format!("{id_map}{transform}{lists}{code}{refine}");
                        assert_eq!(read(&text).unwrap().to_string(), text);
                    }
                }
            }
        }
    }
    for (text, canonical) in [
        (" IVF4k , SQfp16 ", "IVF4096,SQfp16"),
        ("IVF1M,Flat", "IVF1048576,Flat"),
        ("IVF16_HNSW,Flat", "IVF16_HNSW32,Flat"),
        ("PQ16x8", "PQ16"),
        ("L2Norm, PCA32, RR , Flat", "L2norm,PCA32,RR,Flat"),
        ("SQ8,Refine(Flat)", "SQ8,RFlat"),
        ("RaBitQ1", "RaBitQ"),
    ] {
        assert_eq!(read(text).unwrap().to_string(), canonical);
    }
}

#[test]
fn parse_unknown_strings_points_at_the_place() {
    for (text, at) in [
        ("", 0),
        ("flat", 0),
        ("HNSW32", 0),
        ("IVF", 3),
        ("IVF0,Flat", 3),
        ("IVF-4,Flat", 3),
        ("IVF+4,Flat", 3),
        ("IVF99999999999999999999,Flat", 3),
        ("IVF16", 5),
        ("IVF16,", 6),
        ("IVF16_,Flat", 6),
        ("IVF16_NSG32,Flat", 6),
        ("IVF16_HNSW1,Flat", 10),
        ("IVF16,SQFP16", 6),
        ("IVF16,SQ5", 6),
        ("SQfp16,Flat", 7),
        ("IVF16, PQ", 9),
        ("IVF16, PQ0", 9),
        ("IVF16,PQ8x5", 10),
        ("IVF16,PQ8fs", 9),
        ("IVF16,RaBitQ9", 12),
        ("IVF16,RaBitQfs0", 14),
        ("IVF16,Flat,RFlat,RFlat", 17),
        ("Flat,Refine", 5),
        ("Flat,Refine(SQ8", 15),
        ("Flat,Refine(SQ9)", 12),
        ("Flat,Refine(PQ8x3)", 16),
        ("Flat,IDMap", 5),
        ("PCA,Flat", 3),
        ("PCAW0,Flat", 4),
        ("PCARW4,Flat", 4),
        ("OPQ,Flat", 3),
        ("OPQ8_,Flat", 5),
        ("RRx,Flat", 2),
        ("RR4", 3),
        ("RR,RR,RR,RR,RR,RR,RR,RR,RR,Flat", 24),
        ("PCA8,IDMap,Flat", 5),
        ("IVF16,IVF16,Flat", 6),
    ] {
        match read(text) {
            Err(Error::Description { position, .. }) => assert_eq!(position, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn parse_parts_not_built_are_unsupported_at_their_place() {
    for (text, place) in [
        ("IDMap,Flat,Refine(PQ8x4fs)", "at position 11: refining with PQ8x4fs "),
        ("Flat,Refine(RaBitQ)", "at position 5: refining with RaBitQ "),
    ] {
        match Description::parse(text) {
            Err(Error::Unsupported(message)) => assert!(message.contains(place), "{message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn parse_id_map_is_kept_and_changes_nothing_else() {
    let (plain, mapped) = (read("IVF16,Flat").unwrap(), read("IDMap,IVF16,Flat").unwrap());
    assert_eq!(Description { id_map: None, ..mapped }, plain);
    assert_eq!(plain.code, Code::Plain(Element::F32));
    assert_eq!(plain.nlist(), Some(16));
}

#[test]
fn choose_nlist_any_count_keeps_39_points_a_list() {
    for count in [1, 39, 100, 1000, 20_000, 60_000, 1_000_000, 100_000_000] {
        let nlist = choose_nlist(count);
        assert!(nlist >= 1 && (nlist == 1 || count / nlist >= 39), "{count} {nlist}");
        if count >= 100_000 {
            let root = (count as f64).sqrt();
            assert!((4.0 * root..=16.0 * root).contains(&(nlist as f64)), "{count} {nlist}");
        }
    }
}
