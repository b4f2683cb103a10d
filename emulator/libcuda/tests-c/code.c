/* Modules and what is launched from them: parameters in every form, refused code, variables, the linker. */
#include "check.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

void launches(void) {
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

void globals(void) {
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

void bad_ptx(void) {
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

void linking(void) {
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
