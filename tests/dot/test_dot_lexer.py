"""Tokens: what belongs together, escapes, and linear work on hostile text."""

import pytest

from attractor.dot.lexer import decode_string, decoded_offsets, tokens, tokens_and_comments


def _texts(text: str) -> list[str]:
    return [text[token.start : token.end] for token in tokens(text)][:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a->b", ["a", "->", "b"]),
        ("a--b", ["a", "--", "b"]),
        ("gpt-5.2 claude-opus-4-6", ["gpt-5.2", "claude-opus-4-6"]),
        ("human.default_choice=x", ["human.default_choice", "=", "x"]),
        ("-1 .5 250ms 1d", ["-1", ".5", "250ms", "1d"]),
        ("a // note\nb /* more\n */ c", ["a", "b", "c"]),
        ('"a // no comment"', ['"a // no comment"']),
        (r'"a\"b" c', [r'"a\"b"', "c"]),
        ("<<b>x</b>> y", ["<<b>x</b>>", "y"]),
        ("color=#ff0000]", ["color", "=", "#ff0000", "]"]),
    ],
)
def test_tokens_are_split_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert _texts(text) == expected


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        (r'"say \"hi\""', 'say "hi"'),
        (r'"a\nb\tc\\d"', "a\nb\tc\\d"),
        (r'"\\n"', r"\n"),
        (r'"left\l \N \r"', r"left\l \N \r"),
        ('"joined\\\n line"', "joined line"),
        ('"joined\\\r\n line"', "joined line"),
        ('"two\r\nlines"', "two\nlines"),
    ],
)
def test_the_spec_s_escapes_are_decoded_and_graphviz_s_own_are_kept(literal: str, text: str) -> None:
    assert decode_string(literal) == text


@pytest.mark.parametrize("literal", [r'"a\"b\nc"', '"x\r\ny\\\nz"', '""', r'"\l"'])
def test_every_decoded_character_knows_where_it_came_from(literal: str) -> None:
    offsets = decoded_offsets(literal)
    assert len(offsets) == len(decode_string(literal)) + 1
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(literal) - 1


@pytest.mark.parametrize("filler", ['"', "/*", "<", "\\", "#", "@", "-", '"\\', "/* */", "a-", ".", "1"])
def test_the_number_of_tokens_never_exceeds_the_characters(filler: str) -> None:
    text = filler * 20_000
    assert sum(1 for _ in tokens(text)) <= len(text) + 1


@pytest.mark.spec("11.1.10")
def test_comments_are_given_only_when_asked_for() -> None:
    text = 'a // one "x"\n/* two\n */ b "// none" /* three */'
    found = list(tokens_and_comments(text))
    comments = [text[token.start : token.end] for token in found if "comment" in token.kind]
    assert comments == ['// one "x"', "/* two\n */", "/* three */"]
    assert [token for token in found if "comment" not in token.kind] == list(tokens(text))
