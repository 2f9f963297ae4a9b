"""From any table to numbers: what each column is, and how it becomes inputs."""

from chainrule.tables.codes import signals
from chainrule.tables.encoder import Cells, TableEncoder
from chainrule.tables.schema import Column, read_column, task_of_target

__all__ = [
    "Cells",
    "Column",
    "TableEncoder",
    "read_column",
    "signals",
    "task_of_target",
]
