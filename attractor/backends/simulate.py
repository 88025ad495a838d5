"""The simulated backend's script: what a stage does at each attempt, without any agent program.

    success
    fail transient_infra 'connection refused' x2; success
    success delay=2s output=10mb status='{"outcome": "fail"}'
    hang; cut; success text='done'

Steps are separated by `;`, one an attempt; the last one repeats. A step is a word (`success`, `partial_success`,
`retry`, `fail`, `skipped`, `hang`: never ends, `cut`: the stream breaks off), a failure class, a reason in quotes,
`xN` (the same N times) and settings: `delay` (500ms, 2s, 1m), `output` (bytes, kb, mb, gb of noise on standard
output), `status` (content of the status file, right or wrong), `text` (the response), `tokens`, `cost` (US dollars).

Pure: whoever runs the stage carries the step out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from attractor.contracts import FailureClass, Status
from attractor.errors import ConfigError

MAX_STEPS: Final = 10_000

_TOKEN = re.compile(
    r"""\s*(?:(?P<end>;)|(?P<name>[a-z]+)=(?:'(?P<quoted>[^']*)'|(?P<bare>[^\s;']+))"""
    r"""|'(?P<reason>[^']*)'|x(?P<times>\d{1,6})(?![^\s;])|(?P<word>[a-z_]+)(?![^\s;]))"""
)
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([a-z]*)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: Final = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_PLAIN: Final = {"": 1.0}


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """One attempt. `status_file` is written as it is, right or wrong; None means no status file at all."""

    status: Status = Status.SUCCESS
    failure_class: FailureClass | None = None
    reason: str = ""
    text: str = ""
    delay_seconds: float = 0.0
    hang: bool = False
    cut: bool = False
    output_bytes: int = 0
    status_file: str | None = None
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class SimulatedScript:
    """The steps of one node."""

    steps: tuple[SimulatedStep, ...]

    def step(self, attempt: int) -> SimulatedStep:
        """What the attempt does, counted from 1 over all visits of the node; the last step repeats."""
        return self.steps[min(max(attempt, 1), len(self.steps)) - 1]


def simulated_text(node_id: str) -> str:
    """The response of a step that names none (specification, section 4.5)."""
    return f"[Simulated] Response for stage: {node_id}"


def parse_simulation(script: str, place: str = "simulate") -> SimulatedScript:
    """Read a script; '' is one success. ConfigError with the column for what cannot be read."""
    steps: list[SimulatedStep] = []
    step, times, words, position = SimulatedStep(), 1, 0, 0

    def wrong(message: str) -> ConfigError:
        return ConfigError(message, place=f"{place}: column {position + 1}")

    while script[position:].strip():
        found = _TOKEN.match(script, position)
        if found is None:
            raise wrong(f"cannot read {script[position:].strip()[:40]!r}")
        if found["end"]:
            if not words:
                raise wrong("an empty step")
            steps += [step] * times
            step, times, words = SimulatedStep(), 1, 0
        elif found["times"]:
            times = int(found["times"])
        else:
            step, words = _with(step, found, wrong), words + 1
        if not 0 < times <= MAX_STEPS - len(steps):
            raise wrong(f"between 1 and {MAX_STEPS} steps are allowed")
        position = found.end()
    if words:
        steps += [step] * times
    return SimulatedScript(tuple(steps) or (SimulatedStep(),))


def _with(step: SimulatedStep, found: re.Match[str], wrong: Callable[[str], ConfigError]) -> SimulatedStep:
    """The step with one more word, reason or setting."""
    if found["word"]:
        return _with_word(step, found["word"], wrong)
    if found["name"]:
        quoted = found["quoted"]
        return _with_setting(step, found["name"], found["bare"] if quoted is None else quoted, wrong)
    return replace(step, reason=found["reason"])


def _with_word(step: SimulatedStep, word: str, wrong: Callable[[str], ConfigError]) -> SimulatedStep:
    if word == "hang":
        return replace(step, hang=True)
    if word == "cut":
        return replace(
            step,
            cut=True,
            status=Status.FAIL,
            failure_class=FailureClass.TRANSIENT_INFRA,
            reason=step.reason or "[Simulated] stream cut",
        )
    if word in {status.value for status in Status}:
        return replace(step, status=Status(word))
    if word in {failure_class.value for failure_class in FailureClass}:
        return replace(step, failure_class=FailureClass(word))
    known = [*Status, "hang", "cut", *FailureClass]
    raise wrong(f"unknown word {word!r}, expected one of {', '.join(known)}")


def _with_setting(step: SimulatedStep, name: str, value: str, wrong: Callable[[str], ConfigError]) -> SimulatedStep:
    changes: dict[str, Callable[[], dict[str, Any]]] = {
        "delay": lambda: {"delay_seconds": _amount(value, _SECONDS, wrong)},
        "output": lambda: {"output_bytes": int(_amount(value, _BYTES, wrong))},
        "tokens": lambda: {"tokens": int(_amount(value, _PLAIN, wrong))},
        "cost": lambda: {"cost_usd": _amount(value, _PLAIN, wrong)},
        "status": lambda: {"status_file": value},
        "text": lambda: {"text": value},
    }
    if name not in changes:
        raise wrong(f"unknown setting {name!r}, expected one of {', '.join(changes)}")
    return replace(step, **changes[name]())


def _amount(value: str, units: Mapping[str, float], wrong: Callable[[str], ConfigError]) -> float:
    found = _AMOUNT.fullmatch(value)
    if found is None or found[2] not in units:
        raise wrong(f"{value!r} is not a number with one of the units {', '.join(u or 'none' for u in units)}")
    return float(found[1]) * units[found[2]]
