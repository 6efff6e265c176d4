//! Codes of a product quantizer as a scan sees them (Jégou et al., PAMI 2011): a vector, or its residual from the
//! list's centroid, is cut into parts, and of each part the nearest word of the part's codebook is held.
//!
//! With `v = c + p` both metrics need of a query `q` only `<q, c> + <q, p>`, for `|q - v|^2 = |q|^2 - 2 <q, v> + |v|^2`
//! and the last is a lane's bias. `<q, p>` adds up what the parts of the query give with the words: tables that no list
//! changes, made once a query. Fast scan rounds them to bytes, which are looked up in registers; what that rounds is
//! small beside the error of the codes.

use super::ListView;
use crate::element::Values;
use crate::kernel::{Book, ENTRIES, Kernels, Steps, bitpack};
use crate::lists::block::locate;

/// What codes stand for.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) dim: usize,
    /// Of a code, 4 or 8; a vector's are packed by [`bitpack`].
    pub(crate) bits: u32,
    /// Whether tables are rounded to bytes.
    pub(crate) fast: bool,
    /// Word after word, `[parts][words][dim / parts]`.
    pub(crate) words: &'a [f32],
    /// The same as kernels read them.
    pub(crate) book: Book<'a>,
    /// `[nlist, dim]`, where codes are of residuals.
    pub(crate) centroids: Option<&'a [f32]>,
}

impl<'a> Product<'a> {
    pub(crate) fn parts(&self) -> usize {
        self.book.halves.len() / self.book.words
    }

    /// Bytes of a vector.
    pub(crate) fn columns(&self) -> usize {
        bitpack::columns(self.parts(), self.bits)
    }

    /// That of a list; `None` where codes are not of residuals.
    pub(crate) fn centroid(&self, list: usize) -> Option<&'a [f32]> {
        self.centroids.map(|centroids| &centroids[list * self.dim..(list + 1) * self.dim])
    }

    /// The word that a code of a part stands for.
    pub(crate) fn word(&self, part: usize, code: u8) -> &'a [f32] {
        let each = self.dim / self.parts();
        &self.words[(part * self.book.words + usize::from(code)) * each..][..each]
    }

    /// The vector in `slot` of list number `list`, value by value.
    pub(crate) fn values<'v>(
        &self,
        view: &ListView<'v>,
        list: usize,
        slot: usize,
    ) -> impl Iterator<Item = f32> + use<'a, 'v> {
        let (base, stride) = locate(slot, view.bias.len(), self.columns());
        let Values::U8(codes) = view.vectors else { unreachable!("invariant: codes are bytes") };
        let centroid = self.centroid(list).unwrap_or(&[]);
        let codes = self.clone_parts().map(move |(codec, part)| {
            codec.word(part, bitpack::code(codec.bits, part, |column| codes[base + column * stride]))
        });
        codes.flatten().enumerate().map(move |(d, &value)| centroid.get(d).map_or(value, |c| c + value))
    }

    /// Each part, with what codes stand for.
    fn clone_parts(&self) -> impl Iterator<Item = (Self, usize)> + use<'a> {
        let codec = *self;
        (0..codec.parts()).map(move |part| (codec, part))
    }

    /// Bytes of a query's tables.
    pub(super) fn table_bytes(&self) -> usize {
        if self.fast { self.byte_entries() } else { size_of_val(self.book.halves) }
    }

    /// Entries of a query's tables of bytes.
    fn byte_entries(&self) -> usize {
        self.columns() * 2 * ENTRIES
    }
}

/// The tables of some queries.
#[derive(Default)]
pub(crate) struct Tables {
    /// Of each query `[parts][words]`; of the last one alone if they are rounded.
    floats: Vec<f32>,
    /// Of each query `[columns][2][ENTRIES]`.
    bytes: Vec<u8>,
    /// What sums of bytes stand for.
    steps: Vec<Steps>,
    /// The most that the terms of a query's sum can add up to, in size.
    reaches: Vec<f32>,
}

impl Tables {
    /// Makes the tables of `queries` (`[n, dim]`), in place of all others.
    pub(super) fn fill(&mut self, kernels: &Kernels, codes: &Product<'_>, queries: &[f32]) {
        let entries = codes.book.halves.len();
        self.steps.clear();
        self.reaches.clear();
        let queries = queries.chunks_exact(codes.dim);
        if codes.fast {
            self.floats.resize(entries, 0.0);
            self.bytes.resize(queries.len() * codes.byte_entries(), 0);
            for (query, bytes) in queries.zip(self.bytes.chunks_exact_mut(codes.byte_entries())) {
                kernels.tables.products(&codes.book, query, &mut self.floats);
                self.steps.push(kernels.tables.quantize(&self.floats, bytes));
            }
            return;
        }
        self.floats.resize(queries.len() * entries, 0.0);
        for (query, tables) in queries.zip(self.floats.chunks_exact_mut(entries)) {
            kernels.tables.products(&codes.book, query, tables);
            self.steps.push(Steps::default());
            let largest = |table: &[f32]| table.iter().fold(0f32, |most, value| most.max(value.abs()));
            self.reaches.push(tables.chunks_exact(codes.book.words).map(largest).sum());
        }
    }

    /// The tables of all queries.
    #[cfg(feature = "gpu")]
    pub(super) fn all(&self, codes: &Product<'_>) -> &[u8] {
        if codes.fast { &self.bytes } else { bytemuck::cast_slice(&self.floats) }
    }

    pub(super) fn steps(&self, query: usize) -> Steps {
        self.steps[query]
    }

    pub(super) fn bytes(&self, codes: &Product<'_>, query: usize) -> &[u8] {
        let entries = codes.byte_entries();
        &self.bytes[query * entries..(query + 1) * entries]
    }

    pub(super) fn floats(&self, codes: &Product<'_>, query: usize) -> &[f32] {
        let entries = codes.book.halves.len();
        &self.floats[query * entries..(query + 1) * entries]
    }

    pub(super) fn reach(&self, query: usize) -> f32 {
        self.reaches[query]
    }
}
