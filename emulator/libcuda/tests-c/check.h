/* What the files of the driver API program share: checks that count, and the corpus of PTX. */
#ifndef CHECK_H
#define CHECK_H

#include <cuda.h>

void expect(CUresult got, CUresult wanted, const char *what, int line);
void hold(int condition, const char *what, int line);

#define OK(call) expect(call, CUDA_SUCCESS, #call, __LINE__)
#define IS(code, call) expect(call, code, #call, __LINE__)
#define SO(condition) hold((condition) != 0, #condition, __LINE__)

/* A module of the corpus, and a function of a module. */
CUmodule load(const char *name);
CUfunction function(CUmodule module, const char *name);

/* code.c: modules, launches, the linker. */
void launches(void);
void globals(void);
void bad_ptx(void);
void linking(void);

/* memory.c */
void memory(void);
void shared_memory(void);

#endif
