"""`attractor format`: what is written, what is only told, and what is left alone."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.cli.format import GraphFile, _replace
from attractor.graph import Formatted
from tests.cli.calls import Calls

UGLY = "digraph   G{a->b;\n\n\n// why\nb [label=x];}"
NEAT = 'digraph G {\n  a -> b\n\n  // why\n  b [label="x"]\n}\n'
BROKEN = "digraph {\n  a -- b\n}\n"


@pytest.fixture
def calls(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.chdir(tmp_path)
    return Calls(capfd)


def _piped(*arguments: str, stdin: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-P", "-m", "attractor", "format", *arguments]
    return subprocess.run(argv, input=stdin, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_files_are_formatted_in_place_and_named(calls: Calls) -> None:
    Path("a.dot").write_text(UGLY)
    Path("b.dot").write_text(NEAT)
    done = calls("format", "a.dot", "b.dot")
    assert (done.code, done.out, done.err) == (0, "", "formatted a.dot\n")
    assert Path("a.dot").read_text() == NEAT
    assert calls("format", "a.dot", "b.dot").err == ""


def test_a_neat_file_is_not_even_written(calls: Calls) -> None:
    Path("a.dot").write_text(NEAT)
    before = os.stat("a.dot")
    calls("format", "a.dot")
    assert (os.stat("a.dot").st_ino, os.stat("a.dot").st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_mode_stays_and_nothing_is_left_beside(calls: Calls) -> None:
    Path("a.dot").write_text(UGLY)
    os.chmod("a.dot", 0o751)
    calls("format", "a.dot")
    assert stat.S_IMODE(os.stat("a.dot").st_mode) == 0o751
    assert os.listdir() == ["a.dot"]


def test_a_link_stays_and_its_target_is_formatted(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "target.dot").write_text(UGLY)
    Path("link.dot").symlink_to(tmp_path / "far" / "target.dot")
    assert calls("format", "link.dot", "far/target.dot").err == "formatted link.dot\n"
    assert Path("link.dot").is_symlink()
    assert (tmp_path / "far" / "target.dot").read_text() == NEAT


def test_check_names_what_would_change_and_writes_nothing(calls: Calls) -> None:
    Path("a.dot").write_text(UGLY)
    Path("b.dot").write_text(NEAT)
    done = calls("format", "--check", "b.dot", "a.dot")
    assert (done.code, done.out, done.err) == (1, "a.dot\n", "")
    assert Path("a.dot").read_text() == UGLY
    assert calls("format", "--check", "b.dot").code == 0


def test_diff_can_be_applied_and_writes_nothing(calls: Calls) -> None:
    Path("a.dot").write_text(UGLY)
    done = calls("format", "--diff", "a.dot")
    assert done.code == 0
    assert "\\ No newline at end of file\n" in done.out
    assert Path("a.dot").read_text() == UGLY
    subprocess.run(["patch", "-s", "a.dot"], input=done.out, text=True, check=True)
    assert Path("a.dot").read_text() == NEAT
    assert calls("format", "--diff", "a.dot").out == ""


def test_diff_and_check_together_show_and_fail(calls: Calls) -> None:
    Path("a.dot").write_text(UGLY)
    done = calls("format", "--diff", "--check", "a.dot")
    assert (done.code, done.out.splitlines()[:2]) == (1, ["--- a.dot", "+++ a.dot"])


def test_stdout_prints_one_file(calls: Calls) -> None:
    Path("a.dot").write_text(UGLY)
    assert calls("format", "--stdout", "a.dot").out == NEAT
    assert Path("a.dot").read_text() == UGLY


def test_standard_input_is_formatted_to_standard_output(tmp_path: Path) -> None:
    done = _piped("-", stdin=UGLY, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, NEAT, "")
    checked = _piped("--check", "-", stdin=UGLY, folder=tmp_path)
    assert (checked.returncode, checked.stdout) == (1, "<stdin>\n")
    broken = _piped("-", stdin=BROKEN, folder=tmp_path)
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "<stdin>:2:5: error[undirected_edge]" in broken.stderr
    assert os.listdir(tmp_path) == []


def test_a_broken_file_is_told_and_left_alone_and_others_are_formatted(calls: Calls) -> None:
    Path("bad.dot").write_text(BROKEN)
    Path("a.dot").write_text(UGLY)
    done = calls("format", "bad.dot", "a.dot")
    assert done.code == 1
    assert "bad.dot:2:5: error[undirected_edge]: undirected edges are not supported" in done.err
    assert "bad.dot: not formatted: 1 error\nformatted a.dot\n" in done.err
    assert (Path("bad.dot").read_text(), Path("a.dot").read_text()) == (BROKEN, NEAT)


@pytest.mark.parametrize("content", [b"", b"// only this\n", b'digraph { a [x="\xff"] }'])
def test_what_is_no_graph_is_left_alone(calls: Calls, content: bytes) -> None:
    Path("a.dot").write_bytes(content)
    assert calls("format", "a.dot").code == 1
    assert Path("a.dot").read_bytes() == content


def test_line_ends_stay_and_a_byte_order_mark_goes(calls: Calls) -> None:
    Path("a.dot").write_bytes(b"\xef\xbb\xbfdigraph G {\r\na}")
    calls("format", "a.dot")
    assert Path("a.dot").read_bytes() == b"digraph G {\r\n  a\r\n}\r\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.dot", "gone.dot"], "cannot read gone.dot"),
        (["a.dot", "."], "Is a directory"),
        (["a.dot", "fifo"], "fifo is not a regular file"),
        (["-", "a.dot"], "cannot be formatted together with files"),
        (["--stdout", "a.dot", "b.dot"], "--stdout prints one file"),
        (["--stdout", "--check", "a.dot"], "--stdout and --check exclude each other"),
        ([], "Missing argument 'G...'"),
    ],
)
def test_wrong_turns_write_nothing(calls: Calls, arguments: list[str], words: str) -> None:
    Path("a.dot").write_text(UGLY)
    os.mkfifo("fifo")
    done = calls("format", *arguments)
    assert (done.code, words in done.err) == (2, True), done.err
    assert (done.out, Path("a.dot").read_text()) == ("", UGLY)


def test_a_read_only_file_is_told_and_others_are_formatted(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.dot", "b.dot"):
        Path(name).write_text(UGLY)
    # Root, whom tests may run as, may write everywhere: it is the question that is answered for it.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "a.dot")
    done = calls("format", "a.dot", "b.dot")
    assert (done.code, "cannot write a.dot: the file is read-only" in done.err) == (2, True)
    assert (Path("a.dot").read_text(), Path("b.dot").read_text()) == (UGLY, NEAT)


def test_a_folder_that_takes_no_files_is_told(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.dot").write_text(UGLY)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    done = calls("format", "a.dot")
    assert (done.code, done.err) == (2, "attractor: error: cannot write a.dot: No space left on device\n")
    assert (os.listdir(), Path("a.dot").read_text()) == (["a.dot"], UGLY)


def test_a_file_changed_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.dot"
    target.write_text("digraph { newer }")
    with pytest.raises(OSError, match="changed by somebody else"):
        _replace(target, GraphFile("a.dot", UGLY.encode(), Formatted(NEAT, ())))
    assert target.read_text() == "digraph { newer }"
    assert os.listdir(tmp_path) == ["a.dot"]
