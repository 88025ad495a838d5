"""Gates: a stage that says "I am here" and then stands still until the harness lets it pass.

A gate is a small shell program in the case's directory. It appends its pid to `<name>.reached` and
blocks reading a FIFO whose writing end the harness holds, so passing costs nothing while closed and
needs no polling. Three things bound its life: `timeout` where the machine has it, the end of file it
reads when the harness dies, and the end of the case, which ends every process of the case. Once
released it stays open: a stage that runs again after a resume is not held twice.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["Gate", "Gates"]

# `exec` keeps the gate one process whose parent is the stage's shell; --foreground keeps it in the
# stage's process group, which is what an engine that ends a stage must be able to rely on.
_PROGRAM = """\
#!/bin/sh
here={directory}
echo $$ >> "$here/{name}.reached"
[ -e "$here/{name}.open" ] && exit 0
if command -v timeout >/dev/null 2>&1; then
  exec timeout --foreground -k 1 {seconds} sh -c 'read -r _ < "$1"' gate "$here/{name}.fifo"
fi
exec sh -c 'read -r _ < "$1"' gate "$here/{name}.fifo"
"""
_PASSES = 4096  # more stages than this never wait at one gate; a pipe takes that much at once


class Gate:
    """One gate; made closed."""

    def __init__(self, directory: Path, name: str, seconds: float) -> None:
        self.program = directory / name
        self._reached = directory / f"{name}.reached"
        self._open = directory / f"{name}.open"
        fifo = directory / f"{name}.fifo"
        os.mkfifo(fifo)
        # Both ends: neither our opening nor a stage's must ever block or fail for want of the other.
        self._descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        quoted = "'" + str(directory).replace("'", "'\\''") + "'"
        self.program.write_text(_PROGRAM.format(directory=quoted, name=name, seconds=max(1, round(seconds))))
        self.program.chmod(0o755)

    def arrivals(self) -> int:
        try:
            return self._reached.read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def release(self) -> None:
        self._open.touch()
        os.write(self._descriptor, b"\n" * _PASSES)

    def close(self) -> None:
        os.close(self._descriptor)


class Gates:
    """All gates of one case."""

    def __init__(self, directory: Path, names: set[str], seconds: float) -> None:
        directory.mkdir(parents=True)
        self._gates = {name: Gate(directory, name, seconds) for name in sorted(names)}

    def __getitem__(self, name: str) -> Gate:
        return self._gates[name]

    def __contains__(self, name: str) -> bool:
        return name in self._gates

    def snippets(self) -> dict[str, str]:
        """What `{gate:NAME}` stands for: a shell word that runs the gate."""
        return {
            f"gate:{name}": "'" + str(gate.program).replace("'", "'\\''") + "'" for name, gate in self._gates.items()
        }

    def close(self) -> None:
        for gate in self._gates.values():
            gate.close()
