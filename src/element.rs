//! Element types: what values are held in, in a list's blocks and in a caller's rows.
//!
//! All arithmetic is float32. Narrower values are widened where they are loaded, which is exact, so a result
//! depends on the values alone and not on the type that holds them. The types are IEEE 754 binary16, bfloat16
//! (the upper half of a float32) and bytes.

use std::ops::Range;

use bytemuck::Pod;
use half::slice::HalfFloatSliceExt;
pub use half::{bf16, f16};

/// What one value is held in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Element {
    /// float32.
    #[default]
    F32 = 0,
    /// float16: 11 significant bits, up to 65504.
    F16 = 1,
    /// bfloat16: 8 significant bits, the range of float32.
    Bf16 = 2,
    /// Whole numbers from 0 to 255.
    U8 = 3,
}

impl Element {
    /// The first of these values that the type cannot hold, and what it can.
    pub(crate) fn misfit(self, values: &[f32]) -> Option<(usize, &'static str)> {
        let (fits, range): (fn(f32) -> bool, _) = match self {
            // What is finite as a sum of squares is far from where bfloat16 ends.
            Self::F32 | Self::Bf16 => return None,
            Self::F16 => (|v| v.abs() <= 65504.0, "from -65504 to 65504 (float16)"),
            Self::U8 => (|v| v.trunc() == v && (0.0..=255.0).contains(&v), "a whole number from 0 to 255"),
        };
        values.iter().position(|&v| !fits(v)).map(|column| (column, range))
    }

    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 => 1,
        }
    }
}

/// Values of any element type.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Values<'a> {
    /// float32.
    F32(&'a [f32]),
    /// float16.
    F16(&'a [f16]),
    /// bfloat16.
    Bf16(&'a [bf16]),
    /// Bytes.
    U8(&'a [u8]),
}

/// `$body` for `$slice`, the slice that [`Values`] holds: one monomorphic copy for each element type.
macro_rules! with_values {
    ($values:expr, $slice:ident => $body:expr) => {
        match $values {
            $crate::element::Values::F32($slice) => $body,
            $crate::element::Values::F16($slice) => $body,
            $crate::element::Values::Bf16($slice) => $body,
            $crate::element::Values::U8($slice) => $body,
        }
    };
}
pub(crate) use with_values;

/// `$body` with the alias `$type` for the type that an [`Element`] stands for.
macro_rules! with_element {
    ($element:expr, $type:ident => $body:expr) => {
        match $element {
            $crate::element::Element::F32 => {
                type $type = f32;
                $body
            }
            $crate::element::Element::F16 => {
                type $type = $crate::element::f16;
                $body
            }
            $crate::element::Element::Bf16 => {
                type $type = $crate::element::bf16;
                $body
            }
            $crate::element::Element::U8 => {
                type $type = u8;
                $body
            }
        }
    };
}
pub(crate) use with_element;

impl<'a> Values<'a> {
    /// The bytes of a list as values; they start at an address fit for the type.
    pub(crate) fn of_bytes(element: Element, bytes: &'a [u8]) -> Self {
        with_element!(element, T => T::values(bytemuck::cast_slice(bytes)))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        with_values!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each value is held in.
    pub fn element(&self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::F16(_) => Element::F16,
            Self::Bf16(_) => Element::Bf16,
            Self::U8(_) => Element::U8,
        }
    }

    /// The values of a range.
    #[inline]
    pub fn slice(&self, range: Range<usize>) -> Self {
        with_values!(self, values => Scalar::values(&values[range]))
    }

    /// Writes all values as float32 into `out`, which is as long.
    pub(crate) fn widen(&self, out: &mut [f32]) {
        with_values!(self, values => Scalar::widen(values, out));
    }
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a [f16]> for Values<'a> {
    fn from(values: &'a [f16]) -> Self {
        Self::F16(values)
    }
}

impl<'a> From<&'a [bf16]> for Values<'a> {
    fn from(values: &'a [bf16]) -> Self {
        Self::Bf16(values)
    }
}

impl<'a> From<&'a [u8]> for Values<'a> {
    fn from(values: &'a [u8]) -> Self {
        Self::U8(values)
    }
}

/// A type that values are held in.
pub(crate) trait Scalar: Pod + Into<f32> + Send + Sync {
    fn values(values: &[Self]) -> Values<'_>;

    /// `from` rounded to the nearest (ties to even): in `buffer`, which is as long, or where it is.
    fn narrow<'a>(from: &'a [f32], buffer: &'a mut [Self]) -> &'a [Self];

    /// Writes `from` as float32 into `out`, which is as long.
    fn widen(from: &[Self], out: &mut [f32]);
}

impl Scalar for f32 {
    fn values(values: &[Self]) -> Values<'_> {
        Values::F32(values)
    }

    #[inline]
    fn narrow<'a>(from: &'a [f32], _: &'a mut [Self]) -> &'a [Self] {
        from
    }

    fn widen(from: &[Self], out: &mut [f32]) {
        out.copy_from_slice(from);
    }
}

impl Scalar for f16 {
    fn values(values: &[Self]) -> Values<'_> {
        Values::F16(values)
    }

    #[inline]
    fn narrow<'a>(from: &'a [f32], buffer: &'a mut [Self]) -> &'a [Self] {
        buffer.convert_from_f32_slice(from);
        buffer
    }

    fn widen(from: &[Self], out: &mut [f32]) {
        from.convert_to_f32_slice(out);
    }
}

impl Scalar for bf16 {
    fn values(values: &[Self]) -> Values<'_> {
        Values::Bf16(values)
    }

    #[inline]
    fn narrow<'a>(from: &'a [f32], buffer: &'a mut [Self]) -> &'a [Self] {
        buffer.convert_from_f32_slice(from);
        buffer
    }

    fn widen(from: &[Self], out: &mut [f32]) {
        from.convert_to_f32_slice(out);
    }
}

impl Scalar for u8 {
    fn values(values: &[Self]) -> Values<'_> {
        Values::U8(values)
    }

    #[inline]
    fn narrow<'a>(from: &'a [f32], buffer: &'a mut [Self]) -> &'a [Self] {
        for (to, from) in buffer.iter_mut().zip(from) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
            (*to = from.round_ties_even() as u8);
        }
        buffer
    }

    fn widen(from: &[Self], out: &mut [f32]) {
        out.iter_mut().zip(from).for_each(|(to, &from)| *to = f32::from(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of both formats, in exact arithmetic.
    fn defined(bits: u16, exponent_bits: i32) -> f64 {
        let mantissa_bits = 15 - exponent_bits;
        let bias = (1 << (exponent_bits - 1)) - 1;
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let exponent = i32::from(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
        let fraction = f64::from(bits & ((1 << mantissa_bits) - 1)) / f64::from(1 << mantissa_bits);
        match exponent {
            0 => sign * fraction * 2f64.powi(1 - bias),
            e if e == (1 << exponent_bits) - 1 => f64::NAN,
            e => sign * (1.0 + fraction) * 2f64.powi(e - bias),
        }
    }

    fn check_all<E: Scalar>(exponent_bits: i32) {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let mut wide = vec![0.0; all.len()];
        E::widen(bytemuck::cast_slice(&all), &mut wide);
        let mut back = vec![E::zeroed(); all.len()];
        E::narrow(&wide, &mut back);
        let back: &[u16] = bytemuck::cast_slice(&back);
        for &bits in &all {
            let want = defined(bits, exponent_bits);
            if want.is_nan() {
                continue;
            }
            assert_eq!(f64::from(wide[usize::from(bits)]), want, "{bits:#06x}");
            assert_eq!(back[usize::from(bits)], bits);
            // Halfway to the next is rounded to the even one, anything beside it to the nearer.
            let next = defined(bits.wrapping_add(1), exponent_bits);
            if bits & 0x7fff == 0x7fff || next.is_nan() {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, reason = "a float32 holds it exactly")]
            let half = ((want + next) / 2.0) as f32;
            let around = [half.next_down(), half, half.next_up()];
            let mut rounded = [E::zeroed(); 3];
            E::narrow(&around, &mut rounded);
            let rounded: &[u16] = bytemuck::cast_slice(&rounded);
            let (low, high) = if want < next { (bits, bits + 1) } else { (bits + 1, bits) };
            assert_eq!(rounded, [low, bits + (bits & 1), high], "{bits:#06x}");
        }
    }

    #[test]
    fn narrow_all_65536_halves_and_between_are_to_nearest_even() {
        check_all::<f16>(5);
        check_all::<bf16>(8);
    }

    #[test]
    fn misfit_values_outside_the_type_name_the_column() {
        let column = |element: Element, values: &[f32]| element.misfit(values).map(|(column, _)| column);
        assert_eq!(column(Element::F16, &[65504.0, -65504.0, 65505.0]), Some(2));
        assert_eq!(column(Element::U8, &[0.0, 255.0, 0.5]), Some(2));
        assert_eq!(column(Element::U8, &[0.0, 255.0, 256.0, -1.0]), Some(2));
        assert_eq!(column(Element::F32, &[1e18]).or(column(Element::Bf16, &[1e18])), None);
    }
}
