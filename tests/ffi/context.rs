//! Contexts and devices.

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

fn text(chars: &[c_char]) -> &str {
    assert_eq!(chars.last(), Some(&0), "terminated");
    unsafe { CStr::from_ptr(chars.as_ptr()) }.to_str().expect("UTF-8")
}

fn create(options: ivf_context_options) -> *mut ivf_context {
    let mut context = null_mut();
    ok(unsafe { ivf_context_create(&options, &mut context) });
    context
}

#[test]
fn version_is_cargo_s() {
    let version = unsafe { CStr::from_ptr(ivf_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}

#[test]
fn device_0_is_the_cpu() {
    let (mut count, mut info) = (0, sized::<ivf_device_info>());
    ok(unsafe { ivf_device_count(&mut count) });
    assert!(count >= 1);
    ok(unsafe { ivf_device_get_info(0, &mut info) });
    assert_eq!((info.r#type, text(&info.backend)), (IVF_DEVICE_TYPE_CPU, "cpu"));
    assert!(info.threads >= 1 && !text(&info.name).is_empty(), "{info:?}");
    assert!(["scalar", "avx2", "avx512", "neon"].contains(&text(&info.kernel)), "{info:?}");
    assert_eq!(info.struct_size as usize, size_of_val(&info));
}

#[test]
fn context_default_has_the_cpu_s_cores() {
    let (mut default, mut device) = (sized::<ivf_context_info>(), sized::<ivf_device_info>());
    ok(unsafe { ivf_context_get_info(null(), &mut default) });
    ok(unsafe { ivf_device_get_info(0, &mut device) });
    assert_eq!(default.threads, device.threads);
    assert_eq!(text(&default.device), text(&device.name));
    assert_eq!(text(&default.kernel), text(&device.kernel));
}

#[test]
fn context_options_are_honoured() {
    let kernel = c"scalar".as_ptr();
    let context = create(ivf_context_options { threads: 3, device: c"cpu".as_ptr(), kernel, ..sized() });
    let mut info = sized::<ivf_context_info>();
    ok(unsafe { ivf_context_get_info(context, &mut info) });
    assert_eq!((info.threads, text(&info.kernel)), (3, "scalar"));
    unsafe { ivf_context_destroy(context) };
}

#[test]
fn context_of_unknown_device_or_kernel_is_refused() {
    let mut context = std::ptr::dangling_mut();
    let device = ivf_context_options { device: c"abacus".as_ptr(), ..sized() };
    fails(unsafe { ivf_context_create(&device, &mut context) }, IVF_E_DEVICE, "abacus");
    assert!(context.is_null());
    let kernel = ivf_context_options { kernel: c"abacus".as_ptr(), ..sized() };
    fails(unsafe { ivf_context_create(&kernel, &mut context) }, IVF_E_ARGUMENT, "abacus");
    let threads = ivf_context_options { threads: u32::MAX, ..sized() };
    fails(unsafe { ivf_context_create(&threads, &mut context) }, IVF_E_ARGUMENT, "threads");
    let bytes = ivf_context_options { device: c"\xff".as_ptr(), ..sized() };
    fails(unsafe { ivf_context_create(&bytes, &mut context) }, IVF_E_ARGUMENT, "device: expected UTF-8");
}

#[test]
fn context_destroyed_before_its_index_leaves_the_index_alive() {
    let context = create(ivf_context_options { threads: 2, ..sized() });
    let mut index = null_mut();
    ok(unsafe { ivf_index_create(context, 4, IVF_METRIC_L2, c"IVF4,Flat".as_ptr(), null(), &mut index) });
    unsafe { ivf_context_destroy(context) };
    let (index, x) = (Index(index), rows(300, 4));
    ok(unsafe { ivf_train(index.0, x.as_ptr(), 300, 4, null()) });
    index.add(&x, 4);
    let (distances, ids) = index.search(&x[..4], 4, 1, 4);
    assert_eq!((distances[0], ids[0]), (0.0, 0));
}
