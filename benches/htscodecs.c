/* htscodecs' order-0 rANS (4x16, 32 states, its own choice of instructions) on whole files, as `parans bench --bytes FILE --json` times ours.
   scripts/bench-order0 builds and runs both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <htscodecs/rANS_static4x16.h>

/* Order 0, 32 interleaved states. */
enum { ORDER = 4 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) { perror(argv[i]); return 1; }
        fseek(file, 0, SEEK_END);
        unsigned len = (unsigned)ftell(file);
        rewind(file);
        unsigned bound = rans_compress_bound_4x16(len, ORDER), size = 0;
        unsigned char *bytes = malloc(len), *coded = malloc(bound), *back = malloc(len);
        if (!bytes || !coded || !back || fread(bytes, 1, len, file) != len) { perror(argv[i]); return 1; }
        fclose(file);
        double best[2] = {1e9, 1e9};
        for (int turn = 0; turn < atoi(argv[1]); turn++) {
            unsigned out = len;
            double start = seconds();
            size = bound;
            rans_compress_to_4x16(bytes, len, coded, &size, ORDER);
            double middle = seconds();
            rans_uncompress_to_4x16(coded, size, back, &out);
            double end = seconds();
            if (out != len || memcmp(bytes, back, len)) { fprintf(stderr, "%s: came back different\n", argv[i]); return 1; }
            if (middle - start < best[0]) best[0] = middle - start;
            if (end - middle < best[1]) best[1] = end - middle;
            memset(back, 0, len);
        }
        printf("{\"peer\":\"htscodecs\",\"file\":\"%s\",\"enc_mb_s\":%.1f,\"dec_mb_s\":%.1f,\"compressed\":%u}\n", argv[i], len / best[0] / 1e6,
               len / best[1] / 1e6, size);
        free(bytes); free(coded); free(back);
    }
    return 0;
}
