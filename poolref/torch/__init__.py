"""The torch column: every operator as a module and as a function, on any device, with autograd.

Modules are named as torch.nn names its own: `SoftPool2d`, `AdaptiveSoftPool2d`, `GlobalSoftPool2d`; 1d and 3d too.
The functions are in :mod:`poolref.torch.functional`.
"""

from poolref.torch import functional as functional
from poolref.torch.attention import *
from poolref.torch.average import *
from poolref.torch.blur import *
from poolref.torch.center import *
from poolref.torch.corner import *
from poolref.torch.create import *
from poolref.torch.gem import *
from poolref.torch.hopfield import *
from poolref.torch.lp import *
from poolref.torch.lse import *
from poolref.torch.max import *
from poolref.torch.median import *
from poolref.torch.min import *
from poolref.torch.mixed import *
from poolref.torch.pyramid import *
from poolref.torch.roi import *
from poolref.torch.soft import *
from poolref.torch.stochastic import *
from poolref.torch.strip import *
from poolref.torch.subsample import *
from poolref.torch.unpool import *

# Of what the files name as public, functions are listed in `functional`; here stand modules and what makes them.
__all__ = sorted(
    name
    for name, value in vars().items()
    if getattr(value, "__module__", "").startswith("poolref.torch.")
    and (isinstance(value, type) or value.__module__ == "poolref.torch.create")
)
__all__ += ["functional"]
