//! Sums of rows by label on the device, for rows that it keeps; shaders/sums.wgsl says how they become the CPU's.

use std::sync::PoisonError;

use super::device::Gpu;
use super::encode::{SUBMISSION_SECONDS, Shape, dispatch_groups, to32};
use super::engine::Engine;
use super::health::Outcome;
use super::pipelines::{Kernel, THREADS};
use super::scratch::Use;
use super::staging::Part;
use crate::backend::SumJob;
use crate::error::Result;

/// Sums that are made at a time: 8 bytes each.
const AT_ONCE: usize = 1 << 18;

/// Multiply-adds that take as long as to add a value.
const COST: usize = 64;

/// Most fours that a thread adds in a submission: it waits for each of them.
const FOURS: usize = 1 << 14;

/// What [`crate::backend::sums()`] tells.
pub(super) fn sums(gpu: &Gpu, job: &SumJob<'_>, take: &mut dyn FnMut(usize, &[f64])) -> Result<usize> {
    let kept = job.kept.slot.copy.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(rows) = kept.as_ref().filter(|rows| gpu.owns(&rows.memory)) else { return Ok(0) };
    let labels = job.starts.len() - 1;
    let step = (AT_ONCE / job.kept.all.x.dim()).max(1);
    let mut done = 0;
    gpu.with(|engine| {
        while done < labels {
            let to = (done + step).min(labels);
            some(engine, job, rows.memory.buffer(), (done, to), take)?;
            done = to;
        }
        Ok(())
    })?;
    Ok(done)
}

/// Hands over the sums of the labels `from..to`.
fn some(
    engine: &mut Engine,
    job: &SumJob<'_>,
    rows: &wgpu::Buffer,
    (from, to): (usize, usize),
    take: &mut dyn FnMut(usize, &[f64]),
) -> Outcome<()> {
    let (dim, labels) = (job.kept.all.x.dim(), to - from);
    let starts = &job.starts[from..=to];
    let places = job.kept.places(&job.order[starts[0] as usize..starts[labels] as usize]);
    let fours = starts.windows(2).map(|two| (two[1] - two[0]) as usize / 4).max().unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let work = (engine.assign_rate * SUBMISSION_SECONDS) as usize;
    let step = (work / (labels * dim * 4 * COST)).clamp(1, FOURS);
    let bytes = (labels * dim * size_of::<f64>()) as u64;
    engine.scratch(Use::Sums, bytes)?;
    engine.scratch(Use::ReadBack(0), bytes)?;
    let mut first = 0;
    while first == 0 || first < fours {
        job.cancel.check()?;
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        if first == 0 {
            let parts = [Part::new(Use::Places, &places), Part::new(Use::Groups, starts)];
            engine.stage(&mut encoder, Use::Staging(0), &parts)?;
        }
        let shape = [dim, labels, starts[0] as usize, first, step].map(to32);
        engine.put(Use::Shapes, &[Shape::new(&shape)])?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let pipeline = engine.pipelines.get(Kernel::Sum);
        pass.set_pipeline(pipeline);
        let buffers = [rows, engine.at(Use::Places), engine.at(Use::Groups), engine.at(Use::Sums)];
        engine.bind(&mut pass, pipeline, 0, &buffers);
        dispatch_groups(&mut pass, (labels * dim).div_ceil(THREADS as usize));
        drop(pass);
        first += step;
        if first >= fours {
            encoder.copy_buffer_to_buffer(engine.at(Use::Sums), 0, engine.at(Use::ReadBack(0)), 0, bytes);
        }
        engine.run(encoder)?;
    }
    let mapped = engine.mapped(Use::ReadBack(0), bytes)?;
    let words: &[[u32; 2]] = bytemuck::cast_slice(&mapped);
    let mut sums = vec![0.0; dim];
    for (label, words) in (from..to).zip(words.chunks_exact(dim)) {
        for (sum, &[low, high]) in sums.iter_mut().zip(words) {
            *sum = f64::from_bits(u64::from(high) << 32 | u64::from(low));
        }
        take(label, &sums);
    }
    Ok(())
}
