"""A kind of node of one's own: `type="example.count"` counts lines of files in the run's worktree."""

from __future__ import annotations

from attractor import FailureClass, Outcome, StageRun, Status


class CountHandler:
    """Counts the lines of the files that match `example.pattern` (a glob; default `**/*.py`).

    The sum is in the context as `example.lines`, and in the stage's folder, for people. With `example.at_most` the node
    fails where there are more. An attribute with a dot in its name is its owner's: attractor does not warn of it.
    """

    def execute(self, stage: StageRun) -> Outcome:
        pattern = stage.node.text("example.pattern", "**/*.py")
        limit = stage.node.integer("example.at_most", 0)
        lines = 0
        for path in sorted(stage.worktree.glob(pattern)):
            if stage.stop.requested:  # a long stage looks now and then whether the run is to end
                return Outcome(Status.FAIL, failure_reason=stage.stop.reason, failure_class=FailureClass.CANCELED)
            if path.is_file() and not path.is_symlink():
                lines += path.read_bytes().count(b"\n")
        (stage.stage_dir / "count.txt").write_text(f"{lines}\n", encoding="utf-8")
        updates = {"example.lines": lines}
        if limit and lines > limit:
            # The same files give the same count: nothing is gained by another attempt.
            return Outcome(
                Status.FAIL,
                failure_reason=f"{lines} lines match {pattern}; example.at_most is {limit}",
                failure_class=FailureClass.DETERMINISTIC,
                context_updates=updates,
            )
        return Outcome(Status.SUCCESS, notes=f"{lines} lines match {pattern}", context_updates=updates)
