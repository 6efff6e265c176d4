//! Building from files that need not fit in memory: train on a sample, then add a piece at a time.

use std::path::Path;

use super::{Index, TrainOptions};
use crate::error::{Error, Result};
use crate::factory::choose_nlist;
use crate::progress::Control;
use crate::vector_file::{Buffer, VectorFile};

/// Values that are read at a time.
const VALUES_A_STEP: usize = 1 << 23;

/// Points read for each centroid, unless the options say: as many as training uses.
const POINTS_PER_CENTROID: usize = 256;

/// Points read to train what has no lists: transforms.
const POINTS: usize = 1 << 16;

impl Index {
    /// Adds the vectors of a `.npy` (float32, float16 or uint8, C order), `.fvecs` or `.bvecs` file under the next
    /// free ids; returns how many. On failure, and when cancelled, nothing is added.
    pub fn add_file(&mut self, path: &Path, threads: usize, control: &Control<'_>) -> Result<usize> {
        self.check_trained()?;
        let mut file = self.open(path)?;
        self.add_from(&mut file, threads, control)
    }

    /// Trains on a sample of the file unless the index is trained already, then adds it as [`Index::add_file`] does.
    /// On failure no vector is added; the training may stay.
    pub fn build_file(
        &mut self,
        path: &Path,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<usize> {
        let mut file = self.open(path)?;
        if !self.is_trained() {
            self.train_from(&mut file, options, control)?;
        }
        self.add_from(&mut file, options.threads, control)
    }

    fn open(&self, path: &Path) -> Result<VectorFile> {
        let file = VectorFile::open(path)?;
        if file.dim() != self.input_dim() {
            return Err(Error::Dimension { what: "file", expected: self.input_dim(), got: file.dim() });
        }
        Ok(file)
    }

    fn train_from(
        &mut self,
        file: &mut VectorFile,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<()> {
        let rows = file.rows();
        let wanted = match self.description.lists {
            None => POINTS,
            Some(lists) => {
                let nlist = lists.nlist.unwrap_or_else(|| choose_nlist(rows));
                match options.kmeans.max_points_per_centroid {
                    0 => nlist.saturating_mul(POINTS_PER_CENTROID),
                    most => nlist.saturating_mul(most),
                }
            }
        };
        let mut buffer = Buffer::default();
        let sample = file.read_some(&sample(rows, wanted), &mut buffer, &|| control.check())?;
        self.train_as_of(sample, rows, options, control)
    }

    fn add_from(&mut self, file: &mut VectorFile, threads: usize, control: &Control<'_>) -> Result<usize> {
        let rows = file.rows();
        let (first, count, lens) = (self.next_id, self.count, self.lists.lens());
        let changed = self.curve.as_ref().map_or(0, |curve| curve.changed);
        let step = (VALUES_A_STEP / file.dim()).max(1);
        let mut buffer = Buffer::default();
        let mut add = |index: &mut Self| {
            control.check()?;
            for from in (0..rows).step_by(step) {
                let to = (from + step).min(rows);
                let piece = file.read(from, to, &mut buffer)?;
                index.append(piece, None, threads, &control.silent()).map_err(|error| match error {
                    // By its row in the file.
                    Error::NotFinite { what, row } => Error::NotFinite { what, row: from + row },
                    other => other,
                })?;
                let told = control.report("add", to, rows, 0.0);
                // All is there: it is too late to cancel.
                if to < rows {
                    told?;
                }
            }
            Ok(())
        };
        let done = add(self);
        if done.is_err() && self.next_id > first {
            // What the pieces appended is cut off.
            self.lists.truncate(&lens, self.codec.columns(self.dim))?;
            (self.next_id, self.count) = (first, count);
            self.directory.take();
            if let Some(curve) = &mut self.curve {
                curve.changed = changed;
            }
        }
        done?;
        self.order_lists(&lens, self.context.workers(threads), control.cancel());
        Ok(rows)
    }
}

/// About `wanted` of the numbers below `rows`, ascending: one at a random place of each of as many equal parts.
fn sample(rows: usize, wanted: usize) -> Vec<usize> {
    if wanted >= rows {
        return (0..rows).collect();
    }
    let edge = |part: usize| {
        let edge = part as u128 * rows as u128 / wanted as u128;
        usize::try_from(edge).expect("invariant: at most rows")
    };
    let mut state = 1234u64;
    let mut random = || {
        // SplitMix64 (Steele, Lea and Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    (0..wanted)
        .map(|part| {
            let (from, to) = (edge(part), edge(part + 1));
            from + usize::try_from(random() % (to - from) as u64).expect("invariant: below a usize")
        })
        .collect()
}
