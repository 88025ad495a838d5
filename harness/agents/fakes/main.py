"""Started as `python -I -S main.py PROGRAM PLAN ARGUMENTS...` by the small wrappers in a case's bin directory.
With `--record` before PROGRAM it only notes the start, for a real program that is run next.

Isolated and without site packages: whatever environment the engine gives its agents, the fake must start,
and it must not carry a saboteur that was meant for the engine.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))

from harness.agents.fakes.session import record_only, run

if sys.argv[1] == "--record":
    record_only(sys.argv[2], sys.argv[3], sys.argv[4:])
else:
    sys.exit(run(sys.argv[1], sys.argv[2], sys.argv[3:]))
