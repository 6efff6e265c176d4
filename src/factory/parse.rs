//! Reading index strings, part after part from left to right; an error points at the place.

use super::ast::{Code, Description, IdMap, ListsSpec, ProductScan, Transform};
use crate::element::Element;
use crate::error::{Error, Result};

/// The codes, for error texts.
const CODES: &str =
    "\"Flat\", \"SQ8\", \"SQ6\", \"SQ4\", \"SQfp16\", \"SQbf16\", \"SQ8_direct\", \"PQ<m>\" or \"RaBitQ\"";

/// Most lists an index may have: list numbers travel as 32-bit numbers.
const MAX_NLIST: usize = 1 << 28;

/// Most of anything else that is counted: dimensions, parts, links.
const MAX_COUNT: usize = 1 << 20;

/// Most transforms before an index.
const MAX_TRANSFORMS: usize = 8;

/// Where the parts of a description stand, in bytes.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) transforms: Vec<usize>,
    pub(super) lists: usize,
    pub(super) code: usize,
    pub(super) refine: usize,
}

/// What is wrong with a part: how far into it, and what.
type Fault = (usize, String);

/// A part read, or what is wrong with it.
type Read<T> = std::result::Result<T, Fault>;

/// A part of the string: where it begins, and its text without the spaces around it.
type Part<'a> = (usize, &'a str);

/// Reads an index string. Case matters, spaces around commas do not.
pub(super) fn parse(text: &str) -> Result<(Description, Places)> {
    let fail = |position: usize, problem: String| Error::Description { text: text.into(), position, problem };
    let parts = split(text);
    let mut rest = parts.iter().copied().peekable();
    let mut places = Places::default();
    let id_map = match rest.peek() {
        Some((_, "IDMap")) => Some(IdMap::One),
        Some((_, "IDMap2")) => Some(IdMap::Two),
        _ => None,
    };
    if id_map.is_some() {
        rest.next();
    }
    let mut transforms = Vec::new();
    while let Some(&(place, part)) = rest.peek() {
        let Some(read) = transform(part) else { break };
        transforms.push(read.map_err(|(at, problem)| fail(place + at, problem))?);
        places.transforms.push(place);
        if transforms.len() > MAX_TRANSFORMS {
            return Err(fail(place, format!("expected at most {MAX_TRANSFORMS} transforms, got one more")));
        }
        rest.next();
    }
    let mut spec = None;
    if let Some(&(place, part)) = rest.peek()
        && part.starts_with("IVF")
    {
        spec = Some(lists(part).map_err(|(at, problem)| fail(place + at, problem))?);
        places.lists = place;
        rest.next();
    }
    let before = if spec.is_some() {
        String::new()
    } else if transforms.is_empty() {
        "a transform, \"IVF<lists>\", ".into()
    } else {
        "\"IVF<lists>\", ".into()
    };
    let Some((place, part)) = rest.next() else {
        return Err(fail(text.len(), format!("expected a comma and {before}{CODES}, got the end")));
    };
    let Some(read) = code(part) else {
        return Err(fail(place, format!("expected {before}{CODES}, got {part:?}")));
    };
    let main = read.map_err(|(at, problem)| fail(place + at, problem))?;
    places.code = place;
    let mut refined = None;
    let mut last = part;
    if let Some(&(place, part)) = rest.peek()
        && let Some(read) = refine(part)
    {
        refined = Some(read.map_err(|(at, problem)| fail(place + at, problem))?);
        places.refine = place;
        last = part;
        rest.next();
    }
    if let Some((place, got)) = rest.next() {
        let expected = if refined.is_some() { "nothing" } else { "\"RFlat\", \"Refine(<code>)\" or nothing" };
        return Err(fail(place, format!("expected {expected} after {last:?}, got {got:?}")));
    }
    Ok((Description { id_map, transforms, lists: spec, code: main, refine: refined }, places))
}

/// The parts between commas.
fn split(text: &str) -> Vec<Part<'_>> {
    let mut position = 0;
    text.split(',')
        .map(|part| {
            let lead = part.len() - part.trim_start().len();
            let start = position + lead;
            position += part.len() + 1;
            (start, part.trim())
        })
        .collect()
}

/// A number of digits only, within bounds; `at` is where it stands in its part.
fn number(at: usize, digits: &str, what: &str, (least, most): (usize, usize)) -> Read<usize> {
    let parsed = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None };
    match parsed {
        Some(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err((at, format!("expected {what} from {least} to {most}, got {digits:?}"))),
    }
}

/// As [`number`], or nothing.
fn optional(at: usize, digits: &str, what: &str) -> Read<Option<usize>> {
    if digits.is_empty() { Ok(None) } else { number(at, digits, what, (1, MAX_COUNT)).map(Some) }
}

const DIMENSIONS: &str = "a number of dimensions";

/// A transform, if the part is meant as one.
fn transform(part: &str) -> Option<Read<Transform>> {
    let read = match part {
        "L2norm" | "L2Norm" => Ok(Transform::Normalize),
        "HR" => Ok(Transform::Hadamard),
        "Center" => Ok(Transform::Center),
        _ => {
            if let Some(rest) = part.strip_prefix("PCA") {
                pca(rest)
            } else if let Some(rest) = part.strip_prefix("OPQ") {
                opq(rest)
            } else if let Some(rest) = part.strip_prefix("RR") {
                optional(2, rest, DIMENSIONS).map(|out| Transform::Rotation { out })
            } else if let Some(rest) = part.strip_prefix("Linear") {
                number(6, rest, DIMENSIONS, (1, MAX_COUNT)).map(|out| Transform::Linear { out })
            } else if let Some(rest) = part.strip_prefix("ITQ") {
                optional(3, rest, DIMENSIONS).map(|out| Transform::Itq { out })
            } else {
                return None;
            }
        }
    };
    Some(read)
}

/// What follows `PCA`.
fn pca(rest: &str) -> Read<Transform> {
    let (whiten, digits) = rest.strip_prefix('W').map_or((false, rest), |rest| (true, rest));
    let (rotate, digits) = digits.strip_prefix('R').map_or((false, digits), |rest| (true, rest));
    let at = 3 + usize::from(whiten) + usize::from(rotate);
    let out = number(at, digits, DIMENSIONS, (1, MAX_COUNT))?;
    Ok(Transform::Pca { out, whiten, rotate })
}

/// What follows `OPQ`.
fn opq(rest: &str) -> Read<Transform> {
    let (digits, out) = rest.split_once('_').map_or((rest, None), |(digits, out)| (digits, Some(out)));
    let m = number(3, digits, "a number of parts", (1, MAX_COUNT))?;
    let at = 3 + digits.len() + 1;
    let out = out.map(|out| number(at, out, DIMENSIONS, (1, MAX_COUNT))).transpose()?;
    Ok(Transform::Opq { m, out })
}

/// `IVFn`, `IVFn_HNSWm`, `IVF`.
fn lists(part: &str) -> Read<ListsSpec> {
    let rest = &part[3..];
    let (size, coarse) = rest.split_once('_').map_or((rest, None), |(size, coarse)| (size, Some(coarse)));
    let nlist = if size.is_empty() {
        None
    } else {
        let scaled = |suffix, factor| size.strip_suffix(suffix).map(|digits: &str| (digits, factor));
        let (digits, factor) = scaled('k', 1024).or(scaled('M', 1024 * 1024)).unwrap_or((size, 1));
        let parsed =
            if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<usize>().ok() } else { None };
        match parsed.and_then(|n| n.checked_mul(factor)) {
            Some(n) if (1..=MAX_NLIST).contains(&n) => Some(n),
            _ => {
                return Err((3, format!("expected a number of lists from 1 to {MAX_NLIST}, got {size:?}")));
            }
        }
    };
    let at = 3 + size.len() + 1;
    let hnsw = match coarse {
        None => None,
        Some(coarse) => match coarse.strip_prefix("HNSW") {
            Some("") => Some(32),
            Some(links) => Some(number(at + 4, links, "a number of links", (2, 256))?),
            None => return Err((at, format!("expected \"HNSW<links>\", got {coarse:?}"))),
        },
    };
    Ok(ListsSpec { nlist, hnsw })
}

/// A code, if the part is meant as one.
fn code(part: &str) -> Option<Read<Code>> {
    let read = match part {
        "Flat" => Ok(Code::Plain(Element::F32)),
        "SQfp16" => Ok(Code::Plain(Element::F16)),
        "SQbf16" => Ok(Code::Plain(Element::Bf16)),
        "SQ8_direct" => Ok(Code::Plain(Element::U8)),
        "SQ8" => Ok(Code::Scalar { bits: 8 }),
        "SQ6" => Ok(Code::Scalar { bits: 6 }),
        "SQ4" => Ok(Code::Scalar { bits: 4 }),
        _ => {
            if let Some(rest) = part.strip_prefix("PQ") {
                product(rest)
            } else if let Some(rest) = part.strip_prefix("RaBitQ") {
                rabitq(rest)
            } else {
                return None;
            }
        }
    };
    Some(read)
}

/// What follows `PQ`.
fn product(rest: &str) -> Read<Code> {
    let (rest, scan) = if let Some(rest) = rest.strip_suffix("fsr") {
        (rest, ProductScan::FastResidual)
    } else if let Some(rest) = rest.strip_suffix("fs") {
        (rest, ProductScan::Fast)
    } else {
        (rest, ProductScan::Tables)
    };
    let (digits, bits) = rest.split_once('x').map_or((rest, None), |(m, bits)| (m, Some(bits)));
    let m = number(2, digits, "a number of parts", (1, MAX_COUNT))?;
    let at = 2 + digits.len();
    let bits = match (bits, scan) {
        (None, ProductScan::Tables) | (Some("8"), ProductScan::Tables) => 8,
        (Some("4"), _) => 4,
        (Some(got), ProductScan::Tables) => {
            return Err((at + 1, format!("expected 4 or 8 bits a part, got {got:?}")));
        }
        (got, _) => {
            return Err((at, format!("expected \"x4\" before \"fs\", got {:?}", got.unwrap_or_default())));
        }
    };
    Ok(Code::Product { m, bits, scan })
}

/// What follows `RaBitQ`.
fn rabitq(rest: &str) -> Read<Code> {
    let (fast_scan, digits) = rest.strip_prefix("fs").map_or((false, rest), |rest| (true, rest));
    let at = 6 + if fast_scan { 2 } else { 0 };
    let bits = match digits {
        "" => 1,
        digits => number(at, digits, "a number of bits", (1, 8))?,
    };
    let bits = u8::try_from(bits).expect("invariant: at most 8");
    Ok(Code::RaBitQ { bits, fast_scan })
}

/// `RFlat` or `Refine(code)`, if the part is meant as one.
fn refine(part: &str) -> Option<Read<Code>> {
    if part == "RFlat" {
        return Some(Ok(Code::Plain(Element::F32)));
    }
    let rest = part.strip_prefix("Refine(")?;
    let Some(inner) = rest.strip_suffix(')') else {
        return Some(Err((part.len(), "expected \")\", got the end".into())));
    };
    let at = |(within, problem): Fault| (7 + within, problem);
    Some(match code(inner) {
        Some(read) => read.map_err(at),
        None => Err((7, format!("expected {CODES}, got {inner:?}"))),
    })
}
