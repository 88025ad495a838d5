"""Facts of the machine: which filesystem a folder is on, and nothing that names a person or a place."""

from __future__ import annotations

import getpass
import os
import platform
from pathlib import Path

import pytest

from harness.bench.machine import filesystem_of, machine_facts

MOUNTS = [("/", "ext4"), ("/tmp", "tmpfs"), ("/tmp/deep", "xfs"), ("/tmpfile", "btrfs")]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/x", "ext4"), ("/tmp", "tmpfs"), ("/tmp/a", "tmpfs"), ("/tmp/deep/a", "xfs"), ("/tmpfile/a", "btrfs")],
)
def test_the_closest_mount_above_says_the_filesystem(path: str, kind: str) -> None:
    assert filesystem_of(path, MOUNTS) == kind


def test_the_later_of_two_mounts_at_one_place_counts() -> None:
    assert filesystem_of("/a", [("/", "rootfs"), ("/", "overlay")]) == "overlay"


def test_without_a_mount_the_filesystem_is_unknown() -> None:
    assert filesystem_of("/a", []) == "unknown"


def test_facts_name_no_host_and_no_path(tmp_path: Path) -> None:
    facts = machine_facts(tmp_path)
    assert set(facts) == {"python", "cores", "load before", "memory", "platform", "filesystem", "git"}
    assert facts["git"][0].isdigit()
    for fact in facts.values():
        assert str(tmp_path) not in fact
        assert not platform.node() or platform.node() not in fact.split()
        assert os.sep not in fact
        assert getpass.getuser() not in fact.split()
