//! Index files: our own format, and faiss's in [`faiss`].
//!
//! # The format, version 1
//!
//! Everything is little-endian. A file is a header, a table of sections, and the sections, each of which
//! starts on a multiple of 64 bytes (zeros fill the gaps), so that a mapped file's lists are aligned.
//!
//! | bytes | header |
//! |---|---|
//! | 0..8 | magic: `89 49 56 46 0D 0A 1A 0A` (`\x89IVF\r\n\x1a\n`) |
//! | 8..12 | u32 format version, 1 |
//! | 12..16 | u32 number of sections |
//! | 16..24 | u64 length of the whole file |
//! | 24..60 | zeros |
//! | 60..64 | u32 CRC-32 of bytes 0..60 and of the table |
//!
//! | bytes | entry of the table |
//! |---|---|
//! | 0..4 | tag, four ASCII letters, each at most once |
//! | 4..8 | u32 flags: 1 = required, a reader that does not know the tag must refuse the file |
//! | 8..16 | u64 offset from the start of the file |
//! | 16..24 | u64 length, the gap not included |
//! | 24..28 | u32 CRC-32 of the section |
//! | 28..32 | zeros |
//!
//! | tag | section |
//! |---|---|
//! | `META` | u32 dim, u32 metric (0 inner product, 1 L2, 2 cosine), u64 default nprobe (0 = chosen), i64 next id, u32 flags (1 trained, 2 duplicate ids allowed), u32 length of the description, then the description in UTF-8 (`IVF512,Flat`), whose code tells the element type |
//! | `XFRM` | only where the index string names transforms: i32 number, then each as in faiss's files (code, own fields, i32 columns in, i32 columns out, u8 trained). `dim` in `META` is what they lead to |
//! | `CENT` | f32 `[nlist, dim]` centroids; only in an IVF index that has them |
//! | `TREE` | only where the index string names `_HNSW` and there are many lists: u32 number of groups, then f32 `[groups, dim]` centroids of groups of centroids and u32 `[nlist]` the group of each |
//! | `CODE` | only where the index string names codes: u32 bits, u32 flags (1 = of residuals from the centroids, 2 = RaBitQ, 4 = its estimates are of products, 8 = product quantizer, 16 = by fast scan, 32 = with the share that it loses). For a product quantizer u32 parts, then, once trained, f32 the share of the squared length that codes lose of the training rows (flag 32; by it inner products are coded), and f32 `[parts][words][dim / parts]`. For RaBitQ of a flat index, once trained, f32 `[dim]` the mean; for scalar codes (`SQ8`, `SQ6`, `SQ4`), once trained, f32 `[dim]` least values and f32 `[dim]` widths of the ranges. A code c of b bits stands for `least + width * (c + 1/2) / (2^b - 1)` |
//! | `RFIN` | only where the index string names a refinement: u32 columns of a kept row as it came in, u32 what it is held in (0 float32, 1 float16, 2 bfloat16, 3 bytes), then for scalar codes what `CODE` has |
//! | `LIST` | for each list u64 vectors stored and u64 how many of these are removed |
//! | `BIAS` | for each list f32 `[lanes]`: what a vector's score starts from, `-inf` for removed ones and padding; 0 or less but where RaBitQ estimates products |
//! | `IDS ` | for each list i64 `[vectors]` |
//! | `VECS` | for each list its blocks as they are in memory, see `lists::block`: f32 `[block][dim][width]` |
//! | `VF16`, `VB16`, `VU8 ` | instead of `VECS`: the same in float16, bfloat16 or u8; scalar codes are u8 `[block][column][width]`, a vector's columns being its codes one after another from the lowest bit on, as in faiss. Behind RaBitQ's codes stand f32s of four columns each, with the residual r and the code's direction u (code - (2^b - 1) / 2 in each dimension): `\|r\|^2 / <u, r>`, `\|r\|`, and where products are estimated `<r, centroid>` |
//! | `ROWS` | only with `RFIN`: for each list what is kept of its vectors, one after another: the values, or the codes from the lowest bit on, of each dimension in turn |
//! | `RANK` | not required, only in an IVF index, whose lists are then kept in this order: for each list f32 `[vectors]`, rising unless an ordering was cut short: the squared distance from the list's centroid, of inner products the vector's negated squared length |
//! | `SOAR` | only where vectors are kept in a second list too: f32 lambda, above 0 |
//! | `SLST`, `SBIA`, `SIDS`, `SVEC` | only with `SOAR`, of the lists of copies: what `LIST`, `BIAS`, `IDS ` and the section of vectors have of the lists. Their ids are those of the vectors, each once |
//! | `KFAC` | not required, only with `RFIN`: f32 default k_factor, 1 or more; without it, it is chosen |
//! | `CURV` | not required; the operating curve: u64 k, u64 sample queries, u64 vectors measured on, u64 added or removed since, then for each point u64 nprobe, f64 recall, f64 its lower end, f64 cost, f64 k_factor (0 = none, else 1 or more); nprobe never falls |
//! | `CVPS` | not required, only with `CURV`: f32 `[points]` probe_scale of each point, 0 = none; who passes it over finds as much in more lists |
//!
//! A list of n vectors has `lanes` = n rounded up to 16: whole blocks of 32 vectors, the last one 16 wide if
//! that is enough. Removed vectors are stored as they are until the index is compacted, so that a loaded
//! index equals the saved one in every respect; compact before saving to be rid of their data.
//!
//! A change that old readers may pass over is a new section without the flag "required"; one that they must
//! not is a required section; anything else is a new format version. Readers read all older versions.

mod atomic;
mod check;
mod code;
mod curve;
pub(crate) mod faiss;
mod format;
mod map;
mod read;
mod read_lists;
mod refine;
mod replaced;
mod source;
mod stream;
mod transfer;
mod tree;
mod write;

use std::io::{Read, Write};
use std::path::Path;

use crate::coarse::Grouping;
use crate::codec::Codec;
use crate::context::Context;
use crate::curve::Curve;
use crate::error::{Error, Result};
use crate::lists::Lists;
use crate::metric::Metric;
use crate::progress::Control;
use crate::transform::Chain;

use source::Source;
use transfer::Transfer;

#[cfg(target_endian = "big")]
compile_error!("index files are little-endian and are read and mapped as they are");

/// How a file is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Threads that read, check and convert; 0 = all of the context's.
    pub threads: usize,
    /// Borrow ids and vectors from a read-only map of the file instead of reading them. The file must not be
    /// changed in place while the index lives: replace it (as `save` does), do not write into it. Not for
    /// faiss's files, whose vectors lie otherwise, and not for memory.
    pub memory_map: bool,
    /// Do not check the lists' checksums, ids and vectors; for files that are known to be sound. What a scan
    /// relies on is checked nevertheless.
    pub skip_verify: bool,
}

/// Whether the vectors that a file holds stay in memory, or are only looked at.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Vectors,
    Nothing,
}

/// What makes an index, borrowed, for writing.
pub(crate) struct Parts<'a> {
    pub(crate) dim: usize,
    pub(crate) metric: Metric,
    /// Canonical: "Flat" or "IVF512,SQfp16"; "IVF,Flat" while the size is not chosen.
    pub(crate) description: &'a str,
    pub(crate) transforms: &'a Chain,
    pub(crate) trained: bool,
    /// Of an IVF index the number of lists, once it is chosen.
    pub(crate) nlist: Option<Option<usize>>,
    /// `[nlist, dim]` of an IVF index once it has them.
    pub(crate) centroids: Option<&'a [f32]>,
    /// How the centroids are found, if not one by one.
    pub(crate) grouping: Option<&'a Grouping>,
    pub(crate) codec: &'a Codec,
    /// What kept rows are held in, and their columns.
    pub(crate) refine: Option<(&'a Codec, usize)>,
    pub(crate) lists: &'a Lists,
    pub(crate) next_id: i64,
    pub(crate) nprobe: usize,
    pub(crate) allow_duplicate_ids: bool,
    /// 0 = chosen.
    pub(crate) k_factor: f32,
    /// 0 = no copies.
    pub(crate) soar: f32,
    pub(crate) curve: Option<&'a Curve>,
}

/// What makes an index, as loaded. Sizes, ids and biases are consistent; whether the description, the
/// centroids and the number of lists belong together is for the index to say.
pub(crate) struct LoadedParts {
    pub(crate) dim: usize,
    pub(crate) metric: Metric,
    pub(crate) description: String,
    pub(crate) transforms: Chain,
    pub(crate) trained: bool,
    pub(crate) centroids: Option<Vec<f32>>,
    pub(crate) grouping: Option<Grouping>,
    pub(crate) codec: Codec,
    pub(crate) refine: Option<(Codec, usize)>,
    pub(crate) lists: Lists,
    pub(crate) next_id: i64,
    pub(crate) nprobe: usize,
    pub(crate) allow_duplicate_ids: bool,
    pub(crate) k_factor: f32,
    /// 0 = no copies.
    pub(crate) soar: f32,
    pub(crate) curve: Option<Curve>,
}

/// Saves in our format, atomically: whatever happens, the path holds the old file or the whole new one.
pub(crate) fn save(context: &Context, parts: &Parts<'_>, path: &Path, control: &Control<'_>) -> Result<()> {
    atomic::replace(context, path, control, &mut |out| write::write(parts, out, control))
}

/// Saves in faiss's format, as atomically.
pub(crate) fn export_faiss(
    context: &Context,
    parts: &Parts<'_>,
    path: &Path,
    control: &Control<'_>,
) -> Result<()> {
    faiss::check_writable(parts)?;
    atomic::replace(context, path, control, &mut |out| faiss::write(parts, out, control))
}

/// The length of the index in our format, in bytes.
pub(crate) fn serialized_size(parts: &Parts<'_>) -> Result<u64> {
    write::size(parts)
}

/// Writes our format, front to back.
pub(crate) fn serialize(parts: &Parts<'_>, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    write::write(parts, out, control)
}

/// Writes our format into a stream.
pub(crate) fn save_stream(parts: &Parts<'_>, out: &mut dyn Write, control: &Control<'_>) -> Result<()> {
    stream::save(parts, out, control)
}

/// Loads the index that a stream holds; what follows one of ours is left in the stream.
pub(crate) fn load_stream(
    context: &Context,
    input: &mut dyn Read,
    options: &LoadOptions,
    control: &Control<'_>,
) -> Result<LoadedParts> {
    if options.memory_map {
        return Err(Error::argument("memory_map: expected a file to map, got a stream"));
    }
    deserialize(context, &stream::gather(input, control)?, options, control)
}

/// Loads a file of ours or of faiss's.
pub(crate) fn load(
    context: &Context,
    path: &Path,
    options: &LoadOptions,
    control: &Control<'_>,
) -> Result<LoadedParts> {
    load_source(context, &Source::open(path)?, Keep::Vectors, options, control)
        .map_err(|error| name_file(error, path))
}

/// What [`load`] would answer: the parts without their vectors, or its error.
pub(crate) fn check(
    context: &Context,
    path: &Path,
    threads: usize,
    control: &Control<'_>,
) -> Result<LoadedParts> {
    let options = LoadOptions { threads, ..LoadOptions::default() };
    load_source(context, &Source::open(path)?, Keep::Nothing, &options, control)
        .map_err(|error| name_file(error, path))
}

/// What [`deserialize`] would answer, likewise.
pub(crate) fn check_bytes(
    context: &Context,
    bytes: &[u8],
    threads: usize,
    control: &Control<'_>,
) -> Result<LoadedParts> {
    let options = LoadOptions { threads, ..LoadOptions::default() };
    load_source(context, &Source::Bytes(bytes), Keep::Nothing, &options, control)
}

/// Loads from memory what `save`, `serialize` or faiss wrote.
pub(crate) fn deserialize(
    context: &Context,
    bytes: &[u8],
    options: &LoadOptions,
    control: &Control<'_>,
) -> Result<LoadedParts> {
    if options.memory_map {
        return Err(Error::argument("memory_map: expected a file to map, got an index in memory"));
    }
    load_source(context, &Source::Bytes(bytes), Keep::Vectors, options, control)
}

fn load_source(
    context: &Context,
    source: &Source<'_>,
    keep: Keep,
    options: &LoadOptions,
    control: &Control<'_>,
) -> Result<LoadedParts> {
    let mut start = [0; 8];
    let start = source.read_start(&mut start)?;
    if start == format::MAGIC {
        read::read(Transfer::new(context, source, keep, options, control), options)
    } else if let Some(code) = faiss::recognise(start) {
        faiss::read(Transfer::new(context, source, keep, options, control), code, options)
    } else if start.is_empty() {
        Err(Error::Format("expected an index file of libivf or faiss, got an empty file".into()))
    } else if format::MAGIC.starts_with(start) {
        Err(Error::corrupt("truncated: the file ends within its magic number"))
    } else {
        Err(Error::Format(format!(
            "expected an index file of libivf or faiss, got one that begins with \"{}\"",
            start.escape_ascii()
        )))
    }
}

/// Puts the file's name before an error about its content.
pub(crate) fn name_file(error: Error, path: &Path) -> Error {
    let name = |text: String| format!("{}: {text}", path.display());
    match error {
        Error::Format(text) => Error::Format(name(text)),
        Error::Corrupt(text) => Error::Corrupt(name(text)),
        Error::Unsupported(text) => Error::Unsupported(name(text)),
        other => other,
    }
}
