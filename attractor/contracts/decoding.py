"""Reading JSON and MessagePack that others may have written: one kind of error for all that can be wrong with it.

msgspec has three: its own, the one for text that is not UTF-8, and the interpreter's for nesting that is too deep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

_T = TypeVar("_T")


class NotReadable(ValueError):
    """The bytes are not what they should be; the message says why, on one line."""


@overload
def read_json(data: bytes | str) -> Any: ...


@overload
def read_json(data: bytes | str, kind: type[_T]) -> _T: ...


def read_json(data: bytes | str, kind: Any = Any) -> Any:
    """The value of that type. Raises NotReadable."""
    return readable(lambda source: msgspec.json.decode(source, type=kind), data)


def readable(decode: Callable[[Any], _T], data: Any) -> _T:
    """`decode(data)`, for a decoder of msgspec's. Raises NotReadable."""
    try:
        return decode(data)
    except msgspec.DecodeError as error:
        raise NotReadable(str(error)) from error
    except UnicodeDecodeError as error:
        raise NotReadable(f"it is not UTF-8 (byte {error.start} of a text)") from error
    except RecursionError as error:
        raise NotReadable("it is nested too deeply") from error
