//! Large amounts on their way to the device: all workers write pieces of them into memory that both see, and while the
//! device fetches these, the next are written.

use super::engine::Engine;
use super::health::Outcome;
use super::scratch::{TURNS, Use};
use crate::context::Context;

/// Bytes that are written before they are sent off.
const CHUNK: u64 = 8 << 20;

/// Bytes of a piece at most, but for a single block or row.
const PIECE: usize = 1 << 17;

/// Where a piece goes.
pub(super) struct Target {
    pub(super) buffer: wgpu::Buffer,
    pub(super) at: u64,
    pub(super) bytes: u64,
}

impl Engine {
    /// Bytes that are written before they are sent off: of a small budget or device little.
    fn chunk(&self) -> u64 {
        CHUNK.min(self.room() / 16).min(self.limits.max_storage_buffer_binding_size / 2)
    }

    /// How many blocks or rows of so many bytes a piece has.
    pub(super) fn of_a_piece(&self, bytes: usize) -> usize {
        let most = usize::try_from(self.chunk()).unwrap_or(PIECE);
        (PIECE.min(most) / bytes).max(1)
    }

    /// Has `write` write each piece, given what it is of, and sends them.
    pub(super) fn upload<P: Send>(
        &mut self,
        context: &Context,
        workers: usize,
        pieces: impl Iterator<Item = (Target, P)>,
        write: &(impl Fn(P, &mut wgpu::BufferViewMut) + Sync),
    ) -> Outcome<()> {
        let mut pieces = pieces.peekable();
        let (mut turn, mut targets, mut sources) = (0, Vec::new(), Vec::new());
        let chunk = self.chunk();
        while pieces.peek().is_some() {
            targets.clear();
            let mut total = 0;
            let fits = |target: &Target, total| total == 0 || total + target.bytes <= chunk;
            while let Some((target, source)) = pieces.next_if(|(target, _)| fits(target, total)) {
                // Views begin at multiples of 8.
                let bytes = target.bytes.next_multiple_of(8);
                targets.push((target, total));
                sources.push(source);
                total += bytes;
            }
            turn = (turn + 1) % TURNS;
            let through = Use::Staging(turn);
            self.scratch(through, total)?;
            self.map(through, wgpu::MapMode::Write, total)?;
            let buffer = self.at(through);
            let view = |(target, at): &(Target, u64)| {
                let view = buffer.get_mapped_range_mut(*at..*at + target.bytes);
                view.map_err(|error| self.fail(&error.to_string()))
            };
            let views = targets.iter().map(view).collect::<Outcome<Vec<_>>>()?;
            let written = context.each(
                workers.min(views.len()),
                views.into_iter().zip(sources.drain(..)),
                &|(mut view, source)| {
                    write(source, &mut view);
                    Ok(())
                },
            );
            buffer.unmap();
            written?;
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (target, at) in &targets {
                encoder.copy_buffer_to_buffer(buffer, *at, &target.buffer, target.at, target.bytes);
            }
            self.submit(encoder)?;
        }
        self.check()
    }
}
