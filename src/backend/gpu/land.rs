//! A round under way, and what it found once it is done.

use std::time::Instant;

use super::device::{Engine, Outcome};
use super::encode::NONE;
use super::exact::Candidate;
use super::round::Round;
use super::scratch::Use;
use super::staging::Mapped;

/// A round whose work was handed to the device.
pub(super) struct Flight {
    pub(super) round: Round,
    /// Room for so many hits.
    pub(super) hits: usize,
    /// Where its results can be read; `None` = it had nothing to do.
    pub(super) submitted: Option<(wgpu::SubmissionIndex, Use)>,
    pub(super) started: Instant,
}

/// What a round found.
pub(super) struct Landed {
    pub(super) round: Round,
    /// A summary of each row (how many hits, the last key of them), then the hits (key, where in the row).
    words: Option<Mapped>,
}

impl Flight {
    /// Waits for it.
    pub(super) fn land(self, engine: &Engine) -> Outcome<Landed> {
        let mut words = None;
        if let Some((index, back)) = self.submitted {
            engine.wait(index)?;
            let bytes = 2 * (self.round.rows.len() + self.hits) * size_of::<u32>();
            words = Some(engine.mapped(back, bytes as u64)?);
        }
        Ok(Landed { round: self.round, words })
    }
}

impl Landed {
    /// Adds what was found for `query` to `candidates`. The last key of it, if that is not all that there is: what was
    /// left out is no better.
    pub(super) fn add(&self, query: usize, candidates: &mut Vec<Candidate>) -> Option<u32> {
        let number = self.round.row_of(query)?;
        let (row, asked) = (&self.round.rows[number], &self.round.asked[number]);
        let words: &[u32] = bytemuck::cast_slice(self.words.as_deref().unwrap_or_default());
        let (count, bar) = (words[2 * number].min(asked.wanted) as usize, words[2 * number + 1]);
        let begin = 2 * (self.round.rows.len() + asked.place as usize);
        candidates.extend(words[begin..][..2 * count].chunks_exact(2).map(|hit| {
            let (list, slot) = self.round.locate(row, hit[1]);
            Candidate { list, slot, key: hit[0] }
        }));
        (bar != NONE).then_some(bar)
    }
}
