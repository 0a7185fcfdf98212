"""The run-time checker of annotations, named by the import hook in `conftest.py`."""

import beartype

# As for static checkers, an int is good where a float is asked for.
check = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
