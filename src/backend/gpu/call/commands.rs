//! The commands of a round.

use super::Call;
use crate::backend::gpu::encode::{Shape, dispatch_groups, kernel, to32};
use crate::backend::gpu::health::Outcome;
use crate::backend::gpu::held::{Book, Held, affine};
use crate::backend::gpu::pipelines::Kernel;
use crate::backend::gpu::round::Round;
use crate::backend::gpu::scratch::Use;
use crate::backend::gpu::staging::Part;
use crate::backend::{Affine, Codes};
use crate::kernel::most;
use crate::metric::Metric;

/// Numbers of a pair at most, where pairs have any, and of a query with tables.
const NUMBERS: usize = 6;
pub(super) const TABLE_NUMBERS: usize = 3;

impl Call<'_, '_, '_, '_> {
    /// The commands that compute the round's keys, and send what that takes and what follows, with more shapes behind the
    /// round's.
    pub(in crate::backend::gpu) fn encode_keys(
        &mut self,
        round: &Round,
        more: &[Shape],
    ) -> Outcome<wgpu::CommandEncoder> {
        let job = self.job;
        let dim = job.dim;
        let own: &[u8] = bytemuck::cast_slice(job.rows(round.queries.clone()));
        let (large, tables, behind) = match job.codes {
            Codes::Product(codes) => (None, round.prepared.tables.all(&codes), &round.of_tables[..]),
            _ => (Some(own), &[][..], &round.norms[..]),
        };
        let numbers = to32((large.map_or(0, <[u8]>::len) + tables.len()) / size_of::<u32>());
        let shapes = self.shapes(round, numbers, more);
        let Self { engine, pilot, job, resident, turn, .. } = self;
        let held = resident.held(&job.codes);
        let mut parts = vec![
            Part::new(Use::Queries, tables).and(behind),
            Part::new(Use::Tiles, &round.tiles),
            Part::new(Use::Pairs, &round.pairs),
            Part::new(Use::Rows, &round.asked),
            Part::new(Use::Shapes, &shapes),
        ];
        if !round.groups.is_empty() {
            parts.push(Part::new(Use::Groups, &round.groups));
            // With room for each pair's numbers.
            let bytes = size_of::<f32>() * (numbers as usize + NUMBERS * round.pairs.len());
            engine.scratch(Use::Queries, bytes as u64)?;
        }
        if let Some(passing) = &round.passing {
            parts.push(Part::new(Use::Passing, passing));
        }
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let carry = |portions, rest: &mut dyn FnMut()| pilot.copy(portions, rest);
        engine.stage_behind(&mut encoder, Use::Staging(*turn), large, &parts, carry)?;
        engine.scratch(Use::Keys, ((round.lanes + round.lanes / 8) * size_of::<u32>()) as u64)?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        if let Some(book) = resident.book() {
            let pipeline = engine.pipelines.get(match held {
                Held::Signs | Held::Estimates => Kernel::Residual,
                _ if held.is_rounded() => Kernel::Round,
                _ => Kernel::Shift,
            });
            pass.set_pipeline(pipeline);
            let mut buffers = vec![engine.at(Use::Groups), engine.at(Use::Pairs), engine.at(Use::Queries)];
            if held.is_rounded() {
                buffers.extend(book.buffers());
            } else {
                buffers.push(book.buffer());
            }
            engine.bind(&mut pass, pipeline, round.dispatches.len() + 1, &buffers);
            dispatch_groups(&mut pass, round.groups.len());
        }
        for (number, dispatch) in round.dispatches.iter().enumerate() {
            let pipeline = engine.pipelines.get(kernel(dispatch.shape, held, dim));
            pass.set_pipeline(pipeline);
            let segment = &resident.segments[dispatch.segment];
            let mut buffers = vec![
                segment.vectors.buffer(),
                segment.bias.buffer(),
                engine.at(Use::Tiles),
                engine.at(Use::Pairs),
                engine.at(Use::Queries),
                engine.at(Use::Passing),
                engine.at(Use::Keys),
            ];
            buffers.extend(resident.book().map(Book::buffer));
            engine.bind(&mut pass, pipeline, number, &buffers);
            dispatch_groups(&mut pass, dispatch.tiles.len());
        }
        drop(pass);
        Ok(encoder)
    }

    /// What the kernels that compute the round's keys are told: those of its dispatches, and behind them the rows' own, the
    /// groups', and more.
    fn shapes(&self, round: &Round, numbers: u32, more: &[Shape]) -> Vec<Shape> {
        let Self { job, resident, .. } = self;
        let constants = match job.codes {
            Codes::Product(_) => numbers + to32(TABLE_NUMBERS * round.queries.len()),
            _ => 0,
        };
        let squared = u32::from(job.metric == Metric::L2);
        let (bits, residuals) = match affine(&job.codes) {
            None => (0, 0),
            Some(Affine { bits, centroids: None, .. }) => (*bits, 0),
            Some(Affine { bits, .. }) => (*bits, if squared == 1 { 1 } else { 2 }),
        };
        let mut entries = 0;
        let (bits, whole, centre, most) = match job.codes {
            Codes::Product(codes) => {
                entries = codes.table_bytes() / size_of::<f32>();
                (codes.bits, 0, 0.0, 0.0)
            }
            Codes::RaBitQ(codes) if codes.looks_up() => (1, 1, 0.0, most(codes.code_columns())),
            Codes::RaBitQ(codes) => (codes.bits, 0, codes.centre(), 0.0),
            _ => (bits, 0, 0.0, 0.0),
        };
        // Behind the keys there is room for the least of each eight, by four.
        let (held, least) = (resident.held(&job.codes), to32(round.lanes / 4));
        let mut shapes: Vec<Shape> = round
            .dispatches
            .iter()
            .map(|dispatch| {
                Shape::new(&[
                    to32(job.dim),
                    squared,
                    u32::from(job.filter.is_some()),
                    to32(dispatch.tiles.start),
                    to32(dispatch.tiles.len()),
                    numbers,
                    to32(job.columns()),
                    residuals,
                    bits,
                    0,
                    whole,
                    if round.groups.is_empty() { 0 } else { constants },
                    to32(entries),
                    least,
                ])
            })
            .collect();
        let known = if held.writes_least() { least } else { 0 };
        shapes.push(Shape::new(&[0, to32(round.rows.len()), known]));
        let groups = to32(round.groups.len());
        let of_estimates = [centre, most].map(f32::to_bits);
        let fields = [to32(job.dim), squared, residuals, 0, groups, numbers, 0];
        shapes.push(Shape::new(&[&fields[..], &of_estimates].concat()));
        shapes.extend_from_slice(more);
        shapes
    }

    /// Adds `kernel` to the commands, a workgroup a row.
    pub(in crate::backend::gpu) fn encode_rows(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        round: &Round,
        kernel: Kernel,
        outputs: &[Use],
    ) {
        let engine = &*self.engine;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let pipeline = engine.pipelines.get(kernel);
        pass.set_pipeline(pipeline);
        let mut buffers = vec![engine.at(Use::Rows), engine.at(Use::Keys)];
        buffers.extend(outputs.iter().map(|&output| engine.at(output)));
        engine.bind(&mut pass, pipeline, round.dispatches.len(), &buffers);
        dispatch_groups(&mut pass, round.rows.len());
    }
}
