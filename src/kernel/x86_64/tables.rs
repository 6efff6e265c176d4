//! Tables of product quantizers by AVX2, for AVX-512 too.
#![expect(
    unsafe_code,
    reason = "functions of an instruction set; entered only through kernels that `detect` hands out"
)]

use crate::kernel::TileOutput;
use crate::kernel::lookup::Steps;
use crate::kernel::tables::{self, Book, SumInput, Tables};

pub(super) const TABLES: Tables = Tables {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2.
    products: |book, query, out| unsafe { products(book, query, out) },
    // SAFETY: as above.
    quantize: |tables, out| unsafe { quantize(tables, out) },
    // SAFETY: as above.
    nearest: |book, vector, codes| unsafe { nearest(book, vector, codes) },
    // SAFETY: as above.
    add_up: |input, query, output| unsafe { add_up(input, query, output) },
};

#[target_feature(enable = "avx2")]
unsafe fn products(book: &Book<'_>, query: &[f32], out: &mut [f32]) {
    tables::products(book, query, out);
}

#[target_feature(enable = "avx2")]
unsafe fn quantize(tables: &[f32], out: &mut [u8]) -> Steps {
    tables::quantize(tables, out)
}

#[target_feature(enable = "avx2")]
unsafe fn nearest(book: &Book<'_>, vector: &[f32], codes: &mut [u8]) {
    tables::nearest(book, vector, codes);
}

#[target_feature(enable = "avx2")]
unsafe fn add_up(input: SumInput<'_>, query: usize, output: &mut TileOutput) -> bool {
    tables::add_up(input, query, output)
}
