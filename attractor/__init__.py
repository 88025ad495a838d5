"""attractor: runs agent pipelines written as DOT graphs, one commit a finished node, resumable after any crash.

Kept free of imports, so that `attractor --version` costs no more than the interpreter's own start.
"""

__version__ = "0.1.0"
