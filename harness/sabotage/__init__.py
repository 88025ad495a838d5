"""Saboteurs: each puts one historic bug back into the engine, from outside its code.

A guardrail whose cases stay green under its saboteur has no teeth. `SABOTEURS` is the table of them;
the patches themselves live in `site/`, which only ever reaches the engine's processes, by PYTHONPATH.
"""

from harness.sabotage.saboteurs import SABOTEURS, Saboteur, named_saboteur, read_mark, sabotage_environment

__all__ = ["SABOTEURS", "Saboteur", "named_saboteur", "read_mark", "sabotage_environment"]
