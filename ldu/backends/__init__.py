"""One adapter per model library."""
