"""harness: proves that attractor runs (or another engine's) are reliable, by fault, evidence and verdict.

Never imported by `attractor`, and never imports it: the engine is a subprocess here, and its git
history and CXDB turns are read with the harness's own eyes.
"""
