"""Everything that reproduces, measures and writes; each module with a `main` is a command."""

import sys

from experiments.reporting import interrupts

# As long as `python -m` imports the packages of the module that it runs.
if sys.argv[0] == "-m":
    interrupts.leave_while_importing()
