/* Grouped deformable aggregation (DCNv3, DCNv4), forward and backward: likewise.ops.deform.grouped says what is computed.
 *
 * Pictures are read channels last. The places of a block of outputs are found first, for every point of the kernel;
 * then each output row is summed in registers over all points. A group's channels are touched by no other group, so
 * that backward shares the work by groups and adds nothing up afterwards.
 */
#include "deform_conv.h"

#include <math.h>
#include <string.h>

/* Outputs handled together: their places stay in the first-level cache. */
#define PLACES 64
/* Channels read at once where there are so many, by the compiler in as many registers as it takes. */
#define WIDEST 16

typedef struct {
    int64_t batch, channels, height, width;
    int64_t groups, points;
    int64_t out_height, out_width, stride[2], padding[2];
    int64_t last, offset_last, mask_last; /* channels last: pictures and result, offset, mask; else planes */
} Grid;

/* Where one point samples the picture for each output of a block. */
typedef struct {
    int32_t corner[4][PLACES]; /* pixel, row by row; the number of pixels where a corner lies outside */
    float share[4][PLACES];    /* of the corners, times the modulation */
    float down[PLACES], right[PLACES], modulation[PLACES];
} Samples;

static inline int64_t outputs(const Grid *g) { return g->out_height * g->out_width; }
static inline int64_t pixels_of(const Grid *g) { return g->height * g->width; }
static inline int64_t own_channels(const Grid *g) { return g->channels / g->groups; }

/* Pictures are rows of one group's channels after the other's, or, channels last, rows of all: the distance of a group's
 * pixels, and where its first channel is. Groups by themselves spread better over the cache. */
static inline int64_t pixel_step(const Grid *g) { return g->last ? g->channels : own_channels(g); }
static inline int64_t group_start(const Grid *g, int64_t image, int64_t group) {
    const int64_t first = image * pixels_of(g) * g->channels;
    return first + group * own_channels(g) * (g->last ? 1 : pixels_of(g));
}

/* Floats of a thread's scratch: samples of all points, and a block of rows of one group. */
void deform_grouped_sizes(const Grid *g, int64_t *sizes) {
    sizes[0] = g->points * (int64_t)(sizeof(Samples) / sizeof(float)) + PLACES * own_channels(g);
}

/* Index of a channel's value at the first of a block's outputs, and the distance to the next output's. */
typedef struct { int64_t at, step; } Line;

static inline Line line(const Grid *g, int64_t last, int64_t channels, int64_t image, int64_t channel, int64_t start) {
    const int64_t first = image * channels * outputs(g);
    if (last) return (Line){first + start * channels + channel, channels};
    return (Line){first + channel * outputs(g) + start, 1};
}

static inline Line offset_line(const Grid *g, int64_t image, int64_t group, int64_t point, int64_t axis, int64_t start) {
    const int64_t own = g->groups * g->points;
    return line(g, g->offset_last, 2 * own, image, 2 * (group * g->points + point) + axis, start);
}

static inline Line mask_line(const Grid *g, int64_t image, int64_t group, int64_t point, int64_t start) {
    return line(g, g->mask_last, g->groups * g->points, image, group * g->points + point, start);
}

/* Stands for a row or column outside: whatever is added to it stays negative. */
#define FAR (-(1 << 30))

/* `y` and `x` hold the places. Selections instead of branches and a fixed length let the compiler do it in vectors; NaN and
 * huge values count as far outside before they become integers. */
static void find_corners(const Grid *g, const float *restrict y, const float *restrict x, const float *restrict modulation,
                         Samples *restrict s) {
    const int32_t height = (int32_t)g->height, width = (int32_t)g->width, outside = height * width;
    const float bottom = (float)height, edge = (float)width;
    int32_t *restrict a = s->corner[0], *restrict b = s->corner[1], *restrict c = s->corner[2], *restrict d = s->corner[3];
#pragma omp simd
    for (int i = 0; i < PLACES; i++) {
        const float floor_y = floorf(y[i]), floor_x = floorf(x[i]);
        const int32_t top = (floor_y >= -1.0f) & (floor_y < bottom) ? (int32_t)floor_y : -2;
        const int32_t left = (floor_x >= -1.0f) & (floor_x < edge) ? (int32_t)floor_x : -2;
        const int32_t upper = top >= 0 ? top * width : FAR, next = (top + 1) * width;
        const int32_t lower = top >= -1 ? (next < outside ? next : FAR) : FAR;
        const int32_t before = left >= 0 ? left : FAR, after = left >= -1 ? (left + 1 < width ? left + 1 : FAR) : FAR;
        const float down = top >= -1 ? y[i] - floor_y : 0.0f, right = left >= -1 ? x[i] - floor_x : 0.0f;
        const float m = top >= -1 ? (left >= -1 ? modulation[i] : 0.0f) : 0.0f, below = m * down, above = m - below;
        a[i] = upper + before >= 0 ? upper + before : outside, b[i] = upper + after >= 0 ? upper + after : outside;
        c[i] = lower + before >= 0 ? lower + before : outside, d[i] = lower + after >= 0 ? lower + after : outside;
        s->share[1][i] = above * right, s->share[0][i] = above - above * right;
        s->share[3][i] = below * right, s->share[2][i] = below - below * right;
        s->down[i] = down, s->right[i] = right, s->modulation[i] = m;
    }
}

/* The numbers of a line, and zeros after them. */
static void load(const float *from, Line l, int64_t count, float *restrict to) {
    from += l.at;
    if (l.step == 1 && count == PLACES) {
        memcpy(to, from, sizeof(float) * PLACES);
        return;
    }
    for (int64_t i = 0; i < count; i++) to[i] = from[i * l.step];
    for (int64_t i = count; i < PLACES; i++) to[i] = 0.0f;
}

/* A block of outputs of one picture. */
typedef struct {
    const Grid *g;
    const float *points; /* (2, points): x and y of each from the place of the output times the stride */
    const float *offset, *mask;
    float scale;
    int64_t image, start, count;
} Part;

static Part part(const Grid *g, const float *points, double scale, const float *offset, const float *mask, int64_t image,
                 int64_t start) {
    return (Part){g, points, offset, mask, (float)scale, image, start, smaller(PLACES, outputs(g) - start)};
}

static void find_samples(const Part *p, int64_t group, Samples *samples) {
    const Grid *g = p->g;
    float row[PLACES] = {0}, column[PLACES] = {0}, y[PLACES], x[PLACES], modulation[PLACES];
    for (int64_t i = 0, a = p->start / g->out_width, b = p->start % g->out_width; i < p->count; i++) {
        row[i] = (float)(a * g->stride[0] - g->padding[0]), column[i] = (float)(b * g->stride[1] - g->padding[1]);
        if (++b == g->out_width) b = 0, a++;
    }
    for (int64_t k = 0; k < g->points; k++) {
        const float own_x = p->points[k], own_y = p->points[g->points + k], scale = p->scale;
        load(p->offset, offset_line(g, p->image, group, k, 0, p->start), p->count, x);
        load(p->offset, offset_line(g, p->image, group, k, 1, p->start), p->count, y);
        load(p->mask, mask_line(g, p->image, group, k, p->start), p->count, modulation);
        for (int i = 0; i < PLACES; i++) {
            y[i] = row[i] + own_y + scale * y[i], x[i] = column[i] + own_x + scale * x[i];
        }
        find_corners(g, y, x, modulation, samples + k);
    }
}

/* What lies outside the picture. */
static const float NOTHING[WIDEST];

/* A corner's first channel. */
static inline __attribute__((always_inline)) const float *pixel_at(const Samples *s, int corner, int64_t i,
                                                                   const float *picture, int64_t step, int32_t outside) {
    const int32_t at = s->corner[corner][i];
    return at == outside ? NOTHING : picture + at * step;
}

/* What the gradient of a block's outputs gives to a point's places and modulation, each in four parts to be summed. */
typedef struct { float down[PLACES][4], right[PLACES][4], modulation[PLACES][4]; } Pulls;

/* For LANES_ channels at once: the sum over all points of one output; and one sample's part of backward. */
#define FOR_CHANNELS(LANES_, PART_)                                                                                      \
    static inline void sum_##LANES_(const Samples *s, int64_t points, int64_t i, const float *picture, int64_t step,      \
                                    int32_t outside, float *out) {                                                        \
        vec##LANES_ a = {0}, b = {0}, c = {0}, d = {0};                                                                   \
        for (int64_t k = 0; k < points; k++, s++) {                                                                       \
            a += s->share[0][i] * *(const vec##LANES_ *)pixel_at(s, 0, i, picture, step, outside);                        \
            b += s->share[1][i] * *(const vec##LANES_ *)pixel_at(s, 1, i, picture, step, outside);                        \
            c += s->share[2][i] * *(const vec##LANES_ *)pixel_at(s, 2, i, picture, step, outside);                        \
            d += s->share[3][i] * *(const vec##LANES_ *)pixel_at(s, 3, i, picture, step, outside);                        \
        }                                                                                                                 \
        *(vec##LANES_ *)out = (a + b) + (c + d);                                                                          \
    }                                                                                                                     \
    static inline void pull_##LANES_(const Samples *s, int64_t i, const float *picture, int64_t step, int32_t outside,    \
                                     const float *gradient, Pulls *p) {                                                   \
        const vec##LANES_ g = *(const vec##LANES_ *)gradient;                                                             \
        const vec##LANES_ a = *(const vec##LANES_ *)pixel_at(s, 0, i, picture, step, outside);                            \
        const vec##LANES_ b = *(const vec##LANES_ *)pixel_at(s, 1, i, picture, step, outside) - a;                        \
        const vec##LANES_ c = *(const vec##LANES_ *)pixel_at(s, 2, i, picture, step, outside);                            \
        const vec##LANES_ d = *(const vec##LANES_ *)pixel_at(s, 3, i, picture, step, outside) - c;                        \
        const float down = s->down[i], right = s->right[i];                                                               \
        const vec##LANES_ upper = a + right * b, change = c + right * d - upper;                                          \
        *(PART_ *)p->down[i] += fold_##LANES_(g * change);                                                                \
        *(PART_ *)p->right[i] += fold_##LANES_(g * (b + down * (d - b)));                                                 \
        *(PART_ *)p->modulation[i] += fold_##LANES_(g * (upper + down * change));                                         \
    }                                                                                                                     \
    static inline void push_##LANES_(const Samples *s, int64_t i, float *grad, int64_t step, int32_t outside,             \
                                     const float *gradient) {                                                             \
        const vec##LANES_ g = *(const vec##LANES_ *)gradient;                                                             \
        for (int corner = 0; corner < 4; corner++) {                                                                      \
            const int32_t at = s->corner[corner][i];                                                                      \
            if (at != outside) *(vec##LANES_ *)(grad + at * step) += s->share[corner][i] * g;                             \
        }                                                                                                                 \
    }

typedef float vec1;
typedef float vec4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float vec8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float vec16 __attribute__((vector_size(64), aligned(4), may_alias));

static inline float fold_1(float v) { return v; }
static inline vec4 fold_4(vec4 v) { return v; }

static inline vec4 fold_8(vec8 v) {
    union { vec8 all; vec4 half[2]; } u = {v};
    return u.half[0] + u.half[1];
}

static inline vec4 fold_16(vec16 v) {
    union { vec16 all; vec8 half[2]; } u = {v};
    return fold_8(u.half[0] + u.half[1]);
}

FOR_CHANNELS(16, vec4)
FOR_CHANNELS(8, vec4)
FOR_CHANNELS(4, vec4)
FOR_CHANNELS(1, float)

/* Rows of a block for one group: `out` is the group's first channel of the block's first row, `lead` floats apart. */
static void sum_group(const Part *p, const Samples *s, const float *picture, float *out, int64_t lead) {
    const Grid *g = p->g;
    const int64_t own = own_channels(g), step = pixel_step(g), points = g->points;
    const int32_t outside = (int32_t)pixels_of(g);
    for (int64_t i = 0; i < p->count; i++, out += lead) {
        int64_t c = 0;
        for (; c + 16 <= own; c += 16) sum_16(s, points, i, picture + c, step, outside, out + c);
        if (c + 8 <= own) sum_8(s, points, i, picture + c, step, outside, out + c), c += 8;
        if (c + 4 <= own) sum_4(s, points, i, picture + c, step, outside, out + c), c += 4;
        for (; c < own; c++) sum_1(s, points, i, picture + c, step, outside, out + c);
    }
}

/* rows: see pixel_step; points: (2, points), x and y. */
void deform_grouped_forward(const Grid *g, const float *points, double scale, const float *rows, const float *offset,
                            const float *mask, float *scratch, float *out, int64_t threads) {
    const int64_t parts = (outputs(g) + PLACES - 1) / PLACES;
    int64_t size;
    deform_grouped_sizes(g, &size);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < g->batch * g->groups * parts; at++) {
        const int64_t image = at / parts / g->groups, group = at / parts % g->groups, own = own_channels(g);
        const Part p = part(g, points, scale, offset, mask, image, at % parts * PLACES);
        Samples *samples = (Samples *)(scratch + thread_number() * size);
        float *block = (float *)(samples + g->points), *picture = out + image * outputs(g) * g->channels;
        const float *from = rows + group_start(g, image, group);
        find_samples(&p, group, samples);
        if (g->last) {
            sum_group(&p, samples, from, picture + p.start * g->channels + group * own, g->channels);
        } else {
            sum_group(&p, samples, from, block, own);
            transpose(block, own, own, p.count, outputs(g), picture + group * own * outputs(g) + p.start);
        }
    }
}

/* Where backward writes; a null gradient is not wanted. */
typedef struct { float *offset, *mask; } Gradients;

static void write_pulls(const Part *p, int64_t group, int64_t point, const Samples *s, const Pulls *pulls,
                        const Gradients *grad) {
    const Grid *g = p->g;
    const Line across = offset_line(g, p->image, group, point, 0, p->start);
    const Line along = offset_line(g, p->image, group, point, 1, p->start);
    const Line weight = mask_line(g, p->image, group, point, p->start);
    float down[PLACES], right[PLACES], modulation[PLACES];
    for (int i = 0; i < PLACES; i++) {
        const float *y = pulls->down[i], *x = pulls->right[i], *m = pulls->modulation[i], by = p->scale * s->modulation[i];
        down[i] = by * ((y[0] + y[1]) + (y[2] + y[3])), right[i] = by * ((x[0] + x[1]) + (x[2] + x[3]));
        modulation[i] = (m[0] + m[1]) + (m[2] + m[3]);
    }
    for (int64_t i = 0; i < p->count; i++) {
        grad->offset[along.at + i * along.step] = down[i], grad->offset[across.at + i * across.step] = right[i];
        grad->mask[weight.at + i * weight.step] = modulation[i];
    }
}

/* Where backward reads and writes, for one group of one picture; `grad_picture` or `grad` may be null: not wanted. */
typedef struct {
    const float *picture, *grad_out;
    float *grad_picture;
    const Gradients *grad;
} Learning;

/* `gradient`: the group's channels of a block's outputs, one row an output, `lead` floats apart. `pull` and `push` are
 * constant at every call. */
static inline __attribute__((always_inline)) void learn_block(const Part *p, int64_t group, const Samples *s,
                                                              const Learning *w, const float *gradient, int64_t lead,
                                                              int pull, int push) {
    const int64_t own = own_channels(p->g), step = pixel_step(p->g);
    const int32_t outside = (int32_t)pixels_of(p->g);
    for (int64_t k = 0; k < p->g->points; k++, s++) {
        Pulls pulls;
        memset(&pulls, 0, sizeof pulls);
        for (int64_t i = 0; i < p->count; i++) {
            const float *row = gradient + i * lead;
            int64_t c = 0;
#define LEARN(LANES_)                                                                            \
    do {                                                                                         \
        if (pull) pull_##LANES_(s, i, w->picture + c, step, outside, row + c, &pulls);            \
        if (push) push_##LANES_(s, i, w->grad_picture + c, step, outside, row + c);               \
        c += LANES_;                                                                             \
    } while (0)
            while (c + 16 <= own) LEARN(16);
            if (c + 8 <= own) LEARN(8);
            if (c + 4 <= own) LEARN(4);
            while (c < own) LEARN(1);
        }
        if (pull) write_pulls(p, group, k, s, &pulls, w->grad);
    }
}

static void learn_group(const Grid *g, Part p, int64_t group, const Learning *w, float *scratch) {
    Samples *samples = (Samples *)scratch;
    float *block = (float *)(samples + g->points);
    const int64_t own = own_channels(g), lead = g->last ? g->channels : own, first = p.image * g->channels;
    for (p.start = 0; p.start < outputs(g); p.start += PLACES) {
        p.count = smaller(PLACES, outputs(g) - p.start);
        const float *gradient = w->grad_out + first * outputs(g) + p.start * g->channels + group * own;
        if (!g->last) {
            transpose(w->grad_out + (first + group * own) * outputs(g) + p.start, outputs(g), p.count, own, own, block);
            gradient = block;
        }
        find_samples(&p, group, samples);
        if (w->grad && w->grad_picture) learn_block(&p, group, samples, w, gradient, lead, 1, 1);
        else if (w->grad) learn_block(&p, group, samples, w, gradient, lead, 1, 0);
        else learn_block(&p, group, samples, w, gradient, lead, 0, 1);
    }
}

/* grad_rows is zeroed and added to; every number of grad_offset and grad_mask is written. Null: not wanted. */
void deform_grouped_backward(const Grid *g, const float *points, double scale, const float *rows, const float *offset,
                             const float *mask, const float *grad_out, float *scratch, float *grad_rows,
                             float *grad_offset, float *grad_mask, int64_t threads) {
    const Gradients grad = {grad_offset, grad_mask};
    int64_t size;
    deform_grouped_sizes(g, &size);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < g->batch * g->groups; at++) {
        const int64_t image = at / g->groups, group = at % g->groups, first = group_start(g, image, group);
        const Learning w = {rows + first, grad_out, grad_rows ? grad_rows + first : NULL, grad_offset ? &grad : NULL};
        learn_group(g, part(g, points, scale, offset, mask, image, 0), group, &w, scratch + thread_number() * size);
    }
}

/* sizes: pictures, channels, pixels. Planes -> rows, channels last; and back. */
void planes_to_rows(const int64_t *sizes, const float *planes, float *rows, int64_t threads) {
    const int64_t pictures = sizes[0], channels = sizes[1], pixels = sizes[2], parts = (pixels + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < pictures * parts; at++) {
        const int64_t start = at % parts * BLOCK, first = at / parts * channels * pixels;
        transpose(planes + first + start, pixels, smaller(BLOCK, pixels - start), channels, channels,
             rows + first + start * channels);
    }
}

void rows_to_planes(const int64_t *sizes, const float *rows, float *planes, int64_t threads) {
    const int64_t turned[3] = {sizes[0], sizes[2], sizes[1]};
    planes_to_rows(turned, rows, planes, threads);
}
