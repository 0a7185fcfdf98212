"""Task graphs."""
