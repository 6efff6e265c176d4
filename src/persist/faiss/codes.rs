//! What faiss's codes stand for, so that a file that is not supported is refused by name.

use super::{Code, FLAT, FLAT_IP, FLAT_L2, ID_MAP, ID_MAP_2, IVF_FLAT, IVF_FLAT_OLD, IVF_FLAT_OLD_BYTES};
use crate::error::Error;

/// Codes with the class and what it is in index strings or in words.
const NAMES: &[(Code, &str)] = &[
    (FLAT_L2, "Flat, L2"),
    (FLAT_IP, "Flat, inner product"),
    (FLAT, "Flat"),
    (IVF_FLAT, "IVF Flat"),
    (IVF_FLAT_OLD, "IVF Flat, old"),
    (IVF_FLAT_OLD_BYTES, "IVF Flat, old"),
    (ID_MAP, "IDMap"),
    (ID_MAP_2, "IDMap2"),
    (*b"IxFP", "Flat Panorama"),
    (*b"IxSQ", "scalar quantizer"),
    (*b"IxPQ", "PQ, old"),
    (*b"IxPo", "PQ, old"),
    (*b"IxPq", "PQ"),
    (*b"IPfs", "PQ fast scan"),
    (*b"IxHE", "LSH, old"),
    (*b"IxHe", "LSH"),
    (*b"IxLa", "lattice"),
    (*b"IxRQ", "residual quantizer, old"),
    (*b"IxRq", "residual quantizer"),
    (*b"IxLS", "local search quantizer"),
    (*b"IxPR", "product residual quantizer"),
    (*b"IxPL", "product local search quantizer"),
    (*b"ILfs", "local search quantizer fast scan"),
    (*b"IRfs", "residual quantizer fast scan"),
    (*b"IPRf", "product residual quantizer fast scan"),
    (*b"IPLf", "product local search quantizer fast scan"),
    (*b"ImRQ", "residual coarse quantizer"),
    (*b"Imiq", "inverted multi-index"),
    (*b"Ix2L", "two layers"),
    (*b"Ixrq", "RaBitQ"),
    (*b"Ixrr", "RaBitQ"),
    (*b"Irfs", "RaBitQ fast scan"),
    (*b"Irfn", "RaBitQ fast scan"),
    (*b"IwFd", "IVF Flat, deduplicated"),
    (*b"IwPn", "IVF Flat Panorama"),
    (*b"IwP2", "IVF Flat Panorama"),
    (*b"IvSQ", "IVF scalar quantizer, old"),
    (*b"IwSQ", "IVF scalar quantizer, old"),
    (*b"IwSq", "IVF scalar quantizer"),
    (*b"IvPQ", "IVF PQ, old"),
    (*b"IwPQ", "IVF PQ"),
    (*b"IvQR", "IVF PQ with refinement, old"),
    (*b"IwQR", "IVF PQ with refinement"),
    (*b"IwPf", "IVF PQ fast scan"),
    (*b"IwLS", "IVF local search quantizer"),
    (*b"IwRQ", "IVF residual quantizer"),
    (*b"IwPL", "IVF product local search quantizer"),
    (*b"IwPR", "IVF product residual quantizer"),
    (*b"IVLf", "IVF local search quantizer fast scan"),
    (*b"IVRf", "IVF residual quantizer fast scan"),
    (*b"NPLf", "IVF product local search quantizer fast scan"),
    (*b"NPRf", "IVF product residual quantizer fast scan"),
    (*b"IwSh", "IVF spectral hash"),
    (*b"IwIQ", "IVF with an independent quantizer"),
    (*b"Iwrq", "IVF RaBitQ"),
    (*b"Iwrr", "IVF RaBitQ"),
    (*b"Iwrf", "IVF RaBitQ fast scan"),
    (*b"Iwrn", "IVF RaBitQ fast scan"),
    (*b"IxPT", "pre-transform"),
    (*b"IxRF", "refine"),
    (*b"IRMf", "row-wise min-max"),
    (*b"IRMh", "row-wise min-max, fp16"),
    (*b"IHNf", "HNSW Flat"),
    (*b"IHNp", "HNSW PQ"),
    (*b"IHNs", "HNSW scalar quantizer"),
    (*b"IHN2", "HNSW, two layers"),
    (*b"IHNc", "HNSW from CAGRA"),
    (*b"IHc2", "HNSW from CAGRA"),
    (*b"IHfP", "HNSW Flat Panorama"),
    (*b"INSf", "NSG Flat"),
    (*b"INSp", "NSG PQ"),
    (*b"INSs", "NSG scalar quantizer"),
    (*b"INNf", "NNDescent Flat"),
    (*b"IBxF", "binary Flat"),
    (*b"IBwF", "binary IVF"),
    (*b"IBFf", "binary from float"),
    (*b"IBHf", "binary HNSW"),
    (*b"IBMp", "binary IDMap"),
    (*b"IBM2", "binary IDMap2"),
    (*b"IBHh", "binary hash"),
    (*b"IBHm", "binary multi-hash"),
    (*b"null", "no index"),
];

/// What an index of this code is, if faiss has one.
pub(super) fn name(code: Code) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// The refusal of an object in a `place` ("index", "coarse quantizer", ...) that takes only `supported`.
pub(super) fn unsupported(place: &str, code: Code, supported: &str) -> Error {
    Error::Unsupported(format!(
        "faiss {place} of type {} is not supported; supported: {supported}",
        name_of(code)
    ))
}

/// The code, with what it is.
pub(super) fn name_of(code: Code) -> String {
    match name(code) {
        Some(name) => format!("`{}` ({name})", code.escape_ascii()),
        None => format!("`{}`", code.escape_ascii()),
    }
}

/// The refusal of a metric.
pub(super) fn unsupported_metric(number: i32) -> Error {
    let name = match number {
        2 => "L1",
        3 => "Linf",
        4 => "Lp",
        20 => "Canberra",
        21 => "Bray-Curtis",
        22 => "Jensen-Shannon",
        23 => "Jaccard",
        24 => "L2 ignoring NaN",
        25 => "Gower",
        _ => "unknown",
    };
    Error::Unsupported(format!(
        "faiss metric {number} ({name}) is not supported; supported: 0 (inner product) and 1 (L2)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_known_code_names_it() {
        let text = unsupported("index", *b"IwPL", "IxF2").to_string();
        assert_eq!(
            text,
            "faiss index of type `IwPL` (IVF product local search quantizer) is not supported; supported: IxF2"
        );
    }

    #[test]
    fn names_codes_are_listed_once() {
        for (place, (code, _)) in NAMES.iter().enumerate() {
            assert!(NAMES[..place].iter().all(|(other, _)| other != code), "{}", code.escape_ascii());
        }
    }
}
