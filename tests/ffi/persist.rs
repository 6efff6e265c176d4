//! Files and memory through the C ABI. What the bytes mean is tested in tests/persist.rs.

use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;

fn filled() -> Index {
    Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500)
}

/// A folder of the test's own, with a name that is not ASCII.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test} индекс 索引"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
}

fn serialized(index: &Index) -> Vec<u8> {
    let mut size = 0;
    ok(unsafe { ivf_serialize(index.0, null_mut(), 0, &mut size) });
    let mut bytes = vec![0xEE; usize::try_from(size).expect("small") + 1];
    let (to, capacity) = (bytes.as_mut_ptr().cast(), bytes.len() as u64);
    ok(unsafe { ivf_serialize(index.0, to, capacity, &mut size) });
    assert_eq!((bytes.pop(), bytes.len() as u64), (Some(0xEE), size), "no byte beyond the size is touched");
    bytes
}

fn deserialize(bytes: &[u8], index: &mut *mut ivf_index) -> ivf_status {
    unsafe { ivf_deserialize(null(), bytes.as_ptr().cast(), bytes.len() as u64, null(), index) }
}

fn load(path: &Path, options: ivf_io_options) -> Index {
    let mut index = null_mut();
    ok(unsafe { ivf_load(null(), c_path(path).as_ptr(), &options, &mut index) });
    Index(index)
}

fn assert_same(a: &Index, b: &Index) {
    let queries = rows(50, DIM);
    assert_eq!(a.search(&queries, DIM, 5, 4), b.search(&queries, DIM, 5, 4));
    let (a, b) = (a.info(), b.info());
    let of =
        |info: ivf_index_info| (info.count, info.nlist, info.nprobe, info.next_id, info.metric, info.trained);
    assert_eq!(of(a), of(b));
}

#[test]
fn save_then_load_gives_the_same_index() {
    let (index, path) = (filled(), folder("save_then_load").join("индекс.ivf"));
    ok(unsafe { ivf_save(index.0, c_path(&path).as_ptr(), null()) });
    assert_same(&index, &load(&path, sized()));
    assert_same(&index, &load(&path, ivf_io_options { memory_map: 1, ..sized() }));
    assert_same(&index, &load(&path, ivf_io_options { skip_verify: 1, threads: 1, ..sized() }));
    assert_eq!(std::fs::read(&path).expect("the file"), serialized(&index));
}

#[test]
fn export_faiss_then_load_gives_the_same_results() {
    let (index, path) = (filled(), folder("export_faiss").join("索引.faiss"));
    ok(unsafe { ivf_export_faiss(index.0, c_path(&path).as_ptr(), null()) });
    assert_same(&index, &load(&path, sized()));
}

#[test]
fn serialize_then_deserialize_gives_the_same_index() {
    let index = filled();
    let bytes = serialized(&index);
    let mut copy = null_mut();
    ok(deserialize(&bytes, &mut copy));
    assert_same(&index, &Index(copy));
}

#[test]
fn serialize_into_too_little_room_tells_the_size() {
    let index = filled();
    let bytes = serialized(&index);
    let (mut room, mut size) = (vec![0xEEu8; bytes.len()], 0);
    let status =
        unsafe { ivf_serialize(index.0, room.as_mut_ptr().cast(), bytes.len() as u64 - 1, &mut size) };
    fails(
        status,
        IVF_E_ARGUMENT,
        &format!("expected at least {} bytes, got {}", bytes.len(), bytes.len() - 1),
    );
    assert_eq!(size, bytes.len() as u64);
    assert!(room.iter().all(|&byte| byte == 0xEE));
}

#[test]
fn load_of_damaged_or_foreign_bytes_gives_null_and_a_reason() {
    let mut bytes = serialized(&filled());
    let last = bytes.len() - 1;
    let mut index = std::ptr::dangling_mut();
    fails(deserialize(&bytes[..last], &mut index), IVF_E_CORRUPT, "");
    assert!(index.is_null());
    bytes[last] ^= 1;
    index = std::ptr::dangling_mut();
    fails(deserialize(&bytes, &mut index), IVF_E_CORRUPT, "checksum");
    assert!(index.is_null());
    fails(deserialize(b"not an index at all", &mut index), IVF_E_FORMAT, "");
    fails(deserialize(b"", &mut index), IVF_E_FORMAT, "");
    let path = folder("load_missing").join("нет.ivf");
    let status = unsafe { ivf_load(null(), c_path(&path).as_ptr(), null(), &mut index) };
    fails(status, IVF_E_IO, "нет.ivf");
    let status = unsafe { ivf_save(filled().0, c_path(&path.join("a file")).as_ptr(), null()) };
    fails(status, IVF_E_IO, "a file");
}

#[test]
fn check_answers_what_load_answers() {
    let (index, path) = (filled(), folder("check").join("индекс.ivf"));
    let mut bytes = serialized(&index);
    let check_bytes =
        |bytes: &[u8]| unsafe { ivf_check_bytes(null(), bytes.as_ptr().cast(), bytes.len() as u64, null()) };
    let check = || unsafe { ivf_check(null(), c_path(&path).as_ptr(), null()) };
    fails(check(), IVF_E_IO, "индекс.ivf");
    ok(unsafe { ivf_export_faiss(index.0, c_path(&path).as_ptr(), null()) });
    ok(check());
    ok(unsafe { ivf_save(index.0, c_path(&path).as_ptr(), null()) });
    ok(check());
    ok(check_bytes(&bytes));
    let last = bytes.len() - 1;
    fails(check_bytes(&bytes[..last]), IVF_E_CORRUPT, "truncated");
    bytes[last] ^= 1;
    fails(check_bytes(&bytes), IVF_E_CORRUPT, "section VECS: expected the checksum");
    std::fs::write(&path, &bytes).expect("written");
    fails(check(), IVF_E_CORRUPT, "индекс.ivf: section VECS: expected the checksum");
    fails(check_bytes(b"not an index at all"), IVF_E_FORMAT, "");
}

/// A stream of the caller's: bytes, how often it was called, and what its calls answer instead of doing it.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    at: usize,
    calls: usize,
    answer: Option<i64>,
    index: Option<*mut ivf_index>,
    inner: ivf_status,
}

unsafe extern "C" fn write(data: *const c_void, size: u64, stream: *mut c_void) -> i32 {
    let stream = unsafe { &mut *stream.cast::<Stream>() };
    stream.calls += 1;
    let size = usize::try_from(size).expect("small");
    assert!((1..=1 << 20).contains(&size), "{size}");
    stream.bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) });
    if let Some(index) = stream.index {
        stream.inner = unsafe { ivf_reset(index) };
    }
    stream.answer.map_or(0, |answer| i32::try_from(answer).expect("small"))
}

unsafe extern "C" fn read(buffer: *mut c_void, size: u64, stream: *mut c_void) -> i64 {
    let stream = unsafe { &mut *stream.cast::<Stream>() };
    stream.calls += 1;
    assert!((1..=1 << 20).contains(&size), "{size}");
    if let Some(answer) = stream.answer {
        return answer;
    }
    // A few at a time, as a socket gives them.
    let count = usize::try_from(size).expect("small").min(777).min(stream.bytes.len() - stream.at);
    unsafe { buffer.cast::<u8>().copy_from(stream.bytes[stream.at..].as_ptr(), count) };
    stream.at += count;
    i64::try_from(count).expect("small")
}

fn load_stream(stream: &mut Stream, index: &mut *mut ivf_index) -> ivf_status {
    unsafe { ivf_load_stream(null(), Some(read), (&raw mut *stream).cast(), null(), index) }
}

fn save_stream(index: &Index, stream: &mut Stream) -> ivf_status {
    unsafe { ivf_save_stream(index.0, Some(write), (&raw mut *stream).cast(), null()) }
}

#[test]
fn streams_hold_the_bytes_of_a_file_and_keep_what_follows() {
    let (index, mut stream) = (filled(), Stream::default());
    ok(save_stream(&index, &mut stream));
    assert_eq!(stream.bytes, serialized(&index));
    let length = stream.bytes.len();
    stream.bytes.extend(b"rest");
    let mut copy = null_mut();
    ok(load_stream(&mut stream, &mut copy));
    assert_same(&index, &Index(copy));
    assert_eq!(stream.at, length);
    let path = folder("streams").join("index.faiss");
    ok(unsafe { ivf_export_faiss(index.0, c_path(&path).as_ptr(), null()) });
    let mut stream = Stream { bytes: std::fs::read(path).expect("the file"), ..Stream::default() };
    ok(load_stream(&mut stream, &mut copy));
    assert_same(&index, &Index(copy));
}

#[test]
fn streams_cut_anywhere_answer_as_their_bytes_do() {
    let bytes = serialized(&filled());
    let mut index = null_mut();
    for cut in (0..300).chain((300..bytes.len()).step_by(997)) {
        let expected = (deserialize(&bytes[..cut], &mut index), crate::support::last_error());
        let mut stream = Stream { bytes: bytes[..cut].to_vec(), ..Stream::default() };
        index = std::ptr::dangling_mut();
        let status = load_stream(&mut stream, &mut index);
        assert!(index.is_null());
        // Between magic and header there is less to tell of.
        if cut < 64 {
            assert_eq!(status, expected.0, "{cut}");
        } else {
            assert_eq!((status, crate::support::last_error()), expected, "{cut}");
        }
    }
    // A header that lies about the length makes nobody wait for it or allocate it.
    let mut lying = bytes[..64].to_vec();
    lying[16..24].copy_from_slice(&(1u64 << 60).to_le_bytes());
    fails(load_stream(&mut Stream { bytes: lying, ..Stream::default() }, &mut index), IVF_E_CORRUPT, "");
}

#[test]
fn streams_that_fail_are_not_called_again() {
    let index = filled();
    let mut stream = Stream { answer: Some(7), ..Stream::default() };
    fails(save_stream(&index, &mut stream), IVF_E_IO, "writing the stream: the callback returned 7");
    assert_eq!(stream.calls, 1);
    let mut made = std::ptr::dangling_mut();
    let mut stream = Stream { answer: Some(-7), ..Stream::default() };
    fails(load_stream(&mut stream, &mut made), IVF_E_IO, "reading the stream: the callback returned -7");
    assert!(stream.calls == 1 && made.is_null());
    let mut stream = Stream { answer: Some(1 << 40), ..Stream::default() };
    fails(load_stream(&mut stream, &mut made), IVF_E_IO, "expected at most 8 bytes, got 1099511627776");
    assert_eq!(stream.calls, 1);
}

#[test]
fn save_stream_callback_into_its_own_index_is_refused() {
    let index = filled();
    let mut stream = Stream { index: Some(index.0), ..Stream::default() };
    ok(save_stream(&index, &mut stream));
    assert_eq!((stream.inner, stream.bytes), (IVF_E_STATE, serialized(&index)));
}

#[test]
fn persist_bad_arguments_are_named() {
    let (index, mut made, mut size) = (filled(), null_mut(), 0);
    let path = c_path(&folder("persist_bad_arguments").join("index.ivf"));
    let (path, bytes) = (path.as_ptr(), [0u8; 4].as_ptr().cast());
    let map = ivf_io_options { memory_map: 1, ..sized() };
    let skip = ivf_io_options { skip_verify: 1, ..sized() };
    let two = ivf_io_options { memory_map: 2, ..sized() };
    let small = ivf_io_options { struct_size: 8, ..sized() };
    unsafe {
        fails(ivf_save(null(), path, null()), IVF_E_NULL, "`index`");
        fails(ivf_save(index.0, null(), null()), IVF_E_NULL, "`path`");
        fails(ivf_export_faiss(null(), path, null()), IVF_E_NULL, "`index`");
        fails(ivf_export_faiss(index.0, null(), null()), IVF_E_NULL, "`path`");
        fails(ivf_load(null(), null(), null(), &mut made), IVF_E_NULL, "`path`");
        fails(ivf_load(null(), path, null(), null_mut()), IVF_E_NULL, "`index`");
        fails(ivf_serialize(null(), null_mut(), 0, &mut size), IVF_E_NULL, "`index`");
        fails(ivf_serialize(index.0, null_mut(), 0, null_mut()), IVF_E_NULL, "`size`");
        fails(ivf_deserialize(null(), null(), 4, null(), &mut made), IVF_E_NULL, "`data`");
        fails(ivf_deserialize(null(), bytes, 4, null(), null_mut()), IVF_E_NULL, "`index`");
        fails(ivf_deserialize(null(), bytes, u64::MAX, null(), &mut made), IVF_E_OVERFLOW, "data");
        fails(ivf_save(index.0, c"\xff".as_ptr(), null()), IVF_E_ARGUMENT, "path: expected UTF-8");
        fails(ivf_save(index.0, path, &map), IVF_E_ARGUMENT, "memory_map");
        fails(ivf_save(index.0, path, &skip), IVF_E_ARGUMENT, "skip_verify");
        fails(ivf_export_faiss(index.0, path, &map), IVF_E_ARGUMENT, "memory_map");
        fails(ivf_deserialize(null(), bytes, 4, &map, &mut made), IVF_E_ARGUMENT, "memory_map");
        fails(ivf_load(null(), path, &two, &mut made), IVF_E_ARGUMENT, "expected 0 or 1, got 2");
        fails(ivf_save_stream(null(), Some(write), null_mut(), null()), IVF_E_NULL, "`index`");
        fails(ivf_save_stream(index.0, None, null_mut(), null()), IVF_E_NULL, "`write`");
        fails(ivf_load_stream(null(), None, null_mut(), null(), &mut made), IVF_E_NULL, "`read`");
        fails(ivf_load_stream(null(), Some(read), null_mut(), null(), null_mut()), IVF_E_NULL, "`index`");
        fails(ivf_load_stream(null(), Some(read), null_mut(), &map, &mut made), IVF_E_ARGUMENT, "memory_map");
        fails(ivf_save_stream(index.0, Some(write), null_mut(), &skip), IVF_E_ARGUMENT, "skip_verify");
        fails(ivf_check(null(), null(), null()), IVF_E_NULL, "`path`");
        fails(ivf_check(null(), path, &map), IVF_E_ARGUMENT, "memory_map");
        fails(ivf_check(null(), path, &skip), IVF_E_ARGUMENT, "skip_verify");
        fails(ivf_check_bytes(null(), null(), 4, null()), IVF_E_NULL, "`data`");
        fails(ivf_check_bytes(null(), bytes, u64::MAX, null()), IVF_E_OVERFLOW, "data");
        fails(ivf_load(null(), path, &small, &mut made), IVF_E_ARGUMENT, "struct_size");
    }
}
