"""Speed and memory of each step beside its limit and beside what people do today: ``python -m benchmarks``."""
