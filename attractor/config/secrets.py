"""What looks like a secret in a configuration, taken out before it is written anywhere. Pure.

Not a promise: a secret that looks like anything else stays. Those belong into the environment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

REMOVED = "(removed)"
_NAME = r"[\w-]*(?:token|secret|passw(?:or)?d|api[-_]?key|credential|auth)[\w-]*"
_ASSIGNED = re.compile(rf"({_NAME}=)(\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE)
_FLAG = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def without_secrets(text: str) -> str:
    """Without the user in URLs and the values of what is named like a secret (`--token=x`, `API_KEY=x`)."""
    return _ASSIGNED.sub(rf"\1{REMOVED}", _USER.sub("", text))


def argv_without_secrets(arguments: Sequence[str]) -> list[str]:
    """The same for a command's words, where the value may be the next one (`--token x`)."""
    kept: list[str] = []
    for word in arguments:
        hidden = bool(kept) and _FLAG.fullmatch(kept[-1]) is not None
        kept.append(REMOVED if hidden else without_secrets(word))
    return kept
