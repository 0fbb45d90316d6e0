"""The functions of the torch column, gathered: `soft_pool(input, regions)` for any kind of `poolref.regions`, and
`soft_pool2d`, `adaptive_soft_pool2d`, `global_soft_pool2d` with the arguments of torch.nn.functional; 1d and 3d too.
"""

from poolref.torch.attention import *
from poolref.torch.average import *
from poolref.torch.blur import *
from poolref.torch.center import *
from poolref.torch.corner import *
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

# Of what the files name as public, the modules are listed in `poolref.torch`; here stand the functions.
__all__ = sorted(
    name
    for name, value in vars().items()
    if getattr(value, "__module__", "").startswith("poolref.torch.") and not isinstance(value, type)
)
