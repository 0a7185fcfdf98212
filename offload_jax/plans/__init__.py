"""From what is to run and a network to a plan."""

from offload_jax.plans.make import plan
from offload_jax.plans.plan import Flip, Plan, Segment, Sent, Total

__all__ = ["Flip", "Plan", "Segment", "Sent", "Total", "plan"]
