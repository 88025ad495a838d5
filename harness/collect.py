"""Collects the evidence of a run and of a case: files, git's own words, CXDB's own answers, processes.

Rules: reads only; a thing that cannot be read becomes a note in the evidence, not an exception, unless
git itself fails. Nothing is judged here.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.engines import FILES_MISSING, Engine
from harness.errors import HarnessError
from harness.evidence import Artifact, Document, EventLog, RunEvidence, Snapshot, Turn, Turns
from harness.repos import Git

__all__ = ["Asked", "collect_run", "read_event_log"]

MOST_FILES = 5000
NESTING = "+"  # joins the parts of a branch's name where they stand for one


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """Files to be read: in the logs root, and at the tip of the git branch."""

    contents: Iterable[str] = ()
    tree: Iterable[str] = ()


def read_event_log(path: Path) -> EventLog:
    try:
        data = path.read_bytes()
    except OSError:
        return EventLog()
    events, torn = [], []
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        value = _object(line) if line.endswith(b"\n") else None
        if value is None:
            torn.append(f"line {number}: {line[:120]!r}")
        else:
            events.append(value)
    return EventLog(tuple(events), tuple(torn), present=True)


def _object(data: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _document(root: Path, name: str) -> Document | None:
    try:
        data = (root / name).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Document(name, None, str(error))
    value = _object(data)
    return Document(name, value, "" if value is not None else f"not one JSON object: {data[:120]!r}")


def _documents(root: Path, restarts: list[str], name: str) -> dict[str, Document]:
    places = {"": name, **{restart: f"{restart}/{name}" for restart in restarts}}
    found = {place: _document(root, path) for place, path in places.items()}
    return {place: document for place, document in found.items() if document is not None}


def _files(root: Path, without: str, branches: str) -> tuple[str, ...]:
    found: list[str] = []
    for directory, names, files in os.walk(root):
        if without in names and (Path(directory) == root or branches in Path(directory).relative_to(root).parts):
            names.remove(without)
        found += [str((Path(directory) / file).relative_to(root)) for file in files]
        if len(found) > MOST_FILES:
            break
    return tuple(sorted(found))


def collect_run(
    *,
    name: str,
    logs_root: Path,
    engine: Engine,
    git: Git | None = None,
    run_id: str | None = None,
    cxdb_url: str | None = None,
    cxdb_address: str | None = None,
    cxdb_expected: bool = True,
    contents: Iterable[str] = (),
    tree: Iterable[str] = (),
    of_branches: Mapping[str, Asked] | None = None,
    engine_alive: bool = False,
    whole_run_id: str = "",
    with_snapshots: bool = False,
) -> RunEvidence:
    """Everything that can be known of one run. Without `git`, the manifest's repository is read; one that says it
    has none is not looked for in any.

    `with_snapshots` is for a branch; of a run, final.json says whether it has any.

    `contents` and `tree` name files to be read, `of_branches` those of a fan-out's branch, by its name. With
    `whole_run_id` it is itself such a branch.
    """
    files = engine.files
    restarts = [] if whole_run_id else sorted(p.name for p in logs_root.glob(files.restart_glob) if p.is_dir())
    manifest = _document(logs_root, files.manifest) or Document(files.manifest)
    log = read_event_log(logs_root / files.progress)
    known = _known(manifest, log)
    finals = _documents(logs_root, restarts, files.branch_result if whole_run_id else files.final)
    without_git = (manifest.value or {}).get("repo_path") == ""
    repository = None if without_git else git or _repository(known.get("repo_path"))
    branch, base = known.get("run_branch"), known.get("base_sha")
    tip = repository.resolve(f"refs/heads/{branch}") if repository and branch else None
    run_id = run_id if run_id is not None else str(known.get("run_id", ""))
    turns = _turns(cxdb_expected, cxdb_url, manifest, finals)
    if not whole_run_id:
        with_snapshots = FILES_MISSING in ((finals[""].value or {}) if "" in finals else {})

    def collect_branch(place: Path, its_name: str) -> RunEvidence:
        asked = (of_branches or {}).get(its_name, Asked())
        return collect_run(
            name=its_name,
            logs_root=place,
            engine=engine,
            git=repository,
            run_id=f"{whole_run_id or run_id}/{its_name.replace('/', NESTING)}",
            cxdb_url=cxdb_url,
            cxdb_address=cxdb_address,
            cxdb_expected=cxdb_expected,
            contents=asked.contents,
            tree=asked.tree,
            of_branches=of_branches,
            engine_alive=engine_alive,
            whole_run_id=whole_run_id or run_id,
            with_snapshots=with_snapshots,
        )

    outer = name.replace("/", NESTING) + NESTING if whole_run_id else ""
    return RunEvidence(
        name=name,
        run_id=run_id,
        logs_root=str(logs_root),
        exists=logs_root.exists(),
        log=log,
        finals=finals,
        checkpoints=_documents(logs_root, restarts, files.checkpoint),
        manifest=manifest,
        base_sha=base,
        branch=branch,
        tip=tip,
        commits=repository.history(tip, base) if repository and tip else (),
        turns=turns,
        snapshots=_snapshots(cxdb_url, manifest, repository, turns, engine) if with_snapshots else None,
        artifacts=_artifacts(cxdb_address, manifest, turns, engine) if with_snapshots else (),
        files=_files(logs_root, files.worktree, files.branches),
        contents={path: _text(logs_root / path) for path in contents},
        tree={path: repository.file_at(tip, path) if repository and tip else None for path in tree},
        output=_text(logs_root / files.output),
        engine_alive=engine_alive,
        turn_prefix=engine.turn_prefix,
        git=repository is not None,
        parallel=tuple(
            collect_branch(place, f"{outer}{place.relative_to(folder)}")
            for folder in (logs_root / restart / files.branches for restart in ("", *restarts))
            for place in sorted(folder.glob("*/*/*"))
        ),
        whole_run_id=whole_run_id,
    )


def _known(manifest: Document, log: EventLog) -> dict[str, Any]:
    """What the run says of itself: the manifest, or else its first event."""
    first = next((event for event in log.events if event.get("event") == "run_started"), {})
    return {**first, **(manifest.value or {})}


def _repository(path: object) -> Git | None:
    if not isinstance(path, str) or not path or not Path(path).is_dir():
        return None
    git = Git(Path(path))
    try:
        git.run("rev-parse", "--git-dir")
    except HarnessError:
        return None
    return git


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def read_scratch(directory: Path, names: Iterable[str]) -> dict[str, str | None]:
    return {name: _text(directory / name) for name in names}


def _snapshots(
    url: str | None, manifest: Document, repository: Git | None, turns: Turns, engine: Engine
) -> tuple[Snapshot, ...]:
    url = url or ((manifest.value or {}).get("cxdb") or {}).get("http_base_url")
    if not url or repository is None or not turns.turns:
        return ()
    from harness.snapshots import read_snapshots  # only where CXDB is asked for

    return read_snapshots(url, repository, turns.turns, engine.turn_prefix + "GitCheckpoint")


def _artifacts(address: str | None, manifest: Document, turns: Turns, engine: Engine) -> tuple[Artifact, ...]:
    address = address or ((manifest.value or {}).get("cxdb") or {}).get("binary_addr")
    if not address or not turns.turns:
        return ()
    from harness.snapshots import read_artifacts  # only where CXDB is asked for

    return read_artifacts(address, turns.turns, engine.turn_prefix + "Artifact")


def _turns(expected: bool, url: str | None, manifest: Document, finals: Mapping[str, Document]) -> Turns:
    if not expected:
        return Turns(expected=False)
    noted = (manifest.value or {}).get("cxdb") or {}
    final = finals.get("")
    context = (final.value or {}).get("cxdb_context_id") if final is not None else None
    context = context or noted.get("context_id")
    url = url or noted.get("http_base_url")
    if not url:
        # A run that was made without CXDB says so by naming none; then there is nothing to hold it to.
        return Turns(expected=False) if not noted else Turns(unavailable="the manifest names no CXDB address")
    if not context:
        return Turns()  # it should have one and names none: every turn is missing
    return _read_turns(url, str(context))


def _read_turns(url: str, context: str) -> Turns:
    from harness.cxdb.reader import read_turns  # only where CXDB is asked for

    try:
        found = read_turns(url, int(context))
    except Exception as error:  # whatever hinders reading is a note, not the end of the case
        return Turns(unavailable=f"context {context} at {url}: {error!r}")
    return Turns(tuple(Turn(turn.type_id, turn.depth, turn.data, turn.turn_id) for turn in found))
