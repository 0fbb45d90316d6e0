"""The CUDA column: Triton kernels that poolref.torch runs on CUDA tensors.  A file for each operator, as elsewhere."""
