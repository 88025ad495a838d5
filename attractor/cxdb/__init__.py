"""CXDB: the run's history in another process's hands. Sees errors, contracts and the run directory only."""

from attractor.cxdb.bundle import registry_bundle
from attractor.cxdb.connection import CxdbConnection, split_address
from attractor.cxdb.journal import FINAL_WAIT_SECONDS, Journal, NoJournal
from attractor.cxdb.registry import check_base_url, publish_bundle
from attractor.cxdb.turns import RunFacts, Turn, turns_of

__all__ = [
    "FINAL_WAIT_SECONDS",
    "CxdbConnection",
    "Journal",
    "NoJournal",
    "RunFacts",
    "Turn",
    "check_base_url",
    "publish_bundle",
    "registry_bundle",
    "split_address",
    "turns_of",
]
