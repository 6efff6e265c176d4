//! Buffers that calls use again and again; they grow and do not shrink.

use super::engine::Engine;
use super::health::{Fault, Memory, Outcome};

/// One such buffer a use.
#[derive(Default)]
pub(super) struct Scratch {
    places: [Option<Memory>; COUNT],
}

/// What a buffer is for.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Shapes,
    Tiles,
    Pairs,
    Groups,
    Queries,
    Passing,
    Keys,
    Rows,
    Hits,
    Summaries,
    Places,
    Bests,
    Sums,
    /// What place.wgsl, sort.wgsl and tile.wgsl leave for each other and for the scan.
    Visits,
    Counts,
    Starts,
    Dispatches,
    /// To the device and back, by turns.
    Staging(usize),
    ReadBack(usize),
}

/// How many turns there are: one that the CPU writes, one that the device has, one that the CPU reads.
pub(super) const TURNS: usize = 3;

/// Uses of which there is one buffer.
const ONCE: usize = 17;
const COUNT: usize = ONCE + 2 * TURNS;

impl Use {
    fn place(self) -> usize {
        match self {
            Self::Shapes => 0,
            Self::Tiles => 1,
            Self::Pairs => 2,
            Self::Queries => 3,
            Self::Passing => 4,
            Self::Keys => 5,
            Self::Rows => 6,
            Self::Hits => 7,
            Self::Summaries => 8,
            Self::Places => 9,
            Self::Bests => 10,
            Self::Groups => 11,
            Self::Sums => 12,
            Self::Visits => 13,
            Self::Counts => 14,
            Self::Starts => 15,
            Self::Dispatches => 16,
            Self::Staging(turn) => ONCE + turn,
            Self::ReadBack(turn) => ONCE + TURNS + turn,
        }
    }
}

impl Engine {
    /// The buffer for `what`, of at least `bytes`.
    pub(super) fn scratch(&mut self, what: Use, bytes: u64) -> Outcome<&Memory> {
        let place = what.place();
        if self.scratch.places[place].as_ref().is_none_or(|memory| memory.bytes() < bytes) {
            let old = self.scratch.places[place].take().map_or(0, |memory| memory.bytes());
            let usage = match what {
                Use::Shapes => wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                Use::Staging(_) => wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                Use::Dispatches => wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::INDIRECT,
                Use::ReadBack(_) => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                _ => {
                    wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC
                }
            };
            if bytes > self.limits.max_storage_buffer_binding_size {
                return Err(Fault::Memory);
            }
            // With room to grow, so that calls of slowly rising size do not allocate each time.
            let roomy = bytes.max(old + old / 2).min(self.limits.max_storage_buffer_binding_size);
            self.scratch.places[place] = Some(self.allocate(roomy.max(bytes), usage)?);
        }
        Ok(self.scratch.places[place].as_ref().expect("invariant: made above"))
    }

    /// The buffer for `what`, which was asked for before.
    pub(super) fn at(&self, what: Use) -> &wgpu::Buffer {
        self.scratch.places[what.place()].as_ref().expect("invariant: asked for before").buffer()
    }

    /// Puts `data` into the buffer for `what`.
    pub(super) fn put<T: bytemuck::NoUninit>(&mut self, what: Use, data: &[T]) -> Outcome<()> {
        let bytes: &[u8] = bytemuck::cast_slice(data);
        self.scratch(what, bytes.len() as u64)?;
        if !bytes.is_empty() {
            self.queue.write_buffer(self.at(what), 0, bytes);
        }
        self.check()
    }

    /// Copies the first `words` of the buffer for `what` back.
    pub(super) fn take(&mut self, what: Use, words: usize, out: &mut Vec<u32>) -> Outcome<()> {
        out.clear();
        if words == 0 {
            return Ok(());
        }
        let bytes = (words * size_of::<u32>()) as u64;
        self.scratch(Use::ReadBack(0), bytes)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(self.at(what), 0, self.at(Use::ReadBack(0)), 0, bytes);
        self.run(encoder)?;
        let mapped = self.mapped(Use::ReadBack(0), bytes)?;
        out.extend_from_slice(bytemuck::cast_slice(&mapped));
        Ok(())
    }
}

impl Scratch {
    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> u64 {
        self.places.iter().flatten().map(Memory::bytes).sum()
    }
}
