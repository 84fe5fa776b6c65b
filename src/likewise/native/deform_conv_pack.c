/* Deformable convolution: from torch's layouts to those of the inner loops, and back. */
#include "deform_conv.h"

/* Pictures (batch, channels, pixels) to (batch, pixels, channels). */
void deform_conv2d_rows(const Geometry *g, const float *input, float *rows, int64_t threads) {
    const int64_t pixels = g->height * g->width, bands = (pixels + 255) / 256;
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (int64_t image = 0; image < g->batch; image++)
        for (int64_t band = 0; band < bands; band++) {
            const int64_t first = band * 256, count = smaller(256, pixels - first), at = image * pixels * g->channels;
            transpose(input + at + first, pixels, count, g->channels, g->channels, rows + at + first * g->channels);
        }
}

/* Weights (out, channels of a group, positions) as panels of output channels, block by block. */
void pack_forward(const Geometry *g, const float *weight, float *packed, int64_t threads) {
    const int64_t all = positions(g), channels = group_channels(g), out = group_out(g), padded = padded_out(g);
    const Split s = split(g);
#pragma omp parallel for collapse(3) num_threads(threads) schedule(static)
    for (int64_t group = 0; group < g->groups; group++)
        for (int64_t index = 0; index < s.count; index++)
            for (int64_t first = 0; first < padded; first += COLS) {
                const KBlock k = k_block(g, &s, index);
                float *panel = packed + (group * all * channels + k.start) * padded + first * k.depth;
                for (int64_t position = k.first; position < k.last; position++)
                    for (int64_t c = k.from; c < k.to; c++, panel += COLS)
                        for (int64_t d = 0; d < COLS; d++)
                            panel[d] = first + d < out
                                           ? weight[((group * out + first + d) * channels + c) * all + position]
                                           : 0.0f;
            }
}

/* The same as panels of a block's weights, one row an output channel. */
void pack_backward(const Geometry *g, const float *weight, float *packed, int64_t threads) {
    const int64_t all = positions(g), channels = group_channels(g), out = group_out(g);
    const Split s = split(g);
    const int64_t padded = ceil_to(s.longest, COLS);
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (int64_t group = 0; group < g->groups; group++)
        for (int64_t index = 0; index < s.count; index++) {
            const KBlock k = k_block(g, &s, index);
            float *panels = packed + (group * s.count + index) * padded * out;
            memset(panels, 0, sizeof(float) * padded * out);
            for (int64_t d = 0; d < out; d++)
                for (int64_t position = k.first, at = 0; position < k.last; position++)
                    for (int64_t c = k.from; c < k.to; c++, at++)
                        panels[at / COLS * out * COLS + d * COLS + at % COLS] =
                            weight[((group * out + d) * channels + c) * all + position];
        }
}

/* Sums the threads' gradients of the packed weights into the weight's own order. */
void unpack_weight_gradient(const Geometry *g, const float *grad_packed, int64_t size, int64_t threads,
                            float *grad_weight) {
    const Split s = split(g);
    const int64_t all = positions(g), channels = group_channels(g), out = group_out(g), wide = padded_out(g);
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (int64_t group = 0; group < g->groups; group++)
        for (int64_t index = 0; index < s.count; index++) {
            const KBlock k = k_block(g, &s, index);
            const float *from = grad_packed + (group * s.count + index) * ceil_to(s.longest, ROWS) * wide;
            for (int64_t position = k.first; position < k.last; position++)
                for (int64_t c = k.from; c < k.to; c++, from += wide)
                    for (int64_t d = 0; d < out; d++) {
                        float sum = 0;
                        for (int64_t thread = 0; thread < threads; thread++) sum += from[thread * size + d];
                        grad_weight[((group * out + d) * channels + c) * all + position] = sum;
                    }
        }
}

/* Sums the threads' gradients of one picture's rows into planes (channels, pixels). */
void unpack_picture_gradient(const Geometry *g, float *grad_rows, int64_t threads, float *grad_input) {
    const int64_t pixels = g->height * g->width, size = pixels * g->channels;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t first = 0; first < pixels; first += 256) {
        const int64_t count = smaller(256, pixels - first);
        float *sum = grad_rows + first * g->channels;
        for (int64_t thread = 1; thread < threads; thread++)
            for (int64_t i = 0; i < count * g->channels; i++) sum[i] += sum[thread * size + i];
        transpose(sum, g->channels, g->channels, count, pixels, grad_input + first);
    }
}
