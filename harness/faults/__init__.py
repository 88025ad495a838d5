"""harness.faults: each fault does one kind of harm and returns the proof that it was done, or was not."""

from harness.faults.link import prove_link
from harness.faults.scene import CxdbLink, CxdbServer, Scene, fault_record, now
from harness.faults.table import FAULTS

__all__ = ["FAULTS", "CxdbLink", "CxdbServer", "Scene", "fault_record", "now", "prove_link"]
