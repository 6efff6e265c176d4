//! Every shader as naga sees it: valid without any capability that we do not ask for, and translatable to what
//! Vulkan, Metal and DX12 take.

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// The parts of each module, as src/backend/gpu/pipelines.rs joins them.
const MODULES: [&[&str]; 30] = [
    &["key", "value_f32", "tiles", "visit", "plain", "scan"],
    &["key", "value_f16", "tiles", "visit", "plain", "scan"],
    &["key", "value_bf16", "tiles", "visit", "plain", "scan"],
    &["key", "value_u8", "tiles", "visit", "plain", "scan"],
    &["key", "value_u8", "tiles", "visit", "affine", "scan"],
    &["key", "value_packed", "tiles", "visit", "affine", "scan"],
    &["key", "value_u8", "tiles", "visit", "whole", "rounded", "scan"],
    &["key", "value_packed", "tiles", "visit", "whole", "rounded", "scan"],
    &["key", "value_f32", "tiles", "visit", "plain", "product", "scan_many"],
    &["key", "value_f16", "tiles", "visit", "plain", "product", "scan_many"],
    &["key", "value_bf16", "tiles", "visit", "plain", "product", "scan_many"],
    &["key", "value_u8", "tiles", "visit", "plain", "product", "scan_many"],
    &["key", "value_u8", "tiles", "visit", "affine", "product", "scan_many"],
    &["key", "value_packed", "tiles", "visit", "affine", "product", "scan_many"],
    &["key", "value_u8", "tiles", "visit", "whole", "rounded", "product", "scan_many"],
    &["key", "value_packed", "tiles", "visit", "whole", "rounded", "product", "scan_many"],
    &["key", "value_u8", "tiles", "visit", "whole", "lookup"],
    &["key", "value_packed", "tiles", "visit", "tables"],
    &["key", "value_packed", "tiles", "visit", "whole", "estimate", "scan"],
    &["key", "value_packed", "tiles", "visit", "whole", "estimate", "product", "scan_many"],
    &["key", "tiles", "numbers", "shift"],
    &["key", "tiles", "numbers", "whole", "round"],
    &["key", "tiles", "numbers", "whole", "residual"],
    &["key", "rows", "select"],
    &["key", "rows", "within"],
    &["key", "plan", "rows", "place"],
    &["key", "plan", "tiles", "sort"],
    &["key", "plan", "tiles", "tile"],
    &["key", "product", "assign"],
    &["key", "sums"],
];

fn source(parts: &[&str]) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let read = |part: &&str| std::fs::read_to_string(folder.join(format!("{part}.wgsl"))).expect("a shader");
    parts.iter().map(read).collect()
}

#[test]
fn shaders_every_one_is_valid_and_translates_to_spirv_msl_and_hlsl() {
    for parts in MODULES {
        let module =
            naga::front::wgsl::parse_str(&source(parts)).unwrap_or_else(|error| panic!("{parts:?}: {error}"));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        let info = validator.validate(&module).unwrap_or_else(|error| panic!("{parts:?}: {error:?}"));
        let of_product = [0.0, 1.0].map(|narrow| vec![("NARROW".to_owned(), narrow)]);
        let widths = if parts.contains(&"product") { &of_product[..] } else { &[vec![]] };
        for (entry, narrow) in
            module.entry_points.iter().flat_map(|entry| widths.iter().map(move |w| (entry, w)))
        {
            let constants = [("THREADS".to_owned(), 128.0)].into_iter().chain(narrow.clone()).collect();
            let chosen = Some((entry.stage, entry.name.as_str()));
            let (module, info) =
                naga::back::pipeline_constants::process_overrides(&module, &info, chosen, &constants)
                    .unwrap_or_else(|error| panic!("{parts:?}: {error:?}"));
            let stage = spv::PipelineOptions { shader_stage: entry.stage, entry_point: entry.name.clone() };
            let words = spv::write_vec(&module, &info, &spv::Options::default(), Some(&stage))
                .unwrap_or_else(|error| panic!("{parts:?}: {error}"));
            assert_eq!(words[0], 0x0723_0203);
            let (text, _) =
                msl::write_string(&module, &info, &msl::Options::default(), &msl::PipelineOptions::default())
                    .unwrap_or_else(|error| panic!("{parts:?}: {error}"));
            assert!(text.contains("kernel void"), "{text}");
            let mut text = String::new();
            let (options, stage) = (hlsl::Options::default(), hlsl::PipelineOptions::default());
            hlsl::Writer::new(&mut text, &options, &stage)
                .write(&module, &info, None)
                .unwrap_or_else(|error| panic!("{parts:?}: {error}"));
            assert!(text.contains("numthreads(128, 1, 1)"), "{text}");
        }
    }
}

#[test]
fn shaders_every_one_keeps_to_the_least_limits_of_webgpu() {
    for parts in MODULES {
        let module =
            naga::front::wgsl::parse_str(&source(parts)).unwrap_or_else(|error| panic!("{parts:?}: {error}"));
        let (mut shared, mut buffers, mut uniforms) = (0, 0, 0);
        for (_, variable) in module.global_variables.iter() {
            let inner = &module.types[variable.ty].inner;
            match variable.space {
                naga::AddressSpace::WorkGroup => shared += inner.size(module.to_ctx()).next_multiple_of(16),
                naga::AddressSpace::Storage { .. } => buffers += 1,
                naga::AddressSpace::Uniform => {
                    uniforms += 1;
                    // The host writes numbers of four bytes one after another, 256 bytes at most.
                    let naga::TypeInner::Struct { members, span } = inner else { panic!("{inner:?}") };
                    let offsets: Vec<_> = members.iter().map(|member| member.offset).collect();
                    assert_eq!(
                        offsets,
                        (0..).step_by(4).take(members.len()).collect::<Vec<u32>>(),
                        "{parts:?}"
                    );
                    assert!(*span <= 256, "{parts:?}");
                }
                _ => {}
            }
        }
        // What src/backend/gpu/pipelines.rs asks of a device.
        assert!(shared <= 16_384 && buffers <= 8, "{parts:?}: {shared} bytes, {buffers} buffers");
        assert_eq!(uniforms, 1, "{parts:?}");
    }
}
