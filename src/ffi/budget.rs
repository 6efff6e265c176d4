//! Section "search", continued: profiles and candidate budgets.

use super::search::ivf_search_options;
use crate::budget::{Budget, Profile, Sharing, Switch};
use crate::error::{Error, Result};

/// No budget: every vector of the lists visited is looked at.
pub const IVF_PROFILE_DEFAULT: i32 = 0;
/// The same, said aloud.
pub const IVF_PROFILE_EXACT: i32 = 1;
/// The results of `IVF_PROFILE_EXACT`, by whatever is fastest.
pub const IVF_PROFILE_SPEED: i32 = 2;
/// A quarter of the vectors in the lists visited: `budget_share` .25, dynamic nprobe.
pub const IVF_PROFILE_APPROX_FAST: i32 = 3;
/// Half of them: `budget_share` .5, the rest alike.
pub const IVF_PROFILE_APPROX_BALANCED: i32 = 4;
/// Three quarters of them: `budget_share` .75, the rest alike.
pub const IVF_PROFILE_APPROX_QUALITY: i32 = 5;

/// Measured best: where the index keeps its lists best first, weighted by distance for L2 and uniform for inner products,
/// else in probe order.
pub const IVF_SHARING_DEFAULT: i32 = 0;
/// As many vectors of each list.
pub const IVF_SHARING_UNIFORM: i32 = 1;
/// More vectors of nearer lists, the first of each.
pub const IVF_SHARING_DISTANCE_WEIGHTED: i32 = 2;
/// Nearest list first, each in full, until the budget is spent.
pub const IVF_SHARING_PROBE_ORDER: i32 = 3;

/// The profile's; without one off.
pub const IVF_SWITCH_DEFAULT: i32 = 0;
/// On.
pub const IVF_SWITCH_ON: i32 = 1;
/// Off, also where the profile has it on.
pub const IVF_SWITCH_OFF: i32 = 2;

/// The profile and the budget of a search's options.
pub(super) fn read(options: &ivf_search_options) -> Result<(Profile, Budget)> {
    let profile = match options.profile {
        IVF_PROFILE_DEFAULT => Profile::Default,
        IVF_PROFILE_EXACT => Profile::Exact,
        IVF_PROFILE_SPEED => Profile::Speed,
        IVF_PROFILE_APPROX_FAST => Profile::ApproxFast,
        IVF_PROFILE_APPROX_BALANCED => Profile::ApproxBalanced,
        IVF_PROFILE_APPROX_QUALITY => Profile::ApproxQuality,
        got => return Err(unknown("profile", "0 to 5 (IVF_PROFILE_*)", got)),
    };
    let sharing = match options.budget_sharing {
        IVF_SHARING_DEFAULT => Sharing::Default,
        IVF_SHARING_UNIFORM => Sharing::Uniform,
        IVF_SHARING_DISTANCE_WEIGHTED => Sharing::DistanceWeighted,
        IVF_SHARING_PROBE_ORDER => Sharing::ProbeOrder,
        got => return Err(unknown("budget_sharing", "0 to 3 (IVF_SHARING_*)", got)),
    };
    let budget = Budget {
        codes: usize::try_from(options.budget_codes).unwrap_or(usize::MAX),
        share: options.budget_share,
        sharing,
        list_min: options.list_min as usize,
        list_max: options.list_max as usize,
        dynamic_nprobe: switch("dynamic_nprobe", options.dynamic_nprobe)?,
        strict: switch("strict_budget", options.strict_budget)?,
    };
    // What contradicts itself is refused even where there is nothing to search.
    budget.resolve(profile, None)?;
    Ok((profile, budget))
}

fn switch(name: &str, got: i32) -> Result<Switch> {
    match got {
        IVF_SWITCH_DEFAULT => Ok(Switch::Default),
        IVF_SWITCH_ON => Ok(Switch::On),
        IVF_SWITCH_OFF => Ok(Switch::Off),
        got => Err(unknown(name, "0 to 2 (IVF_SWITCH_*)", got)),
    }
}

fn unknown(name: &str, expected: &str, got: i32) -> Error {
    Error::argument(format!("ivf_search_options.{name}: expected {expected}, got {got}"))
}
