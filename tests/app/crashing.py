"""A run (or resume) that SIGKILLs itself at its n-th durable step. Arguments: run|resume, repo, n (0: never).

Prints each step it announces, so that the caller can count them.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from attractor.app import plan_run, resume_run, start_run
from attractor.processes import StopRequest
from tests.app.runs import request


def main() -> None:
    command, repo, nth = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    seen = 0
    one_at_a_time = threading.Lock()

    def observe(step: str) -> None:
        nonlocal seen
        with one_at_a_time:  # branches have threads of their own
            seen += 1
            sys.stdout.write(f"{step}\n")
            sys.stdout.flush()
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    if command == "run":
        plan = plan_run(request(repo, (repo.parent / "body.dot").read_text()))
        start_run(plan, environment=os.environ, stop=StopRequest(), observe=observe)
    else:
        resume_run(repo.parent / "logs", environment=os.environ, stop=StopRequest(), observe=observe)


main()
