"""The folders of a run's fan-out branches, nested ones included: for what looks after a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attractor.rundir.layout import Layout


def branch_layouts(layout: Layout) -> Iterator[Layout]:
    """The folders of all branches below a run's, its loop restarts' and theirs; a damaged folder is passed over."""
    for _, branch in owned_branches(layout):
        yield branch


def owned_branches(layout: Layout) -> Iterator[tuple[Layout, Layout]]:
    """The same, each behind the folder of the run, restart or branch whose fan-out it is of."""
    for place in _folders(layout.branches, 3):
        branch = Layout(place)
        yield layout, branch
        yield from owned_branches(branch)
    count = 1
    while (restart := layout.restart(count)).root.is_dir():
        yield from owned_branches(Layout(restart.root))
        count += 1


def leader_notes(layout: Layout) -> list[Path]:
    """Where the leaders of stages that may have run at the same time are noted: the run's and its branches'."""
    return [layout.leader_note, *(branch.leader_note for branch in branch_layouts(layout))]


def _folders(place: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(entry for entry in place.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return
    for entry in entries:
        if depth == 1:
            yield entry
        else:
            yield from _folders(entry, depth - 1)
