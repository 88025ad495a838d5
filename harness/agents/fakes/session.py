"""One start of a fake program: takes answers from its plan and acts on them until one ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from io import RawIOBase
from typing import Any, NoReturn

from harness.agents.fakes.arguments import Refused, help_text, parse
from harness.agents.fakes.claude import Claude
from harness.agents.fakes.codex import Codex
from harness.agents.fakes.gemini import Gemini
from harness.agents.fakes.memory import Memory
from harness.agents.fakes.plan import Plan
from harness.agents.fakes.voice import Voice, warn

__all__ = ["record_only", "run"]

VOICES: Mapping[str, type[Codex] | type[Claude] | type[Gemini]] = {
    "codex": Codex,
    "claude": Claude,
    "gemini": Gemini,
}
USAGE = 2
LONGEST_DELAY_SECONDS = 30.0
CHATTER_SECONDS = 0.05
NETWORK_SECONDS = 0.5
FLOOD_LINE_BYTES = 1 << 16
FLOOD_LINES = 16
_STATUS_PATH = re.compile(r"(?<![\w.])(/[^\s'\"`]*status\.json)")


def run(program: str, plan_path: str, argv: list[str]) -> int:
    """The program's exit code."""
    plan, voice = Plan(plan_path, program), VOICES[program]()
    if _is_question(argv):
        sys.stdout.write(f"{help_text(program) if '--help' in argv else '0.0.0 (fake)'}\n")
        return 0
    try:
        arguments = parse(program, argv)
        prompt = voice.prompt(arguments)
    except Refused as refused:
        plan.record(argv, refused=str(refused))
        warn(f"error: {refused}")
        return USAGE
    plan.record(argv, refused="", prompt=prompt, model=arguments["--model"])
    refusal = voice.refusal(arguments)
    if refusal is not None:
        warn(refusal[1])
        return refusal[0]
    if arguments["--cd"]:
        os.chdir(arguments["--cd"])
    memory = Memory(program)
    if arguments["--resume"] and not memory.recall(arguments["--resume"]):
        warn(f"Error: there is no session {arguments['--resume']}")
        return 1
    _on_term(voice.term_exit)
    voice.begin(memory.session)
    if program == "codex":
        voice.usage[:] = memory.usage  # it counts the whole session
    return _Session(plan, voice, prompt, memory).go()


def record_only(program: str, plan_path: str, argv: list[str]) -> None:
    """For a real program, which is about to be started: it is held to the same table of arguments."""
    if _is_question(argv):
        return
    refused, model = "", ""
    try:
        model = parse(program, argv)["--model"]
    except Refused as why:
        refused = str(why)
    # The shell that has started us becomes the program.
    Plan(plan_path, program).record(argv, refused=refused, model=model, pid=os.getppid())


def _is_question(argv: list[str]) -> bool:
    """Somebody looks what this program is: no start."""
    return "--help" in argv or "--version" in argv


def _on_term(code: int | None) -> None:
    if code is not None:
        signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(code))


class _Session:
    def __init__(self, plan: Plan, voice: Voice, prompt: str, memory: Memory) -> None:
        self._plan = plan
        self._voice = voice
        self._prompt = prompt
        self._memory = memory

    def go(self) -> int:
        answer = self._take()
        while True:
            if _is_failure(answer):
                code, answer = self._fail(answer)
            else:
                code, answer = self._act(answer)
            if code is not None:
                return code

    def _take(self) -> dict[str, Any]:
        answer = self._plan.take("\n".join([*self._memory.said, self._prompt]))
        if answer.get("ignore_term"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if "status" in answer:
            _write_status(answer["status"], self._prompt)
        if "stdout" in answer:
            sys.stdout.write(answer["stdout"])
            sys.stdout.flush()
        if "stderr" in answer:
            warn(answer["stderr"])
        time.sleep(answer.get("delay", 0))
        return answer

    def _act(self, answer: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
        """Whatever does not fail; the exit code, when it was the end, and what comes next."""
        voice = self._voice
        if "text" in answer:
            voice.says(answer)
            self._memory.keep(voice.session, [self._prompt, answer["text"]], voice.usage)
            voice.ends()
            return 0, {}
        if "write" in answer:
            for path, text in answer["write"].items():
                _write(path, text)
                voice.wrote(path, text)
        elif "shell" in answer:
            voice.runs(answer["shell"])
            voice.ran(answer["shell"], *_shell(answer["shell"]))
        elif "flood" in answer:
            self._flood(answer["flood"])
        elif "noise" in answer:
            _noise(answer["noise"])
        elif "exit" in answer:
            return answer["exit"], {}
        elif "die" in answer:
            _die(answer["die"])
        else:
            self._never_ends(answer)
        return None, self._take()

    def _flood(self, size: int) -> None:
        """Long lines of the program's own format until so many bytes are out."""
        short = _captured(self._voice, 0)
        line = short.replace(b"step 0.", b"step 0" + b"." * (FLOOD_LINE_BYTES - len(short)))
        block = line * FLOOD_LINES
        with open(1, "wb", buffering=0, closefd=False) as output:
            for _ in range(size // len(block)):
                _write_whole(output, block)
            _write_whole(output, line * (size % len(block) // len(line) + 1))

    def _never_ends(self, answer: dict[str, Any]) -> NoReturn:
        number = 0
        while True:
            number += 1
            if answer.get("forever"):
                self._voice.chatters(number)
                time.sleep(CHATTER_SECONDS)
            elif answer.get("refuse"):
                self._voice.waits_for_network(number)
                time.sleep(NETWORK_SECONDS)
            else:
                signal.pause()

    def _fail(self, answer: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
        """Tries again as often as the program does; another answer meanwhile is taken up."""
        failure, attempt = self._voice.failure(answer), 1
        delay = failure.delay
        while self._plan.retries and attempt < failure.tries:
            attempt += 1
            self._voice.tries_again(failure, attempt)
            time.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)
            following = self._take()
            if not _is_failure(following):
                return None, following
            failure = self._voice.failure(following)
        self._voice.fails(failure)
        return failure.code, {}


def _is_failure(answer: Mapping[str, Any]) -> bool:
    return any(key in answer for key in ("http", "garbage", "cut_after_events", "cut_after_bytes"))


def _captured(voice: Voice, number: int) -> bytes:
    """One line of chatter, without printing it."""
    reading, writing = os.pipe()
    kept = os.dup(1)
    os.dup2(writing, 1)
    voice.chatters(number)
    os.dup2(kept, 1)
    os.close(writing)
    os.close(kept)
    line = os.read(reading, 65536)
    os.close(reading)
    return line


def _write_whole(output: RawIOBase, data: bytes) -> None:
    """A pipe takes only so much at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[output.write(rest) or 0 :]


def _write(path: str, text: str) -> None:
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _write_status(status: Any, prompt: str) -> None:
    """To where the surroundings say, else to where the prompt says, else here. Text is written as it is."""
    named = _STATUS_PATH.search(prompt)
    path = os.environ.get("ATTRACTOR_STATUS_FILE") or (named[1] if named else "status.json")
    _write(path, status if isinstance(status, str) else json.dumps(status))


def _shell(command: str) -> tuple[str, int]:
    """Output and exit code. Only the shell is waited for: what it leaves in the background goes on."""
    path = f".fake-output-{os.getpid()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.unlink(path)  # the worktree is not ours to leave things in
    actions = [(os.POSIX_SPAWN_DUP2, descriptor, 1), (os.POSIX_SPAWN_DUP2, descriptor, 2)]
    pid = os.posix_spawn("/bin/sh", ["/bin/sh", "-c", command], os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    size = os.fstat(descriptor).st_size
    output = os.pread(descriptor, min(size, 1 << 16), 0).decode(errors="replace")
    os.close(descriptor)
    return output, os.waitstatus_to_exitcode(status)


def _noise(size: int) -> None:
    sys.stdout.flush()
    os.write(1, (b'\x00\xff\xfe{"type":[' + bytes(range(128, 256))) * (size // 138 + 1))
    os.write(1, b"\n")


def _die(name: str) -> None:
    """In the middle of a line."""
    os.write(1, b'{"type":"item.comp')
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
    signal.pause()
