/* Deformable convolution: how the work is cut up, shared by what packs and what computes. */
#ifndef LIKEWISE_DEFORM_CONV_H
#define LIKEWISE_DEFORM_CONV_H

#include "gemm.h"
#include "native.h"

/* Places handled together: a multiple of every ROWS; BLOCK * DEPTH floats stay in the second-level cache. */
#define BLOCK 96

typedef struct {
    int64_t channels_last;                            /* the result's layout, else planes */
    int64_t batch, channels, height, width;           /* of the input */
    int64_t out_channels, kernel_rows, kernel_cols;   /* of the weight */
    int64_t stride[2], padding[2], dilation[2];       /* rows, columns */
    int64_t groups, offset_groups;
    int64_t out_height, out_width;
} Geometry;

/* Stretches of weights: `positions` kernel positions of all channels of a group, or part of one position's. */
typedef struct {
    int64_t positions, channels; /* in one block */
    int64_t count;               /* blocks in a group */
    int64_t longest;             /* weights in one block */
} Split;

typedef struct {
    int64_t first, last;       /* kernel positions [first, last) */
    int64_t from, to;          /* channels of the group [from, to) */
    int64_t start, depth;      /* where the block starts among the group's weights, and its length */
} KBlock;

static inline int64_t out_pixels(const Geometry *g) { return g->out_height * g->out_width; }
static inline int64_t positions(const Geometry *g) { return g->kernel_rows * g->kernel_cols; }
static inline int64_t group_channels(const Geometry *g) { return g->channels / g->groups; }
static inline int64_t group_out(const Geometry *g) { return g->out_channels / g->groups; }
static inline int64_t padded_out(const Geometry *g) { return ceil_to(group_out(g), COLS); }
static inline int64_t blocks(const Geometry *g) { return (out_pixels(g) + BLOCK - 1) / BLOCK; }
static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static inline Split split(const Geometry *g) {
    const int64_t all = positions(g), channels = group_channels(g);
    Split s;
    if (channels <= DEPTH) {
        const int64_t fit = smaller(DEPTH / channels, all), blocks = (all + fit - 1) / fit;
        s.positions = (all + blocks - 1) / blocks, s.channels = channels;
        s.count = (all + s.positions - 1) / s.positions;
    } else {
        const int64_t parts = (channels + DEPTH - 1) / DEPTH;
        s.positions = 1, s.channels = smaller(DEPTH, ceil_to((channels + parts - 1) / parts, LANES));
        s.count = all * ((channels + s.channels - 1) / s.channels);
    }
    s.longest = s.positions * s.channels;
    return s;
}

static inline KBlock k_block(const Geometry *g, const Split *s, int64_t index) {
    const int64_t channels = group_channels(g), parts = (channels + s->channels - 1) / s->channels;
    KBlock k;
    k.first = index / parts * s->positions, k.last = smaller(k.first + s->positions, positions(g));
    k.from = index % parts * s->channels, k.to = smaller(k.from + s->channels, channels);
    k.start = k.first * channels + k.from, k.depth = (k.last - k.first) * (k.to - k.from);
    return k;
}

/* Rows from planes: out[i * row_step + j] = in[j * plane_step + i], in squares that fit the cache. */
static inline void transpose(const float *in, int64_t plane_step, int64_t rows, int64_t planes, int64_t row_step, float *out) {
    for (int64_t j0 = 0; j0 < planes; j0 += 16)
        for (int64_t i0 = 0; i0 < rows; i0 += 16)
            for (int64_t i = i0; i < smaller(i0 + 16, rows); i++)
                for (int64_t j = j0; j < smaller(j0 + 16, planes); j++)
                    out[i * row_step + j] = in[j * plane_step + i];
}

void pack_forward(const Geometry *g, const float *weight, float *packed, int64_t threads);
void pack_backward(const Geometry *g, const float *weight, float *packed, int64_t threads);
void unpack_weight_gradient(const Geometry *g, const float *grad_packed, int64_t size, int64_t threads,
                            float *grad_weight);
void unpack_picture_gradient(const Geometry *g, float *grad_rows, int64_t threads, float *grad_input);

#endif
