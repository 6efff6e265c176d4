//! The way to the device and back, through memory that both see and that stays: each new page of it costs the CPU more
//! than what is then copied into it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::Engine;
use super::health::Outcome;
use super::scratch::Use;

/// What a buffer gets, one piece after another.
pub(super) struct Part<'a> {
    to: Use,
    pieces: [&'a [u8]; 2],
}

impl<'a> Part<'a> {
    pub(super) fn new<T: bytemuck::NoUninit>(to: Use, data: &'a [T]) -> Self {
        Self { to, pieces: [bytemuck::cast_slice(data), &[]] }
    }

    /// The same with more behind it.
    pub(super) fn and<T: bytemuck::NoUninit>(self, more: &'a [T]) -> Self {
        Self { pieces: [self.pieces[0], bytemuck::cast_slice(more)], ..self }
    }

    fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }
}

/// Bytes of a large piece that are copied at a time, whoever does it.
const PORTION: usize = 1 << 17;

/// A part of the way, and what goes there.
pub(super) struct Portion<'a> {
    to: wgpu::BufferViewMut,
    bytes: &'a [u8],
}

impl Portion<'_> {
    pub(super) fn copy(mut self) {
        self.to.copy_from_slice(self.bytes);
    }
}

/// Bytes that the device wrote; unmapped when dropped.
pub(super) struct Mapped {
    view: Option<wgpu::BufferView>,
    buffer: wgpu::Buffer,
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.view.as_deref().unwrap_or_default()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        drop(self.view.take());
        self.buffer.unmap();
    }
}

impl Engine {
    /// Adds commands that fill buffers with `parts`, by way of the buffer for `through`.
    pub(super) fn stage(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        through: Use,
        parts: &[Part<'_>],
    ) -> Outcome<()> {
        self.stage_behind(encoder, through, None, parts, |_, rest| rest())
    }

    /// The same, and first of all `large` goes to the beginning of a buffer, for the most part as portions that `carry`
    /// copies while it does what it is given; the first of `parts` is for the same buffer, behind it.
    pub(super) fn stage_behind<'a>(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        through: Use,
        large: Option<&'a [u8]>,
        parts: &[Part<'_>],
        carry: impl FnOnce(Vec<Portion<'a>>, &mut dyn FnMut()),
    ) -> Outcome<()> {
        let ahead = large.unwrap_or_default();
        for (number, part) in parts.iter().enumerate() {
            let before = if number == 0 { ahead.len() as u64 } else { 0 };
            self.scratch(part.to, before + part.bytes())?;
        }
        let total = ahead.len() as u64 + parts.iter().map(Part::bytes).sum::<u64>();
        if total == 0 {
            return Ok(());
        }
        self.scratch(through, total)?;
        self.map(through, wgpu::MapMode::Write, total)?;
        let buffer = self.at(through);
        let view = |from: usize, to: usize| {
            let range = from as u64..to as u64;
            buffer.get_mapped_range_mut(range).map_err(|error| self.fail(&error.to_string()))
        };
        let whole = ahead.len() / PORTION * PORTION;
        let mut portions = Vec::new();
        for from in (0..whole).step_by(PORTION) {
            let bytes = &ahead[from..from + PORTION];
            portions.push(Portion { to: view(from, from + PORTION)?, bytes });
        }
        let mut rest = view(whole, usize::try_from(total).unwrap_or(usize::MAX))?;
        carry(portions, &mut || {
            let mut at = 0;
            for piece in std::iter::once(&ahead[whole..]).chain(parts.iter().flat_map(|part| part.pieces)) {
                rest.slice(at..at + piece.len()).copy_from_slice(piece);
                at += piece.len();
            }
        });
        drop(rest);
        buffer.unmap();
        let mut at = 0;
        for (number, part) in parts.iter().enumerate() {
            let bytes = if number == 0 { ahead.len() as u64 } else { 0 } + part.bytes();
            if bytes > 0 {
                encoder.copy_buffer_to_buffer(buffer, at, self.at(part.to), 0, bytes);
            }
            at += bytes;
        }
        self.check()
    }

    /// The first `bytes` of the buffer for `what`, which can be read and which no command under way writes to.
    pub(super) fn mapped(&self, what: Use, bytes: u64) -> Outcome<Mapped> {
        self.map(what, wgpu::MapMode::Read, bytes)?;
        let buffer = self.at(what).clone();
        // From here on it is unmapped, whatever comes.
        let mut mapped = Mapped { view: None, buffer };
        let view = mapped.buffer.get_mapped_range(..bytes);
        mapped.view = Some(view.map_err(|error| self.fail(&error.to_string()))?);
        Ok(mapped)
    }

    /// Maps the beginning of the buffer for `what`, and waits for commands that use it, if there are any.
    pub(super) fn map(&self, what: Use, mode: wgpu::MapMode, bytes: u64) -> Outcome<()> {
        let mapped = Arc::new(AtomicBool::new(false));
        let flag = mapped.clone();
        self.at(what).map_async(mode, ..bytes, move |result| flag.store(result.is_ok(), Ordering::Release));
        // As a rule they are done, and the answer is there at once.
        self.poll()?;
        if !mapped.load(Ordering::Acquire) {
            self.flush()?;
        }
        if mapped.load(Ordering::Acquire) { Ok(()) } else { Err(self.fail("memory could not be mapped")) }
    }
}
