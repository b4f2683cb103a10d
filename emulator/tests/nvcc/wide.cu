// 64-bit arithmetic as an entropy coder uses it: high products, 128-bit sums with carries, shifts, division.
__constant__ unsigned long long multipliers[4] = {
    0x9e3779b97f4a7c15ull, 0xbf58476d1ce4e5b9ull, 0x94d049bb133111ebull, 0xd6e8feb86659fd93ull};

extern "C" __global__ void mix(const unsigned long long* in, unsigned long long* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    unsigned long long x = in[i];
    x ^= __umul64hi(x, multipliers[i & 3]);
    x = (x << (i & 63)) | (x >> ((64 - i) & 63));
    x += (unsigned long long)((long long)x >> 7);
    out[4 * i] = x;
    out[4 * i + 1] = x / (in[i] | 1);
    out[4 * i + 2] = x % (in[i] | 1);
    unsigned __int128 sum = (unsigned __int128)x * multipliers[1] + in[i];
    out[4 * i + 3] = (unsigned long long)(sum >> 64) + (unsigned long long)sum;
}

// Signed and saturating 32-bit corners.
extern "C" __global__ void corners(const int* a, const int* b, int* out) {
    int i = threadIdx.x, x = a[i], y = b[i];
    out[8 * i] = __mulhi(x, y);
    out[8 * i + 1] = __mul24(x, y);
    out[8 * i + 2] = (int)__sad(x, y, 5u);
    out[8 * i + 3] = (int)__funnelshift_l(x, y, 9);
    out[8 * i + 4] = __rhadd(x, y);
    out[8 * i + 5] = x < y ? x : y;
    out[8 * i + 6] = abs(x);
    out[8 * i + 7] = __dp4a(x, y, 3);
}
