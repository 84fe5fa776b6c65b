/* Soft minima over points in the plane, for entropic transport: the cost is evaluated as it is summed, never stored.
 *
 * Coordinates come multiplied by log2 e / eps, or by its square root where the cost is the squared distance. Exponents
 * come and go in nats; inside they are in bits, so that the exponent of a pair is t_ij = h_j log2 e - cost(x_i, y_j).
 * Rows come in tiles that are compact in the plane. For a tile, points whose exponents lie more than `cut` bits below
 * what its rows have for certain are left out; the tile's rows are then taken LANES at a time against the rest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

enum { LANES = 64 };

static const float BITS = 1.44269504f, NATS = 0.693147181f; /* in a nat, in a bit */

typedef struct {
    const float *x0, *x1;     /* (rows) coordinates */
    const int64_t *order;     /* (rows) tile after tile */
    const int64_t *starts;    /* (tiles + 1) into order */
    const float *y0, *y1, *h; /* (points) coordinates and exponents */
    const float *v;           /* (points) to be averaged, or null: the exponents are */
    const float *weights;     /* (rows) exponents of the rows' weights, or null: no column sums */
    float *total, *mean;      /* (rows) log sum_j 2^t_ij; average of v or of t over j with weights 2^t_ij, or null */
    int64_t tiles, points, squared;
    float cut, modulation;
} Problem;

/* Points that count for some rows: coordinates, exponents, values, and their places among all points. */
typedef struct {
    float *y0, *y1, *h, *v;
    int64_t *index, kept;
} Near;

/* What one thread works in. */
typedef struct {
    Near all, tile, chunk; /* of the problem, of a tile, of LANES rows */
    float *reach;          /* (points) */
    float *grid;           /* (points kept, LANES) exponents, then powers */
} Space;

typedef struct {
    float x0[LANES], x1[LANES], top[LANES], sum[LANES], along[LANES], share[LANES], weight[LANES];
} Rows;

/* 2^t for t <= 0, relative error below 2e-7; what is below 2^-126 becomes that. */
static inline float power(float t) {
    union { float f; int32_t i; } whole, out;
    t = t < -126.0f ? -126.0f : t;
    whole.f = t + 12582912.0f; /* 1.5 2^23: the last bits are now t rounded */
    float r = t - (whole.f - 12582912.0f);
    float p = 1.5403530e-4f;
    p = p * r + 1.33335581e-3f;
    p = p * r + 9.61812911e-3f;
    p = p * r + 5.55041087e-2f;
    p = p * r + 2.40226507e-1f;
    p = p * r + 6.93147181e-1f;
    out.f = p * r + 1.0f;
    out.i += (int32_t)((uint32_t)whole.i << 23);
    return out.f;
}

/* log2 s for s >= 1, by the series of atanh. */
static inline float logarithm(float s) {
    union { float f; int32_t i; } bits = {s};
    int32_t exponent = (bits.i - 0x3f3504f3) >> 23; /* mantissa in [sqrt 1/2, sqrt 2) */
    bits.i -= exponent << 23;
    float q = (bits.f - 1.0f) / (bits.f + 1.0f), z = q * q;
    float p = ((((z / 9.0f + 1.0f / 7.0f) * z + 0.2f) * z + 1.0f / 3.0f) * z + 1.0f) * q;
    return (float)exponent + 2.88539008f * p;
}

/* Of the points `from`, those that count for rows inside a box: a point's exponent at the box's nearest place may lie
 * at most `cut` below some other's at its farthest place. */
static void find_near(const Problem *p, const float box[4], const Near *from, float *restrict reach, Near *near) {
    const float *restrict y0 = from->y0, *restrict y1 = from->y1, *restrict h = from->h;
    float low0 = box[0], high0 = box[1], low1 = box[2], high1 = box[3], sure = -INFINITY;
    int plain = !p->squared;
#pragma omp simd reduction(max : sure)
    for (int64_t j = 0; j < from->kept; j++) {
        float below0 = low0 - y0[j], above0 = y0[j] - high0, below1 = low1 - y1[j], above1 = y1[j] - high1;
        float far0 = below0 < above0 ? y0[j] - low0 : high0 - y0[j], far1 = below1 < above1 ? y1[j] - low1 : high1 - y1[j];
        float d0 = below0 > above0 ? below0 : above0, d1 = below1 > above1 ? below1 : above1;
        d0 = d0 > 0.0f ? d0 : 0.0f, d1 = d1 > 0.0f ? d1 : 0.0f;
        float nearest = d0 * d0 + d1 * d1, farthest = far0 * far0 + far1 * far1;
        nearest = plain ? sqrtf(nearest) : nearest, farthest = plain ? sqrtf(farthest) : farthest;
        reach[j] = h[j] - nearest;
        sure = sure > h[j] - farthest ? sure : h[j] - farthest;
    }
    int64_t kept = 0;
    float limit = sure - p->cut;
    for (int64_t j = 0; j < from->kept; j++) {
        near->index[kept] = j;
        kept += reach[j] >= limit;
    }
    near->kept = kept;
    for (int64_t k = 0; k < kept; k++) {
        int64_t j = near->index[k];
        near->y0[k] = y0[j], near->y1[k] = y1[j], near->h[k] = h[j], near->v[k] = from->v[j];
        near->index[k] = from->index[j];
    }
}

static inline void exponents(const Near *near, float *restrict grid, Rows *rows, int squared) {
    for (int64_t k = 0; k < near->kept; k++) {
        float y0 = near->y0[k], y1 = near->y1[k], h = near->h[k], *restrict t = grid + k * LANES;
#pragma omp simd simdlen(16)
        for (int l = 0; l < LANES; l++) {
            float d0 = rows->x0[l] - y0, d1 = rows->x1[l] - y1, d = d0 * d0 + d1 * d1;
            float value = h - (squared ? d : sqrtf(d));
            t[l] = value;
            rows->top[l] = rows->top[l] > value ? rows->top[l] : value;
        }
    }
}

/* Exponents of all pairs, their largest a row, their powers relative to it, and the rows' sums. */
static void sum_rows(const Problem *p, const Near *near, float *restrict grid, Rows *rows) {
    for (int l = 0; l < LANES; l++) rows->top[l] = -INFINITY, rows->sum[l] = 0.0f, rows->along[l] = 0.0f;
    if (p->squared) exponents(near, grid, rows, 1);
    else exponents(near, grid, rows, 0);
    int average = p->mean && p->v, own = p->mean && !p->v;
    for (int64_t k = 0; k < near->kept; k++) {
        float *restrict t = grid + k * LANES, v = near->v[k];
        if (own) {
#pragma omp simd simdlen(16)
            for (int l = 0; l < LANES; l++) {
                float relative = t[l] - rows->top[l];
                rows->along[l] += power(relative) * relative;
            }
        }
#pragma omp simd simdlen(16)
        for (int l = 0; l < LANES; l++) {
            float e = power(t[l] - rows->top[l]);
            t[l] = e;
            rows->sum[l] += e;
        }
        if (average) {
#pragma omp simd simdlen(16)
            for (int l = 0; l < LANES; l++) rows->along[l] += t[l] * v;
        }
    }
    for (int l = 0; l < LANES; l++) {
        float inverse = 1.0f / rows->sum[l];
        rows->share[l] = inverse;
        rows->along[l] = rows->along[l] * inverse + (own ? rows->top[l] : 0.0f);
        rows->top[l] += logarithm(rows->sum[l]);
    }
}

/* What the rows give to each point. Exponents of the rows' weights may be anything: the largest goes into a double. */
static void add_columns(const Problem *p, const Near *near, const float *restrict grid, Rows *rows, double *columns) {
    float largest = -1000.0f;
    for (int l = 0; l < LANES; l++) {
        rows->weight[l] += p->modulation * rows->top[l];
        largest = largest > rows->weight[l] ? largest : rows->weight[l];
    }
    for (int l = 0; l < LANES; l++) rows->share[l] *= power(rows->weight[l] - largest);
    double scale = exp2(largest > 1000.0f ? 1000.0f : largest);
    for (int64_t k = 0; k < near->kept; k++) {
        const float *restrict e = grid + k * LANES;
        float sum = 0.0f;
#pragma omp simd simdlen(16) reduction(+ : sum)
        for (int l = 0; l < LANES; l++) sum += e[l] * rows->share[l];
        columns[near->index[k]] += scale * sum;
    }
}

/* The box (low, high, low, high) round rows. */
static void bound(const Problem *p, const int64_t *order, int64_t count, float box[4]) {
    box[0] = box[2] = INFINITY, box[1] = box[3] = -INFINITY;
    for (int64_t l = 0; l < count; l++) {
        float x0 = p->x0[order[l]], x1 = p->x1[order[l]];
        box[0] = x0 < box[0] ? x0 : box[0], box[1] = x0 > box[1] ? x0 : box[1];
        box[2] = x1 < box[2] ? x1 : box[2], box[3] = x1 > box[3] ? x1 : box[3];
    }
}

/* LANES rows of a tile, the last one standing in, without weight, where there are fewer. */
static void do_chunk(const Problem *p, const int64_t *order, int64_t count, Space *space, double *columns) {
    Rows rows;
    for (int64_t l = 0; l < LANES; l++) {
        int64_t i = order[l < count ? l : count - 1];
        rows.x0[l] = p->x0[i], rows.x1[l] = p->x1[i];
        rows.weight[l] = p->weights && l < count ? BITS * p->weights[i] : -1e30f;
    }
    float box[4];
    bound(p, order, count, box);
    find_near(p, box, &space->tile, space->reach, &space->chunk);
    sum_rows(p, &space->chunk, space->grid, &rows);
    for (int64_t l = 0; l < count; l++) p->total[order[l]] = NATS * rows.top[l];
    if (p->mean) for (int64_t l = 0; l < count; l++) p->mean[order[l]] = p->v ? rows.along[l] : NATS * rows.along[l];
    if (p->weights) add_columns(p, &space->chunk, space->grid, &rows, columns);
}

static void do_tile(const Problem *p, int64_t tile, Space *space, double *columns) {
    const int64_t *order = p->order + p->starts[tile];
    int64_t count = p->starts[tile + 1] - p->starts[tile];
    float box[4];
    bound(p, order, count, box);
    find_near(p, box, &space->all, space->reach, &space->tile);
    for (int64_t first = 0; first < count; first += LANES) {
        do_chunk(p, order + first, count - first < LANES ? count - first : LANES, space, columns);
    }
}

static int reserve_near(Near *near, size_t points) {
    near->index = malloc(sizeof(int64_t) * points);
    near->y0 = malloc(sizeof(float) * points * 4);
    near->y1 = near->y0 + points, near->h = near->y1 + points, near->v = near->h + points;
    return near->index && near->y0;
}

/* One entry more than there are points: lists are written one past their end. */
static int reserve(Space *space, const Problem *p) {
    size_t points = (size_t)p->points + 1;
    int enough = reserve_near(&space->tile, points) & reserve_near(&space->chunk, points);
    enough &= reserve_near(&space->all, points);
    space->reach = malloc(sizeof(float) * points);
    space->grid = aligned_alloc(64, sizeof(float) * LANES * points);
    if (!enough || !space->reach || !space->grid) return 0;
    for (int64_t j = 0; j < p->points; j++) {
        space->all.y0[j] = p->y0[j], space->all.y1[j] = p->y1[j], space->all.h[j] = BITS * p->h[j];
        space->all.v[j] = p->v ? p->v[j] : 0.0f, space->all.index[j] = j;
    }
    space->all.kept = p->points;
    return 1;
}

static void release(Space *space) {
    free(space->tile.index), free(space->tile.y0), free(space->chunk.index), free(space->chunk.y0);
    free(space->all.index), free(space->all.y0), free(space->reach), free(space->grid);
}

/* Logarithms of what columns receive, without the factor that h gives them; not a number where a column's share is so far
 * below the mean one that pairs left out of rows of great weight may be missing in it. */
static void close_columns(const double *received, const float *h, int64_t points, int64_t threads, double faint, float *columns) {
    double all = 0.0;
    for (int64_t k = 0; k < points * threads; k++) all += received[k];
    for (int64_t j = 0; j < points; j++) {
        double sum = 0.0;
        for (int64_t k = 0; k < threads; k++) sum += received[k * points + j];
        columns[j] = sum * faint * (double)points < all ? NAN : (float)(log(sum) - (double)h[j]);
    }
}

/* See Problem. `columns` (points), or null, becomes log sum_i exp(weight_i + modulation total_i - total_i) 2^-cost_ij, see
 * close_columns. `failed` becomes 1 where memory runs out. */
void likewise_soft_minima(const float *x0, const float *x1, const int64_t *order, const int64_t *starts, int64_t tiles,
                          const float *y0, const float *y1, const float *h, int64_t points, const float *v,
                          const float *weights, double modulation, double cut, int64_t squared, float *total, float *mean,
                          float *columns, double faint, int64_t threads, int64_t *failed) {
    Problem p = {x0, x1, order, starts, y0, y1, h, v, weights, total, mean, tiles, points, squared, (float)cut, (float)modulation};
    double *received = columns ? calloc((size_t)(points * threads), sizeof(double)) : NULL;
    *failed = columns && !received;
    if (*failed) return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t share = 0; share < threads; share++) {
        Space space;
        if (reserve(&space, &p)) {
            /* every threads-th tile: neighbours in the plane have about as many near points */
            for (int64_t tile = share; tile < tiles; tile += threads) {
                do_tile(&p, tile, &space, columns ? received + share * points : NULL);
            }
        } else {
            *failed = 1;
        }
        release(&space);
    }
    if (columns) close_columns(received, h, points, threads, faint, columns);
    free(received);
}
