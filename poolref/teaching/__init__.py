"""What the notebooks of the course use: live figures, quizzes, exercise checks, and pictures.

Nothing here needs torch, and nothing here loads matplotlib, anywidget or scikit-learn before it is used.  What is
missing then is named, with the command that installs it.
"""

from poolref.teaching import data, live, network
from poolref.teaching.attempts.checking import check, solves
from poolref.teaching.drawing import (
    Gradient,
    Heat,
    Map,
    Photograph,
    Signal,
    Volume,
    chart,
    draw,
    draw_pool,
    show,
    show_source,
)
from poolref.teaching.live import explorer, try_this
from poolref.teaching.quiz import quiz
from poolref.teaching.results import results
from poolref.teaching.tokens import colours

__all__ = [
    "Gradient",
    "Heat",
    "Map",
    "Photograph",
    "Signal",
    "Volume",
    "chart",
    "check",
    "colours",
    "data",
    "draw",
    "draw_pool",
    "explorer",
    "live",
    "network",
    "quiz",
    "results",
    "show",
    "show_source",
    "solves",
    "try_this",
]
