"""Faults: each does one kind of harm and returns the proof that it was done, or that it was not.

A fault reads what it needs from a `Scene` and never decides a verdict. `FAULTS` is the table from the
scenario's word to the function.
"""

from collections.abc import Callable, Mapping

from harness.faults.files import damage, move, remove, write
from harness.faults.kill import kill
from harness.faults.scene import Scene
from harness.faults.terminal import hang_up
from harness.results import FaultRecord
from harness.scenario import FaultKind, FaultStep

__all__ = ["FAULTS", "Scene"]

FAULTS: Mapping[FaultKind, Callable[[FaultStep, Scene], FaultRecord]] = {
    FaultKind.KILL: kill,
    FaultKind.HANGUP: hang_up,
    FaultKind.REMOVE: remove,
    FaultKind.DAMAGE: damage,
    FaultKind.WRITE: write,
    FaultKind.MOVE: move,
}
