"""The NumPy column: a forward and a hand-derived backward for every operator, as pure functions of arrays.

`x` is `(..., *spatial)`: however many leading axes there are, each map is pooled by itself.
"""

from poolref.numpy.attention import attention_pool, attention_pool_backward
from poolref.numpy.average import avg_pool, avg_pool_backward, sum_pool, sum_pool_backward
from poolref.numpy.blur import blur_pool, blur_pool_backward, max_blur_pool, max_blur_pool_backward
from poolref.numpy.center import center_pool, center_pool_backward
from poolref.numpy.corner import corner_pool, corner_pool_backward
from poolref.numpy.gem import gem_pool, gem_pool_backward
from poolref.numpy.hopfield import hopfield_pool, hopfield_pool_backward, hopfield_retrieve, hopfield_retrieve_backward
from poolref.numpy.lp import lp_pool, lp_pool_backward
from poolref.numpy.lse import lse_pool, lse_pool_backward
from poolref.numpy.max import max_pool, max_pool_backward
from poolref.numpy.median import median_pool, median_pool_backward
from poolref.numpy.min import min_pool, min_pool_backward
from poolref.numpy.mixed import gated_pool, gated_pool_backward, mixed_pool, mixed_pool_backward
from poolref.numpy.roi import roi_align, roi_align_backward, roi_pool, roi_pool_backward
from poolref.numpy.soft import soft_pool, soft_pool_backward
from poolref.numpy.stochastic import expected_pool, expected_pool_backward, stochastic_pool, stochastic_pool_backward
from poolref.numpy.strip import strip_pool, strip_pool_backward
from poolref.numpy.subsample import subsample, subsample_backward
from poolref.numpy.unpool import max_unpool, max_unpool_backward

__all__ = [
    "attention_pool",
    "attention_pool_backward",
    "avg_pool",
    "avg_pool_backward",
    "blur_pool",
    "blur_pool_backward",
    "center_pool",
    "center_pool_backward",
    "corner_pool",
    "corner_pool_backward",
    "expected_pool",
    "expected_pool_backward",
    "gated_pool",
    "gated_pool_backward",
    "gem_pool",
    "gem_pool_backward",
    "hopfield_pool",
    "hopfield_pool_backward",
    "hopfield_retrieve",
    "hopfield_retrieve_backward",
    "lp_pool",
    "lp_pool_backward",
    "lse_pool",
    "lse_pool_backward",
    "max_blur_pool",
    "max_blur_pool_backward",
    "max_pool",
    "max_pool_backward",
    "max_unpool",
    "max_unpool_backward",
    "median_pool",
    "median_pool_backward",
    "min_pool",
    "min_pool_backward",
    "mixed_pool",
    "mixed_pool_backward",
    "roi_align",
    "roi_align_backward",
    "roi_pool",
    "roi_pool_backward",
    "soft_pool",
    "soft_pool_backward",
    "stochastic_pool",
    "stochastic_pool_backward",
    "strip_pool",
    "strip_pool_backward",
    "subsample",
    "subsample_backward",
    "sum_pool",
    "sum_pool_backward",
]
