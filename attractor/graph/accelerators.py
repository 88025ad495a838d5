"""The keys in the labels of a human gate's edges: `[K] Label`, `K) Label`, `K - Label` (spec 4.6). Pure."""

import re
from collections.abc import Iterable

__all__ = ["choice_keys", "split_accelerator"]

_ACCELERATOR = re.compile(r"\s*(?:\[(\w+)\]|(\w+)\)|(\w+)\s+-\s)")


def split_accelerator(label: str) -> tuple[str, str]:
    """The key a label names and the rest of it, both trimmed; the key is '' where it names none."""
    match = _ACCELERATOR.match(label)
    if match is None:
        return "", label.strip()
    return next(filter(None, match.groups())), label[match.end() :].strip()


def choice_keys(labels: Iterable[str]) -> list[str]:
    """A key for each label, no two the same in any case of letters.

    Keys that labels name come first. A label without one, or whose key is taken, gets the first letter or digit of its
    words that is free, as a capital; else the first free number.
    """
    parts = [split_accelerator(label) for label in labels]
    keys: list[str] = [""] * len(parts)
    taken: set[str] = set()
    for index, (key, _) in enumerate(parts):
        if key and key.lower() not in taken:
            keys[index] = key
            taken.add(key.lower())
    for index, (_, rest) in enumerate(parts):
        if not keys[index]:
            candidates = [*(c.upper() for c in rest if c.isalnum()), *map(str, range(1, len(parts) + 1))]
            keys[index] = next(key for key in candidates if key.lower() not in taken)
            taken.add(keys[index].lower())
    return keys
