"""Worked examples from the literature, with the answers printed there (tasks numbered from 0)."""

from tests import oracle


def _graph(seconds: str, edges: str) -> oracle.Graph:
    """Rows of seconds split by slashes; edges as "1-2: 18, ...", numbered from 1."""
    listed = {}
    for edge in edges.split(","):
        ends, num_bytes = edge.split(":")
        u, v = ends.split("-")
        listed[int(u) - 1, int(v) - 1] = float(num_bytes)
    return oracle.table([row.split() for row in seconds.split("/")], listed)


# Topcuoglu, Hariri, Wu 2002, figures 2 to 5.
TOPCUOGLU = _graph(
    "14 16 9 / 13 19 18 / 11 13 19 / 13 8 17 / 12 13 10"
    " / 13 16 9 / 7 15 11 / 5 11 14 / 18 12 20 / 21 7 16",
    "1-2: 18, 1-3: 12, 1-4: 9, 1-5: 11, 1-6: 14, 2-8: 19, 2-9: 16, 3-7: 23, 4-8: 27, 4-9: 23,"
    "5-9: 13, 6-8: 15, 7-10: 17, 8-10: 11, 9-10: 13",
)
TOPCUOGLU_UPWARD = (108, 77, 80, 80, 69, 63.333, 42.667, 35.667, 44.333, 14.667)

# Arabnejad, Barbosa 2014, figure 1 and table 1.
ARABNEJAD = _graph(
    "22 21 36 / 22 18 18 / 32 27 43 / 7 10 4 / 29 27 35"
    " / 26 17 24 / 14 25 30 / 29 23 36 / 15 21 8 / 13 16 33",
    "1-2: 17, 1-3: 31, 1-4: 29, 1-5: 13, 1-6: 7, 2-8: 3, 2-9: 30, 3-7: 16, 4-8: 11, 4-9: 7,"
    "5-9: 57, 6-8: 5, 7-10: 9, 8-10: 42, 9-10: 7",
)
ARABNEJAD_TABLE = (
    (64, 68, 86), (42, 39, 42), (27, 41, 43), (42, 39, 50), (28, 37, 28),
    (42, 39, 44), (13, 16, 22), (13, 16, 33), (13, 16, 20), (0, 0, 0),
)  # fmt: skip

# Only with a gap before another task, and one that fits exactly, is it 8; else it is 10.
INSERTION = _graph("1 9 / 6 3 / 1 8 / 2 3", "1-4: 9, 2-3: 4, 2-4: 2")

MAKESPANS = (
    (TOPCUOGLU, "heft", 80), (TOPCUOGLU, "cpop", 86), (TOPCUOGLU, "peft", 85),
    (ARABNEJAD, "heft", 133), (ARABNEJAD, "peft", 122),
    (INSERTION, "heft", 8),
)  # fmt: skip
