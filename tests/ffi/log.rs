//! The log: told of few training points, on the calling thread, and let go when nothing needs it any more.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::null_mut;

use ivf::ffi::*;

use crate::support::{ok, rows, sized};

const DIM: u32 = 4;

#[derive(Default)]
struct Heard {
    messages: Vec<(i32, String)>,
    freed: usize,
    /// Called into from the log, if any.
    index: Option<*mut ivf_index>,
    status: ivf_status,
}

unsafe extern "C" fn hear(level: i32, text: *const c_char, data: *mut c_void) {
    let heard = unsafe { &mut *data.cast::<Heard>() };
    let text = unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned();
    heard.messages.push((level, text));
    if let Some(index) = heard.index {
        heard.status = unsafe { ivf_reset(index) };
    }
}

unsafe extern "C" fn free(data: *mut c_void) {
    unsafe { (*data.cast::<Heard>()).freed += 1 };
}

fn options(heard: &mut Heard) -> ivf_context_options {
    ivf_context_options {
        log: Some(hear),
        log_data: std::ptr::from_mut(heard).cast(),
        log_free: Some(free),
        ..sized()
    }
}

#[test]
fn log_few_points_are_told_and_the_data_outlives_the_context() {
    let mut heard = Heard::default();
    let (mut context, mut index) = (null_mut(), null_mut());
    let options = options(&mut heard);
    ok(unsafe { ivf_context_create(&options, &raw mut context) });
    let text = CString::new("IVF4,Flat").unwrap();
    ok(unsafe {
        ivf_index_create(context, DIM, IVF_METRIC_L2, text.as_ptr(), std::ptr::null(), &raw mut index)
    });
    unsafe { ivf_context_destroy(context) };
    assert_eq!(heard.freed, 0);
    let x = rows(200, DIM);
    ok(unsafe { ivf_train(index, x.as_ptr(), 200, DIM, std::ptr::null()) });
    assert_eq!(heard.messages, []);
    heard.index = Some(index);
    ok(unsafe { ivf_train(index, x.as_ptr(), 100, DIM, std::ptr::null()) });
    let [(level, message)] = &heard.messages[..] else { panic!("{:?}", heard.messages) };
    assert_eq!(*level, IVF_LOG_LEVEL_WARNING);
    assert!(message.contains("4 centroids: expected at least 156 points (39 each), got 100"), "{message}");
    // The index is at work: no call into it could end.
    assert_eq!(heard.status, IVF_E_STATE);
    unsafe { ivf_index_destroy(index) };
    assert_eq!(heard.freed, 1);
}

#[test]
fn log_data_is_let_go_where_no_context_is_made() {
    let mut heard = Heard::default();
    let kernel = CString::new("abacus").unwrap();
    let mut context = null_mut();
    let refused = ivf_context_options { kernel: kernel.as_ptr(), ..options(&mut heard) };
    assert_eq!(unsafe { ivf_context_create(&refused, &raw mut context) }, IVF_E_ARGUMENT);
    assert_eq!(heard.freed, 1);
    // Without a function to call the data is of no use.
    let mute = ivf_context_options { log: None, ..options(&mut heard) };
    ok(unsafe { ivf_context_create(&mute, &raw mut context) });
    assert_eq!(heard.freed, 2);
    unsafe { ivf_context_destroy(context) };
    assert_eq!(heard.freed, 2);
}
