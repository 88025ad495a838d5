"""`python -m harness.provider`: what `ScriptedProvider` starts."""

import sys

from harness.provider.command import main

sys.exit(main())
