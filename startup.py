"""Importing this puts off the garbage collector until `done`. Entry points import it before anything large.

What is loaded at the start stays: looking for garbage in it, again and again, is a tenth of a cold start.
"""

import gc

_MADE_BEFORE_LOOKING = 50_000
"""Objects; Python's own 2,000 has it look through a long answer several times while it is made of some 30,000."""

gc.disable()


def done() -> None:
    """Let the collector work from now on, and never again look at what is there already."""
    gc.freeze()
    gc.set_threshold(_MADE_BEFORE_LOOKING)
    gc.enable()
