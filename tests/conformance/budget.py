"""How many vectors of each list a query looks at: the rules of the budget options, in float64."""

import math
from dataclasses import dataclass

BLOCK = 32
PROFILES = {"exact": 0, "speed": 0, "approx_fast": 0.25, "approx_balanced": 0.5, "approx_quality": 0.75}


@dataclass
class Budget:
    """The members of a step by their names; what is None is not set."""

    profile: str = None
    sharing: str = None
    budget_codes: int = None
    budget_share: float = None
    dynamic_nprobe: bool = None
    strict_budget: bool = None
    list_min: int = None
    list_max: int = None

    def members(self):
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def limits(self):
        share = self.budget_share or PROFILES.get(self.profile, 0)
        return bool(self.budget_codes or share or self.list_max)

    def allot(self, sizes, keys, default):
        """Of each list in probe order how many vectors, the first ones; keys: the lists' distances, default: the sharing
        where none is named."""
        caps = [min(size, self.list_max or size) for size in sizes]
        share = self.budget_share or PROFILES.get(self.profile, 0)
        if not self.budget_codes and not share:
            return caps
        total = self.budget_codes or math.ceil(sum(sizes) * share)
        if sum(caps) <= total:
            return caps
        sharing = self.sharing or default
        if sharing == "probe_order":
            return first(caps, total)
        weights = [1.0] * len(caps)
        if sharing == "distance_weighted":
            near, far = min(keys), max(keys)
            weights = [((far - key) / (far - near)) ** 2 + 0.02 if far > near else 1.02 for key in keys]
        shares = self.filled(caps, weights, total)
        if not self.strict_budget:
            return [min(cap, BLOCK * math.ceil(clear(share) / BLOCK)) for cap, share in zip(caps, shares)]
        given = first([math.floor(clear(share)) for share in shares], total)
        more = first([cap - got for cap, got in zip(caps, given)], total - sum(given))
        return [got + rest for got, rest in zip(given, more)]

    def filled(self, caps, weights, total):
        """In proportion to the weights; what a full list leaves over goes to the others."""
        least = self.list_min or 0
        dynamic = self.dynamic_nprobe if self.dynamic_nprobe is not None else PROFILES.get(self.profile, 0) > 0
        if dynamic:
            whole = sum(weights)
            for at in range(1, len(caps)):
                if weights[at] / whole * total < min(max(BLOCK, least), caps[at]):
                    weights[at] = 0.0
        shares = []
        for cap, weight in zip(caps, weights):
            shares.append(min(least, cap, total - sum(shares)) if weight else 0)
        while total - sum(shares) > 1e-6:
            hungry = [at for at in range(len(caps)) if shares[at] < caps[at] - 1e-9 and weights[at]]
            if not hungry:
                break
            rate = (total - sum(shares)) / sum(weights[at] for at in hungry)
            for at in hungry:
                shares[at] = min(caps[at], shares[at] + weights[at] * rate)
        return shares


def first(caps, total):
    """`total` from the front on."""
    taken = []
    for cap in caps:
        taken.append(min(cap, total - sum(taken)))
    return taken


def clear(share):
    """A share whose whole part no rounding of float32 can change."""
    near = round(share)
    assert share == near or abs(share - near) > 1e-3, f"a share of {share} may be rounded either way"
    return share
