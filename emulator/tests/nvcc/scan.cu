// Inclusive prefix sums of one block in dynamic shared memory: Hillis and Steele, two barriers a step.
extern __shared__ unsigned buffer[];

extern "C" __global__ void scan(const unsigned* in, unsigned* out) {
    unsigned i = threadIdx.x, base = blockIdx.x * blockDim.x;
    buffer[i] = in[base + i];
    __syncthreads();
    for (unsigned step = 1; step < blockDim.x; step *= 2) {
        unsigned sum = buffer[i] + (i >= step ? buffer[i - step] : 0u);
        __syncthreads();
        buffer[i] = sum;
        __syncthreads();
    }
    out[base + i] = buffer[i];
}
