"""Trainings of the course's small network over seeds: `python -m benchmarks.networks`; ../README.md says how."""
