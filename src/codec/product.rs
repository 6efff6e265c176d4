//! The product quantizer of 4 or 8 bits a part, as in faiss (`ProductQuantizer`): the codebook of each part by k-means
//! over the parts of the training rows. What codes stand for, and how they are searched, is told in
//! [`crate::backend::Product`].

use std::sync::{Mutex, PoisonError};

use crate::backend;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernel::{Book, bitpack};
use crate::kmeans::{KMeansOptions, Purpose, cluster};
use crate::lists::block::BLOCK;
use crate::matrix::MatrixRef;
use crate::progress::Control;

/// Most parts whose sums of bytes are fine enough; beyond, tables are floats.
const MOST_FAST: usize = 1 << 12;

/// Rows that codebooks are trained on at most, in all and for each word. For 8 bits as many as faiss uses; for 4 bits
/// four times as many, which loses less and is still a moment's work.
const ROWS: (usize, usize) = (1 << 16, 1 << 10);

/// A product quantizer, trained or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub(crate) dim: usize,
    pub(crate) parts: usize,
    /// Of a code: 4 or 8.
    pub(crate) bits: u32,
    /// Whether the lists hold residuals from their centroids.
    pub(crate) by_residual: bool,
    /// Whether scores are looked up in tables of bytes.
    pub(crate) fast: bool,
    /// `[parts][words][dim / parts]`; empty before training.
    words: Vec<f32>,
    /// `[parts][dim / parts][words]`.
    book: Vec<f32>,
    /// Half the squared length of each word, `[parts][words]`.
    halves: Vec<f32>,
    /// The share of the squared length that codes lose of what the words were trained with, which inner products are
    /// coded by; `None` for words of others, behind which a vector is coded by the nearest ones.
    pub(crate) lost: Option<f32>,
}

impl Product {
    /// One that is not trained; `parts` divides `dim`.
    pub(crate) fn new(dim: usize, parts: usize, bits: u32, by_residual: bool, fast: bool) -> Self {
        let (words, book, halves) = Default::default();
        Self {
            dim,
            parts,
            bits,
            by_residual,
            fast: fast && parts <= MOST_FAST,
            words,
            book,
            halves,
            lost: None,
        }
    }

    /// Words of a part.
    pub(crate) fn count(&self) -> usize {
        1 << self.bits
    }

    /// The words, `[parts][count][dim / parts]`, or nothing before training.
    pub(crate) fn words(&self) -> &[f32] {
        &self.words
    }

    /// The same with these words (`[parts][count][dim / parts]`, finite) and the share that they lose, if known.
    pub(crate) fn with_words(&self, words: Vec<f32>, lost: Option<f32>) -> Self {
        let (count, each) = (self.count(), self.dim / self.parts);
        let mut book = vec![0.0; words.len()];
        for (words, book) in words.chunks_exact(count * each).zip(book.chunks_exact_mut(count * each)) {
            for (number, word) in words.chunks_exact(each).enumerate() {
                for (row, &value) in book.chunks_exact_mut(count).zip(word) {
                    row[number] = value;
                }
            }
        }
        let half = |word: &[f32]| 0.5 * word.iter().map(|value| value * value).sum::<f32>();
        let halves = words.chunks_exact(each).map(half).collect();
        Self { words, book, halves, lost, ..*self }
    }

    /// The same without words.
    pub(crate) fn untrained(&self) -> Self {
        Self::new(self.dim, self.parts, self.bits, self.by_residual, self.fast)
    }

    /// The same for codes of residuals, or not.
    pub(crate) fn of_residuals(self, by_residual: bool) -> Self {
        Self { by_residual, ..self }
    }

    /// Whether codes of one are codes of the other, however they were found.
    pub(crate) fn reads(&self, other: &Self) -> bool {
        *self == Self { lost: self.lost, ..other.clone() }
    }

    pub(crate) fn is_trained(&self) -> bool {
        !self.words.is_empty()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        2 * size_of_val(&self.words[..]) + size_of_val(&self.halves[..])
    }

    /// Bytes of a vector.
    pub(crate) fn columns(&self) -> usize {
        bitpack::columns(self.parts, self.bits)
    }

    /// What codes stand for; `centroids` (`[nlist, dim]`) count if the codes are of residuals.
    pub(crate) fn view<'a>(&'a self, centroids: Option<&'a [f32]>) -> backend::Product<'a> {
        backend::Product {
            dim: self.dim,
            bits: self.bits,
            fast: self.fast,
            words: &self.words,
            book: Book { words: self.count(), values: &self.book, halves: &self.halves },
            centroids: centroids.filter(|_| self.by_residual),
        }
    }

    /// How many rows it is worth while to train with.
    pub(crate) fn training_rows(&self) -> usize {
        ROWS.0.min(ROWS.1 * self.count())
    }

    /// The same as `x` trains it: rows, or residuals.
    pub(crate) fn trained(
        &self,
        context: &Context,
        x: MatrixRef<'_>,
        workers: usize,
        seed: u64,
        control: &Control<'_>,
    ) -> Result<Self> {
        let (count, each) = (self.count(), self.dim / self.parts);
        if x.rows() < count {
            return Err(Error::TooFewPoints { expected: count, got: x.rows() });
        }
        let mut words = vec![0.0; self.parts * count * each];
        let mut errors = vec![0.0; self.parts];
        let jobs = Mutex::new(words.chunks_exact_mut(count * each).zip(&mut errors).enumerate());
        let (failure, cancel) = (Mutex::new(None), control.cancel());
        // Many parts are small: each is one worker's. Of a few, all work on each.
        let (takers, threads) = if self.parts < workers { (1, workers) } else { (workers, 1) };
        context.parallel(takers, &|_| {
            let mut rows = Vec::new();
            loop {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((part, (words, error))) = next.filter(|_| !cancel.is_set()) else { break };
                rows.clear();
                rows.extend(
                    x.data().chunks_exact(self.dim).flat_map(|row| &row[part * each..(part + 1) * each]),
                );
                let options = KMeansOptions {
                    threads,
                    seed,
                    max_points_per_centroid: usize::MAX,
                    ..KMeansOptions::default()
                };
                let found = MatrixRef::new("training rows", &rows, x.rows(), each).and_then(|x| {
                    let control = Control::of(cancel);
                    cluster(context, x.into(), count, &options, Purpose::Words, &control)
                });
                match found {
                    Ok(found) => {
                        words.copy_from_slice(&found.centroids);
                        *error = found.objective;
                    }
                    Err(error) => {
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        break;
                    }
                }
            }
        })?;
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)?;
        control.check()?;
        Ok(self.with_words(words, share_of(errors.iter().sum(), x)))
    }
}

/// The share that a mean squared error is of the rows' squared lengths.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a share; of few rows")]
fn share_of(error: f64, x: MatrixRef<'_>) -> Option<f32> {
    let squares = x.data().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    let share = error * x.rows() as f64 / squares;
    share.is_finite().then_some(share.clamp(0.0, 1.0) as f32)
}
/// The squared length of what each lane's codes stand for, in list number `list`.
pub(super) fn squares(codes: &backend::Product<'_>, list: usize, block: &[u8], out: &mut [f32]) {
    let centroid = codes.centroid(list);
    let each = codes.dim / codes.parts();
    let mut numbers = [0; BLOCK];
    let numbers = &mut numbers[..out.len()];
    out.fill(0.0);
    for part in 0..codes.parts() {
        bitpack::unpack_row(codes.bits, part, block, numbers);
        let lanes = out.iter_mut().zip(&*numbers);
        match centroid {
            None => {
                let halves = &codes.book.halves[part * codes.book.words..][..codes.book.words];
                lanes.for_each(|(sum, &code)| *sum += 2.0 * halves[usize::from(code)]);
            }
            Some(centroid) => {
                let centroid = &centroid[part * each..(part + 1) * each];
                for (sum, &code) in lanes {
                    let values = codes.word(part, code).iter().zip(centroid);
                    let values = values.map(|(value, centroid)| value + centroid);
                    *sum += values.map(|value| value * value).sum::<f32>();
                }
            }
        }
    }
}
