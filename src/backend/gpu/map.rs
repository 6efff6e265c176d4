//! Where lists lie on the device, for kernels that plan a scan there.

use super::encode::to32;
use super::engine::Engine;
use super::health::{Fault, Memory, Outcome};
use super::resident::Extent;
use super::round::Shape;
use super::rounds::MANY;
use crate::lists::block::{BLOCK, blocks};

/// `Entry` in plan.wgsl: a list, or an extent.
type Entry = [u32; 3];

/// The lists of one segment.
pub(super) struct Map {
    memory: Memory,
    /// Lanes of the largest list, of the two largest, and so on.
    largest: Vec<usize>,
    /// Tiles that one group of pairs makes of a list at most, by shape.
    tiles: [usize; 2],
}

/// What lists that are scanned as they are have tiles of.
pub(super) const SHAPES: [Shape; 2] = [Shape::Many, Shape::Few];

impl Map {
    /// Tells the device of lists, their slots and extents.
    pub(super) fn send<'e>(
        engine: &Engine,
        lists: impl Iterator<Item = (u32, &'e [Extent])> + Clone,
    ) -> Outcome<Self> {
        let mut words: Vec<Entry> = Vec::new();
        let mut first = 0;
        for (slots, extents) in lists.clone() {
            words.push([slots, to32(first), to32(extents.len())]);
            first += extents.len();
        }
        let mut tiles = [0; 2];
        for (_, extents) in lists.clone() {
            let mut begin = 0;
            let mut own = [0; 2];
            for extent in extents {
                words.push([extent.start, extent.blocks, begin].map(to32));
                begin += extent.blocks;
                for (own, shape) in own.iter_mut().zip(SHAPES) {
                    *own += extent.blocks.div_ceil(shape.size().1);
                }
            }
            tiles = [tiles[0].max(own[0]), tiles[1].max(own[1])];
        }
        let mut largest: Vec<usize> = lists.map(|(slots, _)| BLOCK * blocks(slots as usize)).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        let mut sum = 0;
        for lanes in &mut largest {
            sum += *lanes;
            *lanes = sum;
        }
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        if bytes.len() as u64 > engine.limits.max_storage_buffer_binding_size {
            return Err(Fault::Memory);
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let memory = engine.allocate(bytes.len() as u64, usage)?;
        engine.queue.write_buffer(memory.buffer(), 0, bytes);
        engine.check()?;
        Ok(Self { memory, largest, tiles })
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        self.memory.buffer()
    }

    pub(super) fn lists(&self) -> usize {
        self.largest.len()
    }

    /// Lanes of so many lists at most.
    pub(super) fn most_lanes(&self, lists: usize) -> usize {
        self.largest[lists.min(self.largest.len()) - 1]
    }

    /// Lanes of as many lists as a rule.
    pub(super) fn lanes(&self, lists: usize) -> f64 {
        self.most_lanes(self.lists()) as f64 * lists as f64 / self.lists() as f64
    }

    /// How many tiles of many queries and of few so many pairs make at most.
    pub(super) fn most_tiles(&self, pairs: usize) -> [usize; 2] {
        let lists = self.lists().min(pairs);
        // Of a list's pairs a rest that is small is in tiles of few; every other group but one is full.
        let many = (pairs / Shape::Many.size().0 + lists).min(pairs / MANY);
        let few = pairs.min(lists * (MANY - 1).div_ceil(Shape::Few.size().0));
        [many * self.tiles[0], few * self.tiles[1]]
    }
}
