"""Harm to the link between the engine and CXDB, while the server itself is well.

Each deed is proven by asking twice: through the link, as the engine does, and at the server's own address, so that an
outage of the server is not taken for one of the link. What a scenario has declared of its link is proven at the end, by
what the link has counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from harness.cxdb.probe import hello_problem
from harness.faults.scene import CxdbLink, Scene, fault_record
from harness.link import LinkCounts, LinkSpec
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["harm_link", "prove_link"]

ANSWER_SECONDS = 2.0
SILENCE_SECONDS = 0.2  # a link that passes on is answered within a few milliseconds


def harm_link(step: FaultStep, scene: Scene) -> FaultRecord:
    link = scene.link()
    if link is None:
        return fault_record("link", step.target, False, "nothing lies between the engine and CXDB")
    return fault_record("link", step.target, *_DEEDS[step.target](link, step))


def _cut(link: CxdbLink, step: FaultStep) -> tuple[bool, str]:
    """The counter's word: a server that stands still would answer nobody behind it either."""
    ended, after = link.cut(), hello_problem(link.binary_addr, ANSWER_SECONDS)
    return ended > 0, f"{ended} connections at {link.binary_addr} were ended; {after or 'new ones answer'}"


def _refuse(link: CxdbLink, step: FaultStep) -> tuple[bool, str]:
    ended = link.refuse()
    return _is_away(link, f"{ended} connections were ended", ANSWER_SECONDS)


def _half_open(link: CxdbLink, step: FaultStep) -> tuple[bool, str]:
    silent = link.half_open()
    return _is_away(link, f"{silent} connections went silent", SILENCE_SECONDS)


def _is_away(link: CxdbLink, done: str, seconds: float) -> tuple[bool, str]:
    through, direct = hello_problem(link.binary_addr, seconds), hello_problem(link.server_addr, ANSWER_SECONDS)
    says = direct or f"the server at {link.server_addr} answers"
    return bool(through) and not direct, f"{done}; {through or 'the link still answers'}; {says}"


def _delay(link: CxdbLink, step: FaultStep) -> tuple[bool, str]:
    link.delay(step.milliseconds / 1000)
    began = time.monotonic()
    problem = hello_problem(link.binary_addr, ANSWER_SECONDS + step.milliseconds / 1000)
    took = (time.monotonic() - began) * 1000
    return not problem and took >= step.milliseconds, problem or f"a hello was answered after {took:.0f} ms"


def _restore(link: CxdbLink, step: FaultStep) -> tuple[bool, str]:
    ended, problem = link.restore(), hello_problem(link.binary_addr, ANSWER_SECONDS)
    return not problem, f"{ended} silent connections were ended; {problem or f'{link.binary_addr} answers'}"


_DEEDS: Mapping[str, Callable[[CxdbLink, FaultStep], tuple[bool, str]]] = {
    "cut": _cut,
    "refuse": _refuse,
    "half-open": _half_open,
    "delay": _delay,
    "restore": _restore,
}


def prove_link(spec: LinkSpec, counts: LinkCounts) -> tuple[FaultRecord, ...]:
    """Whether each thing that was declared of a link has met the engine."""
    return tuple(fault_record("link", target, fired, proof) for target, fired, proof in _declared(spec, counts))


def _declared(spec: LinkSpec, counts: LinkCounts) -> Iterator[tuple[str, bool, str]]:
    passed = ", ".join(f"{counts.frames[way]} frames and {counts.sizes[way]} bytes of {way}" for way in counts.frames)
    seen = f"{counts.connections} connections, {passed}"
    late = {
        "latency": spec.latency_seconds,
        "request latency": spec.request_latency_seconds,
        "jitter": spec.jitter_seconds,
    }
    for name, seconds in late.items():
        if seconds:
            yield f"{name} {seconds * 1000:g} ms", counts.delayed > 0, f"{counts.delayed} pieces came late; {seen}"
    if spec.bytes_per_second:
        proof = f"{counts.slowed} pieces were held back; {seen}"
        yield f"{spec.bytes_per_second} bytes per second", counts.slowed > 0, proof
    if spec.cut is not None:
        proof = f"cut {counts.cuts} times of {spec.cut.times}: {'; '.join(counts.places) or 'never'}; {seen}"
        yield str(spec.cut), len(counts.places) >= spec.cut.times, proof
