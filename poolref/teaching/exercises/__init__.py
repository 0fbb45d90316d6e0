"""The exercises of the course, one file a chapter. What is done with attempts is in `poolref.teaching.attempts`."""

import pkgutil
from importlib import import_module

EXERCISES = {
    exercise.name: exercise
    for module in pkgutil.iter_modules(__path__)
    for exercise in import_module(f"{__name__}.{module.name}").EXERCISES
}
