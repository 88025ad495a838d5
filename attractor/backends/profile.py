"""What the engine must know of an agent program to start it and to read it: one table of facts a program.

`AgentProfile` is that table; `AgentRequest` is what a stage wants of it. Pure: nothing here looks at the machine.
Which files exist, which variables are set and where the state root lies is for the caller.

Must not know: how processes run, how stages end. Each program's facts stand in its own file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from attractor.backends.failure_kinds import FailureKind
from attractor.backends.stream import StreamReader

# Linux takes 128 KiB in one argument (MAX_ARG_STRLEN), end of text included.
MAX_ARGUMENT_BYTES: Final = 100_000

# What every program gets from the engine's own environment, where it is set there.
PASSED_VARIABLES: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip

# Colours off. `CI` is not set: the tools an agent runs inherit it, and many build or test differently under it.
COMMON_ENVIRONMENT: Final[Mapping[str, str]] = {"NO_COLOR": "1", "TERM": "dumb"}


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One prompt for one program. `writable` are folders it may write besides the worktree and the stage folder."""

    prompt: str
    model: str
    worktree: Path
    stage_dir: Path
    executable: str
    reasoning_effort: str = ""
    writable: tuple[Path, ...] = ()
    base_url: str = ""
    session_id: str = ""  # of the session to go on with, whose files are in the state root

    @property
    def extra_folders(self) -> tuple[Path, ...]:
        """Folders outside the worktree to be opened for writing, each once."""
        return tuple(dict.fromkeys((self.stage_dir, *self.writable)))


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """The facts of one program."""

    provider: str
    program: str
    facts_from: str  # the version they were read from
    aliases: tuple[str, ...]
    # Any one of these is enough to sign in; so is any one of the files, relative to the user's home.
    credential_variables: tuple[str, ...]
    credential_files: tuple[str, ...]
    # Settings a user may have; to be seeded only where the run configuration says so.
    settings_files: tuple[str, ...]
    # Environment name -> path in the stage's state root ('' is the root itself).
    state_variables: Mapping[str, str]
    # Environment name -> value, always.
    environment: Mapping[str, str]
    # Further names passed on besides PASSED_VARIABLES and the credentials.
    passed_variables: tuple[str, ...]
    # Names that must not reach the program: they would make it think it runs inside another session.
    removed_variables: tuple[str, ...]
    # Name -> name it takes its value from where it is not set itself.
    copied_variables: Mapping[str, str]
    base_url_variable: str
    # Texts that its `help_arguments` output must hold: without them it cannot run unattended.
    help_arguments: tuple[str, ...]
    headless_flags: tuple[str, ...]
    effort_flag: bool
    # Where in its state root a session is kept: files and folders that another start needs to go on with it.
    session_paths: tuple[str, ...]
    # It tells the usage of the whole session, not of this start.
    counts_session: bool
    exit_kinds: Mapping[int, FailureKind]
    build_argv: Callable[[AgentRequest, bool], tuple[str, ...]] = field(repr=False)
    reader: Callable[[], StreamReader] = field(repr=False)
    # Files the program needs in its state root, made from its environment: path -> content. Not to be written over
    # a file the user's own was seeded to.
    state_files: Callable[[Mapping[str, str]], Mapping[str, str]] = field(repr=False, default=lambda environment: {})
    # A line of its standard error that holds the HTTP status of the provider's last answer.
    stderr_status: re.Pattern[str] | None = None

    def new_reader(self) -> StreamReader:
        return self.reader()

    def prompt_on_stdin(self, request: AgentRequest) -> bool:
        """Whether the prompt goes by standard input: too long for an argument, or it would be taken for a flag."""
        return request.prompt.startswith("-") or len(request.prompt.encode("utf-8")) > MAX_ARGUMENT_BYTES

    def stdin_text(self, request: AgentRequest) -> str:
        """What to write to standard input; '' where the prompt is an argument, and it is to be closed at once."""
        return self._safe(request).prompt if self.prompt_on_stdin(request) else ""

    def argv(self, request: AgentRequest) -> tuple[str, ...]:
        return self.build_argv(self._safe(request), self.prompt_on_stdin(request))

    def child_environment(self, inherited: Mapping[str, str], state_root: Path, base_url: str = "") -> dict[str, str]:
        """The program's whole environment, made from the engine's. Values of secrets pass through unlooked at."""
        wanted = (*PASSED_VARIABLES, *self.credential_variables, *self.passed_variables)
        env = {name: inherited[name] for name in wanted if name in inherited}
        for name, source in self.copied_variables.items():
            if not env.get(name) and env.get(source):
                env[name] = env[source]
        env |= {**COMMON_ENVIRONMENT, **self.environment}
        env |= {name: str(state_root / path) for name, path in self.state_variables.items()}
        if base_url and self.base_url_variable:
            env[self.base_url_variable] = base_url
        return {name: value for name, value in env.items() if name not in self.removed_variables}

    def _safe(self, request: AgentRequest) -> AgentRequest:
        """A prompt that begins with `/` would be run as one of the program's own commands (claude, gemini)."""
        if not request.prompt.startswith("/"):
            return request
        return replace(request, prompt=" " + request.prompt)
