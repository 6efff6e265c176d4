//! Transforms as faiss writes them, which is also how our own files hold them.
//!
//! Each is a code, its own fields, then i32 columns in, i32 columns out, u8 trained. Linear ones (`LTra`, `rrot`)
//! have u8 have_bias, the matrix and the offset; `Pcam` has the facts of the PCA before that.

use super::bytes::Bytes;
use super::codes::unsupported;
use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::persist::source::Source;
use crate::transform::{Chain, Hadamard, Itq, Kind, Linear, Map, Pca, Transform};

const LINEAR: super::Code = *b"LTra";
const ROTATION: super::Code = *b"rrot";
const PCA: super::Code = *b"Pcam";
/// Without the epsilon.
const PCA_OLD: super::Code = *b"PcAm";
/// Without the epsilon and the bins.
const PCA_OLDEST: super::Code = *b"PCAm";
const HADAMARD: super::Code = *b"HRot";
const NORMALIZE: super::Code = *b"VNrm";
const CENTER: super::Code = *b"VCnt";
const ITQ: super::Code = *b"Viqt";
const ITQ_MATRIX: super::Code = *b"Viqm";

const SUPPORTED: &str = "LTra, rrot, Pcam, PcAm, PCAm, HRot, VNrm, VCnt, Viqt";

/// More transforms than any chain has.
const MAX_STEPS: i32 = 64;

/// Most columns, as for an index.
const MAX_DIM: usize = 1 << 20;

/// A chain as bytes: i32 number of transforms, then these.
pub(in crate::persist) fn encode_transforms(chain: &Chain) -> Result<Vec<u8>> {
    let mut bytes = Bytes::default();
    bytes.int(i32::try_from(chain.steps.len()).expect("invariant: a handful of transforms"));
    for step in &chain.steps {
        put(&mut bytes, step)?;
    }
    Ok(bytes.0)
}

/// The chain that these bytes are, all of them.
pub(in crate::persist) fn decode_transforms(bytes: &[u8]) -> Result<Chain> {
    let source = Source::Bytes(bytes);
    let mut cursor = Cursor { source: &source, at: 0 };
    let chain = read_chain(&mut cursor)?;
    if cursor.at != bytes.len() as u64 {
        return Err(fault("expected nothing after the last, got more".into()));
    }
    Ok(chain)
}

fn put(bytes: &mut Bytes, step: &Transform) -> Result<()> {
    let int = |value: usize| {
        i32::try_from(value)
            .map_err(|_| Error::Unsupported(format!("faiss has no transform of {value} columns")))
    };
    match &step.map {
        Map::Pca(pca) => {
            put_pca(bytes, (pca.power, pca.epsilon, pca.rotate, pca.balanced_bins));
            bytes.floats(&pca.mean).floats(&pca.eigenvalues).floats(&pca.components);
            put_linear(bytes, Some(&pca.linear));
        }
        Map::Linear(linear) => {
            put_linear(bytes.code(linear_code(step.kind)), Some(linear));
        }
        Map::Hadamard(hadamard) => {
            bytes.code(HADAMARD).bytes(&hadamard.seed().to_le_bytes());
        }
        Map::Normalize => {
            bytes.code(NORMALIZE).bytes(&2f32.to_le_bytes());
        }
        Map::Center(mean) => {
            bytes.code(CENTER).floats(mean);
        }
        Map::Itq(itq) => put_itq(bytes, &itq.mean, Some(&itq.linear), (int(step.d_in)?, int(step.d_out)?)),
        Map::None => match step.kind {
            Kind::Pca { whiten, rotate } => {
                put_pca(bytes, (if whiten { -0.5 } else { 0.0 }, 0.0, rotate, 0));
                put_linear(bytes.floats(&[]).floats(&[]).floats(&[]), None);
            }
            // faiss wants a mean even of what is not trained.
            Kind::Itq => put_itq(bytes, &vec![0.0; step.d_in], None, (int(step.d_in)?, int(step.d_out)?)),
            Kind::Center => {
                bytes.code(CENTER).floats(&vec![0.0; step.d_in]);
            }
            kind => put_linear(bytes.code(linear_code(kind)), None),
        },
    }
    bytes.int(int(step.d_in)?).int(int(step.d_out)?).bytes(&[u8::from(step.is_trained())]);
    Ok(())
}

fn linear_code(kind: Kind) -> super::Code {
    if kind == Kind::Rotation { ROTATION } else { LINEAR }
}

fn put_pca(bytes: &mut Bytes, (power, epsilon, rotate, bins): (f32, f32, bool, i32)) {
    bytes.code(PCA).bytes(&power.to_le_bytes()).bytes(&epsilon.to_le_bytes());
    bytes.bytes(&[u8::from(rotate)]).int(bins);
}

fn put_linear(bytes: &mut Bytes, linear: Option<&Linear>) {
    let (matrix, offset) = linear.map_or((&[][..], &[][..]), |linear| (linear.matrix(), linear.offset()));
    bytes.bytes(&[u8::from(!offset.is_empty())]).floats(matrix).floats(offset);
}

/// The mean, whether there are components, the rotation among them (which faiss keeps and does not use), and
/// what is applied.
fn put_itq(bytes: &mut Bytes, mean: &[f32], linear: Option<&Linear>, (d_in, d_out): (i32, i32)) {
    bytes.code(ITQ).floats(mean).bytes(&[u8::from(d_in != d_out)]);
    put_linear(bytes.code(ITQ_MATRIX).int(50).int(123), None);
    bytes.int(d_out).int(d_out).bytes(&[0]);
    put_linear(bytes.code(LINEAR), linear);
    bytes.int(d_in).int(d_out).bytes(&[u8::from(linear.is_some())]);
}

fn fault(text: String) -> Error {
    Error::Corrupt(format!("transforms: {text}"))
}

/// A number of transforms and these, each of which takes what the one before gives.
pub(super) fn read_chain(cursor: &mut Cursor<'_>) -> Result<Chain> {
    let count = cursor.i32()?;
    if !(0..=MAX_STEPS).contains(&count) {
        return Err(fault(format!("expected at most {MAX_STEPS}, got {count}")));
    }
    let mut chain = Chain::default();
    for _ in 0..count {
        let step = read_step(cursor)?;
        let expected = chain.d_out(step.d_in);
        if step.d_in != expected {
            return Err(fault(format!("expected {expected} columns in, got {}", step.d_in)));
        }
        chain.steps.push(step);
    }
    Ok(chain)
}

fn read_step(cursor: &mut Cursor<'_>) -> Result<Transform> {
    let code = cursor.code()?;
    match code {
        LINEAR | ROTATION => {
            let raw = read_linear(cursor)?;
            let kind = if code == ROTATION { Kind::Rotation } else { Kind::Linear };
            finish(cursor, kind, |d_in, d_out| Ok(Map::Linear(raw.build(d_in, d_out)?)))
        }
        PCA | PCA_OLD | PCA_OLDEST => read_pca(cursor, code),
        HADAMARD => {
            let seed = cursor.u32()?;
            finish(cursor, Kind::Hadamard, |d_in, _| Ok(Map::Hadamard(Hadamard::new(d_in, seed))))
        }
        NORMALIZE => {
            let norm = cursor.f32()?;
            if norm != 2.0 {
                return Err(Error::Unsupported(format!(
                    "faiss normalisation by norm {norm} is not supported; supported: 2"
                )));
            }
            finish(cursor, Kind::Normalize, |_, _| Ok(Map::Normalize))
        }
        CENTER => {
            let mean = floats(cursor, "mean")?;
            finish(cursor, Kind::Center, |d_in, _| {
                check_len("mean", d_in, mean.len())?;
                Ok(Map::Center(mean))
            })
        }
        ITQ => {
            let mean = floats(cursor, "mean")?;
            cursor.bool("components")?;
            read_itq_matrix(cursor)?;
            let inner = read_step(cursor)?;
            finish(cursor, Kind::Itq, |d_in, d_out| match inner.map {
                Map::Linear(linear) if (inner.d_in, inner.d_out) == (d_in, d_out) => {
                    check_len("mean", d_in, mean.len())?;
                    Ok(Map::Itq(Itq { mean, linear }))
                }
                _ => Err(fault(format!("ITQ: expected a matrix of {d_in} to {d_out} columns"))),
            })
        }
        other => Err(unsupported("transform", other, SUPPORTED)),
    }
}

/// The columns and whether the transform is trained; `map` is asked only if it is, or needs no training.
fn finish(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    map: impl FnOnce(usize, usize) -> Result<Map>,
) -> Result<Transform> {
    let (d_in, d_out) = (cursor.i32()?, cursor.i32()?);
    let trained = cursor.bool("is_trained")?;
    let (Some(d_in), Some(d_out)) = (columns(d_in), columns(d_out)) else {
        return Err(fault(format!("expected 1 to {MAX_DIM} columns in and out, got {d_in} and {d_out}")));
    };
    let step = Transform::new(kind, d_in, Some(d_out)).map_err(|error| fault(error.to_string()))?;
    let fixed = step.is_trained();
    if trained || fixed { Ok(Transform { map: map(d_in, d_out)?, ..step }) } else { Ok(step) }
}

fn columns(count: i32) -> Option<usize> {
    usize::try_from(count).ok().filter(|count| (1..=MAX_DIM).contains(count))
}

/// A matrix and an offset of sizes not yet known to fit.
struct RawLinear {
    matrix: Vec<f32>,
    offset: Vec<f32>,
}

impl RawLinear {
    fn build(self, d_in: usize, d_out: usize) -> Result<Linear> {
        check_len("matrix", d_in * d_out, self.matrix.len())?;
        if !self.offset.is_empty() {
            check_len("offset", d_out, self.offset.len())?;
        }
        Linear::new(self.matrix, self.offset, d_in, d_out)
    }
}

fn read_linear(cursor: &mut Cursor<'_>) -> Result<RawLinear> {
    let has_offset = cursor.bool("have_bias")?;
    let matrix = floats(cursor, "matrix")?;
    let offset = floats(cursor, "offset")?;
    if has_offset && offset.is_empty() && !matrix.is_empty() {
        return Err(fault("expected an offset, got none".into()));
    }
    Ok(RawLinear { matrix, offset: if has_offset { offset } else { Vec::new() } })
}

fn read_pca(cursor: &mut Cursor<'_>, code: super::Code) -> Result<Transform> {
    let power = cursor.f32()?;
    let epsilon = if code == PCA { cursor.f32()? } else { 0.0 };
    let rotate = cursor.bool("random_rotation")?;
    let balanced_bins = if code == PCA_OLDEST { 0 } else { cursor.i32()? };
    let mean = floats(cursor, "mean")?;
    let eigenvalues = floats(cursor, "eigenvalues")?;
    let components = floats(cursor, "components")?;
    let raw = read_linear(cursor)?;
    finish(cursor, Kind::Pca { whiten: power != 0.0, rotate }, |d_in, d_out| {
        check_len("mean", d_in, mean.len())?;
        let linear = raw.build(d_in, d_out)?.around(&mean);
        Ok(Map::Pca(Pca { linear, mean, eigenvalues, components, power, epsilon, rotate, balanced_bins }))
    })
}

/// What faiss keeps of an ITQ's rotation; it is part of the matrix that is applied, and not needed.
fn read_itq_matrix(cursor: &mut Cursor<'_>) -> Result<()> {
    match cursor.code()? {
        ITQ_MATRIX => {}
        other => return Err(unsupported("part of an ITQ", other, "Viqm")),
    }
    cursor.skip("an ITQ's rotation", 2, 4)?;
    read_linear(cursor)?;
    cursor.skip("an ITQ's rotation", 2, 4)?;
    cursor.bool("is_trained").map(|_| ())
}

fn floats(cursor: &mut Cursor<'_>, what: &str) -> Result<Vec<f32>> {
    let values: Vec<f32> = cursor.vector(what)?;
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(fault(format!("{what}: expected finite values")))
}

fn check_len(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(fault(format!("{what}: expected {expected} values, got {got}")))
    }
}
