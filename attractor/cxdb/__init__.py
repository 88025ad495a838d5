"""CXDB: the run's history in another process's hands. Sees errors, contracts and the run directory only."""

from attractor.cxdb.bundle import registry_bundle
from attractor.cxdb.connection import CxdbConnection, split_address
from attractor.cxdb.copies import Copies, Watch, is_complete
from attractor.cxdb.frames import Head, StoredTurn
from attractor.cxdb.journal import FINAL_WAIT_SECONDS, Journal, NoJournal
from attractor.cxdb.registry import check_base_url, newest_contexts, publish_bundle
from attractor.cxdb.turns import Origin, RunFacts, Turn, described, line_of, origin_of, turns_of

__all__ = [
    "FINAL_WAIT_SECONDS",
    "Copies",
    "CxdbConnection",
    "Head",
    "Journal",
    "NoJournal",
    "Origin",
    "RunFacts",
    "StoredTurn",
    "Turn",
    "Watch",
    "check_base_url",
    "described",
    "is_complete",
    "line_of",
    "newest_contexts",
    "origin_of",
    "publish_bundle",
    "registry_bundle",
    "split_address",
    "turns_of",
]
