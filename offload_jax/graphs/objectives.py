"""What can be minimised for graphs besides what `offload_jax.objectives` has."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SerialLatency:
    """Seconds of all tasks and transfers, one after the other, releases left out.

    No schedule of the same places takes longer, apart from releases, in whatever order: each start
    waits for an end.
    """


SERIAL_LATENCY = SerialLatency()
