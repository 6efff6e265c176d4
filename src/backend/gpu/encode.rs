//! What commands are made of: shapes, rows, bindings, dispatches.

use super::engine::Engine;
use super::held::Held;
use super::pipelines::{Kernel, Width};
use super::round;
use super::scratch::Use;

/// How long a submission should take: a system resets a driver that is busy for about two seconds.
pub(super) const SUBMISSION_SECONDS: f64 = 0.05;

/// `NONE` in key.wgsl.
pub(super) const NONE: u32 = u32::MAX;

/// Between the shapes of two dispatches in their buffer.
const SHAPE_STRIDE: usize = 256;

/// `Shape` of all our shaders; each has as many fields as it needs.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Shape([u32; SHAPE_STRIDE / 4]);

impl Shape {
    pub(super) fn new(fields: &[u32]) -> Self {
        let mut shape = Self([0; SHAPE_STRIDE / 4]);
        shape.0[..fields.len()].copy_from_slice(fields);
        shape
    }
}

/// `Row` of rows.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct DeviceRow {
    pub(super) start: u32,
    pub(super) length: u32,
    pub(super) wanted: u32,
    pub(super) place: u32,
}

/// The kernel for tiles of this shape, of so many dimensions.
pub(super) fn kernel(shape: round::Shape, held: Held, dim: usize) -> Kernel {
    match shape {
        round::Shape::Few | round::Shape::Lookup => Kernel::Scan(held),
        round::Shape::Many => Kernel::ScanMany(held, Width::of(dim)),
    }
}

impl Engine {
    /// Binds the shape of this `number` and `buffers` behind it.
    pub(super) fn bind(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &wgpu::ComputePipeline,
        number: usize,
        buffers: &[&wgpu::Buffer],
    ) {
        let shape = wgpu::BufferBinding {
            buffer: self.at(Use::Shapes),
            offset: (number * SHAPE_STRIDE) as u64,
            size: std::num::NonZeroU64::new(SHAPE_STRIDE as u64),
        };
        let mut entries =
            vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(shape) }];
        for (binding, buffer) in (1u32..).zip(buffers) {
            entries.push(wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        }
        let layout = pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        pass.set_bind_group(0, &self.device.create_bind_group(&descriptor), &[]);
    }
}

/// Workgroups of a dimension at most; few in unit tests, so that every kernel is dispatched in rows there.
pub(super) const MOST_GROUPS: usize = if cfg!(test) { 7 } else { 65_535 };

/// Dispatches `groups` workgroups, in rows where they are many.
pub(super) fn dispatch_groups(pass: &mut wgpu::ComputePass<'_>, groups: usize) {
    let x = groups.clamp(1, MOST_GROUPS);
    pass.dispatch_workgroups(to32(x), to32(groups.div_ceil(x)), 1);
}

/// A float as key.wgsl orders it; never NONE.
pub(super) fn ordered(key: f32) -> u32 {
    let bits = key.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    ordered.min(NONE - 1)
}

pub(super) fn to32(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: a round is limited to what 32 bits address")
}
