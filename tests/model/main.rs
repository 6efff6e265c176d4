//! The model test: random sequences of calls, each compared with a naive model that does the same in float64.
//!
//! A world is an index behind the C ABI and its [`model`](mod@oracle); [`steps::STEPS`] is the table of what can
//! be done to both. A new call is a function there and a line in the table. Half of the worlds hold small whole
//! numbers, for which float32 is exact: there results must be equal to the last bit and ties abound. In the
//! others distances may differ by rounding, and neighbours only where their distances do not. Worlds of codes (SQ8,
//! RaBitQ, PQ) are compared with an index that is built anew, see [`mod@twin`]; those with each vector in two lists know
//! both, see [`mod@spill`].
//!
//! `IVF_MODEL_SEED=7 IVF_MODEL_STEPS=100000 cargo test --test model -- --nocapture` runs one seed for long.
#![expect(unsafe_code, reason = "the functions under test are unsafe")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "every pointer here is of the test's own making")]
#![expect(clippy::cast_possible_truncation, reason = "small numbers")]
#![expect(clippy::print_stdout, reason = "a failure is reproduced from what the test says")]

mod draw;
mod oracle;
mod place;
mod spill;
mod steps;
mod subject;
mod twin;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use draw::Draw;
use world::World;

/// Steps a seed unless `IVF_MODEL_STEPS` says.
const STEPS: u64 = 2000;

/// Runs one seed; a failure names it, and the calls that led to it.
fn run(seed: u64, steps: u64) {
    let mut draw = Draw::new(seed);
    let mut trail = Vec::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(&mut draw);
        trail.push(world.title());
        for _ in 0..steps {
            let step = draw.weighted(steps::STEPS, |step| step.weight);
            trail.push(step.name.to_owned());
            (step.run)(&mut world, &mut draw);
            if step.name == "create" {
                trail.push(world.title());
            }
            world.check_counts();
        }
        (world.checked, world.unclear)
    }));
    match outcome {
        Ok((checked, unclear)) => {
            println!(
                "seed {seed}: {steps} steps, {checked} queries checked, {unclear} with near ties left out"
            );
            // Where many vectors are equal lists lie equally near, and which comes first in a limited search is open.
            assert!(unclear * 3 <= checked.max(100), "seed {seed}: too few queries could be checked");
        }
        Err(panic) => {
            let from = trail.iter().rposition(|step| step.contains(" dim ")).unwrap_or(0);
            let recent = [&trail[from..=from], &trail[(from + 1).max(trail.len().saturating_sub(12))..]]
                .concat()
                .join(", ");
            println!("FAILED: IVF_MODEL_SEED={seed}, step {} after: {recent}", trail.len() - 1);
            resume_unwind(panic);
        }
    }
}

#[test]
fn model_random_calls_give_equal_results() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let steps = number("IVF_MODEL_STEPS").unwrap_or(STEPS);
    match number("IVF_MODEL_SEED") {
        Some(seed) => run(seed, steps),
        None => (1..=12).for_each(|seed| run(seed, steps)),
    }
}
