// A failed assertion, structs with padding in local memory, halves near a tie, directed rounding, 128-bit differences.
#include <cassert>
#include <cuda_fp16.h>

struct Padded {
    char a;
    int b;
    short c;
};

extern "C" __global__ void positive(const int* in, int* out) {
    int i = threadIdx.x;
    assert(in[i] > 0);
    out[i] = 2 * in[i];
}

extern "C" __global__ void pick(const int* which, Padded* out) {
    Padded all[4], copy[4];
    int i = threadIdx.x;
    for (int k = 0; k < 4; k++) {
        all[k].a = k;
        all[k].b = 10 * k;
        all[k].c = -k;
    }
    for (int k = 0; k < 4; k++) {
        copy[(k + which[i]) & 3] = all[k];
    }
    out[i] = copy[(3 * which[i]) & 3];
}

extern "C" __global__ void halves(const __half* a, const __half* b, const __half* c, __half* out) {
    int i = threadIdx.x;
    out[i] = __hfma(a[i], b[i], c[i]);
}

extern "C" __global__ void directed(const double* a, const double* b, const double* c, double* out) {
    int i = threadIdx.x;
    out[4 * i] = __fma_rn(a[i], b[i], c[i]);
    out[4 * i + 1] = __fma_rz(a[i], b[i], c[i]);
    out[4 * i + 2] = __fma_rd(a[i], b[i], c[i]);
    out[4 * i + 3] = __fma_ru(a[i], b[i], c[i]);
}

extern "C" __global__ void differences(const unsigned __int128* a, const unsigned __int128* b, unsigned __int128* out) {
    int i = threadIdx.x;
    out[i] = a[i] - 3 * b[i];
}
