//! A software CUDA device that executes PTX on the CPU.
