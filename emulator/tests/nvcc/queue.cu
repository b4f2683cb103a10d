// Atomics of every kind on global memory, a compare-and-swap loop, and a fence between a flag and its data.
__device__ unsigned ticket;

extern "C" __global__ void tally(const unsigned* in, unsigned* slots, unsigned long long* wide, float* sum, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    unsigned v = in[i];
    atomicAdd(&slots[0], v);
    atomicMin(&slots[1], v);
    atomicMax((int*)&slots[2], (int)v);
    atomicAnd(&slots[3], v | 0xff00u);
    atomicOr(&slots[4], v & 0x0ff0u);
    atomicXor(&slots[5], v);
    atomicInc(&slots[6], 9u);
    atomicAdd(wide, (unsigned long long)v << 20);
    atomicAdd(sum, (float)(v & 15u));
    unsigned old = slots[7], seen;
    do { // the largest odd value, by compare and swap
        seen = old;
        old = atomicCAS(&slots[7], seen, (v & 1u) && v > seen ? v : seen);
    } while (old != seen);
    __threadfence();
    if (atomicAdd(&ticket, 1u) == (unsigned)n - 1) {
        slots[8] = 1; // the last thread closes the tally
    }
}
