//! The second stage of a search: the best by their codes are compared again with better rows.
//!
//! Rows are kept in the order of the lists' slots, as they came in: before the transforms, normalised for cosine. So
//! the first stage tells places, no id is looked up, and distances are those of the vectors themselves. As in faiss's
//! `IndexRefine` (Jegou et al., Searching in one billion vectors: re-rank with source coding, 2011).

use std::sync::Arc;

use super::search::Request;
use super::stats::Clock;
use super::{Index, SearchOptions, SearchOutput};
use crate::backend::workspace::Workspace;
use crate::backend::{self, Codes, Rounded};
use crate::codec::{Codec, Scalar};
use crate::error::{Error, Result};
use crate::factory::{Code, Description};
use crate::output::TopKSink;
use crate::progress::Control;
use crate::rows::RowsRef;

/// Candidates that a step of a search may have: 64 MiB.
pub(super) const CANDIDATES: usize = 1 << 22;

/// Candidates beyond k where nobody says how many: half of a small k is too few. The 3 nearest of word vectors behind 8
/// bits are found in 4 candidates at 99.5 %, in 6 at 99.97 %.
const SPARE: usize = 3;

/// What a description keeps rows in, not trained.
pub(super) fn codec(description: &Description) -> Option<Codec> {
    Some(match description.refine? {
        Code::Plain(element) => Codec::Plain(element),
        Code::Scalar { bits } => Codec::Scalar(Scalar::new(bits, false)),
        Code::Product { .. } | Code::RaBitQ { .. } => unreachable!("invariant: `parse` refuses other codes"),
    })
}

impl Index {
    /// What rows are kept in, as `x` (`[n, dim]`) trains it.
    pub(super) fn trained_refine(
        &self,
        x: RowsRef<'_>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<Option<Arc<Codec>>> {
        match self.refine.as_deref() {
            Some(Codec::Scalar(scalar)) => {
                self.check_finite(x, "training rows", threads, control)?;
                let codec = self.trained_scalar(scalar, self.measured(x), None, threads, control)?;
                Ok(Some(Arc::new(codec)))
            }
            _ => Ok(self.refine.clone()),
        }
    }

    /// Fails unless the index can search with this factor, or, in `a_search`, with any number of candidates.
    pub(super) fn check_k_factor(&self, k_factor: f32, a_search: bool) -> Result<()> {
        if self.refine.is_none() {
            return self.check_no_k_factor(
                k_factor,
                &format!("\"{}\" does not end in a refinement such as \"RFlat\"", self.description),
            );
        }
        if k_factor == 0.0 || (k_factor >= 1.0 && (a_search || k_factor.is_finite())) {
            return Ok(());
        }
        let all = if a_search { ", infinity for all candidates" } else { "" };
        Err(Error::argument(format!(
            "k_factor: expected 1 or more{all}, or 0 for the default, got {k_factor}"
        )))
    }

    /// Fails if a factor is given where there is no use for one.
    pub(super) fn check_no_k_factor(&self, k_factor: f32, why: &str) -> Result<()> {
        if k_factor == 0.0 {
            return Ok(());
        }
        Err(Error::argument(format!("k_factor: expected 0, for {why}, got {k_factor}")))
    }

    /// What `k_factor = 0` means where there is a refinement.
    pub(super) fn default_k_factor(&self) -> f32 {
        if self.k_factor != 0.0 {
            return self.k_factor;
        }
        self.usual_k_factor()
    }

    /// How many times k candidates the codes want for good results.
    pub(super) fn usual_k_factor(&self) -> f32 {
        match self.bits() {
            8.. => 1.5,
            4.. => 4.0,
            _ => 10.0,
        }
    }

    /// Bits of a code for each dimension.
    pub(super) fn bits(&self) -> usize {
        8 * self.codec.row_bytes(self.dim) / self.dim
    }

    fn k_factor(&self, options: &SearchOptions<'_>) -> f32 {
        if options.k_factor == 0.0 { self.default_k_factor() } else { options.k_factor }
    }

    /// How many candidates beyond k a search asks for, at least.
    fn spare(&self, options: &SearchOptions<'_>) -> usize {
        if options.k_factor == 0.0 && self.k_factor == 0.0 { SPARE } else { 0 }
    }

    /// How many candidates a search for `k` asks for.
    fn asked(&self, k: usize, options: &SearchOptions<'_>) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "in float32 and cut off, as faiss does; what is too large is cut to the vectors there are"
        )]
        let candidates = (k as f32 * self.k_factor(options)) as usize;
        candidates.max(k.saturating_add(self.spare(options))).min(self.count)
    }

    /// Whether all vectors are asked for, and bounds tell which of them need not be compared.
    fn is_bounded(&self, k: usize, options: &SearchOptions<'_>) -> bool {
        let all = self.k_factor(options) == f32::INFINITY;
        self.asked(k, options) == self.count && k < self.count && self.has_bounds(all)
    }

    /// How many candidates a search for `k` compares again, to begin with. Where there are copies both of a vector count.
    fn candidates(&self, k: usize, options: &SearchOptions<'_>) -> usize {
        let asked = self.asked(k, options);
        if self.is_bounded(k, options) {
            self.first_candidates(k).min(asked)
        } else if self.lists.copies.is_none() {
            asked
        } else if asked == self.count {
            asked.saturating_mul(2)
        } else {
            asked.max(2 * k.min(self.count))
        }
    }

    /// How many queries a step may have for its candidates.
    pub(super) fn most_refined(&self, k: usize, options: &SearchOptions<'_>) -> usize {
        match &self.refine {
            Some(_) => (CANDIDATES / self.candidates(k, options).max(1)).max(1),
            None => usize::MAX,
        }
    }

    /// A search in two stages; `codec` = what rows are kept in.
    pub(super) fn search_in_stages(
        &self,
        codec: &Codec,
        request: &Request<'_>,
        options: &SearchOptions<'_>,
        output: SearchOutput<'_>,
        control: &Control<'_>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let &Request { k, queries, .. } = request;
        let most = self.candidates(k, options);
        let cancel = control.cancel();
        let mut room = std::mem::take(&mut workspace.candidates);
        let mut clock = Clock::start(options.stats);
        let mut job = self.job(request, options, cancel, workspace, &mut clock)?;
        // What rounding moves is made up for by candidates to spare.
        let rounded = if most > k { self.rounded() } else { None };
        if let Some(rounded) = rounded {
            job.codes = Codes::Rounded(rounded);
        }
        let sink = TopKSink::new(self.metric, k, output);
        if self.is_bounded(k, options) {
            self.search_exactly(codec, queries, job, (k, most), &mut room, &sink, &mut clock)?;
        } else {
            room.clear(job.count, most)?;
            backend::scan_best(&self.context, &job, most, &room.sink())?;
            clock.lap(|stats| &mut stats.scan_ns);
            self.rerank_best(codec, queries, &mut room, &job, k, &sink)?;
            clock.lap(|stats| &mut stats.refine_ns);
        }
        workspace.candidates = room;
        Ok(())
    }

    /// The codes as the first stage scans them, where it rounds queries.
    pub(super) fn rounded(&self) -> Option<Rounded<'_>> {
        match &*self.codec {
            Codec::Scalar(scalar) if self.refine.is_some() => {
                Rounded::new(scalar.affine(self.coarse_centroids()), scalar.centre(), self.metric)
            }
            _ => None,
        }
    }
}
