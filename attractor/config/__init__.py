"""The run configuration file: strict, with the place of everything that is wrong."""

from attractor.config.document import Value, parse_document, read_document
from attractor.config.run_config import (
    DEFAULT_BINARY_ADDR,
    DEFAULT_HTTP_BASE_URL,
    Autostart,
    RunConfig,
    load_run_config,
    run_config_of,
)
from attractor.config.secrets import REMOVED, without_secrets

__all__ = [
    "DEFAULT_BINARY_ADDR",
    "DEFAULT_HTTP_BASE_URL",
    "REMOVED",
    "Autostart",
    "RunConfig",
    "Value",
    "load_run_config",
    "parse_document",
    "read_document",
    "run_config_of",
    "without_secrets",
]
