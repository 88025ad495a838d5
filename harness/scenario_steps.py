"""Reads the steps of a scenario: each a table with exactly one verb, its options behind it.

The keys a verb allows are a table here, so that a wrong one is refused where it stands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from harness.matching import Matcher, MatcherKind
from harness.scenario import (
    CommandStep,
    CommandVerb,
    FaultKind,
    FaultStep,
    Launcher,
    ReleaseStep,
    Step,
    WaitKind,
    WaitStep,
)
from harness.scenario_patterns import read_matcher, read_pattern
from harness.toml_table import Table, did_you_mean, type_name

__all__ = ["each_run", "names_of", "read_step"]

MOST_TIMES = 500
LANDINGS = ("anywhere", "between-stages", "in-stage")
DAMAGES = ("truncate", "garbage", "delete")
SIGNALS = ("KILL", "TERM", "INT", "HUP", "QUIT")
LIMITS = ("memory",)
CXDB_DEEDS = ("kill", "start", "start-empty", "pause", "continue", "fill-disk", "free-disk")
CXDB_DISK_DEEDS = ("fill-disk", "free-disk")
LINK_DEEDS = ("cut", "refuse", "half-open", "delay", "restore")
VICTIMS = ("engine", "agent", "launcher", "launcher-group")
_ABOUT_A_RUN = (WaitKind.EXIT, WaitKind.GONE, WaitKind.FINAL)


def each_run(steps: Sequence[Step]) -> tuple[tuple[Step, ...], Mapping[str, tuple[str, ...]]]:
    """The steps with those of many runs told apart, and their names: `r` a hundred times is `r`, `r-2` ... `r-100`."""
    many = {
        step.run: names_of(step.run, step.times) for step in steps if isinstance(step, CommandStep) and step.times > 1
    }
    made: list[Step] = []
    for step in steps:
        about_runs = isinstance(step, WaitStep) and step.kind in _ABOUT_A_RUN
        if isinstance(step, CommandStep) and step.times > 1:
            before = ("", *many[step.run])
            made += [
                dataclasses.replace(step, run=name, times=1, behind=behind)
                for name, behind in zip(many[step.run], before, strict=False)
            ]
        elif isinstance(step, WaitStep) and about_runs and step.run in many:
            made += [dataclasses.replace(step, run=name, target=name) for name in many[step.run]]
        else:
            made.append(step)
    return tuple(made), many


def names_of(run: str, times: int) -> tuple[str, ...]:
    return (run, *(f"{run}-{number}" for number in range(2, times + 1)))


def read_step(table: Table) -> Step | None:
    """The step, or None when it was complained about."""
    verbs = list(table.data)
    table.asked |= set(verbs)
    if len(verbs) != 1:
        table.problems.add(table.path, f"a step has exactly one verb, found {len(verbs)}: {', '.join(verbs)}")
        return None
    verb = verbs[0]
    if verb not in _READERS:
        table.complain(verb, f"no such step: {verb!r}; {did_you_mean(verb, _READERS)}")
        return None
    if verb == "release":
        return ReleaseStep(gate=table.text("release", required=True))
    if not isinstance(table.data[verb], dict):
        table.complain(verb, f"expected a table, found {type_name(table.data[verb])}")
        return None
    options = table.table(verb)
    step = _READERS[verb](verb, options)
    options.finish()
    return step


def _read_command(verb: str, table: Table) -> CommandStep:
    if table.has("proves") and not table.has("exit"):
        table.complain("proves", "by which exit code? `exit` is missing")
    return CommandStep(
        verb=CommandVerb(verb),
        run=table.text("run", "run"),
        detach=table.flag("detach") if verb == "run" else False,
        background=table.flag("background"),
        launcher=Launcher(table.choice("launcher", Launcher, Launcher.PLAIN)),
        relative=table.flag("relative"),
        cwd=table.text("cwd", "{repo}"),
        run_id=table.text("run_id") if table.has("run_id") else None,
        logs_root=table.text("logs_root") if table.has("logs_root") else None,
        args=table.texts("args"),
        environment=table.text_map("environment"),
        unprivileged=table.flag("unprivileged"),
        command=table.text("command", required=True) if verb == CommandVerb.SHELL else "",
        proves=table.text("proves") if verb == CommandVerb.SHELL else "",
        times=_times(table) if verb == CommandVerb.RUN else 1,
        exit=_exits(table),
        stdout=_outputs(table, "stdout"),
        stderr=_outputs(table, "stderr"),
    )


def _times(table: Table) -> int:
    times: int = table.get("times", (int,), 1)
    if not 1 <= times <= MOST_TIMES:
        table.complain("times", f"expected a number from 1 to {MOST_TIMES}, found {times}")
    if times > 1 and not table.flag("background"):
        table.complain("times", "one after the other? `background` is missing")
    for key in ("run_id", "logs_root"):
        if times > 1 and table.has(key):
            table.complain(key, "all of them cannot have the same")
    return times


def _exits(table: Table) -> tuple[int, ...] | None:
    value = table.get("exit", (int, list))
    if value is None:
        return None
    codes = [value] if isinstance(value, int) else value
    if not all(type(code) is int for code in codes):
        table.complain("exit", f"expected a number or a list of numbers, found {value!r}")
    return tuple(codes)


def _outputs(table: Table, key: str) -> tuple[Matcher, ...]:
    """Plain texts must be contained; a table is any other matcher."""
    value = table.get(key, (str, list, dict), [])
    matchers = []
    for item in value if isinstance(value, list) else [value]:
        matcher = Matcher(MatcherKind.CONTAINS, item) if isinstance(item, str) else read_matcher(item, table, key)
        matchers.extend([matcher] if matcher is not None else [])
    return tuple(matchers)


def _read_wait(_verb: str, table: Table) -> WaitStep | None:
    kind = _one_of(table, [str(kind) for kind in WaitKind])
    if kind is None:
        table.asked |= set(table.data)
        return None
    pattern = None
    if kind == WaitKind.EVENT:
        table.asked |= {"event", "where"}
        pattern = read_pattern({key: table.data[key] for key in ("event", "where") if table.has(key)}, table, "event")
    target = "" if kind == WaitKind.EVENT else table.text(kind, required=True)
    return WaitStep(
        kind=WaitKind(kind),
        target=target,
        pattern=pattern,
        count=table.get("count", (int,), 1),
        run=target if kind in _ABOUT_A_RUN else table.text("run", "run"),
        seconds=table.number("seconds", 10.0),
        premise=table.flag("premise") if table.has("premise") else None,
    )


def _one_of(table: Table, options: list[str]) -> str | None:
    present = [key for key in table.data if key in options]
    if len(present) == 1:
        return present[0]
    table.problems.add(table.path, f"exactly one of {', '.join(options)} is needed, found {len(present)}")
    return None


def _read_fault(_verb: str, table: Table) -> FaultStep | None:
    kind = _one_of(table, [str(kind) for kind in FaultKind])
    if kind is None:
        table.asked |= set(table.data)
        return None
    landing = table.choice("landing", LANDINGS, "anywhere") if kind == FaultKind.KILL else "anywhere"
    args = table.texts(kind) if kind == FaultKind.GIT else ()
    target = " ".join(args) if kind == FaultKind.GIT else table.text(kind, required=True)
    if kind == FaultKind.LIMIT and target not in LIMITS:
        table.complain(kind, f"can limit {', '.join(LIMITS)}, not {target!r}")
    if kind == FaultKind.KILL and target not in VICTIMS:
        table.complain(kind, f"can kill {', '.join(VICTIMS)}, not {target!r}")
    if kind == FaultKind.CXDB and target not in CXDB_DEEDS:
        table.complain(kind, f"can {', '.join(CXDB_DEEDS)}, not {target!r}")
    if kind == FaultKind.LINK and target not in LINK_DEEDS:
        table.complain(kind, f"can {', '.join(LINK_DEEDS)}, not {target!r}")
    is_delay = kind == FaultKind.LINK and target == "delay"
    if is_delay and not table.has("milliseconds"):
        table.complain(kind, "by how much? `milliseconds` is missing")
    if landing != "anywhere" and target != "engine":
        table.complain("landing", "only the engine can be caught at a place in the run")
    return FaultStep(
        kind=FaultKind(kind),
        target=target,
        run=target if kind == FaultKind.HANGUP else table.text("run", "run"),
        signal=table.choice("signal", SIGNALS, "KILL") if kind == FaultKind.KILL else "KILL",
        landing=None if landing == "anywhere" else landing,
        how=table.choice("how", DAMAGES, "garbage") if kind == FaultKind.DAMAGE else "garbage",
        text=table.text("text") if kind == FaultKind.WRITE else "",
        to=table.text("to", required=True) if kind == FaultKind.MOVE else "",
        args=args,
        milliseconds=table.number("milliseconds", 1.0) if is_delay else 0.0,
    )


_READERS: Mapping[str, Callable[[str, Table], Step | None]] = {
    **{str(verb): _read_command for verb in CommandVerb},
    "wait": _read_wait,
    "fault": _read_fault,
    "release": lambda _verb, _table: None,  # has no options; read before this table is used
}
