"""Two texts of one mathematics behind one protocol: the reference engine and the native one."""

from chainrule.engine.native import instruction_set
from chainrule.engine.protocol import Descent, Engine, RowPredictor, make_engine

__all__ = ["Descent", "Engine", "RowPredictor", "instruction_set", "make_engine"]
