//! An index and its model side by side, and how answers are compared.

use std::ffi::CString;
use std::ptr::null_mut;

use ivf::ffi::*;

use crate::draw::Draw;
use crate::oracle::{Ask, Curve, Element, Entry, Metric, Model};
use crate::subject::{self, Context, Found, Index, Ranges, describe, info, ok, sized};
use crate::twin;

/// Both, and what they are made of.
pub(crate) struct World {
    pub(crate) index: Index,
    pub(crate) model: Model,
    pub(crate) contexts: Vec<Context>,
    pub(crate) files: tempfile::TempDir,
    /// Lists that the description names; `None` = chosen in training.
    pub(crate) named: Option<usize>,
    description: String,
    /// Queries compared so far, and those left out because rounding decides which lists they visit.
    pub(crate) checked: u64,
    pub(crate) unclear: u64,
}

impl World {
    pub(crate) fn new(draw: &mut Draw) -> Self {
        let kernels = [c"scalar", c"avx2", c"avx512", c"neon"];
        let contexts: Vec<_> =
            kernels.iter().filter_map(|kernel| Context::new(kernel, draw.within(1, 3) as u32)).collect();
        let context = draw.pick(&(0..contexts.len()).collect::<Vec<_>>());
        let (index, model, named, description) = create(draw, &contexts[context]);
        let files = tempfile::tempdir().expect("a directory for files");
        Self { index, model, contexts, files, named, description, checked: 0, unclear: 0 }
    }

    /// A new index of another kind.
    pub(crate) fn recreate(&mut self, draw: &mut Draw) {
        let context = self.context(draw);
        let (index, model, named, description) = create(draw, context);
        (self.index, self.model, self.named, self.description) = (index, model, named, description);
    }

    pub(crate) fn context(&self, draw: &mut Draw) -> &Context {
        &self.contexts[draw.below(self.contexts.len())]
    }

    pub(crate) fn title(&self) -> String {
        let Model { dim, metric, exact, duplicates, ordered, soar, .. } = self.model;
        format!(
            "{} {metric:?} dim {dim} exact {exact} duplicates {duplicates} ordered {ordered} soar {soar}",
            self.description
        )
    }

    pub(crate) fn trained(&self) -> bool {
        !self.model.lists.is_empty()
    }

    /// `[n, dim]` rows that the index can hold.
    pub(crate) fn rows(&self, draw: &mut Draw, n: usize) -> Vec<f32> {
        let Model { dim, exact, element, .. } = self.model;
        let value = |draw: &mut Draw| match (element, exact) {
            (Element::U8, _) => draw.below(9) as f32,
            (_, true) => draw.below(17) as f32 / 2.0 - 4.0,
            (_, false) => draw.unit(),
        };
        (0..n * dim).map(|_| value(draw)).collect()
    }

    /// `[n, dim]` queries: like the rows, some of them rows of the index.
    pub(crate) fn queries(&self, draw: &mut Draw, n: usize) -> Vec<f32> {
        let mut queries = self.rows(draw, n);
        let count = self.model.count();
        for query in queries.chunks_mut(self.model.dim) {
            if count > 0 && draw.chance(20) {
                let entry = self.model.entries().nth(draw.below(count)).expect("below the count");
                query.copy_from_slice(&entry.vector);
            }
        }
        queries
    }

    /// An id from 0 on, mostly one that the index has or had.
    pub(crate) fn id(&self, draw: &mut Draw) -> i64 {
        draw.below(self.model.next_id as usize % 100_000 + 5) as i64
    }

    /// What the index says of itself is what the model knows.
    pub(crate) fn check_counts(&self) {
        let (known, model) = (info(&self.index), &self.model);
        assert_eq!(known.count, model.count() as u64, "count");
        assert_eq!(known.soar, model.soar, "soar");
        assert_eq!(known.next_id, model.next_id as u64, "next id");
        assert_eq!(known.trained == 1, self.trained(), "trained");
        let nlist = if self.trained() { model.lists.len() } else { self.named.unwrap_or(0) };
        assert_eq!(known.nlist, nlist as u64, "nlist");
        let mut sizes = vec![99; nlist];
        ok(unsafe { ivf_list_sizes(self.index.0, sizes.as_mut_ptr(), nlist as u64) });
        if self.trained() {
            let expected: Vec<u64> = model.lists.iter().map(|list| list.len() as u64).collect();
            assert_eq!(sizes, expected, "list sizes");
        }
        // The number of lists is told once it is chosen.
        let chosen = self.description.replace("IVF,", &format!("IVF{nlist},"));
        let expected = if self.trained() { chosen } else { self.description.clone() };
        assert_eq!(describe(&self.index), expected);
        let mut curve = sized::<ivf_curve_info>();
        let none = null_mut();
        ok(unsafe { ivf_tune_curve(self.index.0, &mut curve, null_mut(), none, none, none, 0) });
        let got = (curve.k, curve.points, curve.queries, curve.count, curve.changed, curve.stale);
        let expected = model.curve.map_or((0, 0, 0, 0, 0, 0), |curve| {
            let Curve { k, points, queries, count, changed, .. } = curve;
            (k as u32, points, queries as u64, count as u64, changed as u64, curve.is_stale().into())
        });
        assert_eq!(got, expected, "curve");
    }

    /// Compares a search in the lists that it visits (`None`: not to be known) with the model's.
    pub(crate) fn check_search(
        &mut self,
        queries: &[f32],
        lists: impl Fn(&Model, usize, &[f32]) -> Option<Vec<usize>>,
        ask: &Ask,
        found: &Found,
    ) {
        if self.model.coded {
            let each = queries.chunks(self.model.dim).enumerate();
            let lists: Vec<_> =
                each.map(|(q, query)| lists(&self.model, q, &self.model.prepared(query))).collect();
            let clear = lists.iter().flatten().count() as u64;
            self.checked += clear;
            self.unclear += lists.len() as u64 - clear;
            return twin::check_search(&self.index, &self.model, queries, &lists, ask, found);
        }
        for (q, query) in queries.chunks(self.model.dim).enumerate() {
            let query = self.model.prepared(query);
            let Some(lists) = lists(&self.model, q, &query) else {
                self.unclear += 1;
                continue;
            };
            self.checked += 1;
            let expected = self.model.candidates(&query, &lists, ask);
            let hits = expected.len().min(found.k);
            let place = q * found.k..(q + 1) * found.k;
            let (distances, ids) = (&found.distances[place.clone()], &found.ids[place]);
            assert_eq!(found.hits[q], hits as u64, "query {q}: hits of {ask:?} in {lists:?}");
            assert!(ids[hits..].iter().all(|&id| id == -1), "query {q}: padding {ids:?}");
            assert!(distances[hits..].iter().all(|&d| d == self.model.worst()), "query {q}: padding");
            compare(&self.model, &query, &expected, &distances[..hits], &ids[..hits], q);
        }
    }

    /// The same for a range search: every candidate nearer than the radius.
    pub(crate) fn check_ranges(&mut self, queries: &[f32], radius: f32, ask: &Ask, found: &Ranges) {
        if self.model.trains() {
            self.checked += (queries.len() / self.model.dim) as u64;
            return twin::check_ranges(&self.index, &self.model, queries, radius, ask, found);
        }
        let limit = self.model.value(f64::from(radius));
        for (q, query) in queries.chunks(self.model.dim).enumerate() {
            let query = self.model.prepared(query);
            let Some(lists) = self.model.visited(&query, ask) else {
                self.unclear += 1;
                continue;
            };
            self.checked += 1;
            let place = found.offsets[q]..found.offsets[q + 1];
            let (distances, ids) = (&found.distances[place.clone()], &found.ids[place]);
            let all = self.model.candidates(&query, &lists, ask);
            let within = |share: f64| {
                let near = |&(key, entry): &(f64, &Entry)| {
                    key < limit + share * self.model.slack(&query, &entry.vector, key.abs())
                };
                all.iter().filter(|&pair| near(pair)).count()
            };
            let (least, most) = (within(-1.0), within(1.0));
            assert!((least..=most).contains(&ids.len()), "query {q}: {} hits, not {least}", ids.len());
            compare(&self.model, &query, &all, distances, ids, q);
        }
    }
}

/// The best of `expected` are these distances and ids, in order.
fn compare(
    model: &Model,
    query: &[f32],
    expected: &[(f64, &Entry)],
    distances: &[f32],
    ids: &[i64],
    q: usize,
) {
    let value = |key: f64| model.value(key) as f32;
    if model.exact {
        let best: Vec<(f32, i64)> =
            expected.iter().take(ids.len()).map(|&(key, entry)| (value(key), entry.id)).collect();
        let got: Vec<(f32, i64)> = distances.iter().copied().zip(ids.iter().copied()).collect();
        assert_eq!(got, best, "query {q}");
        return;
    }
    let mut used = vec![false; expected.len()];
    for (rank, (&distance, &id)) in distances.iter().zip(ids).enumerate() {
        let key = model.value(f64::from(distance));
        let (best, entry) = expected[rank];
        let slack = model.slack(query, &entry.vector, best.abs());
        assert!((key - best).abs() <= slack, "query {q}, rank {rank}: {distance}, not {}", value(best));
        // An id may be there more than once; each of its vectors is returned at most once.
        let own = (0..expected.len()).find(|&i| {
            let (own, entry) = expected[i];
            let slack = model.slack(query, &entry.vector, own.abs());
            !used[i] && entry.id == id && (own - key).abs() <= slack
        });
        let own =
            own.unwrap_or_else(|| panic!("query {q}, rank {rank}: id {id} at {distance} is no candidate"));
        used[own] = true;
        if rank > 0 {
            let before = model.value(f64::from(distances[rank - 1]));
            assert!(before < key || (before == key && ids[rank - 1] <= id), "query {q}, rank {rank}: order");
        }
    }
}

/// An index of a kind of its own, and the model of it.
fn create(draw: &mut Draw, context: &Context) -> (Index, Model, Option<usize>, String) {
    let metric = draw.pick(&[Metric::L2, Metric::L2, Metric::InnerProduct, Metric::Cosine]);
    let trains = draw.chance(35);
    let exact = metric != Metric::Cosine && !trains && draw.chance(60);
    let elements = [Element::F32, Element::F32, Element::F32, Element::F16, Element::Bf16, Element::U8];
    // Normalised halves would differ from the model's by rounding twice.
    let element = if trains || metric == Metric::Cosine { Element::F32 } else { draw.pick(&elements) };
    // In one dimension all directions are near ties.
    let least = usize::from(!exact && metric != Metric::L2);
    let dim: usize = draw.pick(&[1, 2, 3, 5, 8, 16, 17, 33, 130][least..]);
    let codes = match element {
        _ if trains && draw.chance(30) => {
            let parts: Vec<usize> = (1..=dim.min(40)).filter(|parts| dim.is_multiple_of(*parts)).collect();
            format!("PQ{}x4{}", draw.pick(&parts), draw.pick(&["", "fs"]))
        }
        _ if trains => draw.pick(&["SQ8", "SQ4", "SQ6", "RaBitQ", "RaBitQ4", "RaBitQ8"]).to_owned(),
        Element::F32 => "Flat".to_owned(),
        Element::F16 => "SQfp16".to_owned(),
        Element::Bf16 => "SQbf16".to_owned(),
        Element::U8 => "SQ8_direct".to_owned(),
    };
    // Where the codes are exact, so is what is found by them and compared again with the rows kept beside.
    let refined = (trains || exact && matches!(element, Element::F16 | Element::U8)) && draw.chance(50);
    let kept = match refined {
        false => "",
        true if trains => draw.pick(&[",RFlat", ",RFlat", ",Refine(SQfp16)", ",Refine(SQ8)"]),
        true => ",RFlat",
    };
    // Of normalised rows an index that is built anew of them may round others.
    let coded = trains && (kept != ",RFlat" || metric == Metric::Cosine);
    let is_ivf = draw.chance(75);
    let soar = if is_ivf && draw.chance(25) { draw.pick(&[0.5, 1.0, 1.0, 3.0]) } else { 0.0 };
    let twice = soar > 0.0;
    let points = match trains {
        // The residuals of copies train them too.
        true if twice && codes.starts_with("PQ") && codes.ends_with("x4") => 8,
        true if codes.starts_with("PQ") => 16,
        _ => trains.into(),
    };
    let codes = format!("{codes}{kept}");
    let named = is_ivf.then(|| draw.pick(&[1, 2, 5, 12, 40][usize::from(twice)..]));
    let named = named.filter(|_| draw.chance(85));
    let description = match (is_ivf, named) {
        (false, _) => codes,
        (true, None) => format!("IVF,{codes}"),
        (true, Some(nlist)) => format!("IVF{nlist},{codes}"),
    };
    let (nprobe, duplicates) = (draw.pick(&[0, 0, 1, 3, 100]), !twice && draw.chance(25));
    let ordered = is_ivf && !twice && draw.chance(30);
    let options = ivf_index_options {
        nprobe: nprobe as u32,
        allow_duplicate_ids: duplicates.into(),
        // All: of equally near candidates a few would be chosen by place, which the model does not know.
        k_factor: if refined { 1e6 } else { 0.0 },
        list_order: if ordered { IVF_LIST_ORDER_BEST_FIRST } else { IVF_LIST_ORDER_ADDED },
        soar,
        ..sized::<ivf_index_options>()
    };
    let mut index = null_mut();
    let text = CString::new(description.as_str()).expect("no NUL");
    ok(unsafe {
        ivf_index_create(context.0, dim as u32, metric as i32, text.as_ptr(), &options, &mut index)
    });
    let model = Model {
        dim,
        metric,
        element,
        coded,
        points,
        is_ivf,
        nprobe,
        duplicates,
        centroids: Vec::new(),
        lists: if is_ivf || trains { Vec::new() } else { vec![Vec::new()] },
        next_id: 0,
        exact,
        ordered,
        refined,
        proven: refined && !description.contains("RaBitQ"),
        soar,
        curve: None,
    };
    (subject::Index(index), model, if is_ivf { named } else { Some(1) }, description)
}
