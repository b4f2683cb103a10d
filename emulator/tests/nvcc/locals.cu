// Arrays in local memory with run-time indexes, 16-byte vectors, and a three-dimensional block.
extern "C" __global__ void sort_rows(const int4* in, int4* out) {
    int row = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    int v[8];
    for (int k = 0; k < 2; k++) {
        int4 four = in[2 * row + k];
        v[4 * k] = four.x;
        v[4 * k + 1] = four.y;
        v[4 * k + 2] = four.z;
        v[4 * k + 3] = four.w;
    }
#pragma unroll 1
    for (int i = 1; i < 8; i++) {
        int x = v[i], j = i;
#pragma unroll 1
        while (j > 0 && v[j - 1] > x) {
            v[j] = v[j - 1];
            j--;
        }
        v[j] = x;
    }
    for (int k = 0; k < 2; k++) {
        out[2 * row + k] = make_int4(v[4 * k], v[4 * k + 1], v[4 * k + 2], v[4 * k + 3]);
    }
}
