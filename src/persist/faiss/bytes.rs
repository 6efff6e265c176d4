//! What is gathered before it is written: packed numbers, and what every index begins with.

use super::transforms::encode_transforms;
use super::{Code, PRE_TRANSFORM, UNUSED};
use crate::error::Result;
use crate::metric::Metric;
use crate::persist::Parts;

/// Packed numbers.
#[derive(Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn code(&mut self, code: Code) -> &mut Self {
        self.bytes(&code)
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A count and as many values.
    pub(super) fn floats(&mut self, values: &[f32]) -> &mut Self {
        self.size(values.len()).bytes(bytemuck::cast_slice(values))
    }

    pub(super) fn size(&mut self, size: usize) -> &mut Self {
        self.bytes(&(size as u64).to_le_bytes())
    }

    pub(super) fn header(&mut self, parts: &Parts<'_>, count: usize, trained: bool) -> &mut Self {
        self.header_of(parts, parts.dim, count, trained)
    }

    /// Of an index around the transforms.
    pub(super) fn header_outside(&mut self, parts: &Parts<'_>, count: usize, trained: bool) -> &mut Self {
        self.header_of(parts, parts.transforms.d_in(parts.dim), count, trained)
    }

    /// The transforms, if there are any, as an index around the one that follows.
    pub(super) fn transforms(&mut self, parts: &Parts<'_>, count: usize) -> Result<&mut Self> {
        if parts.transforms.is_empty() {
            return Ok(self);
        }
        self.code(PRE_TRANSFORM).header_outside(parts, count, parts.trained);
        Ok(self.bytes(&encode_transforms(parts.transforms)?))
    }

    pub(super) fn header_of(
        &mut self,
        parts: &Parts<'_>,
        dim: usize,
        count: usize,
        trained: bool,
    ) -> &mut Self {
        let dim = i32::try_from(dim).expect("invariant: check_writable");
        let metric = i32::from(parts.metric == Metric::L2);
        self.bytes(&dim.to_le_bytes()).size(count).bytes(&UNUSED);
        self.bytes(&[u8::from(trained)]).bytes(&metric.to_le_bytes())
    }
}
