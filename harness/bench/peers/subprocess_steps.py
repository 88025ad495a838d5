"""The floor: STEPS times `sh -c true` in a bare loop, nothing recorded. Prints how long it took.

Run by the benchmark as `python subprocess_steps.py STEPS FOLDER`; knows nothing of the project.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> None:
    steps = int(sys.argv[1])
    began = time.perf_counter()
    for _ in range(steps):
        subprocess.run(["sh", "-c", "true"], check=True)
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - began, "steps": steps}) + "\n")


if __name__ == "__main__":
    main()
