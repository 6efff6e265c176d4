//! Buffers that calls use again and again; they grow and do not shrink.

use super::device::{Engine, Fault, Memory, Outcome};

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
    Queries,
    Passing,
    Keys,
    Rows,
    Hits,
    Summaries,
    Places,
    Bests,
    ReadBack,
    OtherReadBack,
}

const COUNT: usize = Use::OtherReadBack as usize + 1;

impl Engine {
    /// The buffer for `what`, of at least `bytes`.
    pub(super) fn scratch(&mut self, what: Use, bytes: u64) -> Outcome<&Memory> {
        let place = what as usize;
        if self.scratch.places[place].as_ref().is_none_or(|memory| memory.bytes() < bytes) {
            let old = self.scratch.places[place].take().map_or(0, |memory| memory.bytes());
            let usage = match what {
                Use::Shapes => wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                Use::ReadBack | Use::OtherReadBack => {
                    wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST
                }
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
        self.scratch.places[what as usize].as_ref().expect("invariant: asked for before").buffer()
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

    /// Puts `data` into the buffer for `what`, which was asked for before, behind its first `words`.
    pub(super) fn put_at<T: bytemuck::NoUninit>(
        &mut self,
        what: Use,
        words: usize,
        data: &[T],
    ) -> Outcome<()> {
        if !data.is_empty() {
            let at = (words * size_of::<u32>()) as u64;
            self.queue.write_buffer(self.at(what), at, bytemuck::cast_slice(data));
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
        self.scratch(Use::ReadBack, bytes)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(self.at(what), 0, self.at(Use::ReadBack), 0, bytes);
        self.run(encoder)?;
        self.read(Use::ReadBack, words, out)
    }

    /// Copies the first `words` of the buffer for `what`, which can be mapped and which no command under way writes to.
    pub(super) fn read(&self, what: Use, words: usize, out: &mut Vec<u32>) -> Outcome<()> {
        let memory = self.scratch.places[what as usize].as_ref().expect("invariant: asked for before");
        self.read_memory(memory, words, out)
    }
}

impl Scratch {
    /// Bytes of all buffers.
    pub(super) fn bytes(&self) -> u64 {
        self.places.iter().flatten().map(Memory::bytes).sum()
    }
}
