"""What a network is made of: layer specs, activations, the layout of θ, the equations N1 to N12, N27."""

from chainrule.architecture.activations import ACTIVATIONS, Activation
from chainrule.architecture.layers import Architecture, Dense, DenseLayer, Dropout, Layer, Scale

__all__ = ["ACTIVATIONS", "Activation", "Architecture", "Dense", "DenseLayer", "Dropout", "Layer", "Scale"]
