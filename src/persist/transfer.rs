//! Reading many bytes into lists on several threads, in rounds, so that the progress callback runs on the
//! calling thread between two rounds.

use std::sync::{Mutex, PoisonError};

use bytemuck::Pod;
use crc32fast::Hasher;

use super::format::{Section, name};
use super::source::Source;
use super::{Keep, LoadOptions};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::progress::Control;

/// Bytes that a worker reads at once: they are still in its cache when they are checked.
pub(super) const CHUNK: usize = 1 << 20;

/// Chunks for each worker in a round.
const ROUND: usize = 16;

/// One load's workers and its progress.
pub(super) struct Transfer<'a, 'c> {
    pub(super) context: &'a Context,
    pub(super) source: &'a Source<'a>,
    pub(super) control: &'a Control<'c>,
    pub(super) keep: Keep,
    workers: usize,
    verify: bool,
    done: usize,
    total: usize,
}

impl<'a, 'c> Transfer<'a, 'c> {
    /// A load of this file; how much of it goes through [`Transfer::run`] is told later.
    pub(super) fn new(
        context: &'a Context,
        source: &'a Source<'a>,
        keep: Keep,
        options: &LoadOptions,
        control: &'a Control<'c>,
    ) -> Self {
        let workers = context.workers(options.threads);
        Self { context, source, control, keep, workers, verify: !options.skip_verify, done: 0, total: 0 }
    }

    /// Tells that `bytes` will be read, for the progress.
    pub(super) fn expect(&mut self, bytes: u64) {
        self.total += usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// Does every task, on all workers; `bytes` tells the size of one. Ends with the first failure.
    pub(super) fn run<T: Send>(
        &mut self,
        mut tasks: &mut [T],
        bytes: impl Fn(&T) -> usize,
        work: impl Fn(&mut T) -> Result<()> + Sync,
    ) -> Result<()> {
        let cancel = self.control.cancel();
        while !tasks.is_empty() {
            let (mut count, mut weight) = (0, 0);
            while count < tasks.len() && weight < CHUNK * ROUND * self.workers {
                weight += bytes(&tasks[count]);
                count += 1;
            }
            let (round, later) = std::mem::take(&mut tasks).split_at_mut(count);
            tasks = later;
            let queue = Mutex::new(round.iter_mut());
            let failure = Mutex::new(None);
            self.context.parallel(self.workers.min(count), &|_| {
                while !cancel.is_set() {
                    let Some(task) = lock(&queue).next() else { return };
                    if let Err(error) = work(task) {
                        *lock(&queue) = Default::default();
                        lock(&failure).get_or_insert(error);
                    }
                }
            })?;
            if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
                return Err(error);
            }
            self.done += weight;
            self.control.report("load", self.done, self.total, 0.0)?;
        }
        Ok(())
    }

    /// Reads a section into `outs`, which together are as long as it. Unless the caller trusts the file, its
    /// checksum is compared, and `sound` has to hold for every piece.
    pub(super) fn fill<'b, T: Pod + Send>(
        &mut self,
        section: &Section,
        outs: impl IntoIterator<Item = &'b mut [T]>,
        sound: fn(&[T]) -> bool,
    ) -> Result<()> {
        let mut tasks: Vec<Task<'b, T>> = Vec::new();
        let mut offset = section.offset;
        for piece in outs.into_iter().flat_map(|out| out.chunks_mut(CHUNK / size_of::<T>())) {
            let bytes = size_of_val(piece);
            match tasks.last_mut() {
                Some(task) if task.bytes + bytes <= CHUNK => {
                    task.bytes += bytes;
                    task.pieces.push(piece);
                }
                _ => tasks.push(Task {
                    offset,
                    bytes,
                    pieces: vec![piece],
                    hasher: Hasher::new(),
                    sound: true,
                }),
            }
            offset += bytes as u64;
        }
        self.read_section(section, &mut tasks, sound)
    }

    /// Checks a section without keeping it.
    pub(super) fn check<T: Pod + Send>(&mut self, section: &Section, sound: fn(&[T]) -> bool) -> Result<()> {
        let mut tasks: Vec<Task<'_, T>> = Vec::new();
        let mut left = section.length;
        while left > 0 {
            let bytes = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let offset = section.offset + section.length - left;
            tasks.push(Task { offset, bytes, pieces: Vec::new(), hasher: Hasher::new(), sound: true });
            left -= bytes as u64;
        }
        self.read_section(section, &mut tasks, sound)
    }

    fn read_section<T: Pod + Send>(
        &mut self,
        section: &Section,
        tasks: &mut [Task<'_, T>],
        sound: fn(&[T]) -> bool,
    ) -> Result<()> {
        let (source, verify) = (self.source, self.verify);
        self.run(
            tasks,
            |task| task.bytes,
            |task| {
                if task.pieces.is_empty() {
                    let mut buffer = vec![T::zeroed(); task.bytes / size_of::<T>()];
                    return task.hold(source, task.offset, &mut buffer, verify, sound);
                }
                let mut offset = task.offset;
                for piece in std::mem::take(&mut task.pieces) {
                    task.hold(source, offset, piece, verify, sound)?;
                    offset += size_of_val(piece) as u64;
                }
                Ok(())
            },
        )?;
        if !verify {
            return Ok(());
        }
        let mut whole = Hasher::new();
        tasks.iter().for_each(|task| whole.combine(&task.hasher));
        section.check_sum(whole.finalize())?;
        if tasks.iter().all(|task| task.sound) {
            return Ok(());
        }
        let name = name(section.tag);
        Err(Error::corrupt(format!(
            "section {name}: expected ids of 0 or more and finite values, got others: the file is damaged"
        )))
    }
}

/// A stretch of the file and where it goes; without a place to go it is only checked.
struct Task<'b, T> {
    offset: u64,
    bytes: usize,
    pieces: Vec<&'b mut [T]>,
    hasher: Hasher,
    sound: bool,
}

impl<T: Pod> Task<'_, T> {
    fn hold(
        &mut self,
        source: &Source<'_>,
        offset: u64,
        out: &mut [T],
        verify: bool,
        sound: fn(&[T]) -> bool,
    ) -> Result<()> {
        source.read(offset, bytemuck::cast_slice_mut(out))?;
        if verify {
            self.hasher.update(bytemuck::cast_slice(out));
            self.sound &= sound(out);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
