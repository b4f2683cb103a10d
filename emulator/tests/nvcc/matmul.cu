// C = A * B in tiles of 16 x 16; ragged edges are padded with zeros.
extern "C" __global__ void matmul(const float* a, const float* b, float* c, int rows, int inner, int columns) {
    __shared__ float left[16][16], right[16][16];
    int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    float sum = 0.0f;
    for (int start = 0; start < inner; start += 16) {
        int k = start + threadIdx.x;
        left[threadIdx.y][threadIdx.x] = row < rows && k < inner ? a[row * inner + k] : 0.0f;
        k = start + threadIdx.y;
        right[threadIdx.y][threadIdx.x] = column < columns && k < inner ? b[k * columns + column] : 0.0f;
        __syncthreads();
        for (int i = 0; i < 16; i++) {
            sum = fmaf(left[threadIdx.y][i], right[i][threadIdx.x], sum);
        }
        __syncthreads();
    }
    if (row < rows && column < columns) {
        c[row * columns + column] = sum;
    }
}
