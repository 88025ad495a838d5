"""Agent programs under the matrix: small fakes that print what the real ones print, and the real ones themselves.

`fakes/` are programs of their own, `case.py` equips a case with either kind, `install.py` fetches the real ones.
Knows agents' command lines and formats; never an engine.
"""

from __future__ import annotations

__all__ = ["PROGRAMS"]

# Provider -> the name of its agent program.
PROGRAMS = {"openai": "codex", "anthropic": "claude", "google": "gemini"}
