"""junit.xml: the form every CI service reads. One suite a guardrail, one test case a case.

Rules: red and flaky are failures, error and invalid are errors, each with its verdict as `type`;
skipped is skipped. All text passes `visible`, for XML 1.0 has no way to hold a control character,
and every text is bounded: some servers refuse large files. Pure.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import PurePosixPath

from harness.report.session import Guardrail, Session
from harness.report.wording import clip_lines, instant, one_line, visible
from harness.results import CaseResult, CheckResult, Verdict

__all__ = ["render_junit"]

# The element each verdict becomes; green is the absence of one.
ELEMENTS: dict[Verdict, str | None] = {
    Verdict.GREEN: None,
    Verdict.RED: "failure",
    Verdict.FLAKY: "failure",
    Verdict.INVALID: "error",
    Verdict.ERROR: "error",
    Verdict.SKIPPED: "skipped",
}
_VALUE_CHARACTERS = 2000


def render_junit(session: Session) -> bytes:
    root = ET.Element("testsuites", name=visible(session.context.title))
    _count(root, session.cases, session.duration_seconds)
    for guardrail in session.guardrails:
        _suite(root, guardrail, session)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _count(element: ET.Element, cases: tuple[CaseResult, ...], seconds: float | None) -> None:
    kinds = [ELEMENTS[case.verdict] for case in cases]
    element.set("tests", str(len(kinds)))
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(kinds.count(kind)))
    took = seconds if seconds is not None else sum(case.duration_seconds for case in cases)
    element.set("time", f"{took:.3f}")


def _suite(root: ET.Element, guardrail: Guardrail, session: Session) -> None:
    suite = ET.SubElement(root, "testsuite", name=visible(guardrail.name))
    _count(suite, guardrail.cases, guardrail.duration_seconds)
    starts = [moment for case in guardrail.cases if (moment := instant(case.started_at))]
    if starts:
        suite.set("timestamp", min(starts).replace(tzinfo=None, microsecond=0).isoformat())
    properties = ET.SubElement(suite, "properties")
    context = session.context
    known = [("engine", context.engine), ("python", context.python), ("platform", context.platform)]
    for name, value in [*known, ("git", context.git), ("cxdb", context.cxdb)]:
        if value:
            ET.SubElement(properties, "property", name=name, value=one_line(value))
    if not len(properties):
        suite.remove(properties)
    for case in guardrail.cases:
        _case(suite, case)


def _case(suite: ET.Element, case: CaseResult) -> None:
    name = case.case_id.removeprefix(f"{case.guardrail}/")
    element = ET.SubElement(
        suite,
        "testcase",
        classname=one_line(case.guardrail),
        name=one_line(f"{name} against {case.saboteur}" if case.saboteur else name),
        time=f"{case.duration_seconds:.3f}",
    )
    if case.scenario_path:
        element.set("file", one_line(case.scenario_path))
    kind = ELEMENTS[case.verdict]
    if kind is not None:
        outcome = ET.SubElement(element, kind, message=one_line(case.reason or str(case.verdict)))
        if kind != "skipped":
            outcome.set("type", str(case.verdict))
            outcome.text = "\n".join(_account(case))
    output = "\n".join(_pointers(case))
    if output:
        ET.SubElement(element, "system-out").text = output


def _account(case: CaseResult) -> Iterator[str]:
    yield visible(case.title)
    yield f"why it matters: {one_line(case.why, 600)}"
    for fault in case.faults:
        if not fault.fired:
            yield f"fault never fired: {one_line(f'{fault.kind} on {fault.target}: {fault.proof}', 600)}"
    for check in case.checks:
        if check.verdict not in (Verdict.GREEN, Verdict.SKIPPED):
            yield from _check(check)
    if case.reproduce:
        yield f"reproduce: {one_line(case.reproduce, 2000)}"


def _check(check: CheckResult) -> Iterator[str]:
    yield f"{check.verdict}: {one_line(check.name)}: {one_line(check.summary)}"
    for word, value in (("expected", check.expected), ("found", check.found)):
        if value:
            text, note = clip_lines(value, lines=20, characters=_VALUE_CHARACTERS)
            yield f"  {word}: {text}{f' ({note})' if note else ''}"


def _pointers(case: CaseResult) -> Iterator[str]:
    """Where the evidence is, relative to the report."""
    if not case.case_dir:
        return
    root = PurePosixPath(case.case_dir)
    yield f"evidence: {one_line(str(root))}"
    for artifact in case.artifacts[:40]:
        yield f"{one_line(artifact.name, 40)}: {one_line(str(root / artifact.path))}"
