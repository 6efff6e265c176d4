//! A copy of an index's lists on the device.
//!
//! Blocks lie as on the CPU, so an upload is a copy, except that the last block of a list is always 32 wide. A
//! binding sees a limited number of bytes, so blocks lie in segments, and a list in extents, each within a segment.
//! Lists know their versions: only what changed since the last call is copied again.

use super::bounds::Sizes;
use super::device::{Engine, Gpu, Memory, Outcome};
use super::held::{Book, Form, Held, least_of};
use super::verify::least;
use crate::backend::{Codes, ListSource, ListView, Number, RaBitQ, Version};
use crate::element::{Element, Values, with_values};
use crate::kernel::Kernels;
use crate::lists::block::lanes as lanes_of;
use crate::lists::block::{BLOCK, blocks, width};

/// Most bytes of a segment: a failed allocation costs little, and the last segment wastes little.
const SEGMENT_BYTES: u64 = 1 << 30;

/// Bytes that are put aside for the device before they are sent off.
pub(super) const FLUSH_BYTES: usize = 32 << 20;

/// Some blocks of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) segment: usize,
    /// In the segment.
    pub(crate) start: usize,
    pub(crate) blocks: usize,
}

/// A list on the device.
#[derive(Default)]
struct Placed {
    versions: [u64; 2],
    /// Vectors, removed ones included.
    len: usize,
    /// In the list's order; the last may have room for more.
    extents: Vec<Extent>,
}

pub(super) struct Segment {
    pub(super) vectors: Memory,
    pub(super) bias: Memory,
    used: usize,
    blocks: usize,
}

/// The copy.
pub(crate) struct Resident {
    /// Elements of a vector.
    columns: usize,
    element: Element,
    /// Whether these are of codes.
    coded: bool,
    /// What codes stand for, if that is the same for all queries.
    book: Option<Book>,
    /// How large it is.
    sizes: Sizes,
    pub(super) segments: Vec<Segment>,
    lists: Vec<Placed>,
    /// Slots of each list, those of removed vectors included.
    pub(super) slots: Vec<u32>,
    /// Blocks that no list uses any more.
    waste: usize,
    /// No vector's squared length is larger.
    pub(super) norm: f32,
    /// The largest factor and the longest residual of RaBitQ codes.
    reach: [f32; 2],
    /// No number but zero that keys are made of has a smaller magnitude, but for the queries'.
    pub(super) least: f32,
    /// Bytes put aside and not yet sent.
    pending: usize,
    spread: Vec<u8>,
}

impl Resident {
    fn new(form: Form<'_>, element: Element, book: Option<Book>) -> Self {
        Self {
            columns: form.columns,
            coded: !matches!(form.codes, Codes::Plain),
            element,
            book,
            sizes: Sizes::of(&form.codes),
            segments: Vec::new(),
            lists: Vec::new(),
            slots: Vec::new(),
            waste: 0,
            norm: 0.0,
            reach: [0.0; 2],
            least: least_of(&form.codes),
            pending: 0,
            spread: Vec::new(),
        }
    }

    /// What kernels read for a job of these codes.
    pub(super) fn held(&self, codes: &Codes<'_>) -> Held {
        Held::of(codes, self.element)
    }

    /// What codes stand for.
    pub(super) fn book(&self) -> Option<&Book> {
        self.book.as_ref()
    }

    /// How large what keys of such a job are made of can be.
    pub(super) fn sizes(&self, codes: &Codes<'_>) -> Sizes {
        let sizes = self.sizes.with_largest(self.norm).with_reach(self.reach);
        if self.held(codes).is_rounded() { sizes.rounded() } else { sizes }
    }

    /// Bytes of a block.
    fn block_bytes(&self) -> usize {
        BLOCK * self.columns * self.element.size()
    }

    /// Where a list's blocks `first..first + count` lie: an extent and the block of the list with which it begins.
    pub(super) fn extents(
        &self,
        list: usize,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = (Extent, usize)> + '_ {
        let (from, to) = (first, first + count);
        let mut begin = 0;
        self.lists[list].extents.iter().filter_map(move |extent| {
            let own = begin..begin + extent.blocks;
            begin = own.end;
            let (low, high) = (from.max(own.start), to.min(own.end));
            let part = Extent {
                start: extent.start + low.saturating_sub(own.start),
                blocks: high.saturating_sub(low),
                ..*extent
            };
            (low < high).then_some((part, low))
        })
    }

    /// Bytes that `copy` lacks of `lists`, about.
    pub(super) fn missing_bytes(copy: Option<&Self>, gpu: &Gpu, lists: &dyn ListSource) -> u64 {
        let count = lists.list_count();
        let copy = copy.filter(|copy| copy.is_of(gpu, count));
        let missing = |list: &usize| match copy {
            Some(copy) => lists.version(*list).map(|version| version.now) != copy.lists[*list].versions,
            None => true,
        };
        let bytes = |list| {
            let view = lists.list(list);
            let (have, grown_since) = match copy {
                Some(copy) => (copy.lists[list].len, copy.lists[list].versions[0]),
                None => (0, 0),
            };
            let lane = view.vectors.element().size() * view.vectors.len() / view.bias.len().max(1);
            let grew = lists.version(list)[0].grown_since <= grown_since;
            let lanes = if grew { view.ids.len().saturating_sub(have) } else { view.ids.len() };
            (lanes * lane + view.ids.len() * size_of::<f32>()) as u64
        };
        (0..count).filter(missing).map(bytes).sum()
    }

    /// Whether this is on `gpu`, of so many lists.
    fn is_of(&self, gpu: &Gpu, lists: usize) -> bool {
        self.lists.len() == lists
            && self.segments.iter().all(|segment| gpu.owns(&segment.vectors))
            && self.book.iter().all(|book| book.is_on(gpu))
    }

    /// Makes `slot` a copy of `lists` as they are now, on `gpu`.
    pub(super) fn sync<'a>(
        slot: &'a mut Option<Self>,
        gpu: &Gpu,
        engine: &mut Engine,
        kernels: &Kernels,
        lists: &dyn ListSource,
        form: Form<'_>,
    ) -> Outcome<&'a Self> {
        let element = (0..lists.list_count()).map(|list| lists.list(list).vectors.element()).next();
        let element = element.unwrap_or_default();
        // Another device's copy, one of other lists, or mostly waste.
        let usable = |copy: &Self| {
            copy.is_of(gpu, lists.list_count())
                && (copy.columns, copy.element) == (form.columns, element)
                && copy.waste * 2 <= copy.segments.iter().map(|segment| segment.used).sum()
        };
        if !slot.as_ref().is_some_and(usable) {
            *slot = None;
        }
        let result = match slot {
            Some(copy) => copy.update(engine, kernels, lists, &form.codes),
            None => {
                let mut copy = Self::new(form, element, Book::send(engine, &form.codes)?);
                copy.lists.resize_with(lists.list_count(), Placed::default);
                copy.slots.resize(lists.list_count(), 0);
                slot.insert(copy).update(engine, kernels, lists, &form.codes)
            }
        };
        if result.is_err() {
            // Half a copy is none.
            *slot = None;
        }
        result?;
        Ok(slot.as_ref().expect("invariant: made above"))
    }

    fn update(
        &mut self,
        engine: &mut Engine,
        kernels: &Kernels,
        lists: &dyn ListSource,
        codes: &Codes<'_>,
    ) -> Outcome<()> {
        if let Some(book) = &mut self.book {
            book.complete(engine, codes)?;
        }
        let count = lists.list_count();
        let changed: Vec<usize> = (0..count)
            .filter(|&list| lists.version(list).map(|version| version.now) != self.lists[list].versions)
            .collect();
        // Room for all that is new at once, so that there are few segments.
        let mut missing = 0;
        for &list in &changed {
            let room: usize = self.lists[list].extents.iter().map(|extent| extent.blocks).sum();
            missing += blocks(lists.list(list).ids.len()).saturating_sub(room);
        }
        for &list in &changed {
            let before = missing;
            let view = lists.list(list);
            missing = self.copy_list(engine, kernels, (view, codes), lists.version(list), list, before)?;
        }
        if self.pending > 0 {
            self.pending = 0;
            engine.flush()?;
        }
        Ok(())
    }

    /// Brings one list up to date; what is `missing` beside it then.
    fn copy_list(
        &mut self,
        engine: &mut Engine,
        kernels: &Kernels,
        (view, codes): (ListView<'_>, &Codes<'_>),
        versions: [Version; 2],
        list: usize,
        missing: usize,
    ) -> Outcome<usize> {
        let len = view.ids.len();
        let old = &self.lists[list];
        // The first block that is not as it was, of vectors and of biases.
        let grew = len >= old.len;
        let first = [0, 1].map(|part| {
            let (was, is): (u64, Version) = (old.versions[part], versions[part]);
            match was {
                _ if was == is.now && grew => blocks(len),
                _ if was >= is.grown_since && grew => old.len / BLOCK,
                _ => 0,
            }
        });
        let have: usize = old.extents.iter().map(|extent| extent.blocks).sum();
        let need = blocks(len);
        let mut missing = missing;
        if need > have {
            missing = self.extend(engine, list, need - have, missing)?;
        } else if need < have {
            self.shorten(list, need);
        }
        let lane_bytes = self.columns * self.element.size();
        let all = lanes_of(len);
        let bytes = with_values!(view.vectors, values => bytemuck::cast_slice::<_, u8>(values));
        let from = first[0].min(first[1]);
        let parts: Vec<_> = self.extents(list, from, need - from).collect();
        for (extent, begin) in parts {
            for block in begin..begin + extent.blocks {
                let lanes = width(block, all);
                let place = extent.start + block - begin;
                if block >= first[0] {
                    let own = &bytes[block * BLOCK * lane_bytes..][..lanes * lane_bytes];
                    self.put_vectors(engine, extent.segment, place, own, lanes);
                    if let Codes::RaBitQ(codes) = codes {
                        self.measure_estimates(codes, own, lanes);
                    }
                    if !self.coded {
                        let lanes = block * BLOCK * self.columns..(block * BLOCK + lanes) * self.columns;
                        self.measure(kernels, view.vectors.slice(lanes));
                    }
                }
                if block >= first[1] {
                    let mut bias = [f32::NEG_INFINITY; BLOCK];
                    bias[..lanes].copy_from_slice(&view.bias[block * BLOCK..][..lanes]);
                    if self.coded {
                        // Half a squared length, where it counts.
                        let finite = bias.iter().filter(|bias| bias.is_finite());
                        self.norm = finite.fold(self.norm, |norm, &bias| norm.max(-2.0 * bias));
                        self.least = self.least.min(least(&bias));
                    }
                    let at = (place * size_of_val(&bias)) as u64;
                    engine.queue.write_buffer(
                        self.segments[extent.segment].bias.buffer(),
                        at,
                        bytemuck::cast_slice(&bias),
                    );
                    self.pending += size_of_val(&bias);
                }
                if self.pending >= FLUSH_BYTES {
                    self.pending = 0;
                    engine.flush()?;
                }
            }
        }
        engine.check()?;
        let placed = &mut self.lists[list];
        placed.len = len;
        self.slots[list] = super::encode::to32(len);
        placed.versions = versions.map(|version| version.now);
        Ok(missing)
    }

    /// Notes how large the numbers of a block of RaBitQ codes are.
    fn measure_estimates(&mut self, codes: &RaBitQ<'_>, block: &[u8], lanes: usize) {
        for (number, most) in [Number::Factor, Number::Length].into_iter().zip(&mut self.reach) {
            let mut numbers = [0.0; BLOCK];
            codes.numbers(number, block, &mut numbers[..lanes]);
            *most = numbers.iter().fold(*most, |most, number| most.max(number.abs()));
            self.least = self.least.min(least(&numbers));
        }
    }

    /// Notes how large the vectors of a block are.
    fn measure(&mut self, kernels: &Kernels, vectors: Values<'_>) {
        let mut squares = [0.0; BLOCK];
        kernels.squares(vectors, &mut squares[..vectors.len() / self.columns]);
        self.least = self.least.min(with_values!(vectors, values => least(values)));
        self.norm = squares.iter().fold(self.norm, |norm, &square| norm.max(square));
    }

    /// Writes a block, spread to 32 lanes if it is narrow.
    fn put_vectors(&mut self, engine: &Engine, segment: usize, place: usize, own: &[u8], lanes: usize) {
        let block_bytes = self.block_bytes();
        let buffer = self.segments[segment].vectors.buffer();
        let at = (place * block_bytes) as u64;
        if lanes == BLOCK {
            engine.queue.write_buffer(buffer, at, own);
        } else {
            let size = self.element.size();
            self.spread.clear();
            self.spread.resize(block_bytes, 0);
            for (to, from) in self.spread.chunks_exact_mut(BLOCK * size).zip(own.chunks_exact(lanes * size)) {
                to[..lanes * size].copy_from_slice(from);
            }
            engine.queue.write_buffer(buffer, at, &self.spread);
        }
        self.pending += block_bytes;
    }

    /// Gives a list `more` blocks, in new segments if need be; of `missing` blocks these are no longer.
    fn extend(&mut self, engine: &mut Engine, list: usize, more: usize, missing: usize) -> Outcome<usize> {
        let mut more = more;
        let mut missing = missing;
        while more > 0 {
            let last = self.segments.len().wrapping_sub(1);
            match self.segments.get_mut(last).filter(|segment| segment.used < segment.blocks) {
                Some(segment) => {
                    let blocks = more.min(segment.blocks - segment.used);
                    let extent = Extent { segment: last, start: segment.used, blocks };
                    segment.used += blocks;
                    self.lists[list].extents.push(extent);
                    more -= blocks;
                    missing = missing.saturating_sub(blocks);
                }
                None => self.add_segment(engine, missing.max(more))?,
            }
        }
        Ok(missing)
    }

    /// A segment for `wanted` blocks, or as many as fit in one.
    fn add_segment(&mut self, engine: &mut Engine, wanted: usize) -> Outcome<()> {
        let block_bytes = self.block_bytes() as u64;
        let limits = &engine.limits;
        let most = SEGMENT_BYTES.min(limits.max_storage_buffer_binding_size).min(limits.max_buffer_size);
        let fits = usize::try_from(most / block_bytes).unwrap_or(usize::MAX);
        if fits == 0 {
            return Err(super::device::Fault::Memory);
        }
        // After the first upload with an eighth to spare: a list that is added to often does not need a segment
        // each time.
        let spare = self.segments.iter().map(|segment| segment.blocks).sum::<usize>() / 8;
        let blocks = wanted.max(spare).min(fits);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let vectors = engine.allocate(blocks as u64 * block_bytes, usage)?;
        let bias = engine.allocate((blocks * BLOCK * size_of::<f32>()) as u64, usage)?;
        self.segments.push(Segment { vectors, bias, used: 0, blocks });
        Ok(())
    }

    /// Leaves a list `keep` blocks.
    fn shorten(&mut self, list: usize, keep: usize) {
        let mut left = keep;
        for extent in &mut self.lists[list].extents {
            let kept = extent.blocks.min(left);
            self.waste += extent.blocks - kept;
            extent.blocks = kept;
            left -= kept;
        }
        self.lists[list].extents.retain(|extent| extent.blocks > 0);
    }
}
