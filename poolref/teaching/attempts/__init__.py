"""What is done with a reader's attempt at an exercise; the exercises themselves are in `poolref.teaching.exercises`.

exercise.py   what an exercise is
stubs.py      what the reader starts from: code with gaps, an empty function
worker.py     the process in which an attempt runs
running.py    starting that process, asking it, stopping it
judging.py    right or wrong, on which input, and by which mistaken idea; no display
shrinking.py  making that input small
inputs.py     inputs that exercises share
checking.py   what a notebook calls, and what it shows
"""
