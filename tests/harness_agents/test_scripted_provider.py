"""The scripted provider as a process: every kind of answer on the wire, what it keeps, and that it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.processes import identify, until
from harness.provider import Answer, ProviderNotReady, ScriptedProvider
from harness.provider.script import Script

PATHS = {
    "openai": "/v1/responses",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/gemini-3-pro-preview:streamGenerateContent?alt=sse",
}


@contextlib.contextmanager
def connected(provider: ScriptedProvider) -> Iterator[http.client.HTTPConnection]:
    host, _, port = provider.base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    provider: ScriptedProvider, name: str, body: Mapping[str, Any] | None = None, **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    with connected(provider) as connection:
        sent = json.dumps({"stream": True, **(body or {})})
        connection.request("POST", PATHS.get(name, name), sent, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def events(data: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]


POST = b"POST /v1/responses HTTP/1.1\r\n"


def said(name: str, data: bytes) -> str:
    """The text of an answer, found as each provider's clients find it."""
    parts = events(data)
    if name == "openai":
        return "".join(part["delta"] for part in parts if part["type"] == "response.output_text.delta")
    if name == "anthropic":
        return "".join(part["delta"].get("text", "") for part in parts if part["type"] == "content_block_delta")
    return "".join(piece["text"] for part in parts for piece in part["candidates"][0]["content"]["parts"])


@pytest.mark.parametrize("name", PATHS)
def test_a_text_is_streamed_to_its_end(name: str) -> None:
    with ScriptedProvider({name: [Answer(text="Hello, wörld.", input_tokens=3, output_tokens=4)]}) as provider:
        status, headers, data = ask(provider, name)
    assert (status, headers["content-type"], said(name, data)) == (200, "text/event-stream", "Hello, wörld.")
    last = json.dumps(events(data)[-2:])
    assert {"openai": "response.completed", "anthropic": "message_stop", "google": "STOP"}[name] in last
    assert "4" in last


@pytest.mark.parametrize(
    ("name", "tools", "answer", "called"),
    [
        ("openai", [{"type": "function", "name": "exec_command"}], Answer(shell="ls"), '"cmd": "ls"'),
        ("openai", [{"type": "function", "name": "shell_command"}], Answer(shell="ls"), '"command": "ls"'),
        ("openai", [], Answer(write={"a b/c": "it's"}), "mkdir -p 'a b' && printf %s"),
        ("anthropic", [], Answer(shell="ls"), '"command": "ls"'),
        ("anthropic", [], Answer(write={"a": "x"}), '"file_path": "/there/a"'),
        ("google", [], Answer(write={"a": "x"}), '"file_path": "a"'),
        ("google", [], Answer(shell="ls"), "run_shell_command"),
    ],
)
def test_a_tool_call_is_one_that_the_program_offers(
    name: str, tools: list[dict[str, Any]], answer: Answer, called: str
) -> None:
    with ScriptedProvider({name: [answer]}) as provider:
        data = ask(provider, name, {"tools": tools, "system": "Working directory: /there"})[2]
    assert called in json.dumps(events(data)).replace('\\\\"', '"').replace('\\"', '"')


@pytest.mark.parametrize("name", PATHS)
def test_an_error_has_the_providers_own_body(name: str) -> None:
    answer = Answer(http=429, message="slow down", retry_after=7)
    with ScriptedProvider({name: [answer]}) as provider:
        status, headers, data = ask(provider, name)
    error = json.loads(data)["error"]
    assert (status, headers["retry-after"], error["message"]) == (429, "7", "slow down")
    if name == "google":
        assert (error["code"], error["status"], error["details"][0]["retryDelay"]) == (429, "RESOURCE_EXHAUSTED", "7s")
    else:
        assert error["type"] == "rate_limit_error"


def test_answers_come_in_order_and_the_last_one_for_ever() -> None:
    script = [Answer(http=500, times=2), Answer(text="a"), Answer(text="b")]
    with ScriptedProvider({"openai": script}) as provider:
        statuses = [ask(provider, "openai")[0] for _ in range(3)]
        texts = [said("openai", ask(provider, "openai")[2]) for _ in range(3)]
        numbers = [request["answer"] for request in provider.turns()]
    assert (statuses, texts, numbers) == ([500, 500, 200], ["b", "b", "b"], [0, 0, 1, 2, 2, 2])


def test_answers_for_one_prompt_are_a_list_of_their_own() -> None:
    script = [Answer(text="other"), Answer(text="first", when='say "x"'), Answer(text="second", when='say "x"')]
    with ScriptedProvider({"openai": script}) as provider:
        texts = [said("openai", ask(provider, "openai", {"input": p})[2]) for p in ('say "x"', "y", 'now say "x"')]
    assert texts == ["first", "other", "second"]


def test_a_provider_that_has_no_script_says_so() -> None:
    with ScriptedProvider({"openai": [Answer(text="x")]}) as provider:
        status, _, data = ask(provider, "google")
    assert (status, b"no answer for google" in data) == (500, True)


def test_questions_on_the_side_take_no_answer() -> None:
    with ScriptedProvider({"google": [Answer(text="x")]}) as provider:
        for path in ("/v1beta/models/m:countTokens", "/v1beta/models/m:generateContent"):
            assert ask(provider, path)[0] == 200
        assert ask(provider, "/v1/messages/count_tokens")[0] == 200
        assert ask(provider, "/nowhere")[0] == 404
        assert (len(provider.requests()), provider.turns()) == (4, [])


def test_a_stream_can_end_early_or_break_off() -> None:
    script = [Answer(text="x", cut_after_events=1), Answer(text="x", cut_after_bytes=10)]
    with ScriptedProvider({"openai": script}) as provider:
        assert [event["type"] for event in events(ask(provider, "openai")[2])] == ["response.created"]
        with pytest.raises(http.client.IncompleteRead) as broken:
            ask(provider, "openai")
    assert len(broken.value.partial) == 10


def test_a_slow_stream_takes_its_time() -> None:
    with ScriptedProvider({"openai": [Answer(text="x", bytes_per_second=5000)]}) as provider:
        began = time.monotonic()
        size = len(ask(provider, "openai")[2])
        assert time.monotonic() - began >= size / 5000


def test_garbage_is_no_stream() -> None:
    with ScriptedProvider({"openai": [Answer(garbage=True)]}) as provider, pytest.raises(UnicodeDecodeError):
        ask(provider, "openai")[2].decode()


def test_a_hanging_answer_holds_nobody_else_up() -> None:
    script = {"openai": [Answer(hang=True)], "google": [Answer(text="quick")]}
    with ScriptedProvider(script) as provider, connected(provider) as hanging:
        hanging.request("POST", PATHS["openai"], "{}")
        assert until(lambda: len(provider.turns()) == 1, 10)
        assert said("google", ask(provider, "google")[2]) == "quick"


@pytest.mark.parametrize("before", [0, 1])
def test_a_refusing_provider_does_not_listen_and_keeps_its_port(before: int) -> None:
    script = [Answer(text="x")] * before + [Answer(refuse=True)]
    with ScriptedProvider({"openai": script}) as provider:
        for _ in range(before):
            assert ask(provider, "openai")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            ask(provider, "openai")
        port = int(provider.base_url.rpartition(":")[2])
        with socket.socket() as other, pytest.raises(OSError):
            other.bind(("127.0.0.1", port))
        assert len(provider.requests()) == before
        assert '"refusing": true' in provider.log.read_text()


def test_what_was_asked_is_kept_without_secrets() -> None:
    with ScriptedProvider({"google": [Answer(text="x")]}) as provider:
        path = PATHS["google"] + "&key=SECRET"
        ask(provider, path, {"contents": "hi"}, Authorization="Bearer SECRET", **{"x-goog-api-key": "SECRET"})
        (request,) = provider.requests()
        kept = provider.log.read_text()
    assert (request["method"], request["body"]["contents"]) == ("POST", "hi")
    assert request["headers"]["x-goog-api-key"] == "(removed)"
    assert request["path"].endswith("alt=sse&key=(removed)")
    assert "SECRET" not in kept


@pytest.mark.parametrize(
    "sent",
    [
        POST + b'transfer-encoding: chunked\r\n\r\n3\r\n{"x\r\n4;e=1\r\n":1}\r\n0\r\nt: u\r\n\r\n',
        POST + b'Content-Length: 7\r\nExpect: 100-continue\r\n\r\n{"x":1}',
    ],
    ids=["in chunks", "after 100-continue"],
)
def test_a_body_may_come_in_any_way_and_in_any_pieces(sent: bytes) -> None:
    with ScriptedProvider({"openai": [Answer(text="x")]}) as provider:
        host, _, port = provider.base_url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            for position in range(len(sent)):
                connection.sendall(sent[position : position + 1])
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        assert b"HTTP/1.1 200 OK" in received
        assert provider.requests()[0]["body"] == {"x": 1}


@pytest.mark.parametrize(
    "sent",
    [b"hello\r\n\r\n", b"POST / HTTP/1.1\r\nnonsense\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
)
def test_what_is_no_request_is_refused_and_harms_nothing(sent: bytes) -> None:
    with ScriptedProvider({"openai": [Answer(text="x")]}) as provider:
        host, _, port = provider.base_url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(sent)
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        assert ask(provider, "openai")[0] == 200


def test_an_answer_is_exactly_one_thing() -> None:
    for wrong in ({}, {"text": "x", "http": 500}, {"http": 200}):
        with pytest.raises(ValueError):
            Answer(**wrong)  # type: ignore[arg-type]
    assert Answer(**Answer(http=500, times=2).to_json()) == Answer(http=500, times=2)


def test_a_script_without_a_general_list_has_no_answer_for_others() -> None:
    script = Script([Answer(text="x", when="a")])
    assert script.take("b") is None
    taken = script.take("a")
    assert taken is not None
    assert taken[1].text == "x"


def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        script = tmp_path / "script.toml"
        script.write_text('openai = [{ text = "x" }]\n')
        port = str(taken.getsockname()[1])
        words = ["provider", str(script), "--port", port, "--log", str(tmp_path / "log")]
        done = subprocess.run(
            [sys.executable, "-m", "harness", *words], capture_output=True, text=True, check=False, timeout=30
        )
    assert (done.returncode, "in use" in done.stderr) == (2, True)


def test_a_start_that_fails_shows_what_was_printed(tmp_path: Path) -> None:
    with pytest.raises(ProviderNotReady, match="No such file or directory"):
        ScriptedProvider({}, log=tmp_path / "no" / "such" / "log").start()


def test_it_ends_with_its_starter_even_by_sigkill(tmp_path: Path) -> None:
    program = (
        "import time\nfrom harness.provider import *\n"
        "with ScriptedProvider({'openai': [Answer(hang=True)]}) as p:\n    print(p.pid, flush=True)\n    time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ})
    assert starter.stdout is not None
    with starter, starter.stdout as output:
        pid = int(output.readline())
        assert identify(pid) is not None
        starter.send_signal(signal.SIGKILL)
    assert until(lambda: identify(pid) is None, 10)


def test_a_script_file_is_read_strictly(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text('openai = [{ txt = "x" }]\ngoogle = [{ http = 200 }]\nother = []\n')
    done = subprocess.run(
        [sys.executable, "-m", "harness", "provider", str(script), "--log", str(tmp_path / "log")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    for problem in ("did you mean 'text'?", "http is an error status", "unknown key 'other'"):
        assert problem in done.stderr
