"""How the learning rate goes over the steps: each schedule is a factor between the first and last step."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import InputError


class Schedule(ABC):
    """A factor for the learning rate, as a function of the share of the training that is done."""

    @abstractmethod
    def factor(self, done: float) -> float:
        """Return the factor when the share ``done``, from 0 up to 1, of all steps is done."""

    def factors(self, start: int, stop: int, n_steps: int) -> NDArray[np.float64]:
        """Return the factors of the steps start … stop − 1 of n_steps, counted from 0."""
        return np.array([self.factor(step / n_steps) for step in range(start, stop)], dtype=np.float64)


def _require_share(spec: object, name: str, value: Any, *, most: float = 1.0) -> None:
    if not 0 <= value <= most:
        raise InputError(f"{type(spec).__name__}({name}={value!r}): it must be from 0 to {most:g}.")


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """Always 1."""

    def factor(self, done: float) -> float:
        return 1.0


@final
@dataclass(frozen=True)
class Step(Schedule):
    """Multiplies by ``by`` after each share ``every`` of the steps.

    Parameters
    ----------
    every : float, default 1/3
        The length of a stair, as a share of all steps, above 0.
    by : float, default 0.1
        The factor from stair to stair, from 0 to 1.
    """

    every: float = 1 / 3
    by: float = 0.1

    def __post_init__(self) -> None:
        _require_share(self, "by", self.by)
        if not self.every > 0:
            raise InputError(f"Step(every={self.every!r}): it must be above 0.")

    def factor(self, done: float) -> float:
        # 1e-9: a stair begins at its own edge although the share was rounded below it
        return self.by ** math.floor(done / self.every + 1e-9)


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 down to ``final`` along half a cosine (Loshchilov & Hutter, 2017, without restarts).

    Parameters
    ----------
    final : float, default 0.0
        Where it ends, from 0 to 1.
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        _require_share(self, "final", self.final)

    def factor(self, done: float) -> float:
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


@final
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from ``start`` to 1, then down to ``final``, both along half a cosine (Smith & Topin, 2018).

    Parameters
    ----------
    peak : float, default 0.25
        The share of the steps after which it is 1, from 0 to 1.
    start : float, default 0.04
        Where it starts, from 0 to 1.
    final : float, default 0.0
        Where it ends, from 0 to 1.
    """

    peak: float = 0.25
    start: float = 0.04
    final: float = 0.0

    def __post_init__(self) -> None:
        for name in ("peak", "start", "final"):
            _require_share(self, name, getattr(self, name))

    def factor(self, done: float) -> float:
        if done < self.peak:
            return self.start + (1 - self.start) * 0.5 * (1 - math.cos(math.pi * done / self.peak))
        share = (done - self.peak) / (1 - self.peak) if self.peak < 1 else 0.0
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * share))


@final
@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rises in a straight line for the first ``share`` of the steps, then follows another schedule.

    Parameters
    ----------
    share : float, default 0.05
        The length of the rise, from 0 to 1.
    then : Schedule, default Constant()
        What follows; it gets the steps that are left as its whole.
    """

    share: float = 0.05
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _require_share(self, "share", self.share)

    def factor(self, done: float) -> float:
        if done < self.share:
            return self.then.factor(0.0) * done / self.share
        return self.then.factor((done - self.share) / (1 - self.share) if self.share < 1 else 1.0)
