"""The Gemini generateContent calls, streamed and whole, as gemini-cli reads them. Pure."""

from __future__ import annotations

import re
from typing import Any

from harness.provider.script import Answer
from harness.provider.sse import Ask, Reply, events, json_reply

__all__ = ["aside", "error", "is_turn", "turn"]

_CALL = re.compile(r"/models/(?P<model>[^/:]+):(?P<verb>\w+)$")


def is_turn(path: str) -> bool:
    """Only the stream is a turn of the conversation: whole answers are asked for on the side."""
    return path.endswith(":streamGenerateContent")


def turn(answer: Answer, ask: Ask) -> Reply:
    parts: list[dict[str, Any]]
    if answer.text is not None:
        parts = [{"text": answer.text}]
    elif answer.shell is not None:
        parts = [_call("run_shell_command", {"command": answer.shell})]
    else:
        files = (answer.write or {}).items()
        parts = [_call("write_file", {"file_path": path, "content": text}) for path, text in files]
    usage = {"promptTokenCount": answer.input_tokens, "candidatesTokenCount": answer.output_tokens}
    usage["totalTokenCount"] = answer.input_tokens + answer.output_tokens
    first = _chunk(ask, {"role": "model", "parts": parts})
    last = _chunk(ask, {"role": "model", "parts": [{"text": ""}]}, finish="STOP")
    return events([first, {**last, "usageMetadata": usage}])


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": arguments}}


def _chunk(ask: Ask, content: dict[str, Any], finish: str = "") -> dict[str, Any]:
    candidate = {"content": content, "index": 0, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], "modelVersion": _model(ask), "responseId": f"resp-{ask.number}"}


def _model(ask: Ask) -> str:
    named = _CALL.search(ask.path)
    return named["model"] if named else ""


_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(answer: Answer) -> dict[str, Any]:
    """With a RetryInfo where a reset is known: this provider tells it in the body, not in a header."""
    status = answer.http or 500
    told = {"code": status, "message": answer.message, "status": answer.code or _STATUS.get(status, "UNKNOWN")}
    if answer.retry_after is None:
        return {"error": told}
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{answer.retry_after:g}s"}
    return {"error": {**told, "details": [info]}}


def aside(ask: Ask) -> Reply:
    """Token counts, and whole answers: gemini-cli asks for those to judge, rename or route, never for a turn."""
    if ask.path.endswith(":countTokens"):
        return json_reply(200, {"totalTokens": 11})
    if ask.path.endswith(":generateContent"):
        whole = _chunk(ask, {"role": "model", "parts": [{"text": "{}"}]}, finish="STOP")
        usage = {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
        return json_reply(200, {**whole, "usageMetadata": usage})
    missing = {"code": 404, "message": f"no such route: {ask.path}", "status": "NOT_FOUND"}
    return json_reply(404, {"error": missing})
