"""Every line of the definition of done has a test, and a marker that shows nothing is an error."""

from collections import Counter
from pathlib import Path

import pytest

from tests.docs.conformance import TESTS, MarkerError, Shown, read_markers
from tests.docs.definition_of_done import LINES, SECTIONS

# As many as the specification's section 11 has.
COUNTS = dict(zip(SECTIONS, [10, 10, 8, 4, 5, 9, 6, 6, 7, 6, 5, 22, 6], strict=True))


def test_the_table_has_every_line_once() -> None:
    assert Counter(line.section for line in LINES) == COUNTS
    expected = [f"{section}.{number}" for section, count in COUNTS.items() for number in range(1, count + 1)]
    assert [line.id for line in LINES] == expected


def test_every_line_that_is_not_optional_has_a_test() -> None:
    shown = read_markers(TESTS, [line.id for line in LINES])
    assert [line.id for line in LINES if not line.optional and not shown[line.id]] == []


def test_an_optional_line_says_what_there_is_instead() -> None:
    assert all(line.note for line in LINES if line.optional)


def _found(folder: Path, text: str, name: str = "test_a.py") -> dict[str, list[Shown]]:
    (folder / name).write_text(f"import pytest\n{text}")
    return read_markers(folder, ["1.1", "1.2"])


def test_markers_are_read_from_functions_and_from_methods_in_order(tmp_path: Path) -> None:
    text = """
@pytest.mark.spec("1.1")
def test_b() -> None: ...

class TestMore:
    @pytest.mark.parametrize("x", [1])
    @pytest.mark.spec("1.1", "1.2")
    def test_a(self, x) -> None: ...
"""
    assert _found(tmp_path, text) == {
        "1.1": [Shown("test_a", "test_a.py"), Shown("test_b", "test_a.py")],
        "1.2": [Shown("test_a", "test_a.py")],
    }


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ('pytest.mark.spec("1.1", "1.3")', "'1.3'"),
        ("pytest.mark.spec(LINE)", "'LINE'"),
        ("pytest.mark.spec()", "''"),
        ("pytest.mark.spec", "''"),
    ],
)
def test_a_marker_with_an_unknown_id_is_an_error_that_names_the_test(tmp_path: Path, marker: str, told: str) -> None:
    with pytest.raises(MarkerError) as caught:
        _found(tmp_path, f"@{marker}\ndef test_it() -> None: ...")
    assert str(caught.value) == f"test_a.py::test_it: {told} is no line of the definition of done"


@pytest.mark.parametrize(
    ("text", "name", "owner"),
    [
        ('@pytest.mark.spec("1.1")\ndef helps() -> None: ...', "test_a.py", "helps"),
        ('@pytest.mark.spec("1.1")\nclass TestAll: ...', "test_a.py", "TestAll"),
        ('class Other:\n  @pytest.mark.spec("1.1")\n  def test_it(self) -> None: ...', "test_a.py", "test_it"),
        ('def outer() -> None:\n  @pytest.mark.spec("1.1")\n  def test_it() -> None: ...', "test_a.py", "test_it"),
        ('@pytest.mark.spec("1.1")\ndef test_it() -> None: ...', "samples.py", "test_it"),
        ('pytestmark = pytest.mark.spec("1.1")', "test_a.py", "no function"),
    ],
)
def test_a_marker_on_what_pytest_does_not_collect_is_an_error(tmp_path: Path, text: str, name: str, owner: str) -> None:
    with pytest.raises(MarkerError, match=rf"^{name}:\d+: the marker on {owner} is on nothing that pytest collects$"):
        _found(tmp_path, text, name)


def test_all_bad_markers_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(MarkerError) as caught:
        _found(tmp_path, '@pytest.mark.spec("x")\ndef test_it() -> None: ...\npytestmark = [pytest.mark.spec("1.1")]')
    assert len(str(caught.value).splitlines()) == 2
