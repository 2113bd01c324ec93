"""The passes, in the one order in which they run."""

from .base import Context, DeclaredPort, Options, Pass, run_passes
from .fold import FoldPreprocessing
from .heads import FoldHeads
from .infer import Infer
from .interface import BindInputs, BindOutputs
from .place import Place
from .prepare import Prepare
from .simplify import DropForwards
from .tails import FoldTails

# The meaning of a pipeline: what the reference interpreter runs, and what the interface is made from.
ANALYSIS: tuple[Pass, ...] = (
    BindInputs(),  # entries, their inputs, and the keys each model reads
    Infer(),  # needs the inputs' types
    BindOutputs(),  # needs the types at the end
)
# What makes it fast. None of these changes an answer beyond float rounding, or the interface.
OPTIMIZE: tuple[Pass, ...] = (
    FoldTails(),  # before DropForwards: what moved into a model leaves a call that does nothing
    FoldHeads(),  # likewise
    DropForwards(),  # before Place: a call that does nothing must not decide a stage
    Place(),  # before the folding, which depends on what shares a process
    FoldPreprocessing(),
    Prepare(),  # after all others: what an item costs depends on them
)

__all__ = [
    "ANALYSIS",
    "OPTIMIZE",
    "Context",
    "DeclaredPort",
    "Options",
    "Pass",
    "run_passes",
]
