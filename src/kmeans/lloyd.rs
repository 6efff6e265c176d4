//! The full algorithm (Lloyd 1982): assign every point, move every centroid, again.

use super::centroids::Centroids;
use super::means::{Groups, split, update};
use super::near::{FEWEST, NEAR, Neighbourhoods};
use super::seeding::seed;
use super::task::Task;
use super::{Purpose, Seeding, few, hierarchical};
use crate::backend::{Kept, Rows, RowsSlot};
use crate::error::Result;
use crate::random::Random;

/// One run: centroids, and their objective as the last pass saw it (of a look at near centroids only: no better than it is).
///
/// For the lists of an index an iteration is a pass over all points, and the first few are spent on small random parts
/// instead, as many passes as have the same work: centroids that are still far from their place need few points to find the way.
/// Many passes look at near centroids only: every other one, or more where that overlooks little.
pub(super) fn run(task: &Task<'_, '_>, random: &mut Random) -> Result<(Centroids, f64)> {
    let numbers = (task.most < task.x.rows()).then(|| random.deal(task.x.rows(), &[task.most]));
    let rows = Rows { x: task.x, numbers: numbers.as_deref() };
    let fit = if task.seeding == Seeding::Hierarchical && task.k >= FEWEST {
        refine(task, rows, random)?
    } else {
        fit(task, rows, random)?
    };
    Ok((fit.centroids, fit.objective))
}

/// What a run leaves.
pub(super) struct Fit {
    pub(super) centroids: Centroids,
    pub(super) objective: f64,
    /// Of each row, as the last pass saw it; and its key.
    pub(super) labels: Vec<u32>,
    pub(super) keys: Vec<f32>,
}

/// Passes that mend the borders of the groups.
const PASSES: usize = 6;

/// The hierarchy's centroids, and a few passes that look near only.
fn refine(task: &Task<'_, '_>, rows: Rows<'_>, random: &mut Random) -> Result<Fit> {
    let mut run = Run::new(task, rows, Centroids::new(0, task.dim(), task.metric())?);
    run.neighbourhoods = Neighbourhoods::lasting();
    let first = task.iterations.saturating_sub(PASSES);
    run.centroids = hierarchical::seed(task, rows, first, &mut run.labels, random)?;
    run.groups.make(task.context, task.workers, &run.labels, task.k)?;
    let slot = RowsSlot::default();
    let kept = Kept { slot: &slot, all: rows, places: None };
    let mut objective = 0.0;
    for pass in first..task.iterations {
        // Pass 0 would have no labels yet.
        objective = run.step(rows, kept, 1)?;
        task.report(pass + 1, objective)?;
    }
    Ok(Fit { centroids: run.centroids, objective, labels: run.labels, keys: run.keys })
}

/// One run over `rows`, as the task has it.
pub(super) fn fit(task: &Task<'_, '_>, rows: Rows<'_>, random: &mut Random) -> Result<Fit> {
    let mut run = Run::new(task, rows, seed(task, rows, random)?);
    let slot = RowsSlot::default();
    let kept = Kept { slot: &slot, all: rows, places: None };
    let parts = match task.purpose {
        Purpose::Caller => Vec::new(),
        Purpose::Lists | Purpose::Part | Purpose::Words => parts(rows.len(), task.k, task.iterations),
    };
    let mut work = 0;
    for (part, steps) in parts {
        let points = random.deal(rows.len(), &[rows.len() / part]);
        let numbers: Vec<u32> = points.iter().map(|&point| rows.number(point)).collect();
        let rows = Rows { x: task.x, numbers: Some(&numbers) };
        for step in 0..steps {
            let objective = run.step(rows, Kept { places: Some(&points), ..kept }, step)?;
            let before = work / PARTS;
            work += PARTS / part;
            if work / PARTS > before {
                task.report(work / PARTS, objective)?;
            }
        }
    }
    let mut objective = 0.0;
    let first = work / PARTS;
    for iteration in first..task.iterations {
        objective = run.step(rows, kept, iteration - first)?;
        task.report(iteration + 1, objective)?;
    }
    Ok(Fit { centroids: run.centroids, objective, labels: run.labels, keys: run.keys })
}

/// One step over all of the task's rows, from known centroids on.
pub(super) fn once(task: &Task<'_, '_>, centroids: Centroids) -> Result<Fit> {
    let rows = Rows { x: task.x, numbers: None };
    let mut run = Run::new(task, rows, centroids);
    let slot = RowsSlot::default();
    let objective = run.step(rows, Kept { slot: &slot, all: rows, places: None }, 0)?;
    Ok(Fit { centroids: run.centroids, objective, labels: run.labels, keys: run.keys })
}

/// What the first iterations are spent on: (divisor of the points, steps), in all at most a third.
fn parts(points: usize, k: usize, iterations: usize) -> Vec<(usize, usize)> {
    let mut budget = iterations / 3 * PARTS;
    let mut parts = Vec::new();
    for (part, share) in [(8, 4), (4, 3), (2, 1)] {
        if points / part >= k.saturating_mul(POINTS_IN_A_PART) {
            let steps = budget / share / (PARTS / part);
            budget -= steps * (PARTS / part);
            parts.push((part, steps));
        }
    }
    parts
}

/// The largest divisor of the points, and the unit of work: an eighth of an iteration.
const PARTS: usize = 8;

/// Points a centroid that a part must have.
const POINTS_IN_A_PART: usize = 16;

/// The state of a run.
struct Run<'a, 't, 'c> {
    task: &'a Task<'t, 'c>,
    centroids: Centroids,
    labels: Vec<u32>,
    keys: Vec<f32>,
    groups: Groups,
    neighbourhoods: Neighbourhoods,
}

impl<'a, 't, 'c> Run<'a, 't, 'c> {
    fn new(task: &'a Task<'t, 'c>, rows: Rows<'_>, centroids: Centroids) -> Self {
        Self {
            task,
            centroids,
            labels: vec![0u32; rows.len()],
            keys: vec![0f32; rows.len()],
            groups: Groups::default(),
            neighbourhoods: Neighbourhoods::default(),
        }
    }

    /// Assigns `rows`, then moves the centroids to the means; the objective before they moved. `pass` counts
    /// the steps with the same rows.
    fn step(&mut self, rows: Rows<'_>, kept: Kept<'_>, pass: usize) -> Result<f64> {
        let Self { task, centroids, groups, neighbourhoods, .. } = self;
        let (labels, keys) = (&mut self.labels[..rows.len()], &mut self.keys[..rows.len()]);
        if few::is_for(task) {
            few::step(task, rows, centroids, labels, keys)?;
            return Ok(task.mean(keys));
        }
        centroids.pack(task.context);
        let many = task.k >= FEWEST && rows.len() >= task.k * NEAR;
        let rough = neighbourhoods.are_lasting() || (task.purpose != Purpose::Caller && many);
        if rough && pass > 0 && neighbourhoods.are_due() {
            neighbourhoods.assign(task, rows, kept, groups, centroids, labels, keys)?;
        } else {
            let before = if rough { labels.to_vec() } else { Vec::new() };
            task.assign(rows, Some(kept), centroids, pass > 0, labels, keys)?;
            neighbourhoods.judge(&before, labels, pass == 0);
        }
        let objective = task.mean(keys);
        groups.make(task.context, task.workers, labels, task.k)?;
        update(task, rows, kept, groups, centroids)?;
        repair(task, groups, keys, centroids);
        Ok(objective)
    }
}

/// Gives points to the centroids that have none.
fn repair(task: &Task<'_, '_>, groups: &Groups, keys: &[f32], centroids: &mut Centroids) {
    let weight = |label| {
        let points = groups.of(label);
        let sum = |points: &[u32]| points.iter().map(|&point| f64::from(keys[point as usize])).sum::<f64>();
        // A similarity does not tell how far points lie apart; their number has to do.
        let weight = if task.spherical { points.len() as f64 } else { sum(points) };
        (!points.is_empty()).then_some(weight)
    };
    if (0..task.k).any(|label| groups.of(label).is_empty()) {
        split(centroids, &mut (0..task.k).map(weight).collect::<Vec<_>>(), task.spherical);
    }
}
