//! What the lists on a device hold: values of a type, or codes and what these stand for.

use super::device::Gpu;
use super::engine::Engine;
use super::health::{Fault, Memory, Outcome};
use super::verify::least;
use crate::backend::{Affine, Codes, Product, Rounded, ScanJob};
use crate::element::Element;

/// Bytes that are put aside for the device before they are sent off.
const FLUSH_BYTES: usize = 32 << 20;

/// What a kernel reads of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Vectors.
    Values(Element),
    /// Codes by a scale and an offset, of eight bits.
    Codes,
    /// The same of fewer bits.
    Packed,
    /// Both in whole numbers.
    Rounded,
    PackedRounded,
    /// Codes of four bits by words, looked up in tables of bytes.
    Words,
    /// Codes by words, looked up in tables of floats.
    Tables,
    /// RaBitQ codes of one bit in whole numbers.
    Signs,
    /// Other RaBitQ codes.
    Estimates,
}

impl Held {
    /// How many kinds there are.
    pub(super) const COUNT: usize = 12;

    /// What a job reads of lists of this element.
    pub(super) fn of(codes: &Codes<'_>, element: Element) -> Self {
        match codes {
            Codes::Affine(Affine { bits: 8, .. }) => Self::Codes,
            Codes::Affine(_) => Self::Packed,
            Codes::Rounded(Rounded { affine: Affine { bits: 8, .. }, .. }) => Self::Rounded,
            Codes::Rounded(_) => Self::PackedRounded,
            Codes::Product(Product { fast: true, .. }) => Self::Words,
            Codes::Product(_) => Self::Tables,
            Codes::RaBitQ(codes) if codes.looks_up() => Self::Signs,
            Codes::RaBitQ(_) => Self::Estimates,
            Codes::Plain => Self::Values(element),
        }
    }

    /// A number for each.
    pub(super) fn place(self) -> usize {
        match self {
            Self::Values(element) => element as usize,
            Self::Codes => 4,
            Self::Packed => 5,
            Self::Rounded => 6,
            Self::PackedRounded => 7,
            Self::Words => 8,
            Self::Signs => 9,
            Self::Estimates => 10,
            Self::Tables => 11,
        }
    }

    /// Whether sums are whole numbers: then a device's keys are the CPU's, or of no use.
    pub(super) fn is_whole(self) -> bool {
        self.is_rounded() || matches!(self, Self::Words | Self::Signs)
    }

    /// Whether kernels write the least key of each eight lanes.
    pub(super) fn writes_least(self) -> bool {
        !matches!(self, Self::Words | Self::Tables)
    }

    /// Whether queries are rounded, pair by pair.
    pub(super) fn is_rounded(self) -> bool {
        matches!(self, Self::Rounded | Self::PackedRounded)
    }
}

/// The scale and the offset that codes are by.
pub(super) fn affine<'c, 'a>(codes: &'c Codes<'a>) -> Option<&'c Affine<'a>> {
    match codes {
        Codes::Affine(affine) | Codes::Rounded(Rounded { affine, .. }) => Some(affine),
        _ => None,
    }
}

/// Whether pairs of queries and lists have numbers of their own.
pub(super) fn has_numbers(codes: &Codes<'_>) -> bool {
    let residuals = matches!(codes, Codes::RaBitQ(_) | Codes::Product(Product { centroids: Some(_), .. }));
    residuals || affine(codes).is_some()
}

/// What lists hold, as they themselves do not tell.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    /// Elements of a vector.
    pub(super) columns: usize,
    pub(super) codes: Codes<'a>,
}

impl<'a> Form<'a> {
    /// Vectors of `dim` values.
    pub(super) fn plain(dim: usize) -> Self {
        Self { columns: dim, codes: Codes::Plain }
    }

    /// Whatever a job is of.
    pub(super) fn of(job: &ScanJob<'a>) -> Self {
        Self { columns: job.columns(), codes: job.codes }
    }
}

/// What keys are made of besides queries and what lists hold.
fn parts<'a>(codes: &Codes<'a>) -> [&'a [f32]; 3] {
    match *codes {
        Codes::Affine(affine) | Codes::Rounded(Rounded { affine, .. }) => {
            [affine.scale, affine.offset, affine.centroids.unwrap_or_default()]
        }
        Codes::Product(codes) if !codes.fast => [codes.words, codes.centroids.unwrap_or_default(), &[]],
        Codes::RaBitQ(codes) => [codes.centroids, &[], &[]],
        Codes::Plain | Codes::Product(_) => [&[]; 3],
    }
}

/// No number but zero that keys are made of besides queries and what lists hold has a smaller magnitude.
pub(super) fn least_of(codes: &Codes<'_>) -> f32 {
    parts(codes).into_iter().map(least).fold(f32::INFINITY, f32::min)
}

/// What codes stand for, on the device. It is the same as long as the lists are.
pub(super) struct Book {
    /// As affine.wgsl or estimate.wgsl has it.
    memory: Memory,
    /// As round.wgsl has it, once it was needed.
    centre: Option<Memory>,
}

impl Book {
    /// Sends it; `None` = the lists hold vectors, or codes that queries' tables tell all of.
    pub(super) fn send(engine: &Engine, codes: &Codes<'_>) -> Outcome<Option<Self>> {
        match codes {
            Codes::Plain | Codes::Product(_) => Ok(None),
            _ => Ok(Some(Self { memory: send(engine, &parts(codes))?, centre: None })),
        }
    }

    /// Sends what this job needs besides.
    pub(super) fn complete(&mut self, engine: &Engine, codes: &Codes<'_>) -> Outcome<()> {
        if let (Codes::Rounded(rounded), None) = (codes, &self.centre) {
            self.centre = Some(send(engine, &[rounded.centre])?);
        }
        Ok(())
    }

    /// The buffers that make pairs' numbers.
    pub(super) fn buffers(&self) -> impl Iterator<Item = &wgpu::Buffer> {
        std::iter::once(&self.memory).chain(&self.centre).map(Memory::buffer)
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        self.memory.buffer()
    }

    /// Whether it is on `gpu`.
    pub(super) fn is_on(&self, gpu: &Gpu) -> bool {
        gpu.owns(&self.memory)
    }
}

/// A buffer of these.
fn send(engine: &Engine, parts: &[&[f32]]) -> Outcome<Memory> {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let bytes = parts.iter().map(|part| size_of_val(*part) as u64).sum();
    if bytes > engine.limits.max_storage_buffer_binding_size {
        return Err(Fault::Memory);
    }
    let memory = engine.allocate(bytes, usage)?;
    let mut at = 0;
    for piece in parts.iter().flat_map(|part| bytemuck::cast_slice::<_, u8>(part).chunks(FLUSH_BYTES)) {
        engine.queue.write_buffer(memory.buffer(), at, piece);
        engine.flush()?;
        at += piece.len() as u64;
    }
    Ok(memory)
}
