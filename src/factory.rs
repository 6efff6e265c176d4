//! Index strings, as faiss writes them: `Flat`, `IVF1024,Flat`, `IVF,Flat`.

use std::fmt;

use crate::error::{Error, Result};

/// What an index string describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Description {
    /// Every query is compared with every vector.
    Flat,
    /// Inverted files; `None` = the number of lists is chosen from the training data.
    Ivf { nlist: Option<usize> },
}

/// Most lists an index may have: list numbers travel as 32-bit numbers.
const MAX_NLIST: usize = 1 << 28;

impl Description {
    /// Reads an index string. Case matters, spaces do not.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fail = |position: usize, problem: String| {
            Err(Error::Description { text: text.into(), position, problem })
        };
        let mut parts = Vec::new();
        let mut position = 0;
        for part in text.split(',') {
            let lead = part.len() - part.trim_start().len();
            parts.push((position + lead, part.trim()));
            position += part.len() + 1;
        }
        let (start, first) = parts[0];
        if first == "Flat" {
            return match parts.get(1) {
                None => Ok(Self::Flat),
                Some((at, got)) => fail(*at, format!("expected nothing after \"Flat\", got {got:?}")),
            };
        }
        let Some(size) = first.strip_prefix("IVF") else {
            return fail(start, format!("expected \"Flat\" or \"IVF<lists>\", got {first:?}"));
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
                    return fail(
                        start + 3,
                        format!("expected a number of lists from 1 to {MAX_NLIST}, got {size:?}"),
                    );
                }
            }
        };
        match parts.get(1) {
            None => fail(text.len(), "expected \",Flat\" after the number of lists, got the end".into()),
            Some((_, "Flat")) => match parts.get(2) {
                None => Ok(Self::Ivf { nlist }),
                Some((at, got)) => fail(*at, format!("expected nothing after \"Flat\", got {got:?}")),
            },
            Some((at, got)) => fail(*at, format!("expected \"Flat\", the one code so far, got {got:?}")),
        }
    }

    pub(crate) fn is_ivf(&self) -> bool {
        *self != Self::Flat
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat => f.write_str("Flat"),
            Self::Ivf { nlist: None } => f.write_str("IVF,Flat"),
            Self::Ivf { nlist: Some(nlist) } => write!(f, "IVF{nlist},Flat"),
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
        for text in ["Flat", "IVF1,Flat", "IVF1024,Flat", "IVF,Flat"] {
            assert_eq!(Description::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Description::parse(" IVF4k , Flat ").unwrap(), Description::Ivf { nlist: Some(4096) });
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
