//! Training, adding, the nearest centroid of every vector, and one iteration of k-means.

use std::time::Instant;

use ivf::{Context, Control, KMeansOptions, Report, TrainOptions, kmeans, kmeans_assign};

use crate::{Bench, DIM, index, matrix, median, seconds};

/// Trainings of so many lists, and the nearest of their centroids.
pub(crate) fn run(bench: &Bench) {
    let (count, rows) = (bench.count, matrix(&bench.base));
    let contexts = [("cpu", &bench.cpu), ("gpu", &bench.gpu)];
    for nlist in [1024, 4096].into_iter().filter(|nlist| nlist * 39 <= count) {
        let mut line = format!("train {nlist} lists on {count}, again, add: ");
        let all = contexts.map(|(name, context)| {
            let mut index = index(context, nlist, "Flat");
            let [first, again] = [(); 2].map(|()| {
                seconds(|| index.train(rows, &TrainOptions::default(), &Control::default()).unwrap())
            });
            let add = seconds(|| index.add(rows, None, 0, &Control::default()).unwrap());
            line += &format!("{name} {first:.3} s, {again:.3} s, {add:.3} s  ");
            index.centroids().unwrap().to_vec()
        });
        println!("{line}");
        assert!(all[0] == all[1], "centroids differ");
        let mut line = format!("the nearest of {nlist} centroids: ");
        let found = contexts.map(|(name, context)| {
            let mut nearest = Nearest::new(count);
            let times = [(); 3].map(|()| seconds(|| nearest.find(context, bench, &all[0])));
            line += &format!("{name} {}  ", rate(median(&times), count, nlist));
            nearest
        });
        println!("{line}");
        assert!(found[0] == found[1], "labels differ");
    }
}

/// Iterations of the shorter run, and how many more the longer has.
const SHORT: usize = 2;
const MORE: usize = 10;
/// Runs of either length.
const RUNS: usize = 3;

/// An iteration of k-means over all vectors: the nearest centroid of each, and the mean of each centroid's. What a longer run
/// takes more than a shorter one is iterations alone; the reports of the longer one tell of the same.
pub(crate) fn step(bench: &Bench) {
    let k = 1024.min(bench.count / POINTS);
    let mut line = format!("k-means step, {} x {DIM}, {k} centroids: ", bench.count);
    let [cpu, gpu] = [("cpu", &bench.cpu), ("gpu", &bench.gpu)].map(|(name, context)| {
        // Shaders, and memory.
        Run::of(context, bench, k, SHORT);
        let runs = [(); RUNS]
            .map(|()| [SHORT, SHORT + MORE].map(|iterations| Run::of(context, bench, k, iterations)));
        for [short, long] in &runs {
            short.check(context, bench, long);
            assert!(long.same(&runs[0][1]), "runs differ");
        }
        let steps = runs.each_ref().map(|[short, long]| (long.seconds - short.seconds) / MORE as f64);
        let reports: Vec<f64> = runs.iter().flat_map(|[_, long]| long.steps[SHORT..].to_vec()).collect();
        let step = median(&steps);
        let whole = median(&runs.each_ref().map(|[_, long]| long.seconds));
        line += &format!(
            "{name} {} ({:.2} between reports; {} iterations {:.1})  ",
            rate(step, bench.count, k),
            median(&reports) * 1e3,
            SHORT + MORE,
            whole * 1e3,
        );
        let [[_, long], ..] = runs;
        (long, step)
    });
    assert!(cpu.0.same(&gpu.0), "centroids differ");
    println!("{line}gpu/cpu {:.2}x", cpu.1 / gpu.1);
}

/// Vectors for each centroid at least, so that the longer run is not at its end before.
const POINTS: usize = 64;

/// A run of k-means.
struct Run {
    seconds: f64,
    centroids: Vec<f32>,
    /// Mean squared distance to the centroids that each iteration began with.
    objectives: Vec<f64>,
    /// Seconds from the report before, or the start, to each report.
    steps: Vec<f64>,
}

impl Run {
    fn of(context: &Context, bench: &Bench, k: usize, iterations: usize) -> Self {
        let options =
            KMeansOptions { iterations, max_points_per_centroid: usize::MAX, ..KMeansOptions::default() };
        let (mut objectives, mut steps) = (Vec::new(), Vec::new());
        let start = Instant::now();
        let mut last = start;
        let mut take = |report: &Report| {
            steps.push(last.elapsed().as_secs_f64());
            last = Instant::now();
            objectives.push(report.value);
            true
        };
        let control = Control::new(Some(&mut take), None);
        let found = kmeans(context, matrix(&bench.base), k, &options, &control).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        Self { seconds, centroids: found.centroids, objectives, steps }
    }

    fn same(&self, other: &Self) -> bool {
        self.centroids == other.centroids && self.objectives == other.objectives
    }

    /// That a longer run went on from here, over all vectors and without an end of its own.
    fn check(&self, context: &Context, bench: &Bench, long: &Self) {
        assert!(self.objectives.len() == SHORT && long.objectives.len() == SHORT + MORE, "other iterations");
        assert!(long.objectives[..SHORT] == self.objectives, "other iterations of the longer run");
        assert!(long.objectives.is_sorted_by(|before, after| before > after), "no more to do");
        let mut nearest = Nearest::new(bench.count);
        nearest.find(context, bench, &self.centroids);
        let sum: f64 = nearest.distances.iter().map(|&distance| f64::from(distance)).sum();
        assert!(long.objectives[SHORT] == sum / bench.count as f64, "not all vectors");
    }
}

/// The nearest centroid of each vector.
#[derive(PartialEq)]
struct Nearest {
    labels: Vec<u32>,
    distances: Vec<f32>,
}

impl Nearest {
    fn new(count: usize) -> Self {
        Self { labels: vec![1; count], distances: vec![1.0; count] }
    }

    fn find(&mut self, context: &Context, bench: &Bench, centroids: &[f32]) {
        kmeans_assign(
            context,
            matrix(&bench.base),
            matrix(centroids),
            false,
            0,
            &mut self.labels,
            &mut self.distances,
            &Control::default(),
        )
        .unwrap();
    }
}

/// Milliseconds, and how many operations a second that is, of products of all vectors with all centroids, whether they were
/// made or not.
fn rate(seconds: f64, count: usize, centroids: usize) -> String {
    let operations = 2.0 * (count * centroids * DIM) as f64;
    format!("{:.2} ms, {:.3} TFLOP/s", seconds * 1e3, operations / seconds / 1e12)
}
