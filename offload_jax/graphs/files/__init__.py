"""File formats of task graphs; `read` is the way in."""
