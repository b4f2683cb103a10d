// A dense switch, which nvcc 13 makes a tree of compares (older ones made `brx.idx`).
extern "C" __global__ void dispatch(const unsigned* op, const unsigned* x, unsigned* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    unsigned v = x[i], r;
    switch (op[i]) {
        case 0: r = v + 17u; break;
        case 1: r = v * 2654435761u; break;
        case 2: r = v ^ (v >> 15); break;
        case 3: r = __popc(v) * 1000u; break;
        case 4: r = __clz(v) + 100u; break;
        case 5: r = __brev(v); break;
        case 6: r = __ffs(v) * 7u; break;
        case 7: r = v / 10u; break;
        case 8: r = v % 1000u; break;
        case 9: r = __byte_perm(v, ~v, 0x7531); break;
        default: r = 0xdeadbeefu; break;
    }
    out[i] = r;
}

// A small stack machine, each lane with its own program: the lanes diverge at every step.
extern "C" __global__ void interpret(const unsigned char* code, int length, const unsigned* input, unsigned* out) {
    unsigned stack[8] = {0}, top = 0;
    const unsigned char* program = code + threadIdx.x * length;
    unsigned accumulator = input[threadIdx.x];
    for (int at = 0; at < length; at++) {
        switch (program[at]) {
            case 0: out[threadIdx.x] = accumulator; return;
            case 1: stack[top++ & 7] = accumulator; break;
            case 2: accumulator += stack[--top & 7]; break;
            case 3: accumulator *= 2654435761u; break;
            case 4: accumulator ^= accumulator >> 15; break;
            case 5: accumulator = __popc(accumulator) * 1000u; break;
            case 6: accumulator = __clz(accumulator) + 100u; break;
            case 7: accumulator = __brev(accumulator); break;
            case 8: accumulator = __ffs(accumulator) * 7u; break;
            case 9: accumulator /= 10u; break;
            case 10: accumulator %= 1000u; break;
            case 11: accumulator = __byte_perm(accumulator, ~accumulator, 0x7531); break;
            case 12: at += accumulator & 1u; break;
            case 13: accumulator = __funnelshift_r(accumulator, stack[(top - 1) & 7], 11); break;
        }
    }
    out[threadIdx.x] = ~accumulator;
}

// The indirect branch itself, from inline assembly.
extern "C" __global__ void jump(const unsigned* in, unsigned* out) {
    unsigned index = in[threadIdx.x] & 3u, result;
    asm volatile(
        "{\n"
        "targets: .branchtargets first, second, third, second;\n"
        "brx.idx %1, targets;\n"
        "first: mov.u32 %0, 11;\n bra.uni done;\n"
        "second: add.u32 %0, %1, 22;\n bra.uni done;\n"
        "third: mul.lo.u32 %0, %1, 33;\n"
        "done:\n"
        "}"
        : "=r"(result)
        : "r"(index));
    out[threadIdx.x] = result + __popc(__ballot_sync(0xffffffffu, result > 20u));
}

// Steps of the Collatz sequence: every lane leaves its loop at another time.
extern "C" __global__ void collatz(const unsigned* start, unsigned* steps, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    unsigned long long v = start[i];
    unsigned count = 0;
    while (v != 1) {
        v = v % 2 == 0 ? v / 2 : 3 * v + 1;
        count++;
    }
    steps[i] = count;
}
