/* Memory: fills and copies of every shape, arrays, and memory that host and device both reach. */
#include "check.h"
#include <stdint.h>
#include <stdlib.h>

void memory(void) {
    enum { W = 10, H = 6 };
    CUdeviceptr a = 0, b = 0, base = 0;
    size_t pitch = 0, available = 0, total = 0, bytes = 0;
    uint16_t shorts[64];
    uint32_t grid[H][W], back[H][W];
    OK(cuMemGetInfo(&available, &total));
    SO(available <= total);
    IS(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&a, 0));
    OK(cuMemAlloc(&a, 128));
    OK(cuMemAlloc(&b, 128));
    OK(cuMemsetD16(a, 0xabcd, 64));
    OK(cuMemsetD8(a + 2, 0x11, 2));
    OK(cuMemsetD32(a + 8, 0x01020304, 2));
    OK(cuMemcpyDtoD(b, a, 128));
    OK(cuMemcpyDtoH(shorts, b, sizeof shorts));
    SO(shorts[0] == 0xabcd && shorts[1] == 0x1111 && shorts[4] == 0x0304 && shorts[7] == 0x0102 && shorts[8] == 0xabcd);
    IS(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(a + 2, 0, 1));
    IS(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(shorts, a + 4, 128));
    IS(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(a, NULL, 4));
    OK(cuMemcpy((CUdeviceptr)(uintptr_t)shorts, a, 128));
    SO(shorts[0] == 0xabcd);
    OK(cuMemGetAddressRange(&base, &bytes, a + 77));
    SO(base == a && bytes == 128);
    unsigned kind = 0;
    OK(cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a));
    SO(kind == CU_MEMORYTYPE_DEVICE);
    IS(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)grid));
    OK(cuMemFree(a));
    OK(cuMemFree(b));
    /* Rectangles, and through an array. */
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            grid[y][x] = (uint32_t)(100 * y + x);
        }
    }
    OK(cuMemAllocPitch(&a, &pitch, W * 4, H, 4));
    SO(pitch >= W * 4);
    CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = grid, .srcPitch = W * 4,
                          .dstMemoryType = CU_MEMORYTYPE_DEVICE, .dstDevice = a, .dstPitch = pitch,
                          .WidthInBytes = W * 4, .Height = H};
    OK(cuMemcpy2D(&copy));
    OK(cuMemsetD2D32(a + 4 * 2, pitch, 7, 3, 2));
    CUarray array = NULL;
    CUDA_ARRAY_DESCRIPTOR shape = {.Width = W, .Height = H, .Format = CU_AD_FORMAT_UNSIGNED_INT32, .NumChannels = 1};
    CUDA_ARRAY_DESCRIPTOR same;
    OK(cuArrayCreate(&array, &shape));
    OK(cuArrayGetDescriptor(&same, array));
    SO(same.Width == W && same.Height == H && same.NumChannels == 1);
    CUDA_MEMCPY2D into = {.srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = a, .srcPitch = pitch,
                          .dstMemoryType = CU_MEMORYTYPE_ARRAY, .dstArray = array, .WidthInBytes = W * 4, .Height = H};
    OK(cuMemcpy2D(&into));
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_ARRAY, .srcArray = array, .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = back, .dstPitch = W * 4, .WidthInBytes = W * 4, .Height = H};
    OK(cuMemcpy2D(&out));
    SO(back[0][1] == 1 && back[0][2] == 7 && back[1][4] == 7 && back[1][5] == 105 && back[2][2] == 202);
    OK(cuArrayDestroy(array));
    OK(cuMemFree(a));
}

/* Memory that both sides reach: managed, pinned, registered. */
void shared_memory(void) {
    enum { N = 256 };
    CUmodule module = load("saxpy");
    CUfunction saxpy = function(module, "saxpy");
    CUdeviceptr managed = 0, mapped = 0, registered_at = 0;
    float *pinned = NULL, *own = malloc(N * sizeof(float)), a = 3.0f;
    int n = N;
    unsigned flags = 0;
    OK(cuMemAllocManaged(&managed, N * sizeof(float), CU_MEM_ATTACH_GLOBAL));
    OK(cuMemHostAlloc((void **)&pinned, N * sizeof(float), CU_MEMHOSTALLOC_DEVICEMAP));
    OK(cuMemHostGetDevicePointer(&mapped, pinned, 0));
    OK(cuMemHostGetFlags(&flags, pinned));
    SO(flags & CU_MEMHOSTALLOC_DEVICEMAP);
    float *m = (float *)(uintptr_t)managed;
    for (int i = 0; i < N; i++) {
        m[i] = (float)i;
        pinned[i] = 1.0f;
        own[i] = -1.0f;
    }
    void *first[] = {&a, &managed, &mapped, &n};
    OK(cuLaunchKernel(saxpy, 2, 1, 1, 128, 1, 1, 0, NULL, first, NULL));
    OK(cuCtxSynchronize());
    SO(pinned[0] == 1.0f && pinned[N - 1] == 3.0f * (N - 1) + 1.0f);
    OK(cuMemHostRegister(own, N * sizeof(float), CU_MEMHOSTREGISTER_DEVICEMAP));
    IS(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(own, 4, 0));
    OK(cuMemHostGetDevicePointer(&registered_at, own, 0));
    void *second[] = {&a, &mapped, &registered_at, &n};
    OK(cuLaunchKernel(saxpy, 2, 1, 1, 128, 1, 1, 0, NULL, second, NULL));
    OK(cuCtxSynchronize());
    SO(own[0] == 2.0f && own[N - 1] == 3.0f * pinned[N - 1] - 1.0f);
    OK(cuMemHostUnregister(own));
    IS(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(own));
    /* Host code reads and writes managed memory between launches, and copies see the same bytes. */
    m[5] = 55.0f;
    float five = 0;
    OK(cuMemcpyDtoH(&five, managed + 5 * sizeof(float), sizeof five));
    SO(five == 55.0f);
    OK(cuMemsetD32(managed, 0, N));
    SO(m[5] == 0.0f);
    unsigned is_managed = 0;
    OK(cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, managed));
    SO((is_managed & 0xff) == 1);
    OK(cuMemFree(managed));
    OK(cuMemFreeHost(pinned));
    IS(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(own));
    free(own);
    OK(cuModuleUnload(module));
}
