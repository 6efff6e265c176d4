//! Index strings, as faiss writes them: `Flat`, `IVF1024,Flat`, `IVF,SQfp16`.

use std::fmt;

use crate::element::Element;
use crate::error::{Error, Result};

/// What an index string describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Description {
    /// Every query is compared with every vector.
    Flat { element: Element },
    /// Inverted files; `None` = the number of lists is chosen from the training data.
    Ivf { nlist: Option<usize>, element: Element },
}

/// How a description names what vectors are held in.
const CODES: [(&str, Element); 4] = [
    ("Flat", Element::F32),
    ("SQfp16", Element::F16),
    ("SQbf16", Element::Bf16),
    ("SQ8_direct", Element::U8),
];

/// The codes, for error texts.
const CODES_TEXT: &str = "\"Flat\", \"SQfp16\", \"SQbf16\" or \"SQ8_direct\"";

/// Most lists an index may have: list numbers travel as 32-bit numbers.
const MAX_NLIST: usize = 1 << 28;

impl Description {
    /// Reads an index string. Case matters, spaces do not.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fail =
            |position: usize, problem: String| Error::Description { text: text.into(), position, problem };
        let mut parts = Vec::new();
        let mut position = 0;
        for part in text.split(',') {
            let lead = part.len() - part.trim_start().len();
            parts.push((position + lead, part.trim()));
            position += part.len() + 1;
        }
        let end = |at: usize, code: &str| match parts.get(at) {
            None => Ok(()),
            Some((place, got)) => Err(fail(*place, format!("expected nothing after {code:?}, got {got:?}"))),
        };
        let (start, first) = parts[0];
        if let Some(element) = element_of(first) {
            end(1, first)?;
            return Ok(Self::Flat { element });
        }
        let Some(size) = first.strip_prefix("IVF") else {
            return Err(fail(start, format!("expected \"IVF<lists>\", {CODES_TEXT}, got {first:?}")));
        };
        let nlist = if size.is_empty() {
            None
        } else {
            let (digits, factor) = size.strip_suffix('k').map_or((size, 1), |digits| (digits, 1024));
            let parsed =
                if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<usize>().ok() } else { None };
            match parsed.and_then(|n| n.checked_mul(factor)) {
                Some(n) if (1..=MAX_NLIST).contains(&n) => Some(n),
                _ => {
                    let problem = format!("expected a number of lists from 1 to {MAX_NLIST}, got {size:?}");
                    return Err(fail(start + 3, problem));
                }
            }
        };
        let Some(&(place, code)) = parts.get(1) else {
            return Err(fail(text.len(), format!("expected a comma and {CODES_TEXT}, got the end")));
        };
        let Some(element) = element_of(code) else {
            return Err(fail(place, format!("expected {CODES_TEXT}, got {code:?}")));
        };
        end(2, code)?;
        Ok(Self::Ivf { nlist, element })
    }

    pub(crate) fn is_ivf(&self) -> bool {
        matches!(self, Self::Ivf { .. })
    }

    /// What vectors are held in.
    pub(crate) fn element(&self) -> Element {
        match *self {
            Self::Flat { element } | Self::Ivf { element, .. } => element,
        }
    }
}

/// The element type of this code.
fn element_of(code: &str) -> Option<Element> {
    CODES.iter().find(|(known, _)| *known == code).map(|(_, element)| *element)
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = CODES.iter().find(|(_, element)| *element == self.element());
        let (code, _) = known.expect("invariant: every element type has a code");
        match self {
            Self::Flat { .. } => f.write_str(code),
            Self::Ivf { nlist: None, .. } => write!(f, "IVF,{code}"),
            Self::Ivf { nlist: Some(nlist), .. } => write!(f, "IVF{nlist},{code}"),
        }
    }
}

/// The number of lists for `count` vectors: about 8 times the square root, a power of two, with at least
/// 39 points a list (faiss's minimum for training).
pub(crate) fn choose_nlist(count: usize) -> usize {
    let root = count.isqrt();
    let wanted = (root * 8).max(1);
    let most = (count / 39).max(1);
    let power = |n: usize| 1usize << n.ilog2();
    power(wanted).min(power(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_known_strings_comes_back_as_written() {
        for code in ["Flat", "SQfp16", "SQbf16", "SQ8_direct"] {
            for text in
                [code.into(), format!("IVF1,{code}"), format!("IVF1024,{code}"), format!("IVF,{code}")]
            {
                assert_eq!(Description::parse(&text).unwrap().to_string(), text);
            }
        }
        let spaced = Description::parse(" IVF4k , SQfp16 ").unwrap();
        assert_eq!(spaced, Description::Ivf { nlist: Some(4096), element: Element::F16 });
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
            ("IVF16,SQ8", 6),
            ("IVF16,SQFP16", 6),
            ("SQfp16,Flat", 7),
            ("IVF16, PQ8", 7),
            ("IVF16,Flat,RFlat", 11),
            ("Flat,RFlat", 5),
        ] {
            match Description::parse(text) {
                Err(Error::Description { position, .. }) => assert_eq!(position, at, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
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
}
