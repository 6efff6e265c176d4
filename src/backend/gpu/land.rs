//! A round under way, and what it found once it is done.

use std::time::Instant;

use super::encode::NONE;
use super::engine::Engine;
use super::exact::Candidate;
use super::health::Outcome;
use super::round::Round;
use super::scratch::Use;
use super::staging::Mapped;

/// A round whose work was handed to the device.
pub(super) struct Flight {
    pub(super) round: Round,
    /// Room for so many hits.
    pub(super) hits: usize,
    /// Words that are read back behind them.
    pub(super) behind: usize,
    /// Lanes that it scans.
    pub(super) lanes: usize,
    /// Where its results can be read; `None` = it had nothing to do.
    pub(super) submitted: Option<(wgpu::SubmissionIndex, Use)>,
    pub(super) started: Instant,
}

/// What a round found.
pub(super) struct Landed {
    pub(super) round: Round,
    /// A summary of each row (how many hits, the last key of them), then the hits (key, where in the row), and what else
    /// was asked for behind them.
    words: Option<Mapped>,
    hits: usize,
}

/// `UNORDERED` in rows.wgsl.
const UNORDERED: u32 = 1 << 31;

impl Flight {
    /// Waits for it.
    pub(super) fn land(self, engine: &Engine) -> Outcome<Landed> {
        let mut mapped = None;
        if let Some((index, back)) = self.submitted {
            engine.wait(index)?;
            let words = 2 * (self.round.rows.len() + self.hits) + self.behind;
            let bytes = words * size_of::<u32>();
            mapped = Some(engine.mapped(back, bytes as u64)?);
        }
        Ok(Landed { round: self.round, words: mapped, hits: self.hits })
    }
}

impl Landed {
    /// Adds what was found for `query` to `candidates`. The last key of it, if that is not all that there is: what was
    /// left out is no better.
    pub(super) fn add(&self, query: usize, candidates: &mut Vec<Candidate>) -> Option<u32> {
        let number = self.round.row_of(query)?;
        let (row, asked) = (&self.round.rows[number], &self.round.asked[number]);
        let begin = 2 * (self.round.rows.len() + asked.place as usize);
        let (hits, bar) = hits_of(self.words(), number, begin, asked.wanted);
        candidates.extend(hits.chunks_exact(2).map(|hit| {
            let (list, slot) = self.round.locate(row, hit[1]);
            Candidate { list, slot, key: hit[0] }
        }));
        bar
    }

    fn words(&self) -> &[u32] {
        bytemuck::cast_slice(self.words.as_deref().unwrap_or_default())
    }

    /// Whether the hits of row `number` come best first.
    pub(super) fn is_ordered(&self, number: usize) -> bool {
        self.words()[2 * number] & UNORDERED == 0
    }

    /// What was read back behind the hits.
    pub(super) fn behind(&self) -> &[u32] {
        &self.words()[2 * (self.round.rows.len() + self.hits)..]
    }
}

/// The hits of row `number`, which begin at `begin`, two words each, at most `wanted`; the last key of them, if that is not
/// all that there is.
pub(super) fn hits_of(words: &[u32], number: usize, begin: usize, wanted: u32) -> (&[u32], Option<u32>) {
    let (count, bar) = ((words[2 * number] & !UNORDERED).min(wanted) as usize, words[2 * number + 1]);
    (&words[begin..][..2 * count], (bar != NONE).then_some(bar))
}
