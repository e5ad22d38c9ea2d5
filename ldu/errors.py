"""Everything that this package raises on purpose; each message is one sentence for the person who reads it.

A message says what was expected, what came and what to do. Standard library only: `launch` reads it as well.
"""


class LduError(Exception):
    """Base of every error that this package raises on purpose."""


class BadImageError(LduError):
    """A picture or mask cannot be used: wrong shape, channel count, size or values."""


class BadValueError(LduError):
    """A number or a text given by the user is outside what can be done."""


class BadFileError(LduError):
    """A file cannot be read as what it claims to be, or holds something it must not."""


class UnsupportedModelError(LduError):
    """The loaded model is of a kind that the method's formulas do not cover."""


class MismatchError(LduError):
    """Two parts that belong together (rho, record, model, latent) do not."""


class NonFiniteError(LduError):
    """A value became infinite or not a number; the message names where."""
