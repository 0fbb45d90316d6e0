"""poolref: reference implementations of pooling operators, and the course that explains them.

A pooling operator is a choice of *regions* and a *reducer*.  :mod:`poolref.regions` says which cells belong together,
:mod:`poolref.definition` states what every operator means, and the columns :mod:`poolref.numpy` and
:mod:`poolref.torch` compute it, one short file for each operator.
"""

__version__ = "0.1.0"
