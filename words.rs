//! The words that are nearest to rows, by rows side by side: how the words of a product quantizer are found.
//!
//! Written once, without intrinsics, to be inlined where an instruction set is enabled. Products and sums are rounded
//! apart and in one order: all instruction sets give the same bits.

/// Rows whose nearest words are found side by side.
pub(crate) const LANES: usize = 16;

/// Some words, one after another.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    /// `[words][dim]`.
    pub(crate) values: &'a [f32],
    /// Half the squared length of each; `[words]`.
    pub(crate) halves: &'a [f32],
}

/// See [`Tables::nearest_of_rows`].
pub(crate) type NearestOfRowsFn = fn(&Words<'_>, &[[f32; LANES]], &mut [u32; LANES], &mut [f32; LANES]);

/// See [`Tables::nearest_of_rows`].
#[inline(always)]
pub(crate) fn nearest_of_rows(
    words: &Words<'_>,
    rows: &[[f32; LANES]],
    numbers: &mut [u32; LANES],
    distances: &mut [f32; LANES],
) {
    // A loop over a few dimensions costs more than what is done in it: those of known number have none.
    let best = match rows.len() {
        1 => of_dimensions::<1>(words, rows, numbers),
        2 => of_dimensions::<2>(words, rows, numbers),
        3 => of_dimensions::<3>(words, rows, numbers),
        4 => of_dimensions::<4>(words, rows, numbers),
        6 => of_dimensions::<6>(words, rows, numbers),
        8 => of_dimensions::<8>(words, rows, numbers),
        dim => nearest(words.values.chunks_exact(dim).zip(words.halves), rows, numbers),
    };
    let mut norms = [0f32; LANES];
    for row in rows {
        norms.iter_mut().zip(row).for_each(|(norm, value)| *norm += value * value);
    }
    for (distance, (norm, best)) in distances.iter_mut().zip(norms.iter().zip(best)) {
        let whole = norm + 2.0 * best;
        *distance = if whole > 0.0 { whole } else { 0.0 };
    }
}

/// As [`nearest`], of `D` dimensions.
#[inline(always)]
fn of_dimensions<const D: usize>(
    words: &Words<'_>,
    rows: &[[f32; LANES]],
    numbers: &mut [u32; LANES],
) -> [f32; LANES] {
    let rows: &[[f32; LANES]; D] = &rows.as_chunks().0[0];
    let each = words.values.as_chunks::<D>().0.iter().zip(words.halves);
    nearest(each.map(|(word, half)| (&word[..], half)), rows, numbers)
}

/// Tells the number of the first of the words nearest to each row, and half its squared distance, less half the squared
/// length of the row.
#[inline(always)]
fn nearest<'w>(
    words: impl Iterator<Item = (&'w [f32], &'w f32)>,
    rows: &[[f32; LANES]],
    numbers: &mut [u32; LANES],
) -> [f32; LANES] {
    let (mut best, mut firsts) = ([f32::INFINITY; LANES], [0u32; LANES]);
    for (number, (word, &half)) in (0u32..).zip(words) {
        let mut far = [half; LANES];
        for (row, value) in rows.iter().zip(word) {
            far.iter_mut().zip(row).for_each(|(far, of_row)| *far -= value * of_row);
        }
        for lane in 0..LANES {
            let nearer = far[lane] < best[lane];
            best[lane] = if nearer { far[lane] } else { best[lane] };
            firsts[lane] = if nearer { number } else { firsts[lane] };
        }
    }
    *numbers = firsts;
    best
}
