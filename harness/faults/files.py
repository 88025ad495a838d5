"""Harm to files and directories: damaged, written, moved or removed, with digests to prove it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path

from harness.faults.scene import Scene, fault_record
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["damage", "move", "remove", "write"]

GARBAGE = b'\x00\xff{"completed_nodes": ["start", '  # neither text nor whole JSON


def _digest(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError:
        return "absent"
    return f"{len(data)} bytes sha256 {hashlib.sha256(data).hexdigest()[:12]}"


def damage(step: FaultStep, scene: Scene) -> FaultRecord:
    path = scene.in_logs_root(step.run, step.target)
    before = _digest(path)
    if before == "absent":
        return fault_record("damage", step.target, False, f"{path} was not there")
    if step.how == "delete":
        path.unlink()
    elif step.how == "truncate":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(GARBAGE)
    after = _digest(path)
    return fault_record("damage", f"{step.target} ({step.how})", before != after, f"{path}: {before} -> {after}")


def write(step: FaultStep, scene: Scene) -> FaultRecord:
    path = scene.in_logs_root(step.run, step.target)
    before = _digest(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(step.text, encoding="utf-8")
    after = _digest(path)
    return fault_record("write", step.target, before != after, f"{path}: {before} -> {after}")


def move(step: FaultStep, scene: Scene) -> FaultRecord:
    source, target = scene.in_logs_root(step.run, step.target), scene.in_logs_root(step.run, step.to)
    if not source.exists():
        return fault_record("move", step.target, False, f"{source} was not there")
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    return fault_record("move", step.target, target.exists() and not source.exists(), f"{source} -> {target}")


def remove(step: FaultStep, scene: Scene) -> FaultRecord:
    """Also of the directory an engine was started in; then the engine must have been alive to feel it."""
    path = scene.in_logs_root(step.run, step.target)
    if not path.exists():
        return fault_record("remove", step.target, False, f"{path} was not there")
    command, engine = scene.command(step.run), scene.engine(step.run)
    is_cwd = command is not None and Path(command.cwd) == path
    if is_cwd and engine is None:
        return fault_record("remove", step.target, False, "the engine was not alive when its directory was to go")
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    proof = f"{path} is gone"
    if engine is not None:
        with contextlib.suppress(OSError):
            directory = Path(f"/proc/{engine.pid}/cwd").readlink()
            proof += f" while the engine lived ({engine}), its working directory: {directory}"
    return fault_record("remove", step.target, not path.exists(), proof)
