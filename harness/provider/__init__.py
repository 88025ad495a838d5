"""A scripted model provider: a loopback server that answers agent programs turn by turn, as a scenario says.

It speaks the OpenAI Responses, Anthropic Messages and Gemini generateContent streams as far as the agent
programs use them, so that real agents run without credentials, money or network. `ScriptedProvider` runs
it as a child process and keeps all it was sent. It knows providers' wires and a script; never an engine,
an agent's exit codes or a scenario.

Names are loaded on first use: the server's own start must not pay for its starter's imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.provider.grammar import read_answers, read_script
    from harness.provider.process import ProviderNotReady, ScriptedProvider
    from harness.provider.script import PROVIDERS, Answer

__all__ = ["PROVIDERS", "Answer", "ProviderNotReady", "ScriptedProvider", "read_answers", "read_script"]

_HOMES = {
    "ScriptedProvider": "process",
    "ProviderNotReady": "process",
    "read_answers": "grammar",
    "read_script": "grammar",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'script')}"), name)
