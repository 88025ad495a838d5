"""The OpenAI Responses stream, as codex reads it. Pure.

codex offers its tools with each request; which of them runs a command differs between versions, so the
answer calls what is offered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from harness.provider.script import Answer
from harness.provider.sse import Ask, Reply, events, json_reply, shell_that_writes

__all__ = ["aside", "error", "is_turn", "turn"]


def is_turn(path: str) -> bool:
    return path.endswith("/responses")


def turn(answer: Answer, ask: Ask) -> Reply:
    if answer.text is not None:
        return _stream(answer, ask, [_message(answer.text, ask)])
    command = answer.shell if answer.shell is not None else shell_that_writes(answer.write or {})
    return _stream(answer, ask, [_call(command, ask)])


def _message(text: str, ask: Ask) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": f"msg_{ask.number}",
        "status": "completed",
        "role": "assistant",
        "content": content,
    }


def _call(command: str, ask: Ask) -> dict[str, Any]:
    name, arguments = _shell_tool(command, ask.tools())
    identity = {"id": f"fc_{ask.number}", "call_id": f"call_{ask.number}"}
    return {"type": "function_call", **identity, "name": name, "arguments": json.dumps(arguments)}


def _shell_tool(command: str, offered: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    known: Mapping[str, dict[str, Any]] = {
        "exec_command": {"cmd": command},
        "shell_command": {"command": command},
        "shell": {"command": ["bash", "-lc", command]},
    }
    name = next((name for name in known if name in offered), "shell")
    return name, known[name]


def _stream(answer: Answer, ask: Ask, items: list[dict[str, Any]]) -> Reply:
    response = {"id": f"resp_{ask.number}", "object": "response", "status": "in_progress", "output": []}
    parts: list[dict[str, Any]] = [{"type": "response.created", "response": response}]
    for index, item in enumerate(items):
        empty = {**item, "status": "in_progress", **({"content": []} if item["type"] == "message" else {})}
        parts.append({"type": "response.output_item.added", "output_index": index, "item": empty})
        if item["type"] == "message":
            delta = {"item_id": item["id"], "output_index": index, "content_index": 0, "delta": answer.text}
            parts.append({"type": "response.output_text.delta", **delta})
        parts.append({"type": "response.output_item.done", "output_index": index, "item": item})
    done = {**response, "status": "completed", "output": items, "usage": _usage(answer)}
    return events([*parts, {"type": "response.completed", "response": done}], named=True)


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


_TYPES = {401: "authentication_error", 404: "invalid_request_error", 429: "rate_limit_error"}


def error(answer: Answer) -> dict[str, Any]:
    status = answer.http or 500
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = answer.code or ("model_not_found" if status == 404 else kind)
    told: dict[str, Any] = {"message": answer.message, "type": kind, "param": None, "code": code}
    if code in ("usage_limit_reached", "insufficient_quota"):
        told["type"] = code
    if code == "usage_limit_reached":  # this provider tells a reset in the body
        wait = round(answer.retry_after or 3600)
        told |= {"plan_type": "plus", "resets_in_seconds": wait, "resets_at": round(time.time()) + wait}
    return {"error": told}


def aside(ask: Ask) -> Reply:
    if ask.path.endswith("/models"):
        return json_reply(200, {"object": "list", "data": [], "models": []})
    return json_reply(404, {"error": {"message": f"no such route: {ask.path}", "type": "invalid_request_error"}})
