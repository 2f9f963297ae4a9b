"""The top layers: what is between the logits s and the target y (N5 to N8, N14 to N24).

Each likelihood is one final class that states its domain, its link, its loss and derivative, its mean and its
distribution, and what its loss leaves out. A subclass of `Likelihood` is one of your own.
"""

from chainrule.likelihoods.base import Likelihood, exposure_offset
from chainrule.likelihoods.bernoulli import Bernoulli
from chainrule.likelihoods.categorical import Categorical
from chainrule.likelihoods.counts import NegativeBinomial, Poisson
from chainrule.likelihoods.normal import Normal, NormalWithVariance
from chainrule.likelihoods.ordered import Ordinal, Quantile
from chainrule.likelihoods.positive import Gamma, Tweedie, Weibull
from chainrule.likelihoods.robust import Huber, Laplace, StudentT

LIKELIHOODS: dict[str, type[Likelihood]] = {
    likelihood.name: likelihood
    for likelihood in (
        Normal,
        NormalWithVariance,
        StudentT,
        Laplace,
        Huber,
        Quantile,
        Bernoulli,
        Categorical,
        Ordinal,
        Poisson,
        NegativeBinomial,
        Gamma,
        Tweedie,
        Weibull,
    )
}


def is_built_in(likelihood: Likelihood) -> bool:
    """Return whether a likelihood is one of the project's, and not one of your own."""
    return LIKELIHOODS.get(likelihood.name) is type(likelihood)


__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "Gamma",
    "Huber",
    "Laplace",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "NormalWithVariance",
    "Ordinal",
    "Poisson",
    "Quantile",
    "StudentT",
    "Tweedie",
    "Weibull",
    "exposure_offset",
    "is_built_in",
]
