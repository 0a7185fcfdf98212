"""Chains of subtasks: problem, costs, exact solvers, policies."""
