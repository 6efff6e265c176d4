//! A copy of an index's lists on the device.
//!
//! Blocks lie as on the CPU, so an upload is a copy, except that the last block of a list is always 32 wide. A
//! binding sees a limited number of bytes, so blocks lie in segments, and a list in extents, each within a segment.
//! Lists know their versions: only what changed since the last call is copied again.

use std::sync::{Mutex, OnceLock, PoisonError};

use super::bounds::Sizes;
use super::device::Gpu;
use super::engine::Engine;
use super::health::{Memory, Outcome};
use super::held::{Book, Form, Held, least_of};
use super::map::Map;
use super::pieces::{Measured, Piece};
use super::upload::Target;
use crate::backend::{Codes, ListSource, Version};
use crate::context::Context;
use crate::element::Element;
use crate::lists::block::{BLOCK, blocks};

/// Most bytes of a segment: a failed allocation costs little, and the last segment wastes little.
const SEGMENT_BYTES: u64 = 1 << 30;

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
    /// How large the numbers are that keys are made of, but for the queries'.
    pub(super) measured: Measured,
    /// Where lists lie, once the device has been told.
    map: OnceLock<Map>,
}

impl Resident {
    fn new(form: Form<'_>, element: Element, book: Option<Book>) -> Self {
        Self {
            columns: form.columns,
            element,
            book,
            sizes: Sizes::of(&form.codes),
            segments: Vec::new(),
            lists: Vec::new(),
            slots: Vec::new(),
            waste: 0,
            measured: Measured { least: least_of(&form.codes), ..Measured::NOTHING },
            map: OnceLock::new(),
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
        let sizes = self.sizes.with_largest(self.measured.norm).with_reach(self.measured.reach);
        if self.held(codes).is_rounded() { sizes.rounded() } else { sizes }
    }

    /// Where the lists lie, for the device; `None` if they are in several segments.
    pub(super) fn map(&self, engine: &Engine) -> Outcome<Option<&Map>> {
        if self.segments.len() != 1 {
            return Ok(None);
        }
        if self.map.get().is_none() {
            let lists = self.slots.iter().zip(&self.lists).map(|(&slots, list)| (slots, &list.extents[..]));
            let _ = self.map.set(Map::send(engine, lists)?);
        }
        Ok(self.map.get())
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
        (context, workers): (&Context, usize),
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
            Some(copy) => copy.update(engine, (context, workers), lists, &form.codes),
            None => {
                let mut copy = Self::new(form, element, Book::send(engine, &form.codes)?);
                copy.lists.resize_with(lists.list_count(), Placed::default);
                copy.slots.resize(lists.list_count(), 0);
                slot.insert(copy).update(engine, (context, workers), lists, &form.codes)
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
        (context, workers): (&Context, usize),
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
        if !changed.is_empty() {
            self.map = OnceLock::new();
        }
        // Room for all that is new at once, so that there are few segments.
        let mut missing = 0;
        for &list in &changed {
            let room: usize = self.lists[list].extents.iter().map(|extent| extent.blocks).sum();
            missing += blocks(lists.list(list).ids.len()).saturating_sub(room);
        }
        let mut pieces = Vec::new();
        for &list in &changed {
            missing = self.place_list(engine, lists, list, missing, &mut pieces)?;
        }
        let (columns, kernels) = (self.columns, context.kernels());
        let measured = Mutex::new(self.measured);
        engine.upload(context, workers, pieces.into_iter(), &|piece, view| {
            let mut at = 0;
            let own = piece.write(kernels, codes, columns, |bytes| {
                view.slice(at..at + bytes.len()).copy_from_slice(bytes);
                at += bytes.len();
            });
            let mut all = measured.lock().unwrap_or_else(PoisonError::into_inner);
            *all = all.and(own);
        })?;
        self.measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    /// Finds room for one list, and adds what of it is new to `pieces`; what is `missing` beside it then.
    fn place_list<'l>(
        &mut self,
        engine: &mut Engine,
        lists: &'l dyn ListSource,
        list: usize,
        missing: usize,
        pieces: &mut Vec<(Target, Piece<'l>)>,
    ) -> Outcome<usize> {
        let (view, versions) = (lists.list(list), lists.version(list));
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
        for (first, biases) in first.into_iter().zip([false, true]) {
            for (extent, begin) in self.extents(list, first, need - first) {
                self.cut(engine, (extent, begin), biases, &mut |target, blocks| {
                    pieces.push((target, Piece { view, blocks, biases }));
                });
            }
        }
        let placed = &mut self.lists[list];
        placed.len = len;
        self.slots[list] = super::encode::to32(len);
        placed.versions = versions.map(|version| version.now);
        Ok(missing)
    }

    /// Hands over an extent in pieces, which is where a list has the block `begin`: where each goes, and its blocks.
    fn cut(
        &self,
        engine: &Engine,
        (extent, begin): (Extent, usize),
        biases: bool,
        take: &mut dyn FnMut(Target, std::ops::Range<usize>),
    ) {
        let segment = &self.segments[extent.segment];
        let (memory, bytes) = match biases {
            true => (&segment.bias, BLOCK * size_of::<f32>()),
            false => (&segment.vectors, self.block_bytes()),
        };
        let step = engine.of_a_piece(bytes);
        for from in (0..extent.blocks).step_by(step) {
            let count = step.min(extent.blocks - from);
            let (at, buffer) = (((extent.start + from) * bytes) as u64, memory.buffer().clone());
            let target = Target { buffer, at, bytes: (count * bytes) as u64 };
            take(target, begin + from..begin + from + count);
        }
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
            return Err(super::health::Fault::Memory);
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
