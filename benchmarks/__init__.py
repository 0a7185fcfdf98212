"""What takes how long, and against what; each module with a `main` is a command."""

import experiments  # noqa: F401  (Ctrl-C during the imports)
