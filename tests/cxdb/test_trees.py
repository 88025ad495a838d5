"""The bytes of CXDB's trees, and git's trees as they are read for them."""

from pathlib import Path

import msgspec
import pytest

from attractor.contracts import EntryKind
from attractor.cxdb.fs_trees import encode_entry, encode_tree
from attractor.errors import WorkspaceError
from attractor.workspace import GitTrees
from tests.cxdb.committed import commit, git

ROOT = bytes.fromhex(
    "9385a131a5612e747874a132cc00a133ce000001a4a134cf0000000000000006a135c4208e4c7c1b99dbfd50e7a95185fead5ee1448fa904"
    "a2fdd778eaf5f2dbfd629a9985a131a362696ea132cc01a133ce000001eda134cf0000000000000000a135c4201f073e7b71389062c06147"
    "814eba14ce1f253f180c67c469824192d5b38db69a85a131a3737562a132cc01a133ce000001eda134cf0000000000000000a135c4203243"
    "fc3820805e3f03a9a5e7d3ca6f4be2c61c15e0f7e58752f484e088e58b07"
)


def test_a_folder_is_the_bytes_that_cxdb_s_own_client_makes_of_it() -> None:
    def hashed(text: str) -> bytes:
        return bytes.fromhex(text)

    entries = [
        encode_entry(
            "a.txt",
            EntryKind.FILE,
            0o644,
            6,
            hashed("8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99"),
        ),
        encode_entry(
            "bin",
            EntryKind.FOLDER,
            0o755,
            0,
            hashed("1f073e7b71389062c06147814eba14ce1f253f180c67c469824192d5b38db69a"),
        ),
        encode_entry(
            "sub",
            EntryKind.FOLDER,
            0o755,
            0,
            hashed("3243fc3820805e3f03a9a5e7d3ca6f4be2c61c15e0f7e58752f484e088e58b07"),
        ),
    ]
    assert encode_tree(entries) == ROOT


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65535, 65536])
def test_a_folder_of_any_size_can_be_read_back(count: int) -> None:
    entry = encode_entry("n" * 40, EntryKind.LINK, 0o777, 3, bytes(32))
    read = msgspec.msgpack.decode(encode_tree([entry] * count))
    assert read == [{"1": "n" * 40, "2": 2, "3": 0o777, "4": 3, "5": bytes(32)}] * count


def test_entries_are_in_the_order_of_their_names_and_keep_kind_and_mode(files: Path) -> None:
    other = files.parent / "other"
    other.mkdir()
    git(other, "init", "-q")
    commit(other)
    git(files, "submodule", "--quiet", "add", str(other), "module")
    source = GitTrees(files)
    entries = source.entries(source.tree_of(commit(files)))
    assert [(entry.name, entry.kind, oct(entry.mode)) for entry in entries] == [
        (".gitmodules", EntryKind.FILE, "0o644"),
        ("a", EntryKind.FOLDER, "0o755"),
        ("a.b", EntryKind.FILE, "0o644"),
        ("empty", EntryKind.FILE, "0o644"),
        ("link", EntryKind.LINK, "0o777"),
        ("module", EntryKind.FOLDER, "0o755"),
        ("run", EntryKind.FILE, "0o755"),
        ("ünï code", EntryKind.FILE, "0o644"),
    ]
    by_name = {entry.name: entry.object_id for entry in entries}
    assert by_name["module"] == ""
    assert source.content(by_name["link"]) == b"nowhere/at all"
    assert source.size(by_name["ünï code"]) == 256


@pytest.mark.parametrize("wanted", ["tree_of", "entries", "content", "size"])
def test_an_object_that_is_not_there_is_named(files: Path, wanted: str) -> None:
    with pytest.raises(WorkspaceError, match="object " + "ab" * 20):
        getattr(GitTrees(files), wanted)("ab" * 20)
