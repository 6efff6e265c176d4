//! The codebooks of a product quantizer while a rotation for them is learnt: they follow the rows that it turns.

use super::Training;
use crate::context::Context;
use crate::error::Result;
use crate::kmeans::{KMeansOptions, Purpose, cluster, improve};
use crate::matrix::MatrixRef;
use crate::progress::{Cancel, Control};
use crate::rows::RowsRef;

/// Steps of k-means before the first rotation, beside the one that comes before each.
const FIRST_STEPS: usize = 10;

/// A codebook for each part, and what they are found with.
pub(super) struct Books<'a> {
    context: &'a Context,
    workers: usize,
    seed: u64,
    cancel: Cancel<'a>,
    words: usize,
    part: usize,
    books: Vec<Book>,
}

/// The codebook of a part.
#[derive(Clone, Default)]
struct Book {
    /// `[words, part]`; empty before the first step.
    words: Vec<f32>,
    /// The word of each row, `[rows]`.
    codes: Vec<u8>,
    /// The mean squared distance of the rows' part from their words, as the last step met them.
    error: f64,
}

impl<'a> Books<'a> {
    /// Without words yet, for `m` parts of `part` dimensions.
    pub(super) fn new(training: &Training<'a, '_>, m: usize, part: usize) -> Self {
        Self {
            context: training.context,
            workers: training.workers,
            seed: training.seed,
            cancel: training.control.cancel(),
            words: training.words,
            part,
            books: vec![Book::default(); m],
        }
    }

    /// Moves the words towards rows (`[count, dim]`) by a step of k-means, the first time by some more, and codes the rows.
    /// Tells the mean squared error that the last step met.
    pub(super) fn fit(&mut self, rows: &[f32], count: usize) -> Result<f64> {
        let y = MatrixRef::new("training rows", rows, count, self.dim())?;
        let mut books = std::mem::take(&mut self.books);
        // Many parts are small: each is one worker's. Of a few, all work on each.
        let few = books.len() < self.workers;
        let (takers, threads) = if few { (1, self.workers) } else { (self.workers, 1) };
        let jobs = books.iter_mut().enumerate();
        self.context.each(takers, jobs, &|(number, book)| self.step(y, number, threads, book))?;
        self.books = books;
        Ok(self.books.iter().map(|book| book.error).sum())
    }

    /// Columns of rows.
    fn dim(&self) -> usize {
        self.books.len() * self.part
    }

    /// Moves the words of a part and codes the rows by them.
    fn step(&self, y: MatrixRef<'_>, number: usize, threads: usize, book: &mut Book) -> Result<()> {
        let control = Control::of(self.cancel);
        control.check()?;
        let own = number * self.part..(number + 1) * self.part;
        let rows: Vec<f32> =
            y.data().chunks_exact(y.dim()).flat_map(|row| &row[own.clone()]).copied().collect();
        let x = RowsRef::from(MatrixRef::new("training rows", &rows, y.rows(), self.part)?);
        if book.words.is_empty() {
            let options = KMeansOptions {
                threads,
                iterations: FIRST_STEPS,
                seed: self.seed,
                max_points_per_centroid: usize::MAX,
                ..KMeansOptions::default()
            };
            book.words = cluster(self.context, x, self.words, &options, Purpose::Words, &control)?.centroids;
        }
        let (labels, error) = improve(self.context, x, &mut book.words, threads, &control)?;
        book.codes.clear();
        #[expect(clippy::cast_possible_truncation, reason = "a part has 256 words at most")]
        book.codes.extend(labels.iter().map(|&label| label as u8));
        book.error = error;
        Ok(())
    }

    /// What the codes of the rows stand for, `[rows, dim]`.
    pub(super) fn decoded(&self) -> Result<Vec<f32>> {
        const ROWS: usize = 1024;
        let (dim, part) = (self.dim(), self.part);
        let mut decoded = vec![0f32; self.books[0].codes.len() * dim];
        let jobs = (0..).step_by(ROWS).zip(decoded.chunks_mut(ROWS * dim));
        self.context.each(self.workers, jobs, &|(first, rows): (usize, &mut [f32])| {
            for (number, book) in self.books.iter().enumerate() {
                for (row, &code) in rows.chunks_exact_mut(dim).zip(&book.codes[first..]) {
                    let word = &book.words[usize::from(code) * part..][..part];
                    row[number * part..(number + 1) * part].copy_from_slice(word);
                }
            }
            Ok(())
        })?;
        Ok(decoded)
    }
}
