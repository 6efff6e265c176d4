//! The scan of centroids.

use crate::backend::{self, ListSource, Probes, ScanJob, Sketched};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::output::Rows;
use crate::progress::Cancel;
use crate::topk::Hit;

/// Which queries look for how many centroids.
#[derive(Clone, Copy)]
pub(super) struct Probing<'a, 'c> {
    pub(super) context: &'a Context,
    pub(super) metric: Metric,
    pub(super) dim: usize,
    /// `[count, dim]`.
    pub(super) queries: &'a [f32],
    pub(super) nprobe: usize,
    pub(super) workers: usize,
    pub(super) cancel: Cancel<'c>,
}

impl Probing<'_, '_> {
    pub(super) fn count(&self) -> usize {
        self.queries.len() / self.dim
    }
}

/// Writes the ids of the `nprobe` nearest of `centroids` (`len` in all) in the lists that `probes` names into
/// `lists` (`[count, nprobe]`, best first, -1 = none), and their keys into `keys` if there is room for them.
pub(super) fn scan(
    probing: Probing<'_, '_>,
    centroids: &dyn ListSource,
    len: usize,
    probes: Probes<'_>,
    sketched: Option<Sketched<'_>>,
    lists: &mut [i64],
    keys: &mut [f32],
) -> Result<()> {
    let Probing { context, nprobe, .. } = probing;
    let keys = (!keys.is_empty()).then(|| Rows::new(keys, nprobe));
    let sink = ListSink { keys, ..ListSink::new(lists, nprobe) };
    backend::scan_numbered(context, &job(probing, centroids, len, probes), nprobe, sketched, &sink)
}

pub(super) fn job<'a>(
    probing: Probing<'a, 'a>,
    centroids: &'a dyn ListSource,
    len: usize,
    probes: Probes<'a>,
) -> ScanJob<'a> {
    let Probing { metric, dim, queries, workers, cancel, .. } = probing;
    ScanJob { probes, workers, cancel, ..ScanJob::of_all(metric, dim, queries, centroids, len) }
}

/// Writes the ids of hits, and their keys if they are wanted.
pub(crate) struct ListSink<'a> {
    lists: Rows<'a, i64>,
    keys: Option<Rows<'a, f32>>,
}

impl<'a> ListSink<'a> {
    /// Writes ids to `lists` (`[count, nprobe]`).
    pub(crate) fn new(lists: &'a mut [i64], nprobe: usize) -> Self {
        Self { lists: Rows::new(lists, nprobe), keys: None }
    }
}

impl Sink for ListSink<'_> {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.lists.with_row(query, |row| {
            row.fill(-1);
            for (list, hit) in row.iter_mut().zip(hits) {
                *list = hit.id;
            }
        });
        if let Some(keys) = &self.keys {
            keys.with_row(query, |row| {
                row.fill(f32::INFINITY);
                for (key, hit) in row.iter_mut().zip(hits) {
                    *key = hit.key;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Sketch;
    use crate::codec::Encoder;
    use crate::context::ContextOptions;
    use crate::element::Element;
    use crate::kernel::Kernels;
    use crate::lists::Lists;
    use crate::matrix::MatrixRef;
    use crate::random::Random;

    /// What a scan of any number of queries finds, and one of a few: ids, and bits of keys.
    fn found(
        job: &ScanJob<'_>,
        context: &Context,
        nprobe: usize,
        sketched: Option<Sketched<'_>>,
    ) -> [(Vec<i64>, Vec<u32>); 2] {
        [false, true].map(|few| {
            let (mut lists, mut keys) = (vec![-2; job.count * nprobe], vec![7.0; job.count * nprobe]);
            let (rows, of_keys) = (Rows::new(&mut lists, nprobe), Rows::new(&mut keys, nprobe));
            let sink = ListSink { lists: rows, keys: Some(of_keys) };
            if few {
                backend::scan_numbered(context, job, nprobe, sketched, &sink).unwrap();
            } else {
                backend::scan_best(context, job, nprobe, &sink).unwrap();
            }
            (lists, keys.into_iter().map(f32::to_bits).collect())
        })
    }

    /// Vectors of small numbers, so that many keys are equal, some of them times `huge`.
    fn vectors(random: &mut Random, count: usize, dim: usize, huge: f32) -> Vec<f32> {
        let mut vector = |_| -> Vec<f32> {
            let scale = [1.0, 1.0, 1.0, 0.0, huge, 0.37][random.below(6)];
            #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
            (0..dim).map(|_| (random.normal() * 1.5).round() as f32 * scale).collect()
        };
        (0..count).flat_map(&mut vector).collect()
    }

    fn lists(context: &Context, centroids: MatrixRef<'_>, metric: Metric, groups: usize) -> Lists {
        let encoder = Encoder::plain(context.kernels(), metric, Element::F32);
        let mut lists = Lists::new(groups, Element::F32, 0);
        for (group, list) in lists.lists.iter_mut().enumerate() {
            let of: Vec<u32> = (0u32..).take(centroids.rows()).skip(group).step_by(groups).collect();
            list.append(centroids.into(), &of, |row| row as i64, &encoder, None, &[]).unwrap();
            list.compact(centroids.dim(), &|| Ok(())).unwrap();
        }
        lists
    }

    #[test]
    fn few_queries_find_what_many_do_bit_by_bit() {
        let mut random = Random::new(5);
        for kernels in Kernels::available() {
            let kernel = Some(kernels.name.to_owned());
            let options =
                ContextOptions { threads: 3, device: Some("cpu".into()), kernel, ..Default::default() };
            let context = Context::new(&options).unwrap();
            let huge = [3.0, 1e-22, 4e17, 2e18, 1e19];
            let shapes = [
                (1, 5),
                (16, 3),
                (31, 7),
                (33, 17),
                (100, 50),
                (129, 300),
                (1000, 12),
                (300, 131),
                (1000, 50),
            ];
            for ((len, dim), metric) in shapes.into_iter().flat_map(|shape| {
                [Metric::L2, Metric::InnerProduct, Metric::Cosine].map(|metric| (shape, metric))
            }) {
                let huge = huge[random.below(5)];
                let mut centroids = vectors(&mut random, len, dim, huge);
                let mut queries = vectors(&mut random, 29, dim, huge);
                // One that is there.
                queries[..dim].copy_from_slice(&centroids[len / 2 * dim..][..dim]);
                if metric == Metric::Cosine {
                    for row in centroids.chunks_exact_mut(dim).chain(queries.chunks_exact_mut(dim)) {
                        let length = crate::matrix::squared_norm(row).sqrt();
                        row.iter_mut().for_each(|value| *value /= length.max(1e-30));
                    }
                }
                let matrix = MatrixRef::new("centroids", &centroids, len, dim).unwrap();
                for groups in [1, 7.min(len)] {
                    let lists = lists(&context, matrix, metric, groups);
                    // Of enough centroids in one list, whose numbers are not too large.
                    let new = |_| Sketch::new(matrix, metric, &lists.lists[0].bias);
                    let sketch = Some(()).filter(|()| groups == 1).and_then(new);
                    let sketched = sketch.as_ref().map(|sketch| Sketched { sketch, rows: &centroids });
                    // The last two are many, of which a sketch is looked at in panels.
                    for (count, nprobe) in
                        [(1, 1), (1, 6), (2, 24), (5, 33), (1, 64), (8, len / 3), (3, len), (29, 2), (13, 4)]
                    {
                        let nprobe = nprobe.clamp(1, len);
                        let queries = &queries[..count * dim];
                        // Many are shared out.
                        let (workers, cancel) = (if count > 8 { 3 } else { 1 }, Cancel::default());
                        let probing =
                            Probing { context: &context, metric, dim, queries, nprobe, workers, cancel };
                        // The groups of each query, in an order of its own, with a place that is empty.
                        let some: Vec<i64> = (0..count as i64)
                            .flat_map(|query| [(query + 4) % groups as i64, -1, (query + 6) % groups as i64])
                            .collect();
                        let some = Probes::Lists { lists: &some, nprobe: 3 };
                        for probes in if groups < 3 { vec![Probes::All] } else { vec![Probes::All, some] } {
                            let job = job(probing, &lists, len, probes);
                            let [many, few] = found(&job, &context, nprobe, sketched);
                            assert_eq!(
                                many, few,
                                "{} {metric:?} {len} x {dim}, {huge}, {groups} groups, {count} queries, {nprobe}",
                                kernels.name
                            );
                        }
                    }
                }
            }
        }
    }
}
