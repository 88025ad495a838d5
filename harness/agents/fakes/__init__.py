"""Fake agent programs: named codex, claude and gemini, they print what the real ones print, as a plan says.

Rules: standard library only and few imports, since a case starts many of them; what they print is held
against recordings of the real programs; a command line the real one would not take is refused, so that a
wrong one is noticed; every start is on record. They know no engine, and of a run only their own surroundings.
"""
