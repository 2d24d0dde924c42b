"""Building blocks of the compiled CPU kernels: numba options, numerics, SIMD instructions, threads and array views."""
