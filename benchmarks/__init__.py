"""How fast poolref is, measured beside its peers.  `python -m benchmarks` runs it; README.md says how it is done."""
