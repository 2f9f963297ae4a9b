"""From rows to the best θ: mini-batches or the whole data, validation, stopping, history, progress."""

from chainrule.training.batches import split_validation
from chainrule.training.gradient_norms import GradientNorms
from chainrule.training.history import EpochRecord, GradientRecord, History
from chainrule.training.loop import train
from chainrule.training.metrics import METRICS, Metric
from chainrule.training.run import Callback, EpochReport, TrainingResult
from chainrule.training.settings import Training

__all__ = [
    "METRICS",
    "Callback",
    "EpochRecord",
    "EpochReport",
    "GradientNorms",
    "GradientRecord",
    "History",
    "Metric",
    "Training",
    "TrainingResult",
    "split_validation",
    "train",
]
