//! Candidate budgets: how many vectors of each list a query looks at, and profiles that name whole settings.
//!
//! The idea and the names are torch-ivf's. Here a budget may be a share of what the lists visited hold, so that it
//! binds whatever their size; a budget that does not bind costs nothing; and what a profile sets, an option set
//! beside it replaces.

use crate::error::{Error, Result};
use crate::metric::Metric;

/// How a budget is shared out over the lists that a query visits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// Measured best: where lists are kept best first [`Sharing::DistanceWeighted`] for L2 and [`Sharing::Uniform`] for
    /// inner products, else [`Sharing::ProbeOrder`].
    #[default]
    Default,
    /// As many of each list.
    Uniform,
    /// More of the nearer lists: in proportion to the squared share of the way from the farthest list's distance
    /// to the nearest one's.
    DistanceWeighted,
    /// Nearest list first, each in full, until the budget is spent.
    ProbeOrder,
}

/// On, off, or as the profile has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// As the profile has it; without a profile off.
    #[default]
    Default,
    /// On.
    On,
    /// Off.
    Off,
}

/// A named set of budget options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// Every vector of the lists visited: [`Profile::Speed`].
    #[default]
    Default,
    /// Every vector of the lists visited.
    Exact,
    /// The same results by whatever is fastest.
    Speed,
    /// A quarter of the vectors.
    ApproxFast,
    /// Half of them.
    ApproxBalanced,
    /// Three quarters.
    ApproxQuality,
}

/// How many vectors a query looks at. The default is no budget.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Vectors in all; 0 = by `share`.
    pub codes: usize,
    /// Vectors in all, as a share of those in the lists visited, above 0 to 1; 0 = the profile's.
    pub share: f32,
    /// Over the lists.
    pub sharing: Sharing,
    /// At least so many of each list, as far as the budget goes.
    pub list_min: usize,
    /// At most so many of each list; 0 = no limit. Needs no budget.
    pub list_max: usize,
    /// Whether lists are left out that would get less than a block of 32, or less than `list_min`: the nearer
    /// ones get it instead.
    pub dynamic_nprobe: Switch,
    /// Whether the budget is kept to the vector; else each list's part is rounded up to whole blocks of 32,
    /// which cost no more.
    pub strict: Switch,
}

impl Budget {
    /// With the profile's values where none are set; `None` if nothing is limited. `ordered`: the metric of an index whose
    /// lists are kept best first.
    pub(crate) fn resolve(mut self, profile: Profile, ordered: Option<Metric>) -> Result<Option<Self>> {
        if !(0.0..=1.0).contains(&self.share) {
            return Err(Error::argument(format!("budget_share: expected 0 to 1, got {}", self.share)));
        }
        if self.codes != 0 && self.share != 0.0 {
            return Err(Error::argument(format!(
                "budget: expected budget_codes or budget_share, got both: {} and {}",
                self.codes, self.share
            )));
        }
        let share = match profile {
            Profile::Default | Profile::Exact | Profile::Speed => 0.0,
            Profile::ApproxFast => 0.25,
            Profile::ApproxBalanced => 0.5,
            Profile::ApproxQuality => 0.75,
        };
        if share > 0.0 {
            if self.codes == 0 && self.share == 0.0 {
                self.share = share;
            }
            if self.dynamic_nprobe == Switch::Default {
                self.dynamic_nprobe = Switch::On;
            }
        }
        if self.codes == 0 && self.share == 0.0 {
            let idle = [
                ("budget_sharing", self.sharing != Sharing::Default),
                ("list_min", self.list_min != 0),
                ("dynamic_nprobe", self.dynamic_nprobe == Switch::On),
                ("strict_budget", self.strict == Switch::On),
            ];
            if let Some((name, _)) = idle.iter().find(|(_, set)| *set) {
                return Err(Error::argument(format!(
                    "{name}: expected a budget beside it (budget_codes, budget_share or an approximate profile), got none"
                )));
            }
        }
        if self.sharing == Sharing::Default {
            self.sharing = match ordered {
                Some(Metric::L2) => Sharing::DistanceWeighted,
                Some(Metric::InnerProduct) => Sharing::Uniform,
                Some(Metric::Cosine) | None => Sharing::ProbeOrder,
            };
        }
        if self.list_max != 0 && self.list_min > self.list_max {
            return Err(Error::argument(format!(
                "list_min: expected at most list_max = {}, got {}",
                self.list_max, self.list_min
            )));
        }
        let limits = self.codes != 0 || (self.share != 0.0 && self.share < 1.0) || self.list_max != 0;
        Ok(limits.then_some(self))
    }

    /// Whether the distances of the lists decide.
    pub(crate) fn wants_distances(&self) -> bool {
        self.sharing == Sharing::DistanceWeighted
    }
}
