"""Inputs that are nearly right: pieces of valid documents cut, repeated, swapped and spoilt."""

from collections.abc import Sequence

from hypothesis import strategies as st

# What breaks parsers: ends, nesting, numbers without end, text that is none, names that lead elsewhere.
SPOILERS = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n\n", b"{", b"}", b"[", b"]", b'"', b"'", b":",
    b",", b"-", b"\\", b"\\u0000", b"&a [*a]", b"*a", b"!!python/object:os.system", b"null", b"NaN", b"1e999",
    b"-9" * 40, b"9" * 400, b"true", b"../../../etc/passwd", b"/etc/passwd", b"-x", b"${HOME}", b"$(id)", b"\xc3",
    b"[" * 200, b"{" * 200, b'{"a":' * 200, b"(" * 200, b"&& || ! = != ->", b"\xe2\x80\xae",
)  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, corpus: Sequence[bytes]) -> bytes:
    """A document of the corpus with a few changes, which may leave it valid."""
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 40)))
        what = draw(st.sampled_from(("cut", "drop", "spoil", "repeat", "flip", "splice")))
        match what:
            case "cut":
                data = data[:begin]
            case "drop":
                data = data[:begin] + data[end:]
            case "spoil":
                data = data[:begin] + draw(st.sampled_from(SPOILERS)) + data[end:]
            case "repeat":
                data = data[:end] + data[begin:end] * draw(st.integers(1, 30)) + data[end:]
            case "flip" if begin < len(data):
                data = data[:begin] + bytes([data[begin] ^ draw(st.integers(1, 255))]) + data[begin + 1 :]
            case "splice":
                other = draw(st.sampled_from(corpus))
                data = data[:begin] + other[draw(st.integers(0, len(other))) :]
    return data


def near(corpus: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Mostly spoilt documents, now and then bytes of no kind at all."""
    return st.one_of(spoilt(corpus), spoilt(corpus), st.binary(max_size=200))
