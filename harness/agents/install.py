"""Fetches the open-source agent programs, codex and gemini-cli, into the project's cache `.agents/`.

Rules: versions are pinned to those whose output was recorded; nothing of a package is run while it is
installed; a cache that has both versions is left alone. claude is not open source, and is not fetched.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["AGENTS_DIR", "PACKAGES", "install", "main", "node_problem"]

AGENTS_DIR = Path(__file__).resolve().parents[2] / ".agents"
PACKAGES = {"@openai/codex": "0.169.0", "@google/gemini-cli": "0.61.0"}
LEAST_NODE = 20
_NODE_HINT = "install Node.js 20 or newer with npm (Debian, Ubuntu: apt-get install nodejs npm)"


def node_problem() -> str:
    """Why the agents cannot be installed or run here; empty when they can."""
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} missing: {_NODE_HINT}"
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = said.removeprefix("v").partition(".")[0]
    if not major.isdigit() or int(major) < LEAST_NODE:
        return f"node {said or 'of unknown version'} is too old: {_NODE_HINT}"
    return ""


def installed(directory: Path) -> dict[str, str]:
    """Package -> version, of those that are there."""
    found = {}
    for package in PACKAGES:
        try:
            text = (directory / "node_modules" / package / "package.json").read_text(encoding="utf-8")
            found[package] = str(json.loads(text)["version"])
        except (OSError, ValueError, KeyError):
            continue
    return found


def install(directory: Path = AGENTS_DIR) -> str:
    """Make the cache hold what PACKAGES says; the problem, or an empty text."""
    if installed(directory) == PACKAGES:
        return ""
    problem = node_problem()
    if problem:
        return problem
    directory.mkdir(parents=True, exist_ok=True)
    manifest = {"private": True, "dependencies": PACKAGES}
    (directory / "package.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(["npm", "install", *quiet], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"npm install failed with {done.returncode}:\n{(done.stderr or done.stdout).strip()}"
    found = installed(directory)
    return "" if found == PACKAGES else f"npm installed {found} instead of {PACKAGES}"


def main() -> int:
    """`make agents`: 0 when both are there, 1 with what to do otherwise. The matrix skips their rows then."""
    problem = install()
    if problem:
        print(f"agents: {problem}", file=sys.stderr)  # noqa: T201 - a command's own output
        return 1
    for package, version in installed(AGENTS_DIR).items():
        print(f"{package} {version}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
