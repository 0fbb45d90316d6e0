"""Calls with mistakes that an editor should mark, each on a line that ends with `# wrong`; all others are right.

tests/test_typing.py lets mypy read this file; nothing runs it.
"""

import torch
from torch import nn

from poolref.torch import AdaptiveSoftPool2d, GeMPool2d, MaxPool2d, RoIAlign, SoftPool2d, create_pool, replace_pooling
from poolref.torch.functional import adaptive_max_pool2d, gem_pool2d, global_soft_pool2d, lp_pool2d, soft_pool2d

x = torch.rand(2, 3, 8, 8)

y: torch.Tensor = SoftPool2d(2, stride=2, padding=1)(x)
SoftPool2d(2, strides=2)  # wrong
SoftPool2d()  # wrong
MaxPool2d(kernel_size="2")  # wrong
MaxPool2d(2, return_indices=False, ceil_mode=True)
GeMPool2d(2, p=3.0, eps=1e-6, learnable=True, channels=4)
GeMPool2d(2, q=3.0)  # wrong
AdaptiveSoftPool2d((2, None))
AdaptiveSoftPool2d(output_sizes=2)  # wrong
RoIAlign(7, sampling_ratio="2")  # wrong

soft_pool2d(x, 2, ceil_mode=True).sum()
soft_pool2d(x, kernel_size=2, dilatation=2)  # wrong
soft_pool2d(x)  # wrong
gem_pool2d(x, 2, p=x.mean(), eps=0.1)
gem_pool2d(x, 2, p="3")  # wrong
lp_pool2d(x, 2.0, kernel_size=(2, 2))
lp_pool2d(x, kernel_size=2)  # wrong
global_soft_pool2d(x, keepdim=False)
global_soft_pool2d(x, keep_dim=False)  # wrong
adaptive_max_pool2d(x, (3, None))
adaptive_max_pool2d(x, "3")  # wrong

create_pool("soft", kernel_size=2)
create_pool(2)  # wrong
replace_pooling(nn.Sequential(nn.MaxPool2d(2)), {nn.MaxPool2d: "soft"})
replace_pooling(nn.Sequential(nn.MaxPool2d(2)), {nn.MaxPool2d: 3})  # wrong
