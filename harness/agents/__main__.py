"""`python -m harness.agents`: what `make agents` runs."""

import sys

from harness.agents.install import main

sys.exit(main())
