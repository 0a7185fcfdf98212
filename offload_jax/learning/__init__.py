"""Networks and their training; knows no family of problems.

A family gives plain functions of arrays: what a network sees, what a loss is, what an action earns.
It gets back parameters, a pytree, and wraps them in a policy of its own.
"""
