"""The measured claims: each table in docs/benchmarks.md is printed by one command here."""
