//! Reading faiss's files. Every size is compared with the bytes left before anything is allocated for it.

use super::codes::{self, unsupported};
use super::cursor::Cursor;
use super::lists::{self, Place};
use super::scalar;
use super::transforms::read_chain;
use super::{
    Code, FAST, FLAT, FLAT_IP, FLAT_L2, ID_MAP, ID_MAP_2, IVF_FAST, IVF_FLAT, IVF_FLAT_OLD,
    IVF_FLAT_OLD_BYTES, IVF_PRODUCT, IVF_SCALAR, PRE_TRANSFORM, PRODUCT, REFINE, SCALAR,
};
use crate::codec::Codec;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::Lists;
use crate::metric::Metric;
use crate::persist::transfer::Transfer;
use crate::persist::{LoadOptions, LoadedParts, check};
use crate::transform::Chain;

/// Most indexes within each other.
const MAX_NESTING: usize = 50;

const SUPPORTED: &str = "IxF2, IxFI, IxFl (Flat), IwFl, IvFl, IvFL (IVF Flat), IxSQ and IwSq (scalar quantizers), IxPq, IwPQ, IPfs and IwPf (PQ), IxPT (transforms), IxRF (refine), IxMp and IxM2 (id maps) around them";

/// Reads a faiss index that begins with `code`.
pub(in crate::persist) fn read(
    transfer: Transfer<'_, '_>,
    code: Code,
    options: &LoadOptions,
) -> Result<LoadedParts> {
    let (source, control) = (transfer.source, transfer.control);
    if options.memory_map {
        return Err(Error::Unsupported(format!(
            "a faiss file (`{}`) cannot be mapped, its vectors lie otherwise: load it without memory_map and save it",
            code.escape_ascii()
        )));
    }
    let cursor = Cursor { source, at: 0 };
    let mut reader = Reader { cursor, transfer };
    let mut parts = reader.index(0)?;
    let left = source.len() - reader.cursor.at;
    if left > 0 {
        return Err(fault(format!("expected the end at byte {}, got {left} more", reader.cursor.at)));
    }
    let ids = check::Ids::of(&parts.lists, control)?;
    parts.next_id = match ids.largest {
        Some(largest) => largest
            .checked_add(1)
            .ok_or_else(|| Error::Unsupported(format!("faiss index: id {largest} leaves no next id")))?,
        None => 0,
    };
    parts.allow_duplicate_ids = ids.repeated.is_some();
    Ok(parts)
}

pub(super) fn fault(text: String) -> Error {
    Error::Corrupt(format!("faiss index: {text}"))
}

/// What every index begins with.
pub(super) struct Header {
    pub(super) dim: usize,
    pub(super) count: u64,
    pub(super) trained: bool,
    pub(super) metric: Metric,
}

pub(super) struct Reader<'a, 'c> {
    pub(super) cursor: Cursor<'a>,
    pub(super) transfer: Transfer<'a, 'c>,
}

impl Reader<'_, '_> {
    pub(super) fn index(&mut self, depth: usize) -> Result<LoadedParts> {
        let code = self.cursor.code()?;
        match code {
            FLAT_L2 | FLAT_IP | FLAT => self.flat(),
            SCALAR => self.flat_scalar(),
            PRODUCT => self.flat_product(),
            FAST => self.flat_fast(),
            IVF_FLAT | IVF_FLAT_OLD | IVF_FLAT_OLD_BYTES | IVF_SCALAR | IVF_PRODUCT | IVF_FAST => {
                self.ivf(code)
            }
            ID_MAP | ID_MAP_2 | PRE_TRANSFORM | REFINE if depth == MAX_NESTING => {
                Err(fault(format!("more than {MAX_NESTING} indexes within each other")))
            }
            ID_MAP | ID_MAP_2 => self.id_map(depth),
            PRE_TRANSFORM => self.transformed(depth),
            REFINE => self.refined(depth),
            other => Err(unsupported("index", other, SUPPORTED)),
        }
    }

    pub(super) fn header(&mut self) -> Result<Header> {
        let dim = self.cursor.i32()?;
        let count = self.cursor.i64()?;
        self.cursor.skip("header", 2, 8)?;
        let trained = self.cursor.bool("is_trained")?;
        let metric = match self.cursor.i32()? {
            0 => Metric::InnerProduct,
            1 => Metric::L2,
            other => return Err(codes::unsupported_metric(other)),
        };
        match (usize::try_from(dim), u64::try_from(count)) {
            (Ok(dim @ 1..), Ok(count)) => Ok(Header { dim, count, trained, metric }),
            _ => Err(fault(format!("expected a dimension and a number of vectors, got {dim} and {count}"))),
        }
    }

    /// The header, and where the rows begin.
    pub(super) fn flat_rows(&mut self) -> Result<(Header, u64)> {
        let header = self.header()?;
        let values = self.cursor.u64()?;
        if header.count.checked_mul(header.dim as u64) != Some(values) {
            return Err(fault(format!(
                "Flat: expected {} vectors of {} values, got {values} values",
                header.count, header.dim
            )));
        }
        let rows = self.cursor.skip("Flat: vectors", values, 4)?;
        Ok((header, rows))
    }

    fn flat(&mut self) -> Result<LoadedParts> {
        let (header, rows) = self.flat_rows()?;
        let place = Place { len: self.fits(header.count, header.dim)?, rows, ids: None };
        let codec = Codec::Plain(Element::F32);
        let lists = lists::read(&mut self.transfer, &[place], &header, &codec, None, None)?;
        Ok(loaded(&header, "Flat".into(), None, codec, lists, 0))
    }

    /// The header, what the rows are held in, its name in index strings, and where the rows begin.
    pub(super) fn scalar_rows(&mut self) -> Result<(Header, Codec, &'static str, u64)> {
        let header = self.header()?;
        let (codec, name) = scalar::read(&mut self.cursor, header.dim)?;
        let bytes = self.cursor.u64()?;
        let each = scalar::code_size(&codec, header.dim) as u64;
        if header.count.checked_mul(each) != Some(bytes) || (bytes > 0 && !codec.is_trained()) {
            return Err(fault(format!(
                "scalar quantizer: expected {} codes of {each} bytes, got {bytes} bytes",
                header.count
            )));
        }
        let rows = self.cursor.skip("scalar quantizer: codes", bytes, 1)?;
        Ok((header, codec, name, rows))
    }

    fn flat_scalar(&mut self) -> Result<LoadedParts> {
        let (header, codec, name, rows) = self.scalar_rows()?;
        let place = Place { len: self.fits(header.count, header.dim)?, rows, ids: None };
        let lists = lists::read(&mut self.transfer, &[place], &header, &codec, None, None)?;
        Ok(loaded(&header, name.into(), None, codec, lists, 0))
    }

    /// The quantizer of an IVF index, its code size again, and whether codes are of residuals.
    fn ivf_scalar(&mut self, header: &Header) -> Result<(Codec, String)> {
        let (codec, name) = scalar::read(&mut self.cursor, header.dim)?;
        let (each, got) = (scalar::code_size(&codec, header.dim) as u64, self.cursor.u64()?);
        if each != got {
            return Err(fault(format!("scalar quantizer: expected codes of {each} bytes, got {got}")));
        }
        match (codec, self.cursor.bool("by_residual")?) {
            (codec, false) => Ok((codec, name.into())),
            (Codec::Scalar(scalar), true) => Ok((Codec::Scalar(scalar.of_residuals()), name.into())),
            (_, true) => Err(Error::Unsupported(format!(
                "faiss index of type `IwSq` with {name} of residuals (by_residual) is not supported: lists here hold such values themselves"
            ))),
        }
    }

    fn transformed(&mut self, depth: usize) -> Result<LoadedParts> {
        let header = self.header()?;
        let mut chain = read_chain(&mut self.cursor)?;
        let mut parts = self.index(depth + 1)?;
        if parts.refine.is_some() && !chain.steps.is_empty() {
            return Err(Error::Unsupported(
                "faiss index of type `IxPT` (pre-transform) around `IxRF` (refine) is not supported: here the best are compared again with rows as they came in, before the transforms; supported: `IxRF` around `IxPT`".into(),
            ));
        }
        let inner = parts.transforms.d_in(parts.dim);
        let count = parts.lists.live() as u64;
        if (chain.d_in(inner), chain.d_out(inner), parts.metric, count)
            != (header.dim, inner, header.metric, header.count)
        {
            return Err(fault(format!(
                "transforms: expected {} columns and an index of {} vectors behind them, got {} and {count}",
                header.dim,
                header.count,
                chain.d_in(inner)
            )));
        }
        let names: String = chain.steps.iter().map(|step| format!("{step},")).collect();
        parts.description.insert_str(0, &names);
        parts.trained &= chain.is_trained();
        if !parts.trained && count > 0 {
            return Err(fault("transforms: vectors behind some that are not trained".into()));
        }
        chain.steps.append(&mut parts.transforms.steps);
        parts.transforms = chain;
        Ok(parts)
    }

    fn id_map(&mut self, depth: usize) -> Result<LoadedParts> {
        let header = self.header()?;
        let mut parts = self.index(depth + 1)?;
        let ids: Vec<i64> = self.cursor.vector("id map")?;
        if (parts.transforms.d_in(parts.dim), parts.metric) != (header.dim, header.metric)
            || [ids.len(), parts.lists.live()].iter().any(|&count| count as u64 != header.count)
        {
            return Err(fault(format!(
                "id map: expected {} ids and an index like it, got {} ids and {} vectors",
                header.count,
                ids.len(),
                parts.lists.live()
            )));
        }
        if !check::not_negative(&ids) {
            return Err(fault("id map: expected ids of 0 or more, got a negative one".into()));
        }
        for list in &mut parts.lists.lists {
            for id in list.slices_mut()?.ids {
                *id =
                    usize::try_from(*id).ok().and_then(|place| ids.get(place)).copied().ok_or_else(|| {
                        fault(format!("id map: expected a place below {}, got {id}", ids.len()))
                    })?;
            }
        }
        Ok(parts)
    }

    fn ivf(&mut self, code: Code) -> Result<LoadedParts> {
        let header = self.header()?;
        let nlist = self.cursor.u64()?;
        let nprobe = self.cursor.u64()?;
        let centroids = self.quantizer(&header, nlist)?;
        let (mut codec, mut name, mut block) = (Codec::Plain(Element::F32), "Flat".to_owned(), None);
        let places = if code == IVF_FLAT_OLD || code == IVF_FLAT_OLD_BYTES {
            self.old_lists(code, &header, nlist, centroids.is_some())?
        } else {
            self.direct_map()?;
            match code {
                IVF_SCALAR => (codec, name) = self.ivf_scalar(&header)?,
                IVF_PRODUCT => (codec, name) = self.ivf_product(&header)?,
                IVF_FAST => {
                    let (read, called, vectors) = self.ivf_fast(&header)?;
                    (codec, name, block) = (read, called, Some(vectors));
                }
                _ => {}
            }
            let (each, trained) = (scalar::code_size(&codec, header.dim), centroids.is_some());
            match block {
                None => self.array_lists(&header, nlist, each, trained)?,
                Some(block) => self.block_lists(&header, nlist, each, block, trained)?,
            }
        };
        if !codec.is_trained() && header.count > 0 {
            return Err(fault("codes of a quantizer that is not trained".into()));
        }
        let stored = places.iter().map(|place| place.len as u64).sum::<u64>();
        if stored != header.count {
            return Err(fault(format!("lists: expected {} vectors, got {stored}", header.count)));
        }
        let lists = lists::read(&mut self.transfer, &places, &header, &codec, centroids.as_deref(), block)?;
        let description = format!("IVF{nlist},{name}");
        let nprobe = usize::try_from(nprobe).unwrap_or(usize::MAX);
        Ok(loaded(&header, description, centroids, codec, lists, nprobe))
    }

    /// The centroids, unless the index is not trained.
    fn quantizer(&mut self, ivf: &Header, nlist: u64) -> Result<Option<Vec<f32>>> {
        let code = self.cursor.code()?;
        if ![FLAT_L2, FLAT_IP, FLAT].contains(&code) {
            return Err(unsupported("coarse quantizer", code, "IxF2, IxFI, IxFl (Flat)"));
        }
        let (header, rows) = self.flat_rows()?;
        if header.dim != ivf.dim {
            return Err(fault(format!("quantizer: expected {} dimensions, got {}", ivf.dim, header.dim)));
        }
        if header.metric != ivf.metric {
            return Err(Error::Unsupported(format!(
                "faiss index with metric {:?} whose coarse quantizer has metric {:?} is not supported; both have to be the same",
                ivf.metric, header.metric
            )));
        }
        if header.count == 0 && !ivf.trained {
            return Ok(None);
        }
        if header.count != nlist || nlist == 0 {
            return Err(fault(format!("quantizer: expected {nlist} centroids, got {}", header.count)));
        }
        let mut rows = Cursor { source: self.cursor.source, at: rows };
        rows.array("quantizer", nlist * ivf.dim as u64).map(Some)
    }

    /// The length of a list, if it can be held at all.
    pub(super) fn fits(&self, len: u64, dim: usize) -> Result<usize> {
        match (usize::try_from(len), lists::room(len, dim)) {
            (Ok(len), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok(len),
            _ => Err(fault(format!("{len} vectors of {dim} dimensions fit in no memory"))),
        }
    }
}

pub(super) fn loaded(
    header: &Header,
    description: String,
    centroids: Option<Vec<f32>>,
    codec: Codec,
    lists: Lists,
    nprobe: usize,
) -> LoadedParts {
    LoadedParts {
        dim: header.dim,
        metric: header.metric,
        trained: codec.is_trained() && (!description.starts_with("IVF") || centroids.is_some()),
        description,
        transforms: Chain::default(),
        centroids,
        codec,
        lists,
        next_id: 0,
        nprobe,
        allow_duplicate_ids: false,
        grouping: None,
        refine: None,
        k_factor: 0.0,
        soar: 0.0,
        curve: None,
    }
}
