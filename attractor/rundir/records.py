"""`manifest.json` (what a run is) and `final.json` (how it ended), typed (DESIGN 2.2)."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from attractor.contracts import AgentSettings, NotReadable, read_json
from attractor.errors import RunDirectoryError
from attractor.rundir.files import pretty_json, read_regular, write_atomic
from attractor.rundir.layout import Layout


class CxdbManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Where the run's turns are. `required`: a run that cannot store them all has failed. `snapshots_max_bytes`: of a
    commit's files, for them to be copied there; 0: none are.
    """

    context_id: str
    http_base_url: str
    binary_addr: str
    registry_bundle_id: str
    required: bool = False
    snapshots_max_bytes: int = 0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What of the run configuration a resumed life needs again."""

    stage_timeout_seconds: float | None = None
    setup_commands: tuple[str, ...] = ()
    setup_timeout_seconds: float = 600.0
    agents: AgentSettings = AgentSettings()
    auto_approve: bool = False
    interviewer: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a run that never changes. All paths are absolute; '' or None means "none".

    `token` marks the environment of every process the run starts, so that what outlives a crash can be found.
    `branch_of`: the logs root of the run that this branch, or child pipeline, is a part of.
    `extensions`: what the run depends on beside the engine, such as `transform NAME`, and where that came from.
    """

    run_id: str
    name: str
    goal: str
    start_time: str
    logs_root: str
    worktree: str
    repo_path: str
    base_sha: str
    run_branch: str
    graph_dot: str
    labels: dict[str, str]
    cxdb: CxdbManifest | None
    policy: Policy
    token: str
    engine_version: str
    extensions: dict[str, str] = {}
    branch_of: str = ""


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `status` is success, fail or canceled. `cxdb_files_missing`: why CXDB has not got the files
    of each commit; '' where it has, or was not to have them.
    """

    timestamp: str
    status: str
    run_id: str
    final_git_commit_sha: str
    failure_reason: str = ""
    failure_class: str = ""
    failed_node: str = ""
    restart_count: int = 0
    cxdb_context_id: str = ""
    cxdb_head_turn_id: str = ""
    cxdb_pending_turns: int = 0
    cxdb_outage: str = ""
    cxdb_files_missing: str = ""
    total_tokens: int = 0
    cost_usd: float = 0.0


STATUSES = ("success", "fail", "canceled")


def new_token() -> str:
    """A mark nobody else's environment carries."""
    return secrets.token_hex(16)


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    write_atomic(layout.manifest, pretty_json(manifest))


def read_manifest(layout: Layout) -> Manifest:
    """Raises RunDirectoryError where the folder is no run's, or its manifest is damaged."""
    try:
        manifest = read_json(read_regular(layout.manifest), Manifest)
    except FileNotFoundError:
        if layout.lock.exists():
            raise RunDirectoryError(
                f"the run in {layout.root} has not begun: it has no manifest.json",
                hint="nothing is lost by giving the same `attractor run` command again",
            ) from None
        raise RunDirectoryError(
            f"{layout.root} is not a run's directory: it has no manifest.json",
            hint="name the folder that `attractor run` printed as logs_root=, or see `attractor runs list`; "
            "one that is lost is made anew from CXDB by `attractor resume --logs-root L --from-cxdb RUN`",
        ) from None
    except NotADirectoryError:
        raise RunDirectoryError(f"{layout.root} is not a directory") from None
    except OSError as error:
        raise RunDirectoryError(f"cannot read {layout.manifest}: {error.strerror}") from error
    except NotReadable as error:
        raise RunDirectoryError(
            f"the manifest is damaged: {layout.manifest}: {error}",
            hint="nothing was changed; restore the file from a backup",
        ) from error
    for key in ("logs_root", "worktree"):
        _require_absolute(layout, key, getattr(manifest, key))
    if manifest.repo_path and Path(manifest.worktree) != Layout(Path(manifest.logs_root)).worktree:
        # It is emptied and made anew where it has to be: somebody's folder must never stand there.
        raise RunDirectoryError(
            f"{layout.manifest}: worktree is {manifest.worktree!r}, which is not the run's own folder",
            hint=f"nothing was changed; put back {Layout(Path(manifest.logs_root)).worktree}",
        )
    if ".." in manifest.run_id.split("/"):
        raise RunDirectoryError(
            f"{layout.manifest}: {manifest.run_id!r} can be no run's id",
            hint="nothing was changed; put back the run's id",
        )
    return manifest


def _require_absolute(layout: Layout, key: str, value: str) -> None:
    if value and not Path(value).is_absolute():
        raise RunDirectoryError(
            f"{layout.manifest}: {key} is {value!r}, which is not an absolute path",
            hint="a relative path would mean another folder in another working directory; put the whole path there",
        )


def write_final(layouts: list[Layout], final: Final) -> None:
    """Write final.json into each logs root, the base last: it is the one others wait for."""
    for layout in reversed(layouts):
        write_atomic(layout.final, pretty_json(final))


def read_final(layout: Layout, run_id: str) -> Final | None:
    """None while there is none; RunDirectoryError where it is not what `write_final` writes for that run."""
    try:
        final = read_json(read_regular(layout.final, follow=False), Final)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunDirectoryError(f"cannot read {layout.final}: {error.strerror or error}") from error
    except NotReadable as error:
        raise _damaged_final(layout, str(error)) from error
    if final.status not in STATUSES:
        raise _damaged_final(layout, f"its status {final.status!r} is none of {', '.join(STATUSES)}")
    if final.run_id != run_id:
        raise _damaged_final(layout, f"it is of run {final.run_id!r}, not of {run_id!r}")
    return final


def _damaged_final(layout: Layout, why: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"{layout.final} is damaged: {why}", hint="nothing was changed; restore the file, or move it away and resume"
    )
