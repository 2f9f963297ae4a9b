"""What a network is made of: layer specs, activations, the layout of θ, and the equations N1 to N12."""

from chainrule.architecture.activations import ACTIVATIONS, Activation
from chainrule.architecture.layers import Architecture, Dense, DenseLayer, Dropout, Layer

__all__ = ["ACTIVATIONS", "Activation", "Architecture", "Dense", "DenseLayer", "Dropout", "Layer"]
