//! What a case does without its index: k-means and exact neighbours.

use ivf::{Control, KMeansOptions, MatrixRef, Result, RowsRef, Seeding, kmeans, kmeans_assign, knn};
use serde_json::Value;

use super::{Run, Typed, integers, size};

fn seeding(step: &Value) -> Seeding {
    match step["seeding"].as_str() {
        None => Seeding::Default,
        Some("random") => Seeding::Random,
        Some("plus_plus") => Seeding::PlusPlus,
        Some("hierarchical") => Seeding::Hierarchical,
        Some(other) => panic!("seeding {other}"),
    }
}

impl Run {
    pub(super) fn kmeans(&self, step: &Value, x: RowsRef<'_>) -> Result<()> {
        let options = KMeansOptions {
            seeding: seeding(step),
            seed: step["seed"].as_u64().unwrap_or(0),
            restarts: size(step, "restarts"),
            spherical: step["spherical"].as_bool().unwrap_or(false),
            mini_batch: size(step, "mini_batch"),
            ..KMeansOptions::default()
        };
        let (context, control) = (self.index.context(), Control::default());
        let found = kmeans(context, x, size(step, "k"), &options, &control)?;
        let (n, dim) = (x.rows(), x.dim());
        let centroids =
            MatrixRef::new("centroids", &found.centroids, found.centroids.len() / dim, dim).unwrap();
        let (mut labels, mut distances) = (vec![0; n], vec![0.0; n]);
        kmeans_assign(context, x, centroids, options.spherical, 0, &mut labels, &mut distances, &control)?;
        // By their first appearance.
        let mut order: Vec<u32> = Vec::new();
        for &label in &labels {
            if !order.contains(&label) {
                order.push(label);
            }
        }
        let place = |label: &u32| order.iter().position(|other| other == label).unwrap() as i64;
        assert_eq!(labels.iter().map(place).collect::<Vec<_>>(), integers(step, "labels"));
        if step["centroids"].is_array() {
            let ordered: Vec<f32> =
                order.iter().flat_map(|&label| centroids.row(label as usize)).copied().collect();
            self.close(step, "centroids", &ordered);
            let expected = step["objective"].as_f64().unwrap();
            assert!(
                (found.objective - expected).abs() <= 1e-5 * expected.abs() + 1e-6,
                "{}",
                found.objective
            );
        }
        Ok(())
    }

    pub(super) fn knn(&self, step: &Value, queries: RowsRef<'_>) -> Result<()> {
        let (base, dim) = (&step["base"], queries.dim());
        let (values, typed) = (self.floats(base, "x"), Typed::of(base));
        let matrix = MatrixRef::new("x", &values, values.len() / dim, dim).unwrap();
        let x = typed.rows(base, dim).unwrap_or(matrix.into());
        self.found(step, queries.rows(), |options, output| {
            let (k, context) = (size(step, "k"), self.index.context());
            knn(context, queries, x, self.metric, k, options, output, &Control::default())
        })
    }
}
