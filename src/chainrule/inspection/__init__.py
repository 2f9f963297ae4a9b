"""Looking into a network: whether its gradient is right, all of one row, and what many rows say."""

from chainrule.inspection.gradient_check import GradientCheck, LayerCheck, gradient_check
from chainrule.inspection.health import LayerHealth, health
from chainrule.inspection.importance import Importances, column_importances
from chainrule.inspection.plots import (
    GradientFlowDisplay,
    ImportanceDisplay,
    IntervalDisplay,
    TrainingCurvesDisplay,
)
from chainrule.inspection.representation import layer_rows
from chainrule.inspection.rows import ColumnOfRow, Row, TargetOfRow
from chainrule.inspection.trace import LayerTrace, Quantity, Trace, trace

__all__ = [
    "ColumnOfRow",
    "GradientCheck",
    "GradientFlowDisplay",
    "ImportanceDisplay",
    "Importances",
    "IntervalDisplay",
    "LayerCheck",
    "LayerHealth",
    "LayerTrace",
    "Quantity",
    "Row",
    "TargetOfRow",
    "Trace",
    "TrainingCurvesDisplay",
    "column_importances",
    "gradient_check",
    "health",
    "layer_rows",
    "trace",
]
