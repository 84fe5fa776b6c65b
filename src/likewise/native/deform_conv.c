/* Deformable convolution, forward and backward: likewise.ops.deform_conv says what is computed.
 *
 * Columns (the samples that meet the weights) are gathered, channels last, for a block of places and a block of at
 * most DEPTH weights at a time, and multiplied while they are in cache; backward reads each sample once for the
 * gradients of input, offset, mask and weight. Places of a block are shared by no two threads.
 */
#include "deform_conv.h"

#include <math.h>
#include <string.h>

/* Where one kernel position of one offset group samples the picture, for each place of a block. */
typedef struct {
    int32_t corner[4][BLOCK];  /* pixel, row by row; `outside` where a corner is none */
    int32_t outside;
    float down[BLOCK], right[BLOCK], modulation[BLOCK];
} Places;

/* Floats of the buffers that the caller provides: packed weights forward and backward, a thread's scratch forward
 * and backward, a thread's gradient of the weight. */
void deform_conv2d_sizes(const Geometry *g, int64_t *sizes) {
    const Split s = split(g);
    const int64_t out = group_out(g), pieces = (out + DEPTH - 1) / DEPTH;
    sizes[0] = g->groups * positions(g) * group_channels(g) * padded_out(g);
    sizes[1] = g->groups * s.count * ceil_to(s.longest, COLS) * out;
    sizes[2] = BLOCK * (LEAD + padded_out(g)) + LEAD;
    sizes[3] = BLOCK * ((2 + pieces) * LEAD + padded_out(g)) + LEAD;
    sizes[4] = g->groups * s.count * ceil_to(s.longest, ROWS) * padded_out(g);
}

/* Places of one picture that are handled together, for one group of weights. */
typedef struct {
    const Geometry *g;
    const float *offset, *mask;
    int64_t image, group, start, count;
    float row[BLOCK], column[BLOCK]; /* of the grid's places, in the input */
} Block;

static Block block(const Geometry *g, const float *offset, const float *mask, int64_t image, int64_t start) {
    Block b = {.g = g, .offset = offset, .mask = mask, .image = image, .start = start};
    b.count = smaller(BLOCK, out_pixels(g) - start);
    for (int64_t i = 0, y = start / g->out_width, x = start % g->out_width; i < b.count; i++) {
        b.row[i] = (float)(y * g->stride[0] - g->padding[0]), b.column[i] = (float)(x * g->stride[1] - g->padding[1]);
        if (++x == g->out_width) x = 0, y++;
    }
    return b;
}

/* Offsets and masks are (batch, [2 x] offset groups x positions, out_height, out_width). */
static int64_t field(const Geometry *g, int64_t image, int64_t offset_group, int64_t position) {
    return ((image * g->offset_groups + offset_group) * positions(g) + position) * out_pixels(g);
}

/* Stands for a row or column outside: whatever is added to it stays negative. */
#define FAR (-(1 << 30))

static void find_places(const Block *b, int64_t offset_group, int64_t position, Places *p) {
    const Geometry *g = b->g;
    const int64_t at = field(g, b->image, offset_group, position), start = b->start, count = b->count;
    const float *move_y = b->offset + 2 * at + start, *move_x = move_y + out_pixels(g);
    const float *row = b->row, *column = b->column;
    int32_t *a = p->corner[0], *c = p->corner[1], *d = p->corner[2], *e = p->corner[3];
    float *down = p->down, *right = p->right;
    const float kernel_y = (float)(position / g->kernel_cols * g->dilation[0]);
    const float kernel_x = (float)(position % g->kernel_cols * g->dilation[1]);
    const int32_t height = (int32_t)g->height, width = (int32_t)g->width, outside = height * width;
    const float bottom = (float)height, edge = (float)width;
    p->outside = outside;
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        const float y = row[i] + kernel_y + move_y[i], x = column[i] + kernel_x + move_x[i];
        const float floor_y = floorf(y), floor_x = floorf(x);
        /* Written so that NaN and huge values count as far outside before they become integers. */
        const int32_t top = (floor_y >= -1.0f) & (floor_y < bottom) ? (int32_t)floor_y : -2;
        const int32_t left = (floor_x >= -1.0f) & (floor_x < edge) ? (int32_t)floor_x : -2;
        const int32_t upper = top >= 0 ? top * width : FAR, next = (top + 1) * width;
        const int32_t lower = top >= -1 ? (next < outside ? next : FAR) : FAR;
        const int32_t before = left >= 0 ? left : FAR, after = left >= -1 ? (left + 1 < width ? left + 1 : FAR) : FAR;
        a[i] = upper + before >= 0 ? upper + before : outside;
        c[i] = upper + after >= 0 ? upper + after : outside;
        d[i] = lower + before >= 0 ? lower + before : outside;
        e[i] = lower + after >= 0 ? lower + after : outside;
        down[i] = top >= -1 ? y - floor_y : 0.0f;
        right[i] = left >= -1 ? x - floor_x : 0.0f;
    }
    for (int64_t i = 0; i < count; i++) p->modulation[i] = b->mask ? b->mask[at + start + i] : 1.0f;
}

/* What lies outside the picture: zero in every channel of a block. */
static const float NOTHING[DEPTH];

static inline const float *pixel(const Places *p, int corner, int64_t i, const float *picture, int64_t step) {
    const int64_t at = p->corner[corner][i];
    return at == p->outside ? NOTHING : picture + at * step;
}

/* Samples of `channels` channels, one row of `columns` a place. */
static void gather(const Places *p, int64_t count, const float *picture, int64_t step, int64_t channels,
                   float *restrict columns) {
    for (int64_t i = 0; i < count; i++, columns += LEAD) {
        const float *a = pixel(p, 0, i, picture, step), *b = pixel(p, 1, i, picture, step);
        const float *c = pixel(p, 2, i, picture, step), *d = pixel(p, 3, i, picture, step);
        const float down = p->down[i], right = p->right[i], up = (1 - down) * p->modulation[i], low = down * p->modulation[i];
        const float wa = up * (1 - right), wb = up * right, wc = low * (1 - right), wd = low * right;
#pragma omp simd
        for (int64_t k = 0; k < channels; k++) columns[k] = wa * a[k] + wb * b[k] + wc * c[k] + wd * d[k];
    }
}

/* Adds the gradient of the samples to the picture's. */
static void scatter(const Places *p, int64_t count, const float *columns, int64_t step, int64_t channels,
                    float *picture) {
    for (int64_t i = 0; i < count; i++, columns += LEAD) {
        const float down = p->down[i], right = p->right[i], up = (1 - down) * p->modulation[i], low = down * p->modulation[i];
        const float share[4] = {up * (1 - right), up * right, low * (1 - right), low * right};
        for (int corner = 0; corner < 4; corner++) {
            if (p->corner[corner][i] == p->outside) continue;
            float *restrict at = picture + p->corner[corner][i] * step;
            const float weight = share[corner];
#pragma omp simd
            for (int64_t k = 0; k < channels; k++) at[k] += weight * columns[k];
        }
    }
}

/* Adds to the gradients of offset and mask; all follow from the products of the gradient with the four corners. */
static void offset_gradient(const Places *p, int64_t count, const float *columns, const float *picture, int64_t step,
                  int64_t channels, float *grad_y, float *grad_x, float *grad_mask) {
    for (int64_t i = 0; i < count; i++, columns += LEAD) {
        const float *a = pixel(p, 0, i, picture, step), *b = pixel(p, 1, i, picture, step);
        const float *c = pixel(p, 2, i, picture, step), *d = pixel(p, 3, i, picture, step);
        float sa = 0, sb = 0, sc = 0, sd = 0;
#pragma omp simd reduction(+ : sa, sb, sc, sd)
        for (int64_t k = 0; k < channels; k++) {
            const float g = columns[k];
            sa += g * a[k], sb += g * b[k], sc += g * c[k], sd += g * d[k];
        }
        const float down = p->down[i], right = p->right[i];
        grad_y[i] += p->modulation[i] * ((sc - sa) * (1 - right) + (sd - sb) * right);
        grad_x[i] += p->modulation[i] * ((sb - sa) * (1 - down) + (sd - sc) * down);
        if (grad_mask)
            grad_mask[i] += (1 - down) * ((1 - right) * sa + right * sb) + down * ((1 - right) * sc + right * sd);
    }
}

/* Channels of a block that share one kernel position and offset group, and so their places. */
typedef struct {
    Places places;
    int64_t position, offset_group;
    int64_t channel, count; /* first channel in the picture, and how many */
    int64_t column;         /* where they are in a row of columns */
} Run;

static Run before_first(const KBlock *k) {
    Run r;
    r.position = k->first, r.channel = -1, r.count = r.column = 0;
    return r;
}

/* Moves on to the next run of the block; zero when there is none. */
static int next(const Block *b, const KBlock *k, Run *r) {
    const int64_t shared = b->g->channels / b->g->offset_groups;
    const int64_t first = b->group * group_channels(b->g) + k->from, end = first + k->to - k->from;
    r->column += r->count;
    r->channel = r->channel < 0 ? first : r->channel + r->count;
    if (r->channel == end) r->channel = first, r->position++;
    if (r->position == k->last) return 0;
    r->offset_group = r->channel / shared;
    r->count = smaller(end, (r->offset_group + 1) * shared) - r->channel;
    find_places(b, r->offset_group, r->position, &r->places);
    return 1;
}

static void gather_block(const Block *b, const KBlock *k, const float *picture, float *columns) {
    Run r = before_first(k);
    while (next(b, k, &r))
        gather(&r.places, b->count, picture + r.channel, b->g->channels, r.count, columns + r.column);
}

static void scatter_block(const Block *b, const KBlock *k, const float *columns, float *picture) {
    Run r = before_first(k);
    while (next(b, k, &r))
        scatter(&r.places, b->count, columns + r.column, b->g->channels, r.count, picture + r.channel);
}

static void offset_gradient_block(const Block *b, const KBlock *k, const float *columns, const float *picture,
                          float *grad_offset, float *grad_mask) {
    Run r = before_first(k);
    while (next(b, k, &r)) {
        const int64_t at = field(b->g, b->image, r.offset_group, r.position);
        float *y = grad_offset + 2 * at + b->start, *x = y + out_pixels(b->g);
        offset_gradient(&r.places, b->count, columns + r.column, picture + r.channel, b->g->channels, r.count, y, x,
              grad_mask ? grad_mask + at + b->start : NULL);
    }
}

/* Writes a block's sums, one row a place, with the bias where they belong in the result. */
static void store(const Block *b, float *sums, const float *bias, float *out) {
    const Geometry *g = b->g;
    const int64_t wide = padded_out(g), own = group_out(g), first = b->group * own, pixels = out_pixels(g);
    for (int64_t i = 0; bias && i < b->count; i++)
        for (int64_t d = 0; d < own; d++) sums[i * wide + d] += bias[first + d];
    if (!g->channels_last) {
        transpose(sums, wide, own, b->count, pixels, out + (b->image * g->out_channels + first) * pixels + b->start);
        return;
    }
    out += (b->image * pixels + b->start) * g->out_channels + first;
    for (int64_t i = 0; i < b->count; i++) memcpy(out + i * g->out_channels, sums + i * wide, sizeof(float) * own);
}

static void forward_block(Block *b, const float *rows, const float *packed, const float *bias, float *scratch,
                          float *out) {
    const Geometry *g = b->g;
    const int64_t wide = padded_out(g), depth = positions(g) * group_channels(g);
    const float *picture = rows + b->image * g->height * g->width * g->channels;
    const Split s = split(g);
    float *columns = scratch, *sums = scratch + BLOCK * LEAD;
    for (b->group = 0; b->group < g->groups; b->group++) {
        for (int64_t index = 0; index < s.count; index++) {
            const KBlock k = k_block(g, &s, index);
            gather_block(b, &k, picture, columns);
            multiply(ceil_to(b->count, ROWS), wide, k.depth, columns, packed + (b->group * depth + k.start) * wide, sums,
                     wide, index == 0);
        }
        store(b, sums, bias, out);
    }
}

/* input as `deform_conv2d_rows` gives it -> out, planes or channels last. */
void deform_conv2d_forward(const Geometry *g, const float *rows, const float *offset, const float *weight,
                           const float *bias, const float *mask, float *packed, float *scratch, float *out,
                           int64_t threads) {
    int64_t sizes[5];
    deform_conv2d_sizes(g, sizes);
    pack_forward(g, weight, packed, threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < g->batch * blocks(g); at++) {
        Block b = block(g, offset, mask, at / blocks(g), at % blocks(g) * BLOCK);
        forward_block(&b, rows, packed, bias, scratch + thread_number() * sizes[2], out);
    }
}

/* Where backward reads and writes; a null gradient is not wanted. */
typedef struct {
    const float *rows, *packed, *grad_out;
    float *scratch, *grad_rows, *grad_offset, *grad_mask, *grad_packed;
} Backward;

/* A block of the output's gradient: its places as rows, cut into `pieces` of DEPTH channels, and as packed panels. */
static void load_gradient(const Block *b, const float *grad_out, float *pieces, float *panels) {
    const Geometry *g = b->g;
    const int64_t out = group_out(g), pixels = out_pixels(g);
    const float *planes = grad_out + (b->image * g->out_channels + b->group * out) * pixels + b->start;
    for (int64_t first = 0; first < out; first += DEPTH, pieces += BLOCK * LEAD)
        transpose(planes + first * pixels, pixels, b->count, smaller(DEPTH, out - first), LEAD, pieces);
    for (int64_t first = 0; first < padded_out(g); first += COLS, panels += b->count * COLS) {
        const int64_t width = smaller(COLS, out - first);
        transpose(planes + first * pixels, pixels, b->count, width, COLS, panels);
        for (int64_t i = 0; i < b->count; i++) memset(panels + i * COLS + width, 0, sizeof(float) * (COLS - width));
    }
}

/* The gradient of one block's columns: (places x out) (out x weights). */
static void column_gradient(const Block *b, const KBlock *k, const float *pieces, const float *packed, float *columns) {
    const int64_t out = group_out(b->g), rows = ceil_to(b->count, ROWS);
    for (int64_t j = 0; j < k->depth; j += COLS)
        for (int64_t first = 0; first < out; first += DEPTH)
            multiply(rows, COLS, smaller(DEPTH, out - first), pieces + first / DEPTH * BLOCK * LEAD,
                     packed + j * out + first * COLS, columns + j, LEAD, first == 0);
}

static void backward_block(Block *b, const Backward *w, float *scratch, float *grad_picture, float *grad_packed) {
    const Geometry *g = b->g;
    const Split s = split(g);
    const int64_t wide = padded_out(g), out = group_out(g), pieces_size = (out + DEPTH - 1) / DEPTH * BLOCK * LEAD;
    const float *picture = w->rows + b->image * g->height * g->width * g->channels;
    float *columns = scratch, *gradient = columns + BLOCK * LEAD, *pieces = gradient + BLOCK * LEAD;
    float *panels = pieces + pieces_size;
    for (b->group = 0; b->group < g->groups; b->group++) {
        load_gradient(b, w->grad_out, pieces, panels);
        for (int64_t index = 0; index < s.count; index++) {
            const KBlock k = k_block(g, &s, index);
            const int64_t at = b->group * s.count + index;
            if (grad_picture || w->grad_offset)
                column_gradient(b, &k, pieces, w->packed + at * ceil_to(s.longest, COLS) * out, gradient);
            if (w->grad_offset) offset_gradient_block(b, &k, gradient, picture, w->grad_offset, w->grad_mask);
            if (grad_picture) scatter_block(b, &k, gradient, grad_picture);
            if (!grad_packed) continue;
            gather_block(b, &k, picture, columns);
            multiply_turned(ceil_to(k.depth, ROWS), wide, b->count, columns, panels,
                            grad_packed + at * ceil_to(s.longest, ROWS) * wide, wide);
        }
    }
}

/* Gradients of everything but the bias. `grad_rows` and `grad_packed` are zeroed scratch, one part a thread, and
 * grad_offset and grad_mask zeroed results; a null grad_input, grad_offset or grad_weight is not computed. */
void deform_conv2d_backward(const Geometry *g, const float *rows, const float *offset, const float *weight,
                            const float *mask, const float *grad_out, float *packed, float *scratch, float *grad_rows,
                            float *grad_packed, float *grad_input, float *grad_offset, float *grad_mask,
                            float *grad_weight, int64_t threads) {
    const int64_t pixels = g->height * g->width, row_size = pixels * g->channels;
    const Backward w = {rows, packed, grad_out, scratch, grad_rows, grad_offset, grad_mask, grad_packed};
    int64_t sizes[5];
    deform_conv2d_sizes(g, sizes);
    if (grad_input || grad_offset) pack_backward(g, weight, packed, threads);
    for (int64_t image = 0; image < g->batch; image++) {
        if (grad_input && image) memset(grad_rows, 0, sizeof(float) * row_size * threads);
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t at = 0; at < blocks(g); at++) {
            const int64_t thread = thread_number();
            Block b = block(g, offset, mask, image, at * BLOCK);
            backward_block(&b, &w, scratch + thread * sizes[3], grad_input ? grad_rows + thread * row_size : NULL,
                           grad_weight ? grad_packed + thread * sizes[4] : NULL);
        }
        if (grad_input)
            unpack_picture_gradient(g, grad_rows, threads, grad_input + image * g->channels * pixels);
    }
    if (grad_weight) unpack_weight_gradient(g, grad_packed, sizes[4], threads, grad_weight);
}
