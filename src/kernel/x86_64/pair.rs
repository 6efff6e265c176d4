//! Single rows by AVX2 and by AVX-512.
#![expect(
    unsafe_code,
    reason = "functions of an instruction set; entered only through kernels that `detect` hands out"
)]

use crate::kernel::pair::{self, Coded, Pairs, ROWS};

/// Those of AVX2.
pub(super) const AVX2: Pairs = Pairs {
    in_order,
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2.
    product: |a, b| unsafe { product_avx2(a, b) },
    // SAFETY: as above.
    difference: |a, b| unsafe { difference_avx2(a, b) },
    // SAFETY: as above.
    decode: |row, out| unsafe { decode_avx2(row, out) },
};

/// Those of AVX-512.
pub(super) const AVX512: Pairs = Pairs {
    in_order,
    // SAFETY: the kernels are only reached through `detect`, which saw AVX-512F.
    product: |a, b| unsafe { product_avx512(a, b) },
    // SAFETY: as above.
    difference: |a, b| unsafe { difference_avx512(a, b) },
    // SAFETY: as above.
    decode: |row, out| unsafe { decode_avx512(row, out) },
};

/// One number a register: wider ones would not serve a sum that is in order.
fn in_order(query: &[f32], rows: &[&[f32]; ROWS], scores: &mut [f32; ROWS]) {
    // SAFETY: both kernels are only reached through `detect`, which saw FMA, or AVX-512F, which has it.
    unsafe { in_order_fused(query, rows, scores) }
}

#[target_feature(enable = "avx2,fma")]
unsafe fn in_order_fused(query: &[f32], rows: &[&[f32]; ROWS], scores: &mut [f32; ROWS]) {
    pair::in_order(query, rows, scores, f32::mul_add);
}

#[target_feature(enable = "avx2")]
unsafe fn product_avx2(a: &[f32], b: &[f32]) -> f32 {
    pair::product(a, b)
}

#[target_feature(enable = "avx2")]
unsafe fn difference_avx2(a: &[f32], b: &[f32]) -> f32 {
    pair::difference(a, b)
}

#[target_feature(enable = "avx512f")]
unsafe fn product_avx512(a: &[f32], b: &[f32]) -> f32 {
    pair::product(a, b)
}

#[target_feature(enable = "avx512f")]
unsafe fn difference_avx512(a: &[f32], b: &[f32]) -> f32 {
    pair::difference(a, b)
}

#[target_feature(enable = "avx2")]
unsafe fn decode_avx2(row: Coded<'_>, out: &mut [f32]) {
    pair::decode(row, out);
}

#[target_feature(enable = "avx512f")]
unsafe fn decode_avx512(row: Coded<'_>, out: &mut [f32]) {
    pair::decode(row, out);
}
