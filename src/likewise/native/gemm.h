/* A small matrix product for blocks that are already in cache: C += A B, single precision.
 *
 * A is a block whose rows lie LEAD floats apart, read along its rows or down its columns; B is packed into panels of
 * COLS columns, one row after the other; C is row-major. A tile of ROWS x COLS of C is held in registers.
 * (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.)
 */
#ifndef LIKEWISE_GEMM_H
#define LIKEWISE_GEMM_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 12
#elif defined(__AVX__)
#define LANES 8
#define ROWS 6
#else
#define LANES 4
#define ROWS 6
#endif
#define COLS (2 * LANES)

/* The longest sum taken in one go: a panel of B then stays in the first-level cache. */
#define DEPTH 256
/* Distance of A's rows; an odd number of cache lines, so that rows do not compete for the same ones. */
#define LEAD 272

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline int64_t ceil_to(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/* One tile; `across` says that A's rows are the tile's rows (else its columns are). Constant at every call. */
static inline __attribute__((always_inline)) void tile(int64_t depth, const float *a, int across, const float *b,
                                                       float *c, int64_t c_lead, int fresh) {
    const int64_t row = across ? LEAD : 1, step = across ? 1 : LEAD;
    vec sum[ROWS][2];
    memset(sum, 0, sizeof sum);
    for (int64_t k = 0; k < depth; k++, a += step, b += COLS) {
        const vec left = *(const vec *)b, right = *(const vec *)(b + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            sum[r][0] += left * a[r * row];
            sum[r][1] += right * a[r * row];
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
        vec *out = (vec *)(c + r * c_lead), *next = (vec *)(c + r * c_lead + LANES);
        if (!fresh) sum[r][0] += *out, sum[r][1] += *next;
        *out = sum[r][0], *next = sum[r][1];
    }
}

/* C (rows x cols) += A (rows x depth) B; rows and cols in whole tiles, depth <= DEPTH; `fresh`: C = A B. */
static inline void multiply(int64_t rows, int64_t cols, int64_t depth, const float *a, const float *panels, float *c,
                            int64_t c_lead, int fresh) {
    for (int64_t j = 0; j < cols; j += COLS)
        for (int64_t i = 0; i < rows; i += ROWS)
            tile(depth, a + i * LEAD, 1, panels + j * depth, c + i * c_lead + j, c_lead, fresh);
}

/* C (rows x cols) += A^T B with A (depth x rows). */
static inline void multiply_turned(int64_t rows, int64_t cols, int64_t depth, const float *a, const float *panels,
                                   float *c, int64_t c_lead) {
    for (int64_t j = 0; j < cols; j += COLS)
        for (int64_t i = 0; i < rows; i += ROWS)
            tile(depth, a + i, 0, panels + j * depth, c + i * c_lead + j, c_lead, 0);
}

#endif
