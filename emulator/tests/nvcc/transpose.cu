// Transposes through padded shared tiles; blocks are 32 x 8, so indexes have two dimensions.
extern "C" __global__ void transpose(const float* in, float* out, int width, int height) {
    __shared__ float tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x;
    for (int row = threadIdx.y; row < 32; row += blockDim.y) {
        int y = blockIdx.y * 32 + row;
        if (x < width && y < height) {
            tile[row][threadIdx.x] = in[y * width + x];
        }
    }
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x;
    for (int row = threadIdx.y; row < 32; row += blockDim.y) {
        int y = blockIdx.x * 32 + row;
        if (x < height && y < width) {
            out[y * height + x] = tile[threadIdx.x][row];
        }
    }
}
