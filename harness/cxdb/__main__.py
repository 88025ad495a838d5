"""`python -m harness.cxdb`: the server without the command line's other dependencies."""

import sys

from harness.cxdb.command import main

sys.exit(main())
