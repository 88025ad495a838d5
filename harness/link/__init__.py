"""A link to CXDB that can be made slow, cut, deaf or closed: a TCP proxy between the engine and its server.

`spec.py` says what a link is like, `frame_ends.py` and `pacing.py` decide (pure), `relay.py` moves bytes, `proxy.py` is
the thread around it and what the harness holds in its hand. Neither the engine nor the server knows that it is there.

Here is only what costs nothing to import: scenarios are read without asyncio.
"""

from harness.link.spec import Cut, LinkCounts, LinkSpec, Unit, Way

__all__ = ["Cut", "LinkCounts", "LinkSpec", "Unit", "Way"]
