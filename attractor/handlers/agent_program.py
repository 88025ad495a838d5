"""One agent program, from its request to its judgement: state root, process, stream, verdict.

Stages run agents through this, and so do the prompt probes of preflight: what is probed is what will run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from attractor.backends import AgentEnding, AgentEvent, AgentProfile, AgentRequest, Judgement, StreamReader, judge
from attractor.contracts import Stop
from attractor.handlers.agent_home import make_state_root, remove_credentials, seed_credentials, write_state_files
from attractor.handlers.agent_sessions import AgentSession, copy_session
from attractor.handlers.agent_stream import StreamFollower
from attractor.processes import EndedBy, Limits, excerpt, run_command, tied_to_parent
from attractor.rundir import pretty_json

STDERR_TAIL_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who looks on while the program runs. `spent_too_much` returns why it is to be ended, '' while it may go on."""

    stall_seconds: float | None = None
    tell: Callable[[AgentEvent, int], None] = lambda event, progress: None
    spent_too_much: Callable[[], str] = lambda: ""
    saw: Callable[[AgentEvent], None] = lambda event: None
    heartbeat: Callable[[float], None] | None = None
    leader_note: Path | None = None


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """`overspent`: the spend watcher's reason, where it was this that ended the program."""

    judgement: Judgement
    ended_by: EndedBy
    overspent: str = ""


@dataclass(frozen=True, slots=True)
class AgentProgram:
    """A program to be run once in `request.worktree`, leaving its records in `request.stage_dir`.

    `inherited`: the environment it is given a part of. `home`: where the user's credential files are. `session`: the
    one that `request.session_id` names.
    """

    profile: AgentProfile
    request: AgentRequest
    inherited: Mapping[str, str]
    home: Path
    now: Callable[[], datetime]
    session: AgentSession | None = None
    reader: StreamReader = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", self.profile.new_reader())

    def environment(self, root: Path) -> dict[str, str]:
        """The program's whole environment, with its state root at `root`."""
        # The toolchain's variables are the user's to set; the profile's own win, and other sessions' go.
        inherited = {k: v for k, v in self.inherited.items() if k not in self.profile.removed_variables}
        return inherited | self.profile.child_environment(self.inherited, root, self.request.base_url)

    def run(self, limits: Limits, stop: Stop, watchers: Callable[[Mapping[str, str]], Watchers]) -> ProgramEnd:
        """Run it to its end, its time limit or a stop. `watchers` is given the program's environment.

        Raises OSError where it cannot be started, RunDirectoryError for a stage folder that is not absolute.
        """
        profile, stage_dir = self.profile, self.request.stage_dir
        folders = [str(Path(path).parent) if Path(path).suffix else path for path in profile.state_variables.values()]
        root = make_state_root(stage_dir, folders)
        seeded = seed_credentials(root, self.home, profile.credential_files)
        try:
            if self.session is not None:
                copy_session(self.session.files, root, profile.session_paths)
            environment = self.environment(root)
            write_state_files(root, profile.state_files(environment))
            self._write_invocation(root, environment)
            return self._run(environment, limits, stop, watchers(environment))
        finally:
            remove_credentials(root, seeded)

    def _write_invocation(self, root: Path, environment: Mapping[str, str]) -> None:
        request = self.request
        facts = {
            "provider": self.profile.provider,
            "backend": "cli",
            "model": request.model,
            "argv": [
                "(prompt.md)" if part.strip() == request.prompt.strip() else part for part in self.profile.argv(request)
            ],
            "cwd": str(request.worktree),
            "state_root": str(root),
            "environment": sorted(environment),
        }
        (request.stage_dir / "cli_invocation.json").write_bytes(pretty_json(facts))

    def _run(self, environment: Mapping[str, str], limits: Limits, stop: Stop, watchers: Watchers) -> ProgramEnd:
        stage_dir = self.request.stage_dir
        stdout, stderr = stage_dir / "stdout.log", stage_dir / "stderr.log"
        follower = StreamFollower(
            self.reader,
            stdout,
            stage_dir / "events.ndjson",
            stall_seconds=watchers.stall_seconds,
            tell=watchers.tell,
            spent_too_much=watchers.spent_too_much,
            saw=watchers.saw,
        )
        try:
            result = run_command(
                tied_to_parent(self.profile.argv(self.request), environment.get("PATH")),
                cwd=self.request.worktree,
                environment=environment,
                stdout=stdout,
                stderr=stderr,
                stdin=self._stdin(),
                limits=limits,
                stop=stop,
                heartbeat=watchers.heartbeat,
                leader_note=watchers.leader_note,
                end_strays=True,  # nobody asked an agent for a service: what it leaves would write into the next stage
                watch=follower.watch,
            )
        finally:
            follower.finish()
            (stage_dir / "response.md").write_text(self.reader.final_text, encoding="utf-8", errors="replace")
        stalled = result.verdict == "stalled"
        ending = AgentEnding(result.exit_code, result.timed_out, stalled)
        judgement = judge(self.profile, ending, self.reader, excerpt(stderr, STDERR_TAIL_BYTES), self.now())
        return ProgramEnd(judgement, result.ended_by, "" if stalled else result.verdict)

    def _stdin(self) -> Path | None:
        text = self.profile.stdin_text(self.request)
        if not text:
            return None
        place = self.request.stage_dir / "stdin.txt"
        place.write_text(text, encoding="utf-8")
        return place
