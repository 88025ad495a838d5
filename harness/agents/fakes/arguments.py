"""The command lines of the programs, as far as headless use needs them: a table each, read strictly.

A flag the table does not have is refused although the real program might know it: a new flag in an engine's
command line is to be noticed here, and looked up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["Arguments", "Refused", "help_text", "parse"]

SWITCH, VALUE = False, True


class Refused(Exception):
    """A command line the program would not take. The exit code is 2."""


class Arguments:
    """Flags by their long names, and the words that are none."""

    def __init__(self, flags: Mapping[str, str], words: Sequence[str]) -> None:
        self.flags = dict(flags)
        self.words = list(words)

    def __getitem__(self, name: str) -> str:
        return self.flags.get(name, "")

    def __contains__(self, name: str) -> bool:
        return name in self.flags


# Name -> whether a value follows it.
_FLAGS: Mapping[str, Mapping[str, bool]] = {
    "codex": {
        "--json": SWITCH,
        "--skip-git-repo-check": SWITCH,
        "--dangerously-bypass-approvals-and-sandbox": SWITCH,
        "--ephemeral": SWITCH,
        "--ignore-user-config": SWITCH,
        "--ignore-rules": SWITCH,
        "--strict-config": SWITCH,
        "--sandbox": VALUE,
        "--model": VALUE,
        "--cd": VALUE,
        "--config": VALUE,
        "--profile": VALUE,
        "--add-dir": VALUE,
        "--color": VALUE,
        "--enable": VALUE,
        "--disable": VALUE,
        "--output-last-message": VALUE,
        "--output-schema": VALUE,
    },
    "gemini": {
        "--yolo": SWITCH,
        "--skip-trust": SWITCH,
        "--debug": SWITCH,
        "--raw-output": SWITCH,
        "--accept-raw-output-risk": SWITCH,
        "--prompt": VALUE,
        "--model": VALUE,
        "--output-format": VALUE,
        "--approval-mode": VALUE,
        "--policy": VALUE,
        "--extensions": VALUE,
        "--include-directories": VALUE,
        "--session-id": VALUE,
        "--resume": VALUE,
    },
    "claude": {
        "--print": SWITCH,
        "--verbose": SWITCH,
        "--dangerously-skip-permissions": SWITCH,
        "--include-partial-messages": SWITCH,
        "--strict-mcp-config": SWITCH,
        "--no-session-persistence": SWITCH,
        "--model": VALUE,
        "--effort": VALUE,
        "--fallback-model": VALUE,
        "--output-format": VALUE,
        "--input-format": VALUE,
        "--permission-mode": VALUE,
        "--max-turns": VALUE,
        "--max-budget-usd": VALUE,
        "--append-system-prompt": VALUE,
        "--system-prompt": VALUE,
        "--allowedTools": VALUE,
        "--disallowedTools": VALUE,
        "--add-dir": VALUE,
        "--mcp-config": VALUE,
        "--settings": VALUE,
        "--setting-sources": VALUE,
        "--session-id": VALUE,
        "--resume": VALUE,
    },
}

_SHORT: Mapping[str, Mapping[str, str]] = {
    "codex": {"-m": "--model", "-s": "--sandbox", "-C": "--cd", "-c": "--config", "-p": "--profile"}
    | {"-o": "--output-last-message"},
    "gemini": {"-m": "--model", "-p": "--prompt", "-o": "--output-format", "-y": "--yolo", "-d": "--debug"}
    | {"-e": "--extensions", "-r": "--resume"},
    "claude": {"-p": "--print", "-r": "--resume"},
}

_CHOICES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("codex", "--sandbox"): ("read-only", "workspace-write", "danger-full-access"),
    ("codex", "--color"): ("always", "never", "auto"),
    ("gemini", "--output-format"): ("text", "json", "stream-json"),
    ("gemini", "--approval-mode"): ("default", "auto_edit", "yolo", "plan"),
    ("claude", "--output-format"): ("text", "json", "stream-json"),
    ("claude", "--input-format"): ("text", "stream-json"),
    ("claude", "--permission-mode"): ("default", "acceptEdits", "auto", "bypassPermissions", "dontAsk", "plan"),
}


def parse(program: str, argv: Sequence[str]) -> Arguments:
    """Raises Refused."""
    rest = list(argv)
    if program == "codex" and (not rest or rest.pop(0) != "exec"):
        raise Refused(f"only `codex exec` runs without a terminal, found: {' '.join(argv)[:80]!r}")
    known, short = _FLAGS[program], _SHORT[program]
    flags: dict[str, str] = {}
    words: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        name = short.get(name, name)
        if name not in known:
            raise Refused(f"unexpected argument {word!r}")
        if known[name] is VALUE and not equals:
            if not rest:
                raise Refused(f"a value is required for {word!r}")
            value = rest.pop(0)
        _check_choice(program, name, value)
        flags[name] = value
    if program == "codex" and words[:1] == ["resume"]:  # a command of its own, behind the flags
        if len(words) < 2:
            raise Refused("this fake only resumes a session that is named")
        flags["--resume"], words = words[1], words[2:]
    return Arguments(flags, words)


def help_text(program: str) -> str:
    """Names every flag, which is what a look for headless ability reads."""
    short = {long: letter for letter, long in _SHORT[program].items()}
    lines = [f"  {short[name]}, {name}" if name in short else f"      {name}" for name in _FLAGS[program]]
    return "\n".join([f"Usage: {program} [OPTIONS] [PROMPT]", "", "Options:", *lines])


def _check_choice(program: str, name: str, value: str) -> None:
    choices = _CHOICES.get((program, name))
    if choices is not None and value not in choices:
        raise Refused(f"invalid value {value!r} for {name!r}: one of {', '.join(choices)}")
