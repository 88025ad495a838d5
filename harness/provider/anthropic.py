"""The Anthropic Messages stream, as claude reads it. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from harness.provider.script import Answer
from harness.provider.sse import Ask, Reply, events, json_reply

__all__ = ["aside", "error", "is_turn", "turn"]

_WORKING_DIRECTORY = re.compile(r"[Ww]orking directory: (/[^\n\"\\]*)")


def is_turn(path: str) -> bool:
    return path.endswith("/messages")


def turn(answer: Answer, ask: Ask) -> Reply:
    blocks: list[dict[str, Any]]
    if answer.text is not None:
        blocks = [{"type": "text", "text": answer.text}]
    elif answer.shell is not None:
        blocks = [_tool(ask, 0, "Bash", {"command": answer.shell, "description": "scripted command"})]
    else:
        files = (answer.write or {}).items()
        calls = [{"file_path": _absolute(path, ask), "content": text} for path, text in files]
        blocks = [_tool(ask, index, "Write", call) for index, call in enumerate(calls)]
    message = _message(answer, ask, blocks)
    if not ask.body.get("stream"):
        return json_reply(200, message)
    return _stream(answer, message, blocks)


def _tool(ask: Ask, index: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{ask.number}_{index}", "name": name, "input": arguments}


def _absolute(path: str, ask: Ask) -> str:
    """The tool wants absolute paths; the program tells the model where it is."""
    if path.startswith("/"):
        return path
    told = _WORKING_DIRECTORY.search(json.dumps(ask.body.get("system", ""), ensure_ascii=False))
    return f"{told[1].rstrip('/')}/{path}" if told else path


def _message(answer: Answer, ask: Ask, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{ask.number}",
        "type": "message",
        "role": "assistant",
        "model": ask.body.get("model", ""),
        "content": blocks,
        "stop_reason": _stop_reason(blocks),
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.output_tokens,
        },
    }


def _stop_reason(blocks: list[dict[str, Any]]) -> str:
    return "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"


def _stream(answer: Answer, message: dict[str, Any], blocks: list[dict[str, Any]]) -> Reply:
    start = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    parts: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        opened: dict[str, Any]
        if block["type"] == "text":
            opened, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            opened = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        parts.append({"type": "content_block_start", "index": index, "content_block": opened})
        parts.append({"type": "content_block_delta", "index": index, "delta": delta})
        parts.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    parts.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": answer.output_tokens}})
    return events([*parts, {"type": "message_stop"}], named=True)


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error(answer: Answer) -> dict[str, Any]:
    kind = answer.code or _TYPES.get(answer.http or 500, "api_error")
    return {"type": "error", "error": {"type": kind, "message": answer.message}}


def aside(ask: Ask) -> Reply:
    if ask.path.endswith("/count_tokens"):
        return json_reply(200, {"input_tokens": 11})
    if ask.path.endswith("/models"):
        return json_reply(200, {"data": [], "has_more": False})
    missing = {"type": "not_found_error", "message": f"no such route: {ask.path}"}
    return json_reply(404, {"type": "error", "error": missing})
