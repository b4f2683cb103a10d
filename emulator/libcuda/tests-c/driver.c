/* A driver API program in C, against NVIDIA's own cuda.h: it knows nothing of the software device. With a GPU's driver
 * in place of the software one it runs too, except for the checks under SOFTWARE.
 *
 *   driver FOLDER     FOLDER holds the PTX of emulator/tests/nvcc
 */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int checks, failures;

void expect(CUresult got, CUresult wanted, const char *what, int line) {
    checks++;
    if (got != wanted) {
        const char *name = "?";
        cuGetErrorName(got, &name);
        printf("line %d: %s is %d (%s), not %d\n", line, what, got, name, wanted);
        failures++;
    }
}

void hold(int condition, const char *what, int line) {
    checks++;
    if (!condition) {
        printf("line %d: not so: %s\n", line, what);
        failures++;
    }
}

static char folder[4096];

CUmodule load(const char *name) {
    char path[5000];
    CUmodule module = NULL;
    snprintf(path, sizeof path, "%s/%s.ptx", folder, name);
    OK(cuModuleLoad(&module, path));
    return module;
}

CUfunction function(CUmodule module, const char *name) {
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

/* A failed assertion has an error of its own. */
static void assertions(void) {
    CUcontext context = NULL;
    CUdeviceptr in = 0, out = 0;
    OK(cuCtxCreate(&context, NULL, 0, 0));
    CUfunction positive = function(load("edges"), "positive");
    OK(cuMemAlloc(&in, 128));
    OK(cuMemAlloc(&out, 128));
    OK(cuMemsetD32(in, 1, 32));
    void *parameters[] = {&in, &out};
    OK(cuLaunchKernel(positive, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    OK(cuCtxSynchronize());
    OK(cuMemsetD32(in + 64, 0, 1));
    OK(cuLaunchKernel(positive, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL));
    IS(CUDA_ERROR_ASSERT, cuCtxSynchronize());
    OK(cuCtxDestroy(context));
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
    assertions();
#ifdef SOFTWARE
    software();
#endif
    /* The faults before were other contexts' own. */
    OK(cuCtxSynchronize());
    OK(cuDevicePrimaryCtxRelease(0));
    printf("driver API from C: %d checks, %d failed\n", checks, failures);
    return failures != 0;
}
