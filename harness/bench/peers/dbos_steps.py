"""DBOS on SQLite: STEPS durable steps in one workflow, each `sh -c true`. Prints how long they took.

Run by the benchmark as `python dbos_steps.py STEPS FOLDER`; knows nothing of the project. No telemetry, no
conductor: nothing leaves the machine.
"""

# mypy: ignore-errors
# The peers are an extra and seldom installed where this project is checked.

from __future__ import annotations

import json
import subprocess
import sys
import time

from dbos import DBOS


@DBOS.step()
def step(number: int) -> int:
    subprocess.run(["sh", "-c", "true"], check=True)
    return number


@DBOS.workflow()
def chain(steps: int) -> int:
    for number in range(steps):
        step(number)
    return steps


def main() -> None:
    steps, folder = int(sys.argv[1]), sys.argv[2]
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
            "enable_otlp": False,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    began = time.perf_counter()
    done = chain(steps)
    seconds = time.perf_counter() - began
    recorded = len(DBOS.list_workflow_steps(DBOS.list_workflows()[0].workflow_id))
    DBOS.destroy()
    assert done == recorded == steps, (done, recorded, steps)
    sys.stdout.write(json.dumps({"seconds": seconds, "steps": recorded}) + "\n")


if __name__ == "__main__":
    main()
