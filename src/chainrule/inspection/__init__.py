"""Looking into a network: whether its gradient is right, and every quantity of one row."""

from chainrule.inspection.gradient_check import GradientCheck, LayerCheck, gradient_check
from chainrule.inspection.representation import layer_rows
from chainrule.inspection.rows import ColumnOfRow, Row, TargetOfRow
from chainrule.inspection.trace import LayerTrace, Quantity, Trace, trace

__all__ = [
    "ColumnOfRow",
    "GradientCheck",
    "LayerCheck",
    "LayerTrace",
    "Quantity",
    "Row",
    "TargetOfRow",
    "Trace",
    "gradient_check",
    "layer_rows",
    "trace",
]
