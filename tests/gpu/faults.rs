//! What goes wrong with a device is finished on the CPU: right results, no panic, no hang.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ivf::{Context, ContextOptions, Log, LogLevel, Metric, SearchOptions};

use crate::support::{Twins, adapter, gpu, numbers, search};

fn twins(options: ContextOptions) -> Option<Twins> {
    Twins::on(gpu(options)?, "IVF8,Flat", Metric::L2, 16, &numbers(1, 4000 * 16))
}

#[test]
fn search_without_memory_is_the_cpu_s() {
    let Some(twins) = twins(ContextOptions { device_memory_bytes: 1000, ..ContextOptions::default() }) else {
        return;
    };
    let queries = numbers(2, 10 * 16);
    let options = SearchOptions { nprobe: 4, ..SearchOptions::default() };
    // The device is not lost: what fits goes on being its own.
    twins.check(&queries, 10, &options);
    assert_eq!((twins.calls(), twins.gpu.context().device_status().memory_bytes), (0, 0));
}

#[test]
fn search_with_little_memory_goes_in_many_rounds() {
    let rows = 4000 * 16 * 4;
    let budget = rows + rows / 2;
    let Some(twins) = twins(ContextOptions { device_memory_bytes: budget, ..ContextOptions::default() })
    else {
        return;
    };
    let options = SearchOptions { nprobe: 8, ..SearchOptions::default() };
    twins.check(&numbers(2, 50 * 16), 100, &options);
    assert_eq!(twins.calls(), 2);
    assert!(twins.gpu.context().device_status().memory_bytes <= budget);
}

#[test]
fn search_on_a_lost_device_is_the_cpu_s_and_the_context_says_so() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = heard.clone();
    let log = Log::new(move |level, text| told.lock().expect("no panic").push((level, text.to_owned())));
    let Some(twins) = twins(ContextOptions { log: Some(log), ..ContextOptions::default() }) else { return };
    let queries = numbers(2, 10 * 16);
    let options = SearchOptions { nprobe: 4, ..SearchOptions::default() };
    let before = twins.check(&queries, 10, &options);
    assert!(heard.lock().expect("no panic").is_empty());
    twins.gpu.context().lose_device();
    assert_eq!(search(&twins.gpu, &queries, 10, &options), before);
    let status = twins.gpu.context().device_status();
    assert!(status.lost.is_some(), "{status:?}");
    assert_eq!(search(&twins.gpu, &queries, 10, &options), before);
    // Once, however many calls follow.
    let heard = heard.lock().expect("no panic");
    assert!(matches!(&heard[..], [(LogLevel::Warning, text)] if text.contains("lost (")), "{heard:?}");
}

#[test]
fn search_while_the_device_is_lost_gives_the_same() {
    let Some(twins) = twins(ContextOptions::default()) else { return };
    let queries = numbers(2, 200 * 16);
    let options = SearchOptions { nprobe: 8, ..SearchOptions::default() };
    let want = search(&twins.cpu, &queries, 50, &options);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(search(&twins.gpu, &queries, 50, &options), want);
                }
            });
        }
        // Opening a device and making its pipelines takes a while.
        let start = Instant::now();
        while twins.calls() == 0 && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(100));
        twins.gpu.context().lose_device();
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(twins.calls() > 0);
    assert!(twins.gpu.context().device_status().lost.is_some());
}

#[test]
fn search_of_a_device_that_does_not_answer_is_the_cpu_s() {
    let timeout = Some(Duration::from_nanos(1));
    let Some(twins) = twins(ContextOptions { device_timeout: timeout, ..ContextOptions::default() }) else {
        return;
    };
    let (queries, options) = (numbers(2, 64 * 16), SearchOptions { nprobe: 8, ..SearchOptions::default() });
    assert_eq!(search(&twins.gpu, &queries, 10, &options), search(&twins.cpu, &queries, 10, &options));
    let lost = twins.gpu.context().device_status().lost;
    assert!(lost.as_ref().is_some_and(|reason| reason.contains("no answer within")), "{lost:?}");
}

#[test]
fn search_from_sixteen_threads_gives_the_same() {
    let Some(twins) = twins(ContextOptions::default()) else { return };
    let options = SearchOptions { nprobe: 4, ..SearchOptions::default() };
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (twins, options) = (&twins, &options);
            scope.spawn(move || {
                for step in 0..10 {
                    twins.check(&numbers(100 * thread + step, 7 * 16), 9, options);
                }
            });
        }
    });
    assert_eq!(twins.calls(), 2 * 16 * 10);
}

#[test]
fn memory_of_dropped_indexes_comes_back() {
    let Some(context) = gpu(ContextOptions::default()) else { return };
    let mut left = None;
    for _ in 0..3 {
        let twins =
            Twins::on(context.clone(), "Flat", Metric::L2, 16, &numbers(1, 4000 * 16)).expect("an adapter");
        twins.check(&numbers(2, 16), 3, &SearchOptions::default());
        let full = context.device_status().memory_bytes;
        assert!(full >= 4000 * 16 * 4);
        drop(twins);
        let now = context.device_status().memory_bytes;
        assert!(now <= full - 4000 * 16 * 4, "{now} of {full}");
        assert_eq!(*left.get_or_insert(now), now);
    }
}

#[test]
fn context_software_adapter_is_used_only_by_name() {
    let Some(found) = adapter() else { return };
    let real = ivf::devices().iter().skip(1).any(|device| device.kind != ivf::DeviceKind::Cpu);
    let name = |device: Option<&str>| {
        let device = device.map(str::to_owned);
        Context::new(&ContextOptions { device, ..ContextOptions::default() })
            .map(|c| Arc::new(c).device_name())
    };
    assert_ne!(name(None).expect("a context"), found.name);
    assert_eq!(name(Some("llvmpipe")).ok(), found.name.contains("llvmpipe").then(|| found.name.clone()));
    if !real {
        for wanted in ["gpu", "gpu:0", "gpu:1", "gpu:x", ""] {
            let error = name(Some(wanted)).expect_err(wanted).to_string();
            assert!(error.contains("expected"), "{error}");
        }
    }
}

#[test]
#[expect(unsafe_code, reason = "the functions under test are unsafe")]
fn context_info_of_the_c_api_tells_calls_memory_and_loss() {
    use ivf::ffi::{
        ivf_context_create, ivf_context_destroy, ivf_context_get_info, ivf_context_info, ivf_context_options,
    };
    let Some(found) = adapter() else { return };
    let name = std::ffi::CString::new(found.name).expect("no NUL");
    // SAFETY: zeros are the defaults of both structs; the pointers live through the calls.
    unsafe {
        let mut options: ivf_context_options = std::mem::zeroed();
        options.struct_size = u32::try_from(size_of::<ivf_context_options>()).expect("small");
        options.device = name.as_ptr();
        options.device_memory_bytes = 1 << 20;
        let mut context = std::ptr::null_mut();
        assert_eq!(ivf_context_create(&raw const options, &raw mut context), 0);
        let mut info: ivf_context_info = std::mem::zeroed();
        info.struct_size = u32::try_from(size_of::<ivf_context_info>()).expect("small");
        assert_eq!(ivf_context_get_info(context, &raw mut info), 0);
        // Nothing was asked of it: it is not open.
        assert_eq!((info.device_lost, info.device_calls, info.device_memory_bytes), (0, 0, 0));
        assert_eq!(std::ffi::CStr::from_ptr(info.device.as_ptr()), name.as_c_str());
        ivf_context_destroy(context);
    }
}
