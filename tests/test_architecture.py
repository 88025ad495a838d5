"""The arrows of the architecture (docs/design.md), held by reading every import in the tree.

A package sees only what its row allows, and other packages only through their surface: what `__init__` re-exports.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# package or module of `attractor` -> what it may import from `attractor`
SEES: dict[str, set[str]] = {
    "source": set(),
    "diagnostics": {"source"},
    "errors": {"diagnostics"},
    "dot": {"source", "diagnostics", "errors"},
    "graph": {"source", "diagnostics", "errors", "dot"},
    "lint": {"source", "diagnostics", "errors", "dot", "graph"},
    "contracts": {"graph"},
    "config": {"errors", "contracts"},
    "backends": {"errors", "contracts"},
    "rundir": {"errors", "contracts"},
    "processes": {"errors", "contracts"},
    "workspace": {"errors", "contracts"},
    "cxdb": {"errors", "contracts", "rundir", "processes"},
    "engine": {"errors", "graph", "contracts", "rundir", "processes"},
    "human": {"errors", "graph", "contracts", "rundir", "processes"},
    "handlers": {"errors", "graph", "contracts", "processes", "backends", "rundir", "engine", "human"},
    "extensions": {"errors", "graph", "lint", "contracts", "handlers"},
    "app": {
        "errors", "graph", "contracts", "config", "rundir", "processes",
        "workspace", "cxdb", "engine", "human", "handlers", "backends", "extensions",
    },
    "cli": {
        "source", "errors", "graph", "lint", "contracts", "config", "rundir", "processes", "handlers", "extensions",
        "cxdb", "app",
    },
    "__main__": {"cli"},
    "library": {"errors", "graph", "lint", "contracts", "rundir", "processes", "extensions", "app"},
    "__init__": {
        "diagnostics", "errors", "graph", "lint", "contracts", "rundir", "processes", "human", "extensions", "app",
        "library",
    },
}  # fmt: skip


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names a file imports, with the line. `from a.b import c` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module
            yield node.module, node.lineno


def part_of(path: Path, package: str) -> str:
    """`attractor/dot/lexer.py` is in part `dot`, `attractor/source.py` in part `source`."""
    relative = path.relative_to(ROOT / package)
    return relative.parts[0].removesuffix(".py")


ATTRACTOR_FILES = sorted((ROOT / "attractor").rglob("*.py"))
HARNESS_FILES = sorted((ROOT / "harness").rglob("*.py"))


def test_every_part_of_the_engine_has_a_row() -> None:
    parts = {part_of(path, "attractor") for path in ATTRACTOR_FILES}
    assert parts == set(SEES)


@pytest.mark.parametrize("path", ATTRACTOR_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_arrows_and_go_through_surfaces(path: Path) -> None:
    part = part_of(path, "attractor")
    wrong = []
    for name, line in imports_of(path):
        package, _, rest = name.partition(".")
        assert package != "harness", f"{path}:{line}: the engine imports the harness"
        if package != "attractor" or not rest:
            continue
        target, _, inside = rest.partition(".")
        if target == part:
            continue
        if target not in SEES.get(part, set()):
            wrong.append(f"{path.relative_to(ROOT)}:{line}: {part} must not see {target}")
        elif inside:
            wrong.append(f"{path.relative_to(ROOT)}:{line}: reaches inside {target}: {name}")
    assert wrong == []


@pytest.mark.parametrize("path", HARNESS_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_harness_never_imports_the_engine(path: Path) -> None:
    assert [name for name, _ in imports_of(path) if name.split(".")[0] == "attractor"] == []


def test_only_the_workspace_package_knows_git_libraries() -> None:
    users = {part_of(path, "attractor") for path in ATTRACTOR_FILES for name, _ in imports_of(path) if "pygit2" in name}
    assert users == {"workspace"}


@pytest.mark.parametrize("package", sorted(p.parent.name for p in (ROOT / "attractor").glob("*/__init__.py")))
def test_a_packages_surface_is_what_its_init_lists(package: str) -> None:
    tree = ast.parse((ROOT / "attractor" / package / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.asname or alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    assigned = {
        target.id
        for n in tree.body
        if isinstance(n, ast.Assign | ast.AnnAssign)
        for target in (n.targets if isinstance(n, ast.Assign) else [n.target])
        if isinstance(target, ast.Name)
    }
    listed = next(
        set(ast.literal_eval(n.value))
        for n in tree.body
        if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"
    )
    assert listed <= imported | assigned
    assert {name for name in imported if name != "Mapping" and name != "Handler"} <= listed
