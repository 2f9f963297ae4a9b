"""The top layers: what is between the logits s and the target y (N5 to N8).

Each likelihood is one final class that states its domain, its link, its loss and derivative, its mean,
and what its loss leaves out.
"""

from chainrule.likelihoods.base import Likelihood
from chainrule.likelihoods.bernoulli import Bernoulli
from chainrule.likelihoods.categorical import Categorical
from chainrule.likelihoods.normal import Normal
from chainrule.likelihoods.poisson import Poisson

LIKELIHOODS: dict[str, type[Likelihood]] = {
    likelihood.name: likelihood for likelihood in (Normal, Bernoulli, Categorical, Poisson)
}

__all__ = ["LIKELIHOODS", "Bernoulli", "Categorical", "Likelihood", "Normal", "Poisson"]
