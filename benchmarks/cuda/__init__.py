"""The CUDA kernels, measured on the GPU of this machine: `python -m benchmarks.cuda`."""
