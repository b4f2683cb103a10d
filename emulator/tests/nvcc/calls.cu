// Device functions that are really called: recursion, a function pointer's indirect call, a struct by value.
struct Pair {
    unsigned quotient;
    unsigned remainder;
};

__device__ __noinline__ unsigned fibonacci(unsigned n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__device__ __noinline__ Pair divide(unsigned a, unsigned b) {
    Pair pair = {a / b, a % b};
    return pair;
}

extern "C" __global__ void recurse(const unsigned* n, unsigned* out) {
    out[threadIdx.x] = fibonacci(n[threadIdx.x]);
}

extern "C" __global__ void pairs(Pair scale, const unsigned* in, Pair* out) {
    Pair pair = divide(in[threadIdx.x], threadIdx.x + 1);
    pair.quotient *= scale.quotient;
    pair.remainder += scale.remainder;
    out[threadIdx.x] = pair;
}
