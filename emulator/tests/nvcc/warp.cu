// Votes, matches and masks of diverged warps: stream compaction by ballot, equal keys by match.
extern "C" __global__ void compact(const int* in, int n, int* out, int* count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int keep = i < n && in[i] > 0;
    unsigned mask = __ballot_sync(0xffffffffu, keep);
    int lane = threadIdx.x % 32, base = 0;
    if (lane == 0) {
        base = atomicAdd(count, __popc(mask));
    }
    base = __shfl_sync(0xffffffffu, base, 0);
    if (keep) {
        out[base + __popc(mask & ((1u << lane) - 1))] = in[i];
    }
}

extern "C" __global__ void peers(const int* keys, unsigned* masks, int* flags) {
    int i = threadIdx.x, key = keys[i];
    masks[2 * i] = __match_any_sync(0xffffffffu, key);
    int all;
    masks[2 * i + 1] = __match_all_sync(0xffffffffu, key, &all);
    flags[3 * i] = all;
    flags[3 * i + 1] = __any_sync(0xffffffffu, key == 3) + 2 * __all_sync(0xffffffffu, key < 8);
    unsigned active = 0;
    if (key % 2 == 1) {
        active = __ballot_sync(__activemask(), key > 4);
    }
    __syncwarp();
    flags[3 * i + 2] = (int)active;
}
