"""What the saboteurs of CXDB's turns change: see `saboteur_patches`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from patching import Patch, replacing  # type: ignore[import-not-found]  # lies beside this file

ANSWER_SECONDS = 60.0  # for one who does not mind waiting


def never_without_an_answer(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]  # a class known only at run time
        def flush(self) -> None:
            super().flush()
            if self._connection is not None:
                self._connection.barrier(ANSWER_SECONDS)

    return Sabotaged


def _sent_again(real: Any) -> Callable[..., Any]:
    """What was not answered was not stored, for one who does not ask."""

    class Sabotaged(real):  # type: ignore[misc]
        def _find_out(self, connection: Any, deadline: float) -> Any:
            connection, stored = super()._find_out(connection, deadline)
            return connection, stored and self._stored

    return Sabotaged


def _from_here_on(real: Any) -> Callable[..., Any]:
    """A new context gets what is still to come."""

    class Sabotaged(real):  # type: ignore[misc]
        def _begin(self, connection: Any, deadline: float, *, fresh: bool = False) -> None:
            own = self.__dict__
            before = own["_stored"]
            super()._begin(connection, deadline, fresh=fresh)
            own["_stored"] = own["_queued"] = max(before, own["_stored"])

    return Sabotaged


def _always_in_haste(module: ModuleType) -> None:
    vars(module)["RECONNECT_SHARE"] = 0.0
    replacing("read_events", lambda real: real)(module)


def _all_or_nothing(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def await_answer(self, timeout_seconds: float = ANSWER_SECONDS) -> None:
            self.barrier(timeout_seconds)

    return Sabotaged


def _required_is_a_wish(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _missing_history(self, _ending: Any, _losses: Any) -> None:
            return None

    return Sabotaged


def _one_commit_behind(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        before = ""

        def tree_of(self, commit_sha: str) -> Any:
            shown, self.before = self.before or commit_sha, commit_sha
            return super().tree_of(shown)

    return Sabotaged


def _new_turns_only(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def watch(self, run_id: str, context_id: str, place: Any, turns: int = 0) -> Any:
            watch = super().watch(run_id, context_id, place, turns)
            events = place.with_name("progress.ndjson")
            # Each event makes a turn or more: those of an earlier life are passed over.
            watch.turns = len(events.read_bytes().splitlines()) if events.exists() else 0
            return watch

    return Sabotaged


def _not_waited_for(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def settle(self, *_args: Any, **_more: Any) -> str:
            self._upload.abort()
            return ""

    return Sabotaged


CXDB_PATCHES: dict[str, dict[str, Patch]] = {
    "waits-for-replies": {"attractor.app.peers": replacing("Journal", never_without_an_answer)},
    "sent-again-blindly": {"attractor.app.peers": replacing("Journal", _sent_again)},
    "history-left-behind": {"attractor.app.peers": replacing("Journal", _from_here_on)},
    "files-one-commit-behind": {"attractor.app.peers": replacing("GitTrees", _one_commit_behind)},
    "files-of-dead-lives-forgotten": {"attractor.app.peers": replacing("Copies", _new_turns_only)},
    "files-not-waited-for": {"attractor.app.peers": replacing("Copies", _not_waited_for)},
    "artifacts-left-behind": {"attractor.cxdb.copies": replacing("blob_of", lambda _real: lambda _fields: None)},
    "required-is-a-wish": {"attractor.app.start": replacing("Life", _required_is_a_wish)},
    "always-in-haste": {"attractor.cxdb.journal": _always_in_haste},
    "given-up-while-answering": {"attractor.app.peers": replacing("CxdbConnection", _all_or_nothing)},
}
