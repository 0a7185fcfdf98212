"""Pictures of schedules, placements, decisions and trade-offs; the extra `plot` brings matplotlib.

    axes = oj.plot.gantt(schedule, problem)
    axes.figure.savefig("gantt.png")

Every function draws on the `Axes` it is given, or on a new figure, and returns them. A place has
the same colour in all of them, and colours can be told apart by colour-blind readers.
"""

from offload_jax.plot.decision_map import decision_map
from offload_jax.plot.front import front
from offload_jax.plot.gantt import gantt
from offload_jax.plot.placement import placement
from offload_jax.plot.quality import quality_against_time

__all__ = ["decision_map", "front", "gantt", "placement", "quality_against_time"]
