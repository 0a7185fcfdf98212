"""`python -m offload_jax` is `offload-jax`."""

import sys

from offload_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
