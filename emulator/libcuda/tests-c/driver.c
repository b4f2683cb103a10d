/* A driver API program in C, against NVIDIA's own cuda.h: it knows nothing of the software device. With a GPU's driver
 * in place of the software one it runs too, except for the checks under SOFTWARE.
 *
 *   driver FOLDER     FOLDER holds the PTX of emulator/tests/nvcc
 */
#include <cuda.h>
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int checks, failures;

static void expect(CUresult got, CUresult wanted, const char *what, int line) {
    checks++;
    if (got != wanted) {
        const char *name = "?";
        cuGetErrorName(got, &name);
        printf("line %d: %s is %d (%s), not %d\n", line, what, got, name, wanted);
        failures++;
    }
}

static void hold(int condition, const char *what, int line) {
    checks++;
    if (!condition) {
        printf("line %d: not so: %s\n", line, what);
        failures++;
    }
}

#define OK(call) expect(call, CUDA_SUCCESS, #call, __LINE__)
#define IS(code, call) expect(call, code, #call, __LINE__)
#define SO(condition) hold((condition) != 0, #condition, __LINE__)

static char folder[4096];

static CUmodule load(const char *name) {
    char path[5000];
    CUmodule module = NULL;
    snprintf(path, sizeof path, "%s/%s.ptx", folder, name);
    OK(cuModuleLoad(&module, path));
    return module;
}

static CUfunction function(CUmodule module, const char *name) {
    CUfunction found = NULL;
    OK(cuModuleGetFunction(&found, module, name));
    return found;
}

static void devices(void) {
    int count = 0, value = 0, version = 0;
    size_t bytes = 0;
    char name[64];
    CUuuid uuid;
    CUdevice device = -1;
    OK(cuDriverGetVersion(&version));
    SO(version >= 12000);
    OK(cuDeviceGetCount(&count));
    SO(count >= 1);
    OK(cuDeviceGet(&device, 0));
    IS(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, count));
    IS(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&device, -1));
    IS(CUDA_ERROR_INVALID_VALUE, cuDeviceGet(NULL, 0));
    OK(cuDeviceGetName(name, sizeof name, 0));
    SO(strlen(name) > 0);
    OK(cuDeviceGetName(name, 4, 0));
    SO(strlen(name) == 3);
    OK(cuDeviceGetUuid(&uuid, 0));
    OK(cuDeviceTotalMem(&bytes, 0));
    SO(bytes > 0);
    OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    SO(value == 32);
    OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 0));
    SO(value == 1024);
    OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
    SO(value >= 5);
    for (int attribute = 1; attribute <= CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_MAXIMUM_LENGTH; attribute++) {
        OK(cuDeviceGetAttribute(&value, (CUdevice_attribute)attribute, 0));
    }
    IS(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&value, (CUdevice_attribute)0, 0));
    IS(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&value, (CUdevice_attribute)100000, 0));
    const char *text = NULL;
    OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    SO(strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
    IS(CUDA_ERROR_INVALID_VALUE, cuGetErrorString((CUresult)12345, &text));
    SO(text == NULL);
}

static void contexts(void) {
    CUcontext first = NULL, second = NULL, current = NULL;
    CUdevice device = -1;
    unsigned version = 0;
    size_t limit = 0;
    int least = 1, greatest = 1, active = -1;
    unsigned flags = 0;
    OK(cuCtxGetCurrent(&current));
    SO(current == NULL);
    IS(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevice(&device));
    IS(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
    IS(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&current));
    OK(cuCtxCreate(&first, NULL, CU_CTX_SCHED_BLOCKING_SYNC, 0));
    OK(cuCtxCreate(&second, NULL, 0, 0));
    OK(cuCtxGetCurrent(&current));
    SO(current == second && first != second);
    OK(cuCtxPopCurrent(&current));
    SO(current == second);
    OK(cuCtxGetDevice(&device));
    SO(device == 0);
    OK(cuCtxGetFlags(&flags));
    SO((flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_BLOCKING_SYNC);
    OK(cuCtxGetApiVersion(first, &version));
    SO(version >= 3020);
    OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    OK(cuCtxGetLimit(&limit, CU_LIMIT_STACK_SIZE));
    SO(limit >= 4096);
    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    SO(least == 0 && greatest <= 0);
    OK(cuCtxPushCurrent(second));
    OK(cuCtxDestroy(second));
    OK(cuCtxGetCurrent(&current));
    SO(current == first);
    OK(cuCtxDestroy(first));
    /* Primary contexts: one for everyone, counted. */
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    SO(active == 0);
    OK(cuDevicePrimaryCtxRetain(&first, 0));
    OK(cuDevicePrimaryCtxRetain(&second, 0));
    SO(first == second);
    OK(cuDevicePrimaryCtxRelease(0));
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    SO(active == 1);
    OK(cuDevicePrimaryCtxRelease(0));
    IS(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(0));
}

static void launches(void) {
    enum { N = 1000 };
    static float x[N], y[N], back[N];
    CUmodule module = load("saxpy");
    CUfunction saxpy = function(module, "saxpy"), none = NULL;
    CUdeviceptr dx = 0, dy = 0;
    float a = 2.0f;
    int n = N, value = 0;
    IS(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&none, module, "nothing"));
    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        y[i] = 0.5f * (float)i;
    }
    OK(cuMemAlloc(&dx, sizeof x));
    OK(cuMemAlloc(&dy, sizeof y));
    OK(cuMemcpyHtoD(dx, x, sizeof x));
    OK(cuMemcpyHtoD(dy, y, sizeof y));
    void *parameters[] = {&a, &dx, &dy, &n};
    OK(cuLaunchKernel(saxpy, 4, 1, 1, 64, 1, 1, 0, NULL, parameters, NULL));
    OK(cuCtxSynchronize());
    OK(cuMemcpyDtoH(back, dy, sizeof back));
    int wrong = 0;
    for (int i = 0; i < N; i++) {
        wrong += back[i] != fmaf(a, x[i], y[i]);
    }
    SO(wrong == 0);
    /* The same as one packed buffer: a float, padding, two addresses, an int. */
    struct {
        float a;
        CUdeviceptr x, y;
        int n;
    } packed = {a, dx, dy, n};
    size_t packed_bytes = 28;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &packed_bytes,
                     CU_LAUNCH_PARAM_END};
    OK(cuMemcpyHtoD(dy, y, sizeof y));
    OK(cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 0, CU_STREAM_LEGACY, NULL, extra));
    memset(back, 0, sizeof back);
    OK(cuMemcpyDtoH(back, dy, sizeof back));
    SO(back[N - 1] == fmaf(a, x[N - 1], y[N - 1]));
    IS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, extra));
    packed_bytes = 8;
    IS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, extra));
    /* Through a configuration, and cooperatively. */
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value.cooperative = 1};
    CUlaunchConfig config = {.gridDimX = 2, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 32, .blockDimY = 1,
                             .blockDimZ = 1, .attrs = &attribute, .numAttrs = 1};
    OK(cuLaunchKernelEx(&config, saxpy, parameters, NULL));
    OK(cuLaunchCooperativeKernel(saxpy, 2, 1, 1, 32, 1, 1, 0, NULL, parameters));
    IS(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
       cuLaunchCooperativeKernel(saxpy, 1 << 20, 1, 1, 1024, 1, 1, 0, NULL, parameters));
    /* Shapes that no device takes. */
    IS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(saxpy, 0, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    IS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(saxpy, 1, 1, 1, 2048, 1, 1, 0, NULL, parameters, NULL));
    IS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(saxpy, 1, 70000, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    IS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 1 << 20, NULL, parameters, NULL));
    OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, saxpy));
    SO(value >= 32 && value <= 1024);
    OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_PTX_VERSION, saxpy));
    SO(value == 75);
    OK(cuFuncSetAttribute(saxpy, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 60 << 10));
    OK(cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 60 << 10, NULL, parameters, NULL));
    OK(cuFuncSetCacheConfig(saxpy, CU_FUNC_CACHE_PREFER_L1));
    int blocks = 0, size = 0;
    size_t shared = 0;
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, saxpy, 256, 0));
    SO(blocks >= 1 && blocks <= 32);
    OK(cuOccupancyMaxPotentialBlockSize(&blocks, &size, saxpy, NULL, 0, 0));
    SO(blocks >= 1 && size % 32 == 0 && size <= 1024);
    OK(cuOccupancyAvailableDynamicSMemPerBlock(&shared, saxpy, 1, 128));
    SO(shared > 0);
    OK(cuMemFree(dx));
    OK(cuMemFree(dy));
    OK(cuModuleUnload(module));
    IS(CUDA_ERROR_INVALID_VALUE, cuMemFree(dx));
}

static void globals(void) {
    CUmodule module = load("wide");
    CUdeviceptr address = 0;
    size_t bytes = 0;
    uint64_t multipliers[4] = {0};
    OK(cuModuleGetGlobal(&address, &bytes, module, "multipliers"));
    SO(bytes == 32);
    OK(cuMemcpyDtoH(multipliers, address, sizeof multipliers));
    SO(multipliers[0] == 0x9e3779b97f4a7c15ull && multipliers[3] == 0xd6e8feb86659fd93ull);
    OK(cuModuleGetGlobal(NULL, &bytes, module, "multipliers"));
    IS(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&address, &bytes, module, "nothing"));
    OK(cuModuleUnload(module));
}

static void memory(void) {
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
static void shared_memory(void) {
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

static int order[4], calls;

static void CUDA_CB note(void *argument) {
    usleep(20000);
    order[calls++] = (int)(intptr_t)argument;
}

static void CUDA_CB note_status(CUstream stream, CUresult status, void *argument) {
    (void)stream;
    order[calls++] = (int)(intptr_t)argument + (int)status;
}

static void CUDA_CB calls_the_api(void *argument) {
    CUdeviceptr address;
    *(CUresult *)argument = cuMemAlloc(&address, 16);
}

static void streams(void) {
    CUstream stream = NULL, other = NULL;
    CUevent start = NULL, end = NULL, untimed = NULL;
    CUmodule module = load("branches");
    CUfunction collatz = function(module, "collatz");
    enum { N = 4096 };
    static unsigned numbers[N];
    CUdeviceptr in = 0, out = 0;
    int n = N, priority = 0;
    float milliseconds = -1;
    unsigned flags = 9;
    OK(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, -1));
    OK(cuStreamCreate(&other, CU_STREAM_DEFAULT));
    OK(cuStreamGetPriority(stream, &priority));
    SO(priority == -1);
    OK(cuStreamGetFlags(stream, &flags));
    SO(flags == CU_STREAM_NON_BLOCKING);
    OK(cuEventCreate(&start, CU_EVENT_DEFAULT));
    OK(cuEventCreate(&end, CU_EVENT_BLOCKING_SYNC));
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    IS(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, start, end));
    for (int i = 0; i < N; i++) {
        numbers[i] = (unsigned)i + 1;
    }
    OK(cuMemAllocAsync(&in, sizeof numbers, stream));
    OK(cuMemAllocAsync(&out, sizeof numbers, stream));
    OK(cuMemcpyHtoDAsync(in, numbers, sizeof numbers, stream));
    void *parameters[] = {&in, &out, &n};
    OK(cuEventRecord(start, stream));
    OK(cuLaunchKernel(collatz, N / 128, 1, 1, 128, 1, 1, 0, stream, parameters, NULL));
    OK(cuEventRecord(end, stream));
    OK(cuMemcpyDtoHAsync(numbers, out, sizeof numbers, stream));
    OK(cuStreamWaitEvent(other, end, 0));
    OK(cuStreamSynchronize(other));
    OK(cuEventSynchronize(end));
    OK(cuEventQuery(end));
    OK(cuEventElapsedTime(&milliseconds, start, end));
    SO(milliseconds > 0.0f);
    OK(cuEventRecord(untimed, stream));
    IS(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, start, untimed));
    OK(cuStreamSynchronize(stream));
    SO(numbers[0] == 0 && numbers[26] == 111); /* 27 needs 111 steps */
    OK(cuMemFreeAsync(in, stream));
    OK(cuMemFreeAsync(out, stream));
    /* Host functions run in order, apart from the caller, before what follows them. */
    OK(cuLaunchHostFunc(stream, note, (void *)1));
    OK(cuStreamAddCallback(stream, note_status, (void *)2, 0));
    OK(cuLaunchHostFunc(stream, note, (void *)3));
    IS(CUDA_ERROR_NOT_READY, cuStreamQuery(stream));
    OK(cuStreamSynchronize(stream));
    OK(cuStreamQuery(stream));
    SO(calls == 3 && order[0] == 1 && order[1] == 2 && order[2] == 3);
    CUresult inside = CUDA_SUCCESS;
    OK(cuLaunchHostFunc(stream, calls_the_api, &inside));
    OK(cuCtxSynchronize());
    SO(inside == CUDA_ERROR_NOT_PERMITTED);
    OK(cuEventDestroy(start));
    OK(cuEventDestroy(end));
    OK(cuEventDestroy(untimed));
    OK(cuStreamDestroy(stream));
    OK(cuStreamDestroy(other));
    OK(cuModuleUnload(module));
}

static void bad_ptx(void) {
    const char *broken = ".version 7.0\n.target sm_75\n.address_size 64\n"
                         ".visible .entry k()\n{\n  frobnicate.u32 %r1, %r2;\n  ret;\n}\n";
    char errors[512] = "", info[64] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_INFO_LOG_BUFFER,
                              CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_WALL_TIME};
    void *values[] = {errors, (void *)sizeof errors, info, (void *)sizeof info, NULL};
    CUmodule module = NULL;
    IS(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, broken, 5, options, values));
    SO(strlen(errors) > 0 && (size_t)(unsigned)(uintptr_t)values[1] >= strlen(errors));
    SO(strstr(errors, "6") != NULL); /* the line */
    IS(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&module, "int main() {}"));
    IS(CUDA_ERROR_INVALID_PTX, cuModuleLoadData(&module, ""));
    IS(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&module, NULL));
    IS(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/nonexistent.ptx"));
    IS(CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
       cuModuleLoadData(&module, ".version 99.0\n.target sm_75\n.address_size 64\n.visible .entry k() { ret; }"));
    IS(CUDA_ERROR_INVALID_PTX,
       cuModuleLoadData(&module, ".version 8.7\n.target sm_199\n.address_size 64\n.visible .entry k() { ret; }"));
    OK(cuModuleLoadData(&module, ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry k() { ret; }"));
    OK(cuModuleUnload(module));
}

static void linking(void) {
    const char *caller = ".version 7.0\n.target sm_75\n.address_size 64\n"
                         ".extern .func (.param .b32 r) twice(.param .b32 x);\n"
                         ".visible .entry k(.param .u64 p)\n{\n"
                         "  .reg .b32 %r<3>;\n  .reg .b64 %d<3>;\n"
                         "  ld.param.u64 %d1, [p];\n  cvta.to.global.u64 %d2, %d1;\n  ld.global.u32 %r1, [%d2];\n"
                         "  {\n  .param .b32 a;\n  st.param.b32 [a], %r1;\n  .param .b32 b;\n"
                         "  call.uni (b), twice, (a);\n  ld.param.b32 %r2, [b];\n  }\n"
                         "  st.global.u32 [%d2], %r2;\n  ret;\n}\n";
    const char *callee = ".version 7.0\n.target sm_75\n.address_size 64\n"
                         ".visible .func (.param .b32 r) twice(.param .b32 x)\n{\n"
                         "  .reg .b32 %r<3>;\n  ld.param.b32 %r1, [x];\n  add.u32 %r2, %r1, %r1;\n"
                         "  st.param.b32 [r], %r2;\n  ret;\n}\n";
    CUlinkState state = NULL;
    CUmodule module = NULL;
    CUdeviceptr value = 0;
    void *image = NULL;
    size_t bytes = 0;
    unsigned result = 0;
    OK(cuLinkCreate(0, NULL, NULL, &state));
    OK(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)caller, strlen(caller), "caller", 0, NULL, NULL));
    OK(cuLinkAddData(state, CU_JIT_INPUT_PTX, (void *)callee, strlen(callee) + 1, "callee", 0, NULL, NULL));
    OK(cuLinkComplete(state, &image, &bytes));
    SO(image != NULL && bytes > 0);
    OK(cuModuleLoadData(&module, image));
    OK(cuLinkDestroy(state));
    OK(cuMemAlloc(&value, 4));
    OK(cuMemsetD32(value, 21, 1));
    void *parameters[] = {&value};
    OK(cuLaunchKernel(function(module, "k"), 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
    OK(cuMemcpyDtoH(&result, value, 4));
    SO(result == 42);
    OK(cuMemFree(value));
    OK(cuModuleUnload(module));
}

/* A fault ends its context, and only that. */
static void faults(void) {
    struct {
        uint64_t offset;
        CUresult error;
    } cases[] = {{1 << 20, CUDA_ERROR_ILLEGAL_ADDRESS}, {2, CUDA_ERROR_MISALIGNED_ADDRESS}};
    for (int i = 0; i < 2; i++) {
        CUcontext context = NULL;
        CUdeviceptr x = 0, y = 0, more = 0;
        CUstream stream = NULL;
        float a = 1.0f;
        int n = 32;
        OK(cuCtxCreate(&context, NULL, 0, 0));
        CUmodule module = load("saxpy");
        CUfunction saxpy = function(module, "saxpy");
        OK(cuStreamCreate(&stream, 0));
        OK(cuMemAlloc(&x, 256));
        OK(cuMemAlloc(&y, 256));
        OK(cuMemsetD32(x, 0, 64));
        OK(cuMemsetD32(y, 0, 64));
        y += cases[i].offset;
        void *parameters[] = {&a, &x, &y, &n};
        OK(cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL));
        IS(cases[i].error, cuStreamSynchronize(stream));
        IS(cases[i].error, cuCtxSynchronize());
        IS(cases[i].error, cuMemAlloc(&more, 16));
        IS(cases[i].error, cuMemcpyDtoH(&n, x, 4));
        IS(cases[i].error, cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL));
        OK(cuCtxDestroy(context));
        IS(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent(context));
    }
}

#ifdef SOFTWARE
/* What a real driver need not answer: stale and invented handles, calls that are not there, this library's own. */
static void software(void) {
    CUmodule module = load("saxpy");
    CUfunction stale = function(module, "saxpy");
    CUevent event = NULL;
    CUstream stream = NULL;
    void *none[1] = {NULL};
    OK(cuModuleUnload(module));
    IS(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(stale, 1, 1, 1, 1, 1, 1, 0, NULL, none, NULL));
    IS(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
    IS(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize((CUstream)(uintptr_t)0xdeadbeef));
    OK(cuEventCreate(&event, 0));
    IS(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy((CUstream)event));
    OK(cuEventDestroy(event));
    IS(CUDA_ERROR_INVALID_HANDLE, cuEventDestroy(event));
    IS(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(NULL, 0));
    IS(CUDA_ERROR_INVALID_VALUE, cuStreamCreate(&stream, 64));
    IS(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(NULL, 16));
    CUgraph graph = NULL;
    IS(CUDA_ERROR_NOT_SUPPORTED, cuGraphCreate(&graph, 0));
    CUtexObject texture = 0;
    IS(CUDA_ERROR_NOT_SUPPORTED, cuTexObjectCreate(&texture, NULL, NULL, NULL));
    CUdeviceptr address = 0;
    IS(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&address, (size_t)1 << 50));
    /* A freed buffer is found in the kernel that still uses it, with the whole story. */
    CUcontext context = NULL;
    OK(cuCtxCreate(&context, NULL, 0, 0));
    module = load("saxpy");
    CUfunction saxpy = function(module, "saxpy");
    CUdeviceptr x = 0, y = 0;
    float a = 1.0f;
    int n = 8;
    OK(cuMemAlloc(&x, 64));
    OK(cuMemAlloc(&y, 64));
    OK(cuMemsetD32(y, 0, 16));
    OK(cuMemFree(x));
    void *parameters[] = {&a, &x, &y, &n};
    OK(cuLaunchKernel(saxpy, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    IS(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    CUresult (*diagnosis)(char *, size_t, size_t *) =
        (CUresult(*)(char *, size_t, size_t *))dlsym(RTLD_DEFAULT, "paransLastDiagnosis");
    char text[512] = "";
    size_t length = 0;
    SO(diagnosis != NULL);
    OK(diagnosis(text, sizeof text, &length));
    SO(strstr(text, "use after free") != NULL && strstr(text, "saxpy") != NULL && length == strlen(text));
    OK(cuCtxDestroy(context));
}
#endif

static void *worker(void *argument) {
    CUcontext context = argument;
    CUdeviceptr x = 0, y = 0;
    float a = 1.0f, last = 0;
    int n = 512;
    OK(cuCtxSetCurrent(context));
    CUmodule module = load("saxpy");
    CUfunction saxpy = function(module, "saxpy");
    for (int round = 0; round < 10; round++) {
        OK(cuMemAlloc(&x, 2048));
        OK(cuMemAlloc(&y, 2048));
        OK(cuMemsetD32(x, 0x3f800000, 512)); /* 1.0 */
        OK(cuMemsetD32(y, 0, 512));
        void *parameters[] = {&a, &x, &y, &n};
        OK(cuLaunchKernel(saxpy, 2, 1, 1, 64, 1, 1, 0, CU_STREAM_PER_THREAD, parameters, NULL));
        OK(cuMemcpyDtoH(&last, y + 511 * 4, 4));
        SO(last == 1.0f);
        OK(cuMemFree(x));
        OK(cuMemFree(y));
    }
    OK(cuModuleUnload(module));
    return NULL;
}

static void threads(CUcontext context) {
    pthread_t all[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&all[i], NULL, worker, context);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(all[i], NULL);
    }
}

static void addresses(void) {
    CUresult (*alloc)(CUdeviceptr *, size_t) = NULL;
    CUdriverProcAddressQueryResult found;
    CUdeviceptr address = 0;
    OK(cuGetProcAddress("cuMemAlloc", (void **)&alloc, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &found));
    SO(alloc != NULL && found == CU_GET_PROC_ADDRESS_SUCCESS);
    OK(alloc(&address, 16));
    OK(cuMemFree(address));
    void *none = &address;
    cuGetProcAddress("cuNoSuchCall", &none, 12000, CU_GET_PROC_ADDRESS_DEFAULT, &found);
    SO(none == NULL && found == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

int main(int count, char **arguments) {
    CUcontext context = NULL;
    snprintf(folder, sizeof folder, "%s", count > 1 ? arguments[1] : ".");
    int devices_before = 0;
    IS(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&devices_before));
    IS(CUDA_ERROR_INVALID_VALUE, cuInit(1));
    OK(cuInit(0));
    devices();
    contexts();
    OK(cuDevicePrimaryCtxRetain(&context, 0));
    OK(cuCtxSetCurrent(context));
    launches();
    globals();
    memory();
    shared_memory();
    streams();
    bad_ptx();
    linking();
    addresses();
    threads(context);
    faults();
#ifdef SOFTWARE
    software();
#endif
    /* The faults before were other contexts' own. */
    OK(cuCtxSynchronize());
    OK(cuDevicePrimaryCtxRelease(0));
    printf("driver.c: %d checks, %d failed\n", checks, failures);
    return failures != 0;
}
