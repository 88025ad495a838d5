"""From the scenario's word for a fault to the function that does it.

A fault reads what it needs from a `Scene` and never decides a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.faults.cxdb import harm_cxdb
from harness.faults.files import damage, move, remove, write
from harness.faults.git import git
from harness.faults.kill import kill
from harness.faults.link import harm_link
from harness.faults.room import fill, limit, protect, unprotect
from harness.faults.scene import Scene
from harness.faults.terminal import hang_up
from harness.results import FaultRecord
from harness.scenario import FaultKind, FaultStep

__all__ = ["FAULTS"]

FAULTS: Mapping[FaultKind, Callable[[FaultStep, Scene], FaultRecord]] = {
    FaultKind.KILL: kill,
    FaultKind.HANGUP: hang_up,
    FaultKind.REMOVE: remove,
    FaultKind.DAMAGE: damage,
    FaultKind.WRITE: write,
    FaultKind.MOVE: move,
    FaultKind.CXDB: harm_cxdb,
    FaultKind.LINK: harm_link,
    FaultKind.GIT: git,
    FaultKind.FILL: fill,
    FaultKind.PROTECT: protect,
    FaultKind.UNPROTECT: unprotect,
    FaultKind.LIMIT: limit,
}
