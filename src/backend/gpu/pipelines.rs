//! Shaders to pipelines, each made when it is first needed.

use std::sync::OnceLock;

use super::encode::{MOST_GROUPS, to32};
use super::held::Held;
use crate::element::Element;

/// Threads of a workgroup; `THREADS` in the shaders.
pub(super) const THREADS: u32 = 128;

/// Storage buffers of the kernel that has most (scan.wgsl with affine.wgsl), and shared memory of the one that takes most
/// (assign.wgsl). tests/gpu/shaders.rs reads both from the shaders.
pub(super) const STORAGE_BUFFERS: u32 = 8;
pub(super) const SHARED_BYTES: u32 = 16_384;

/// Whether all dimensions are one sum; `NARROW` in product.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Narrow,
    Wide,
}

/// Dimensions that are added up at once; `SUM` in product.wgsl.
const SUM: usize = 256;

impl Width {
    pub(super) const COUNT: usize = 2;

    pub(super) fn of(dim: usize) -> Self {
        if dim <= SUM { Self::Narrow } else { Self::Wide }
    }
}

/// What a pipeline does.
#[derive(Clone, Copy)]
pub(super) enum Kernel {
    Scan(Held),
    ScanMany(Held, Width),
    Shift,
    Round,
    Residual,
    Best,
    Count,
    Gather,
    Assign(Width),
    Sum,
    Place,
    Sort,
    Tile,
}

// Without comments: see build.rs.
const KEY: &str = include_str!(concat!(env!("OUT_DIR"), "/key.wgsl"));
const TILES: &str = include_str!(concat!(env!("OUT_DIR"), "/tiles.wgsl"));
const ROWS: &str = include_str!(concat!(env!("OUT_DIR"), "/rows.wgsl"));
const VISIT: &str = include_str!(concat!(env!("OUT_DIR"), "/visit.wgsl"));
const SCAN: &str = include_str!(concat!(env!("OUT_DIR"), "/scan.wgsl"));
const PRODUCT: &str = include_str!(concat!(env!("OUT_DIR"), "/product.wgsl"));
const SCAN_MANY: &str = include_str!(concat!(env!("OUT_DIR"), "/scan_many.wgsl"));
const PLAIN: &str = include_str!(concat!(env!("OUT_DIR"), "/plain.wgsl"));
const AFFINE: &str = include_str!(concat!(env!("OUT_DIR"), "/affine.wgsl"));
const NUMBERS: &str = include_str!(concat!(env!("OUT_DIR"), "/numbers.wgsl"));
const SHIFT: &str = include_str!(concat!(env!("OUT_DIR"), "/shift.wgsl"));
const WHOLE: &str = include_str!(concat!(env!("OUT_DIR"), "/whole.wgsl"));
const ROUNDED: &str = include_str!(concat!(env!("OUT_DIR"), "/rounded.wgsl"));
const LOOKUP: &str = include_str!(concat!(env!("OUT_DIR"), "/lookup.wgsl"));
const TABLES: &str = include_str!(concat!(env!("OUT_DIR"), "/tables.wgsl"));
const ROUND: &str = include_str!(concat!(env!("OUT_DIR"), "/round.wgsl"));
const RESIDUAL: &str = include_str!(concat!(env!("OUT_DIR"), "/residual.wgsl"));
const ESTIMATE: &str = include_str!(concat!(env!("OUT_DIR"), "/estimate.wgsl"));
const SELECT: &str = include_str!(concat!(env!("OUT_DIR"), "/select.wgsl"));
const WITHIN: &str = include_str!(concat!(env!("OUT_DIR"), "/within.wgsl"));
const PLAN: &str = include_str!(concat!(env!("OUT_DIR"), "/plan.wgsl"));
const PLACE: &str = include_str!(concat!(env!("OUT_DIR"), "/place.wgsl"));
const SORT: &str = include_str!(concat!(env!("OUT_DIR"), "/sort.wgsl"));
const TILE: &str = include_str!(concat!(env!("OUT_DIR"), "/tile.wgsl"));
const ASSIGN: &str = include_str!(concat!(env!("OUT_DIR"), "/assign.wgsl"));
const SUMS: &str = include_str!(concat!(env!("OUT_DIR"), "/sums.wgsl"));
const VALUE_F32: &str = include_str!(concat!(env!("OUT_DIR"), "/value_f32.wgsl"));
const VALUE_F16: &str = include_str!(concat!(env!("OUT_DIR"), "/value_f16.wgsl"));
const VALUE_BF16: &str = include_str!(concat!(env!("OUT_DIR"), "/value_bf16.wgsl"));
const VALUE_U8: &str = include_str!(concat!(env!("OUT_DIR"), "/value_u8.wgsl"));
const VALUE_PACKED: &str = include_str!(concat!(env!("OUT_DIR"), "/value_packed.wgsl"));

impl Kernel {
    /// A number for each.
    fn place(self) -> usize {
        match self {
            Self::Best => 0,
            Self::Count => 1,
            Self::Gather => 2,
            Self::Shift => 3,
            Self::Round => 4,
            Self::Residual => 5,
            Self::Sum => 6,
            Self::Place => 7,
            Self::Sort => 8,
            Self::Tile => 9,
            Self::Assign(width) => 10 + width as usize,
            Self::Scan(held) => 12 + held.place(),
            Self::ScanMany(held, width) => 12 + (1 + width as usize) * Held::COUNT + held.place(),
        }
    }

    fn entry(self) -> &'static str {
        match self {
            Self::Scan(_) | Self::ScanMany(..) => "visit",
            Self::Best => "best",
            Self::Count => "count",
            Self::Gather => "gather",
            Self::Assign(_) => "assign",
            Self::Sum => "sum",
            Self::Place => "place",
            Self::Sort => "sort",
            Self::Tile => "tile",
            Self::Shift | Self::Round | Self::Residual => "numbers",
        }
    }

    fn source(self) -> String {
        let parts: &[&str] = match self {
            Self::Scan(Held::Words) => &[KEY, VALUE_U8, TILES, VISIT, WHOLE, LOOKUP],
            Self::Scan(Held::Tables) => &[KEY, VALUE_PACKED, TILES, VISIT, TABLES],
            Self::Scan(held) => &[KEY, value(held), TILES, VISIT, WHOLE, query(held), SCAN],
            Self::ScanMany(held, _) => {
                &[KEY, value(held), TILES, VISIT, WHOLE, query(held), PRODUCT, SCAN_MANY]
            }
            Self::Best => &[KEY, ROWS, SELECT],
            Self::Count | Self::Gather => &[KEY, ROWS, WITHIN],
            Self::Assign(_) => &[KEY, PRODUCT, ASSIGN],
            Self::Sum => &[KEY, SUMS],
            Self::Place => &[KEY, PLAN, ROWS, PLACE],
            Self::Sort => &[KEY, PLAN, TILES, SORT],
            Self::Tile => &[KEY, PLAN, TILES, TILE],
            Self::Shift => &[KEY, TILES, NUMBERS, SHIFT],
            Self::Round => &[KEY, TILES, NUMBERS, WHOLE, ROUND],
            Self::Residual => &[KEY, TILES, NUMBERS, WHOLE, RESIDUAL],
        };
        parts.concat()
    }

    /// What the shader's constants are.
    fn constants(self) -> Vec<(&'static str, f64)> {
        let mut constants =
            vec![("THREADS", f64::from(THREADS)), ("MOST_GROUPS", f64::from(to32(MOST_GROUPS)))];
        if let Self::ScanMany(_, width) | Self::Assign(width) = self {
            constants.push(("NARROW", f64::from(u8::from(width == Width::Narrow))));
        }
        constants
    }
}

/// What reads four values.
fn value(held: Held) -> &'static str {
    match held {
        Held::Values(Element::F32) => VALUE_F32,
        Held::Values(Element::F16) => VALUE_F16,
        Held::Values(Element::Bf16) => VALUE_BF16,
        Held::Values(Element::U8) | Held::Codes | Held::Rounded | Held::Words => VALUE_U8,
        Held::Packed | Held::PackedRounded | Held::Tables | Held::Signs | Held::Estimates => VALUE_PACKED,
    }
}

/// What queries are to these.
fn query(held: Held) -> &'static str {
    match held {
        Held::Values(_) => PLAIN,
        Held::Codes | Held::Packed => AFFINE,
        Held::Rounded | Held::PackedRounded => ROUNDED,
        Held::Words => LOOKUP,
        Held::Tables => TABLES,
        Held::Signs | Held::Estimates => ESTIMATE,
    }
}

const KERNELS: usize = 10 + Width::COUNT + (1 + Width::COUNT) * Held::COUNT;

/// All pipelines of a device.
pub(super) struct Pipelines {
    device: wgpu::Device,
    made: [OnceLock<wgpu::ComputePipeline>; KERNELS],
}

impl Pipelines {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        Self { device: device.clone(), made: std::array::from_fn(|_| OnceLock::new()) }
    }

    pub(super) fn get(&self, kernel: Kernel) -> &wgpu::ComputePipeline {
        self.made[kernel.place()].get_or_init(|| self.make(kernel))
    }

    #[expect(unsafe_code, reason = "wgpu's checks of every index cost up to half of the speed")]
    fn make(&self, kernel: Kernel) -> wgpu::ComputePipeline {
        // Debug builds, and so the tests, keep wgpu's checks.
        let checks = if cfg!(debug_assertions) {
            wgpu::ShaderRuntimeChecks::checked()
        } else {
            wgpu::ShaderRuntimeChecks::unchecked()
        };
        let source = wgpu::ShaderSource::Wgsl(kernel.source().into());
        let descriptor = wgpu::ShaderModuleDescriptor { label: None, source };
        // SAFETY: the shaders are ours; their indexes come from plans that `rounds` makes for buffers of these
        // sizes, and their loops end by counters.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some(kernel.entry()),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &kernel.constants(),
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }
}
