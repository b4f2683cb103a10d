// Sums with warp shuffles: a tree inside each warp, shared memory between the warps, one atomic a block.
// `reduce_max` is the same over unsigned maxima with the butterfly form.
__device__ int warp_sum(int value) {
    for (int step = 16; step > 0; step /= 2) {
        value += __shfl_down_sync(0xffffffffu, value, step);
    }
    return value;
}

extern "C" __global__ void reduce_sum(const int* values, int n, int* total) {
    __shared__ int of_warp[32];
    int sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        sum += values[i];
    }
    sum = warp_sum(sum);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) {
        of_warp[warp] = sum;
    }
    __syncthreads();
    if (warp == 0) {
        sum = warp_sum(lane < blockDim.x / 32 ? of_warp[lane] : 0);
        if (lane == 0) {
            atomicAdd(total, sum);
        }
    }
}

extern "C" __global__ void reduce_max(const unsigned* values, unsigned* largest) {
    unsigned value = values[blockIdx.x * blockDim.x + threadIdx.x];
    for (int step = 16; step > 0; step /= 2) {
        unsigned other = __shfl_xor_sync(0xffffffffu, value, step);
        value = other > value ? other : value;
    }
    if (threadIdx.x % 32 == 0) {
        atomicMax(largest, value);
    }
}
