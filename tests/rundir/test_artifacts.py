"""The artifact store: spec 5.5."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attractor.errors import RunDirectoryError
from attractor.rundir import ArtifactStore, Layout, artifact_id_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(Layout(tmp_path))


def test_what_is_stored_is_found_by_another_process_and_described(store: ArtifactStore, tmp_path: Path) -> None:
    info = store.store("plan-1", "the plan", {"steps": ["a", "b"]})
    assert info.path == tmp_path / "artifacts" / "plan-1.json"
    again = ArtifactStore(Layout(tmp_path))
    assert again.retrieve("plan-1") == {"steps": ["a", "b"]}
    assert again.list() == (info,)
    assert (info.name, info.size_bytes) == ("the plan", len(b'{"steps":["a","b"]}'))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=JSON)
def test_data_comes_back_as_it_was(store: ArtifactStore, data: Any) -> None:
    store.store("x", "x", data)
    assert store.retrieve("x") == data


def test_storing_again_replaces_and_removing_removes(store: ArtifactStore) -> None:
    store.store("b", "one", 1)
    store.store("b", "two", 2)
    store.store("a", "three", 3)
    assert [(info.id, info.name) for info in store.list()] == [("a", "three"), ("b", "two")]
    store.remove("b")
    assert (store.has("a"), store.has("b")) == (True, False)
    with pytest.raises(KeyError):
        store.remove("b")
    with pytest.raises(KeyError):
        store.retrieve("b")
    store.clear()
    assert store.list() == ()


@pytest.mark.parametrize("bad", ["", ".", "..", "../x", "a/b", ".hidden", "a\0b", "a b", "x" * 201, "-x"])
def test_an_id_that_is_no_file_name_is_refused(store: ArtifactStore, bad: str) -> None:
    with pytest.raises(ValueError, match="is no artifact id"):
        store.store(bad, "x", 1)
    assert not store.has(bad)


def test_what_json_cannot_hold_is_refused_and_nothing_is_left(store: ArtifactStore) -> None:
    with pytest.raises(TypeError, match="it must be what JSON can hold"):
        store.store("x", "x", object())
    assert not store.has("x")


def test_a_damaged_artifact_is_told_by_its_path(store: ArtifactStore) -> None:
    path = store.store("x", "x", 1).path
    path.write_text("{")
    with pytest.raises(RunDirectoryError, match=r"artifacts/x\.json cannot be read"):
        store.retrieve("x")


@given(parts=st.lists(st.text(max_size=90), max_size=4))
def test_an_id_can_be_made_of_any_words(parts: list[str]) -> None:
    store = ArtifactStore(Layout(Path("/nowhere")))
    assert store.has(artifact_id_of(*parts)) is False
