//! Vectors as the words of a product quantizer.

use crate::backend::Product;
use crate::kernel::{Along, Kernels, LANES, Words, bitpack};

/// Fewest rows that are coded side by side: fewer leave too many lanes idle.
const FEWEST: usize = 4;

/// What turns vectors into words.
#[derive(Clone, Copy)]
pub(super) struct Coder<'a> {
    pub(super) kernels: &'static Kernels,
    pub(super) codes: Product<'a>,
    /// For inner products, the share of a vector's (or residual's) product with the vector's direction that its words
    /// are to keep; `None` = the nearest words are taken.
    pub(super) share: Option<f32>,
}

impl Coder<'_> {
    /// Writes rows as the codes of neighbouring lanes; see [`super::Encoder::encode`].
    pub(super) fn scatter(&self, list: usize, x: &[f32], rows: &[u32], out: &mut [u8], stride: usize) {
        let (dim, parts) = (self.codes.dim, self.codes.parts());
        let tables = &self.kernels.tables;
        let mut to = Lanes { bits: self.codes.bits, bytes: vec![0; self.codes.columns()], out, stride };
        let (mut vector, mut aims, mut numbers) = (vec![0.0; dim], vec![0.0; parts], vec![0; parts]);
        let each = rows.iter().map(|&row| &x[row as usize * dim..][..dim]).enumerate();
        let Some(share) = self.share else {
            each.for_each(|(lane, row)| {
                self.residual(list, row, &mut vector);
                tables.nearest(&self.codes.book, &vector, &mut numbers);
                to.put(lane, &numbers);
            });
            return;
        };
        let mut of_centroid = Vec::new();
        if let Some(centroid) = self.codes.centroid(list) {
            of_centroid.resize(self.codes.book.halves.len(), 0.0);
            tables.products(&self.codes.book, centroid, &mut of_centroid);
        }
        let along = Along { of_centroid: &of_centroid };
        if rows.len() < FEWEST {
            each.for_each(|(lane, row)| {
                self.residual(list, row, &mut vector);
                let scale = aim(row, &vector, share, &mut aims);
                tables.nearest_along(&self.codes.book, along, &vector, scale, &aims, &mut numbers);
                to.put(lane, &numbers);
            });
            return;
        }
        let words = Words { values: self.codes.words, halves: self.codes.book.halves };
        let mut all = SideBySide::new(dim, parts);
        for (block, rows) in rows.chunks(LANES).enumerate() {
            for (lane, &row) in rows.iter().enumerate() {
                let row = &x[row as usize * dim..][..dim];
                self.residual(list, row, &mut vector);
                let scale = aim(row, &vector, share, &mut aims);
                all.put(lane, &vector, scale, &aims);
            }
            let SideBySide { rows: vectors, scales, aims, numbers: found } = &mut all;
            tables.nearest_of_rows_along(&words, along, vectors, scales, aims, found);
            for lane in 0..rows.len() {
                #[expect(clippy::cast_possible_truncation, reason = "a part has 256 words at most")]
                numbers.iter_mut().zip(&*found).for_each(|(to, found)| *to = found[lane] as u8);
                to.put(block * LANES + lane, &numbers);
            }
        }
    }

    /// What of a row is coded.
    fn residual(&self, list: usize, row: &[f32], out: &mut [f32]) {
        match self.codes.centroid(list) {
            None => out.copy_from_slice(row),
            Some(centroid) => {
                let values = row.iter().zip(centroid).map(|(value, centroid)| value - centroid);
                out.iter_mut().zip(values).for_each(|(to, value)| *to = value);
            }
        }
    }
}

/// Tells 1 by the length of `row`, or 0 for 0, and writes what each part's product with its direction is to be: a share of
/// that of `vector`, what of the row is coded.
fn aim(row: &[f32], vector: &[f32], share: f32, aims: &mut [f32]) -> f32 {
    const WIDTH: usize = 8;
    let (chunks, rest) = row.as_chunks::<WIDTH>();
    let mut sums = [0f32; WIDTH];
    chunks.iter().for_each(|values| (0..WIDTH).for_each(|lane| sums[lane] += values[lane] * values[lane]));
    let square = sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>();
    let scale = if square > 0.0 { square.sqrt().recip() } else { 0.0 };
    let each = row.len() / aims.len();
    for (aim, (row, vector)) in aims.iter_mut().zip(row.chunks_exact(each).zip(vector.chunks_exact(each))) {
        *aim = share * scale * row.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
    }
    scale
}

/// Rows as kernels code them together.
struct SideBySide {
    /// `[dim][LANES]`.
    rows: Vec<[f32; LANES]>,
    scales: [f32; LANES],
    /// `[parts][LANES]`.
    aims: Vec<[f32; LANES]>,
    /// `[parts][LANES]`.
    numbers: Vec<[u32; LANES]>,
}

impl SideBySide {
    fn new(dim: usize, parts: usize) -> Self {
        Self {
            rows: vec![[0.0; LANES]; dim],
            scales: [0.0; LANES],
            aims: vec![[0.0; LANES]; parts],
            numbers: vec![[0; LANES]; parts],
        }
    }

    fn put(&mut self, lane: usize, vector: &[f32], scale: f32, aims: &[f32]) {
        self.rows.iter_mut().zip(vector).for_each(|(to, &value)| to[lane] = value);
        self.scales[lane] = scale;
        self.aims.iter_mut().zip(aims).for_each(|(to, &aim)| to[lane] = aim);
    }
}

/// Neighbouring lanes of a block.
struct Lanes<'a> {
    bits: u32,
    /// A lane's.
    bytes: Vec<u8>,
    out: &'a mut [u8],
    stride: usize,
}

impl Lanes<'_> {
    fn put(&mut self, lane: usize, numbers: &[u8]) {
        bitpack::pack(self.bits, numbers, &mut self.bytes);
        for (column, &byte) in self.bytes.iter().enumerate() {
            self.out[column * self.stride + lane] = byte;
        }
    }
}
