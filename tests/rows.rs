//! Rows of other types than float32: whatever is made of them is, bit for bit, what is made of the same values as
//! float32.

mod common;

use common::{context, numbers};
use ivf::{Control, Error, Filter, Index, KMeansOptions, MatrixRef, Metric, RowsRef};
use ivf::{SearchOptions, SearchOutput, TrainOptions, Values, bf16, f16};

const DIM: usize = 19;

/// The same values in every type and as float32.
struct Data {
    u8: Vec<u8>,
    f16: Vec<f16>,
    bf16: Vec<bf16>,
}

impl Data {
    fn new(seed: u64, rows: usize) -> Self {
        let values = numbers(seed, rows * DIM);
        Self {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a byte")]
            u8: values.iter().map(|v| (v * 127.0 + 128.0) as u8).collect(),
            f16: values.iter().map(|&v| f16::from_f32(v)).collect(),
            bf16: values.iter().map(|&v| bf16::from_f32(v)).collect(),
        }
    }

    fn each(&self) -> [(Values<'_>, Vec<f32>); 3] {
        [
            (Values::U8(&self.u8), self.u8.iter().map(|&v| f32::from(v)).collect()),
            (Values::F16(&self.f16), self.f16.iter().map(|v| v.to_f32()).collect()),
            (Values::Bf16(&self.bf16), self.bf16.iter().map(|v| v.to_f32()).collect()),
        ]
    }
}

fn rows(values: Values<'_>) -> RowsRef<'_> {
    RowsRef::new("rows", values, values.len() / DIM, DIM).expect("whole rows")
}

fn wide(values: &[f32]) -> RowsRef<'_> {
    rows(Values::F32(values))
}

fn built(description: &str, metric: Metric, x: RowsRef<'_>) -> Index {
    let control = Control::default();
    let mut index = Index::new(context(2, None), DIM, metric, description, &Default::default())
        .expect("a known description");
    index.train(x, &TrainOptions::default(), &control).expect("enough points");
    // In two batches of odd size, so that blocks are filled up.
    let cut = x.rows() / 3;
    index.add(x.slice(0, cut), None, 0, &control).expect("finite rows");
    index.add(x.slice(cut, x.rows()), None, 0, &control).expect("finite rows");
    index
}

fn bytes(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).expect("memory");
    bytes
}

fn search(index: &Index, queries: RowsRef<'_>) -> (Vec<i64>, Vec<u32>) {
    let (n, k) = (queries.rows(), 7);
    let (mut distances, mut ids) = (vec![0.0; n * k], vec![0; n * k]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let options = SearchOptions { nprobe: 4, ..Default::default() };
    index.search(queries, k, &options, output, &Control::default()).expect("finite queries");
    (ids, distances.iter().map(|d| d.to_bits()).collect())
}

#[test]
fn train_add_search_any_type_equals_float32_bit_for_bit() {
    let (data, asked) = (Data::new(1, 900), Data::new(2, 150));
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        for description in ["Flat", "IVF12,Flat", "IVF12,SQfp16", "SQbf16"] {
            for ((x, floats), (q, wide_queries)) in data.each().into_iter().zip(asked.each()) {
                let typed = built(description, metric, rows(x));
                let floats = built(description, metric, wide(&floats));
                let name = format!("{description} {metric:?} {:?}", x.element());
                assert_eq!(bytes(&typed), bytes(&floats), "{name}");
                assert_eq!(search(&typed, rows(q)), search(&floats, wide(&wide_queries)), "{name}");
                let within = |index: &Index, q: RowsRef<'_>| {
                    let radius = if metric == Metric::L2 { 40.0 } else { 0.3 };
                    index.range_search(q, radius, &Default::default(), &Control::default()).expect("finite")
                };
                assert_eq!(within(&typed, rows(q)), within(&floats, wide(&wide_queries)), "{name}");
            }
        }
    }
    // Bytes held as bytes.
    let (x, floats) = &data.each()[0];
    let typed = built("IVF12,SQ8_direct", Metric::L2, rows(*x));
    assert_eq!(bytes(&typed), bytes(&built("IVF12,SQ8_direct", Metric::L2, wide(floats))));
}

#[test]
fn kmeans_any_type_equals_float32_bit_for_bit() {
    let data = Data::new(3, 700);
    for (x, floats) in data.each() {
        for options in [
            KMeansOptions::default(),
            KMeansOptions { max_points_per_centroid: 20, restarts: 2, ..Default::default() },
            KMeansOptions { seeding: ivf::Seeding::PlusPlus, spherical: true, ..Default::default() },
            KMeansOptions { mini_batch: 64, ..Default::default() },
        ] {
            let (context, control) = (context(2, None), Control::default());
            let typed = ivf::kmeans(&context, rows(x), 10, &options, &control).expect("enough points");
            let wide_found = ivf::kmeans(&context, wide(&floats), 10, &options, &control).expect("the same");
            assert_eq!(typed.centroids, wide_found.centroids);
            assert_eq!(typed.objective.to_bits(), wide_found.objective.to_bits());
            let label = |x: RowsRef<'_>| {
                let (mut labels, mut distances) = (vec![0; 700], vec![0.0; 700]);
                let centroids = MatrixRef::new("centroids", &typed.centroids, 10, DIM).expect("whole rows");
                let spherical = options.spherical;
                ivf::kmeans_assign(
                    &context,
                    x,
                    centroids,
                    spherical,
                    0,
                    &mut labels,
                    &mut distances,
                    &control,
                )
                .expect("finite rows");
                (labels, distances)
            };
            assert_eq!(label(rows(x)), label(wide(&floats)));
        }
    }
}

#[test]
fn knn_any_type_equals_float32_bit_for_bit() {
    let (data, asked) = (Data::new(4, 300), Data::new(5, 40));
    let filter = Filter::range(10, 250);
    for ((x, floats), (q, wide_queries)) in data.each().into_iter().zip(asked.each()) {
        let run = |q: RowsRef<'_>, x: RowsRef<'_>| {
            let (mut distances, mut ids) = (vec![0.0; 40 * 5], vec![0; 40 * 5]);
            let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
            let options = SearchOptions { filter: Some(&filter), ..Default::default() };
            ivf::knn(&context(2, None), q, x, Metric::L2, 5, &options, output, &Control::default())
                .expect("finite");
            (distances, ids)
        };
        let typed = run(rows(q), rows(x));
        assert_eq!(typed, run(wide(&wide_queries), wide(&floats)));
        // Types may be mixed.
        assert_eq!(typed, run(rows(q), wide(&floats)));
    }
}

#[test]
fn add_half_rows_not_finite_or_too_large_names_the_row_and_adds_nothing() {
    let mut x = Data::new(6, 50);
    x.f16[3 * DIM + 2] = f16::INFINITY;
    x.bf16[4 * DIM] = bf16::NAN;
    for (values, row) in [(Values::F16(&x.f16), 3), (Values::Bf16(&x.bf16), 4)] {
        for (description, metric) in [("Flat", Metric::L2), ("IVF4,Flat", Metric::Cosine)] {
            let control = Control::default();
            let mut index =
                Index::new(context(1, None), DIM, metric, description, &Default::default()).expect("known");
            let refused = |error: Error| matches!(error, Error::NotFinite { row: got, .. } if got == row);
            let trained = index.train(rows(values), &TrainOptions::default(), &control);
            assert!(refused(trained.expect_err("not finite")));
            let clean = numbers(7, 50 * DIM);
            index.train(wide(&clean), &TrainOptions::default(), &control).expect("finite");
            assert!(refused(index.add(rows(values), None, 0, &control).expect_err("not finite")));
            assert_eq!(index.info().count, 0);
        }
    }
    // A bfloat16 beyond float16's range, held as float16.
    let mut large = vec![bf16::ONE; 2 * DIM];
    large[DIM + 1] = bf16::from_f32(1e6);
    let mut index =
        Index::new(context(1, None), DIM, Metric::L2, "SQfp16", &Default::default()).expect("known");
    let error = index.add(rows(Values::Bf16(&large)), None, 0, &Control::default()).expect_err("too large");
    assert!(error.to_string().contains("row 1, column 1"), "{error}");
}

#[test]
fn rows_of_a_wrong_shape_are_refused_with_both_numbers() {
    let error = RowsRef::new("x", &[0u8; 7][..], 2, 4).expect_err("7 of 8").to_string();
    assert_eq!(error, "x: expected 8 values, got 7");
    assert!(RowsRef::new("x", &[0u8; 0][..], 0, 0).is_err());
    let mut index = Index::new(context(1, None), 3, Metric::L2, "Flat", &Default::default()).expect("known");
    let x = RowsRef::new("x", &[0u8; 8][..], 2, 4).expect("whole rows");
    let error = index.add(x, None, 0, &Control::default()).expect_err("another width").to_string();
    assert_eq!(error, "rows: expected 3 columns, got 4");
}
