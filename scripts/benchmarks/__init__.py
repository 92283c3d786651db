"""What `scripts/bench_scoring.py` measures, a module a theme."""
