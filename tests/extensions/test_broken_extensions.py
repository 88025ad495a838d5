"""Extensions that break: the error names the extension, where it came from and what to do, and nothing is begun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.errors import ConfigError
from attractor.extensions import Extensions
from attractor.lint import RULES
from tests.extensions.conftest import ROOT

GRAPH = """digraph { start [shape=Mdiamond] a [type="own.kind"] exit [shape=Msquare] start -> a -> exit }"""


def put(site: Path, group: str, name: str, code: str, *, distribution: str = "plug") -> None:
    """A distribution with one entry point, as an installer leaves it (its module has `code`; see PyPA's
    "Recording installed projects").
    """
    site.mkdir(exist_ok=True)
    (site / f"{distribution}_code.py").write_text(code)
    info = site / f"{distribution}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[attractor.{group}]\n{name} = {distribution}_code:it\n")


def attractor(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (site.parent / "g.dot").write_text(GRAPH)
    return subprocess.run(
        [sys.executable, "-P", "-m", "attractor", *arguments],
        cwd=site.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def own_rule(check: str, rule_id: str) -> str:
    return f"from attractor import Rule, Severity\n{check}\nit = Rule({rule_id!r}, Severity.WARNING, 'x', 'y', check)"


@pytest.mark.parametrize(
    ("group", "code", "said"),
    [
        ("transforms", "import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError"),
        ("transforms", "it = 3", "is no transform: a int cannot be called"),
        ("transforms", "def it(graph): return None", "returned a NoneType in place of a Graph"),
        ("transforms", "def it(graph): raise KeyError('x')", "failed: KeyError: 'x'"),
        ("transforms", "other = 3", "cannot be loaded: AttributeError"),
        ("lint_rules", "it = print", "is no lint rule"),
        ("lint_rules", "it = ['text']", "is no lint rule: it has a str"),
        ("lint_rules", own_rule("def check(facts): yield 1 / 0", "own"), "failed: ZeroDivisionError"),
        (
            "lint_rules",
            own_rule("def check(facts): yield", "start_node"),
            "two lint rules 'start_node' (from plug 1.2)",
        ),
    ],
)
def test_a_broken_transform_or_rule_is_told_by_every_look_at_a_graph(
    tmp_path: Path, group: str, code: str, said: str
) -> None:
    put(tmp_path / "site", group, "own", code)
    done = attractor(tmp_path / "site", "validate", "g.dot")
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "plug 1.2" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError"),
        ("class it:\n    def __init__(self, x): pass", "cannot be made: TypeError"),
        ("class it: pass", "makes no Handler: a it has no execute()"),
    ],
)
def test_a_broken_handler_is_told_before_a_run_begins_and_bothers_nobody_else(
    repo: Path, tmp_path: Path, code: str, said: str
) -> None:
    put(tmp_path / "site", "handlers", "own.kind", code)
    assert attractor(tmp_path / "site", "validate", "g.dot").returncode == 0
    done = attractor(
        tmp_path / "site", "run", "--graph", "g.dot", "--repo", str(repo), "--no-cxdb", "--logs-root", "logs"
    )
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert not (tmp_path / "logs").exists()


def test_two_distributions_with_the_same_name_are_both_named(tmp_path: Path) -> None:
    put(tmp_path / "site", "transforms", "own", "def it(graph): return graph")
    put(tmp_path / "site", "transforms", "own", "def it(graph): return graph", distribution="other")
    done = attractor(tmp_path / "site", "validate", "g.dot")
    assert done.returncode == 2
    assert "of other 1.2 and of plug 1.2" in done.stderr


def test_a_built_in_type_cannot_be_taken() -> None:
    with pytest.raises(ConfigError, match="the handler type 'tool' is built in"):
        Extensions(handlers={"tool": lambda: None})  # type: ignore[dict-item,return-value]


def test_two_rules_with_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="two lint rules"):
        Extensions(rules=(RULES[0],))


def test_transforms_are_applied_by_name_behind_the_built_in_ones(tmp_path: Path) -> None:
    code = (
        "from dataclasses import replace\ndef it(graph):\n"
        "    return replace(graph, nodes={k: n.with_text('prompt', n.text('prompt') + {0!r}, by={0!r})"
        " for k, n in graph.nodes.items()})"
    )
    put(tmp_path / "site", "transforms", "b", code.replace("{0!r}", "'b'"), distribution="one")
    put(tmp_path / "site", "transforms", "a", code.replace("{0!r}", "'a'"), distribution="two")
    (tmp_path / "p.dot").write_text(
        'digraph { goal=G start [shape=Mdiamond] n [prompt="$goal-"] exit [shape=Msquare] }'
    )
    done = attractor(tmp_path / "site", "explain", "p.dot", "n")
    assert "G-ab" in done.stdout, done.stderr
