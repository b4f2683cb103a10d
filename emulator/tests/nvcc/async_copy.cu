// cp.async (sm_80): global to shared memory past the registers, in groups, then a block-wide use of the tile.
#include <cuda_pipeline_primitives.h>

extern "C" __global__ void reverse_tiles(const int* in, int* out) {
    __shared__ __align__(16) int tile[512];
    int base = blockIdx.x * 512, i = threadIdx.x;
    __pipeline_memcpy_async(&tile[4 * i], &in[base + 4 * i], 16);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    for (int k = 0; k < 4; k++) {
        out[base + 128 * k + i] = tile[511 - (128 * k + i)];
    }
}
