//! Every kernel against the scalar oracle, over the shapes that hurt.

mod dot;
mod lookup;
mod tables;
mod tile;

use super::*;
use crate::element::{Element, Scalar, bf16, f16, with_element};

const ELEMENTS: [Element; 4] = [Element::F32, Element::F16, Element::Bf16, Element::U8];

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    use rand_xoshiro::rand_core::{RngCore, SeedableRng};
    let mut rng = rand_xoshiro::SplitMix64::seed_from_u64(seed);
    (0..count).map(|_| (rng.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

fn packed(seed: u64, dim: usize, count: usize) -> Vec<f32> {
    let rows = numbers(seed, dim * count);
    let mut packed = Vec::new();
    pack(&rows.chunks(dim).collect::<Vec<_>>(), dim, &mut packed);
    packed
}

/// Numbers as elements, in memory aligned for any.
fn held(element: Element, seed: u64, count: usize) -> Vec<u64> {
    let mut values = numbers(seed, count);
    if element == Element::U8 {
        values.iter_mut().for_each(|v| *v = v.abs() * 255.0);
    }
    with_element!(element, E => {
        let mut narrow = vec![<E as bytemuck::Zeroable>::zeroed(); count];
        let bytes: &[u8] = bytemuck::cast_slice(E::narrow(&values, &mut narrow));
        let mut held = vec![0; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut held)[..bytes.len()].copy_from_slice(bytes);
        held
    })
}

fn values(element: Element, held: &[u64]) -> Values<'_> {
    Values::of_bytes(element, bytemuck::cast_slice(held))
}

fn widened(values: Values<'_>) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    values.widen(&mut out);
    out
}

/// Bytes that look random.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    numbers(seed, count).iter().map(|v| v.to_bits().to_le_bytes()[1]).collect()
}
