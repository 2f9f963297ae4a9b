"""The errors of chainrule: each says what was given, what is allowed and what to do."""


class ChainruleError(Exception):
    """The base of every error that chainrule raises on purpose."""


class InputError(ChainruleError, ValueError):
    """Something that was given cannot be used; nothing has been changed."""


class DivergenceError(ChainruleError, ArithmeticError, ValueError):
    """The loss stopped being finite during training (a ValueError too, as scikit-learn has it)."""


class ModelFileError(ChainruleError, ValueError):
    """A model file cannot be read: damaged, of another kind, or of a newer format."""
