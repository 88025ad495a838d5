"""Where kills can land: names of steps, numbers of system calls, samples of both."""

from __future__ import annotations

import pytest

from harness.crash.call_trial import ending_problems
from harness.crash.place import Life
from harness.crash.points import Point, first_of_each, parse_point, points_of, spread
from harness.crash.syscalls import (
    Injection,
    calls_of,
    engine_threads,
    injections_of,
    interesting,
    parse_injection,
    strace_words,
    was_hit,
)

ROOT = "/case"
TRACE = """\
openat(AT_FDCWD</case/repo>, "/usr/lib/python.py", O_RDONLY|O_CLOEXEC) = 3</usr/lib/python.py>
openat(AT_FDCWD</case/repo>, "/case/logs/run.lock", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5</case/logs/run.lock>
write(6</case/logs/a.tmp>, "{}"..., 2) = 2
fdatasync(6</case/logs/a.tmp>) = 0
rename("/case/logs/a.tmp", "/case/logs/a") = 0
write(1</case/life-1.out>, "done"..., 4) = 4
write(7</case/repo/.git/objects/tmp_object_git2_12>, "x"..., 20) = 20
sendto(8<socket:[5]>, "hello"..., 5, 0, NULL, 0) = 5
write(8<socket:[5]>, "hello"..., 5) = 5
write(6</case/logs/b.tmp>, "{}"..., 2) = 2
--- SIGCHLD {si_signo=SIGCHLD} ---
"""
FOLLOWED = """\
10 rename("/case/logs/a.tmp", "/case/logs/a") = 0
10 clone3({flags=CLONE_VM|CLONE_THREAD|CLONE_SIGHAND, stack=0x7f} => {parent_tid=[11]}, 88) = 11
10 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x7f} <unfinished ...>
12 rename("/case/x", "/case/y") = 0
10 <... clone3 resumed> => {parent_tid=[13]}, 88) = 13
10 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD} => {parent_tid=[0]}, 88) = 14
14 rename("/case/repo/.git/HEAD.lock", "/case/repo/.git/HEAD") = 0
"""


def test_a_step_is_named_with_its_occurrence() -> None:
    assert [str(p) for p in points_of(["a", "b", "a"])] == ["a#1", "b#1", "a#2"]
    assert parse_point("committed#12") == Point("committed", 12)


@pytest.mark.parametrize("text", ["", "committed", "committed#0", "committed#", "#1", "a#1#2"])
def test_what_is_no_step_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as committed#2"):
        parse_point(text)


def test_each_step_is_taken_once_and_never_again() -> None:
    points = points_of(["begun", "saved", "begun", "saved", "saved"])
    assert [str(p) for p in first_of_each(points)] == ["begun#2", "saved#2"]
    assert first_of_each(points, {"begun", "saved"}) == ()


def test_a_sample_keeps_both_ends() -> None:
    assert spread(range(10), 3) == (0, 4, 9)
    assert spread(range(2), 3) == (0, 1)
    assert spread(range(9), 1) == (8,)


def test_calls_are_counted_by_name() -> None:
    found = [(call.name, call.nth, call.path) for call in calls_of(TRACE) if interesting(call, ROOT)]
    assert found == [
        ("openat", 2, "/case/logs/run.lock"),
        ("write", 1, "/case/logs/a.tmp"),
        ("fdatasync", 1, "/case/logs/a.tmp"),
        ("rename", 1, "/case/logs/a"),
        ("write", 3, "/case/repo/.git/objects/tmp_object_git2_12"),
        ("sendto", 1, "socket:[5]"),
        ("write", 4, "socket:[5]"),
        ("write", 5, "/case/logs/b.tmp"),
    ]


def test_writes_fail_by_path_and_are_counted_among_those_paths() -> None:
    chosen = [str(i) for i in injections_of(calls_of(TRACE), ROOT, 9) if i.call == "write"]
    assert chosen == [
        *("write#1:KILL", "write#3:KILL", "write#4:KILL", "write#5:KILL"),
        *("write#1:ENOSPC+", "write#2:EIO+"),
    ]


def test_programs_that_the_engine_starts_are_not_its_threads() -> None:
    assert engine_threads(FOLLOWED) == {"10", "11", "13"}


@pytest.mark.parametrize("text", ["write#17:ENOSPC+", "rename#4:KILL", "fsync#2:EIO"])
def test_an_injection_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_injection(text)) == text


@pytest.mark.parametrize("text", ["write", "write#0:EIO", "mount#1:EIO", "write#1:KILL+", "write#1", "write#1:SOON"])
def test_what_is_no_injection_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="such as rename#4:KILL"):
        parse_injection(text)


def test_strace_is_told_to_inject() -> None:
    words = strace_words(Injection("fsync", 3, "EIO", onward=True), follow=False)
    assert "inject=fsync:error=EIO:when=3+" in words
    assert "-f" not in words
    assert "-f" in strace_words(Injection("fsync", 3, "KILL"), follow=True)


def test_a_call_that_never_came_was_not_hit() -> None:
    assert "did not fire" in was_hit(Injection("rename", 2, "KILL"), TRACE, ROOT)
    assert was_hit(Injection("rename", 1, "KILL"), TRACE, ROOT) == ""


def test_a_program_that_the_engine_started_is_not_the_engine() -> None:
    only_git = '10 openat(AT_FDCWD</case>, "/case/a", O_RDWR) = 3\n' + FOLLOWED.splitlines()[-1] + "\n"
    assert "a program that the engine had started" in was_hit(Injection("rename", 1, "KILL"), only_git, ROOT)


def test_an_error_before_there_is_anything_of_a_run_is_another_one() -> None:
    trace = 'openat(AT_FDCWD</x>, "/usr/lib/python.py", O_RDONLY) = -1 EMFILE (Too many open files) (INJECTED)\n'
    assert "another call" in was_hit(Injection("openat", 1, "EMFILE", onward=True), trace, ROOT)


@pytest.mark.parametrize(
    ("life", "said", "problem"),
    [
        (Life(verb="run", exit_code=0), "", ""),
        (Life(verb="run", exit_code=1, stderr="hint: make room"), "x: No space left on device", ""),
        (Life(verb="run", exit_code=None), "", "did not end"),
        (Life(verb="run", exit_code=-11), "", "crashed: ended by SIGSEGV"),
        (Life(verb="run", exit_code=1, stderr="hint: x"), "it failed", "names the cause (No space left on device)"),
        (Life(verb="run", exit_code=1), "No space left on device", "does not say what to do"),
        (Life(verb="run", exit_code=0, stderr="Traceback (most recent call last):\nE: x"), "", "traceback: E: x"),
    ],
)
def test_a_run_whose_calls_fail_ends_in_order_and_says_why(life: Life, said: str, problem: str) -> None:
    found = " ".join(ending_problems(Injection("write", 1, "ENOSPC", onward=True), life, said))
    assert problem in found
    assert bool(found) is bool(problem)
