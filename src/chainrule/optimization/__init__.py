"""Gradient descent and what has grown from it (N13): optimizers, schedules, the penalty."""

from chainrule.optimization.optimizers import LBFGS, SGD, Adam, AdamW, Optimizer, clip_by_norm
from chainrule.optimization.penalty import Penalty
from chainrule.optimization.schedules import Constant, Cosine, OneCycle, Schedule, Step, WarmUp

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "OneCycle",
    "Optimizer",
    "Penalty",
    "Schedule",
    "Step",
    "WarmUp",
    "clip_by_norm",
]
