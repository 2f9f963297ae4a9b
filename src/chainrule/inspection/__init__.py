"""Looking into a network: whether its gradient is right."""

from chainrule.inspection.gradient_check import GradientCheck, LayerCheck, gradient_check

__all__ = ["GradientCheck", "LayerCheck", "gradient_check"]
