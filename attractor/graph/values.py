"""Attribute text to typed values (spec 2.4). A quoted value and a bare one mean the same.

Rules kept here: a reader returns None for text that is not of its type and never raises, so that the lint
rule and the model's getters share it. Must not know: which attribute it reads.
"""

import re

__all__ = ["parse_boolean", "parse_duration", "parse_integer", "parse_list", "parse_number"]

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"-?(?:[0-9]{1,18}(?:\.[0-9]*)?|[0-9]*\.[0-9]+)\Z")
_DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)\Z")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BOOLEANS = {"true": True, "false": False}


def parse_integer(text: str) -> int | None:
    text = text.strip()
    return int(text) if _INTEGER.match(text) else None


def parse_number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.match(text) else None


def parse_boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.strip())


def parse_duration(text: str) -> float | None:
    """Seconds. A whole number and a unit (`250ms`, `900s`, `15m`, `2h`, `1d`); never negative, never
    unitless.
    """
    match = _DURATION.match(text.strip())
    return int(match.group(1)) * _UNIT_SECONDS[match.group(2)] if match else None


def parse_list(text: str) -> tuple[str, ...]:
    """A comma-separated list without blanks and empty entries."""
    return tuple(item for item in (part.strip() for part in text.split(",")) if item)
