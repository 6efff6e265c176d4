//! Index strings, as faiss writes them: `Flat`, `IVF1024,Flat`, `OPQ16_64,IVF4096,PQ16x4fs,RFlat`.

mod ast;
mod parse;

pub(crate) use ast::{Code, Description, ListsSpec, ProductScan, Transform as TransformSpec};

use crate::error::{Error, Result};

impl Description {
    /// Reads an index string of which every part is built.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (description, places) = parse::parse(text)?;
        match description.unbuilt(&places) {
            None => Ok(description),
            Some((position, part)) => Err(Error::Unsupported(format!(
                "index string {text:?}: at position {position}: {part} is not supported by this version"
            ))),
        }
    }

    /// The first part that is not built, and where it stands.
    fn unbuilt(&self, places: &parse::Places) -> Option<(usize, String)> {
        let refine = self.refine.filter(|code| matches!(code, Code::Product { .. } | Code::RaBitQ { .. }));
        refine.map(|code| (places.refine, format!("refining with {code}")))
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
mod tests;
