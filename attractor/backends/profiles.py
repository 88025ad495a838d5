"""The agent programs known here, by provider, and the names people use for providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attractor.backends.claude import CLAUDE
from attractor.backends.codex import CODEX
from attractor.backends.gemini import GEMINI
from attractor.backends.profile import AgentProfile

PROFILES: Final[Mapping[str, AgentProfile]] = {p.provider: p for p in (CODEX, CLAUDE, GEMINI)}

_NAMES: Final[Mapping[str, str]] = {
    name: profile.provider for profile in PROFILES.values() for name in (profile.provider, *profile.aliases)
}


def canonical_provider(name: str) -> str | None:
    """`gemini`, `google-ai-studio` -> `google`; None for a provider that is not known."""
    return _NAMES.get(name.strip().lower().replace("-", "_").replace(".", "_"))


def known_providers() -> tuple[str, ...]:
    return tuple(sorted(PROFILES))
