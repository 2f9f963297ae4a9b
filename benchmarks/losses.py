"""What the loss costs: its share of a step of 54-256-256-256 at 256 rows a batch, on one thread.

A step of a linear model of one input is nearly nothing but the loss. Its time, over that of a step of the
whole net under the normal likelihood, is what the loss costs, and a little more. Of the turns of each the
lower quartile counts: other work on the machine only adds to it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import Network
from chainrule import likelihoods as lk
from chainrule.engine import Descent
from chainrule.optimization import Adam
from measuring import ROOT, Effort, Sampler, conditions, interleaved, timed

N_ROWS, N_INPUTS, HIDDEN = 256, 54, (256, 256, 256)
N_STEPS = 20  # in one call, so that the call itself does not count
# In each way to have a scale; positive numbers, counts and classes are in all their domains.
LIKELIHOODS: dict[str, lk.Likelihood] = {
    "normal": lk.Normal(),
    "normal, σ learned": lk.Normal(scale="learned"),
    "normal_with_variance": lk.NormalWithVariance(),
    **{
        f"{kind.name}, {way}": kind(scale=scale)
        for kind in (lk.StudentT, lk.Laplace, lk.Huber, lk.NegativeBinomial, lk.Gamma, lk.Tweedie, lk.Weibull)
        for way, scale in (("scale given", 1.0), ("learned", "learned"), ("from the network", "network"))
    },
    "quantile, 3 levels": lk.Quantile(),
    "quantile, 9 levels": lk.Quantile(levels=tuple(k / 10 for k in range(1, 10))),
    "bernoulli": lk.Bernoulli(),
    "categorical, 7 classes": lk.Categorical(7),
    "categorical, 7 classes, smoothed": lk.Categorical(7, label_smoothing=0.1),
    "ordinal, 7 classes": lk.Ordinal(7),
    "poisson": lk.Poisson(),
}


def target_of(likelihood: lk.Likelihood, rng: np.random.Generator) -> Any:
    """Draw a target in the domain of the likelihood, (n_rows, n_columns)."""
    counts = rng.poisson(rng.gamma(1.0, 2.0, (N_ROWS, 1)))
    amounts = rng.gamma(2.0, size=(N_ROWS, 1))
    return {
        "bernoulli": counts > 1,
        "categorical": counts % 7,
        "ordinal": counts % 7,
        "poisson": counts,
        "negative_binomial": counts,
        "gamma": amounts,
        "tweedie": amounts * (counts > 0),
        "weibull": np.hstack([amounts, counts > 1]),
    }.get(likelihood.name, rng.normal(size=(N_ROWS, 1)))


def steps(likelihood: lk.Likelihood, n_inputs: int, hidden: tuple[int, ...], effort: Effort) -> Sampler:
    """Return the sampler of the seconds of some steps on one thread, in float32."""
    rng = np.random.default_rng(0)
    network = Network(n_inputs, hidden, likelihood=likelihood)
    X = rng.normal(size=(N_ROWS, n_inputs)).astype(np.float32)
    y = np.ascontiguousarray(target_of(likelihood, rng), dtype=np.float32)
    descent = Descent(network.initial_parameters(seed=0), Adam(1e-6))
    engine = network.engine("native", 1)
    order, rates = np.tile(np.arange(N_ROWS), N_STEPS), np.full(N_STEPS, 1e-6)

    def work() -> None:
        done = len(engine.run_steps(descent, X, y, None, order, N_ROWS, rates))
        assert done == N_STEPS, "a call ended before its steps were done: the machine is too busy"

    return timed(work, effort.seconds)


def main() -> None:
    """Measure, write the results and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="turns of each (default: 9)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "losses.json")
    parser.add_argument("--seconds", type=float, default=0.03, help="of a turn, at least")
    asked = parser.parse_args()
    effort = Effort(repeats=asked.repeats, seconds=asked.seconds, pause=0.0)
    contenders = {"the net": steps(lk.Normal(), N_INPUTS, HIDDEN, effort)}
    contenders |= {name: steps(likelihood, 1, (), effort) for name, likelihood in LIKELIHOODS.items()}
    times = {name: found["lower"] for name, found in interleaved(contenders, effort).items()}
    net = times.pop("the net")
    shares = {name: seconds / net for name, seconds in times.items()}
    results = {"seconds a step": net / N_STEPS, "shares": shares, **conditions(effort)}
    asked.results.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(
        f"a step of the net: {1e6 * net / N_STEPS:.0f} µs\n\n| likelihood | share of a step |\n| --- | --- |"
    )
    for name, share in shares.items():
        print(f"| {name} | {share:.1%} |")


if __name__ == "__main__":
    main()
