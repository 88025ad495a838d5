"""Started as `python -I -S main.py PROGRAM PLAN ARGUMENTS...` by the small wrappers in a case's bin directory.
Before a real program is run: `--record PROGRAM PLAN ARGUMENTS...` notes its start, `--settings TARGET SOURCE`
fills in its settings file.

Isolated and without site packages: whatever environment the engine gives its agents, the fake must start,
and it must not carry a saboteur that was meant for the engine.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))

from harness.agents.fakes.session import record_only, run
from harness.agents.fakes.settings import fill_in

if sys.argv[1] == "--record":
    record_only(sys.argv[2], sys.argv[3], sys.argv[4:])
elif sys.argv[1] == "--settings":
    fill_in(sys.argv[2], sys.argv[3])
else:
    sys.exit(run(sys.argv[1], sys.argv[2], sys.argv[3:]))
