"""Writes the documentation pages that are made from tables in the code. `make docs` runs it; a test compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attractor.backends import CODE_KINDS, HTTP_KINDS, KIND_CLASS, PROFILES, SIGNAL_KINDS, TEXT_HINTS
from attractor.engine import POLICY
from attractor.engine import TEXT_HINTS as TOOL_HINTS
from tests.docs.conformance import TESTS, page, read_markers
from tests.docs.definition_of_done import LINES

DOCS = Path(__file__).parents[2] / "docs"


def failure_classes() -> str:
    """docs/failure-classes.md."""
    parts = [
        "# Failure classes",
        "Made from the tables in the code by `make docs`; do not edit.",
        "What a class permits (`attractor/engine/failure.py`):",
        _table(
            ("class", "stage retry", "loop restart"),
            [(c.value, _yes(p.stage_retry), _yes(p.loop_restart)) for c, p in POLICY.items()],
        ),
        "## Tools",
        (
            "A timeout is `transient_infra`. Else the last line of standard error decides; what none of these match is "
            "`deterministic`:"
        ),
        _table(("pattern", "class"), [(_code(p.pattern), c.value) for p, c in TOOL_HINTS]),
        "## Agents",
        (
            "What ended the program, its exit code, structured codes and HTTP statuses come first, texts last "
            "(`attractor/backends/judge.py`). Each gives a kind, and each kind has a class:"
        ),
        _table(("kind", "class"), [(k.value, c.value) for k, c in KIND_CLASS.items()]),
        "### Exit codes",
        _table(
            ("program", "exit code", "kind"),
            [(p.program, str(code), k.value) for p in PROFILES.values() for code, k in sorted(p.exit_kinds.items())],
        ),
        "### Signals",
        _table(("signal", "kind"), [(str(number), kind.value) for number, kind in SIGNAL_KINDS.items()]),
        "### HTTP statuses",
        _table(("status", "kind"), [(str(status), kind.value) for status, kind in sorted(HTTP_KINDS.items())]),
        "### Codes",
        _table(("code", "kind"), [(_code(code), kind.value) for code, kind in sorted(CODE_KINDS.items())]),
        "### Texts",
        "The last resort. Each row has a text that it matches and one that it must leave alone:",
        _table(
            ("pattern", "kind", "matches", "leaves"),
            [(_code(h.pattern.pattern), h.kind.value, _code(h.matches[0]), _code(h.leaves[0])) for h in TEXT_HINTS],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def conformance() -> str:
    """docs/conformance.md."""
    return page(read_markers(TESTS, [line.id for line in LINES]))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(text: str) -> str:
    """Inline code that survives a table cell."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|").replace("\n", " ")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


PAGES: dict[str, Callable[[], str]] = {"conformance.md": conformance, "failure-classes.md": failure_classes}


def main() -> None:
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
