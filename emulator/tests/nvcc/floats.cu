// Conversions between half, float, double and integers, with roundings; division and square root in f32 and f64.
#include <cuda_fp16.h>

extern "C" __global__ void convert(const float* in, unsigned short* half_bits, double* doubles, int* rounded, float* back) {
    int i = threadIdx.x;
    float x = in[i];
    half_bits[i] = __half_as_ushort(__float2half_rn(x));
    doubles[i] = (double)x * 3.0 + 0.5;
    rounded[4 * i] = __float2int_rn(x);
    rounded[4 * i + 1] = __float2int_rz(x);
    rounded[4 * i + 2] = __float2int_ru(x);
    rounded[4 * i + 3] = __float2int_rd(x);
    back[i] = __half2float(__ushort_as_half(half_bits[i]));
}

extern "C" __global__ void roots(const double* in, double* out, float* single_out) {
    int i = threadIdx.x;
    out[2 * i] = sqrt(in[i]);
    out[2 * i + 1] = 1.0 / in[i];
    single_out[2 * i] = __fsqrt_rn((float)in[i]);
    single_out[2 * i + 1] = __fdiv_rn(1.0f, (float)in[i]);
}
