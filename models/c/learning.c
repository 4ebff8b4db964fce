/* The loss of the modern transformer and its gradient, for training: models/modern.py forwards and backwards, operation by operation;
   and, for Muon, nearly orthogonal matrices.

   A thread takes its share of the windows and sees them through all layers and back, a few windows at a time, so that what it
   computes with stays in its cache and nobody waits for anybody until the gradients are added up. Products run on panels of packed
   numbers, in float32 or, where the processor multiplies it, in bfloat16 with sums in float32. */

#include "lanes.h"
#include "pool.h"

/* Tokens a thread sees through at a time; how deep a sum goes before what it reads has left the nearest cache; queries at a time. */
enum { CHUNK_TOKENS = 256, DEPTH = 512, QUERIES = 48 };

enum { MOST_EARLIER = 4, MOST_LAYERS = 48 };

#if defined(__AVX512BF16__)
const int learns_bfloat16 = 1;
#else
const int learns_bfloat16 = 0;
#endif

struct weight {
    const float *values; /* (n_out, n_in) */
    size_t gradient;     /* where its gradient begins, in floats */
    int n_out, n_in;
    void *forth, *back; /* packed: for x W^T, and for dy W */
};

struct block {
    struct weight query_key_value, project, expand, contract;
};

struct net {
    int n_layer, n_head, head_size, width, block_size, vocab_size, earlier, threads, bfloat16;
    uint32_t seed;   /* of dropout */
    float dropout;   /* 0 to below 1 */
    struct block *blocks;
    struct weight head;
    const float *embedding[1 + MOST_EARLIER]; /* of the token, and of those before it: (vocab_size, width) */
    size_t embedding_gradient[1 + MOST_EARLIER];
    size_t parameters;  /* floats of all gradients */
    const float *cos, *sin; /* (block_size, head_size), sin signed */
    float **gradients;  /* one of `parameters` floats a thread */
    float **scratch;    /* one of `scratch_floats` floats a thread */
};

/* ---- Products ---- */

/* Two neighbours along the summed dimension lie in one 32-bit word. */
static inline uint32_t pair(float first, float second)
{
    uint32_t a, b;
    memcpy(&a, &first, 4);
    memcpy(&b, &second, 4);
    a += 0x7fff + (a >> 16 & 1);
    b += 0x7fff + (b >> 16 & 1);
    return a >> 16 | (b & 0xffff0000u);
}

static size_t words(int bfloat16, int depth)
{
    return bfloat16 ? (depth + 1) / 2 : depth;
}

/* LANES rows of LANES words, `from_stride` and `to_stride` words apart, written as columns: blocks of 1, 2, 4, ... words change places. */
static inline void transpose(const uint32_t *from, size_t from_stride, uint32_t *to, size_t to_stride)
{
#if defined(__GNUC__) && !defined(__clang__)
    integers rows[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        memcpy(&rows[i], from + i * from_stride, sizeof rows[i]);
#pragma GCC unroll 4
    for (int size = 1; size < LANES; size *= 2) {
        integers upper, lower; /* which word of the two rows together comes to where */
        for (int j = 0; j < LANES; j++) {
            upper[j] = j & size ? LANES + j - size : j;
            lower[j] = j & size ? LANES + j : j + size;
        }
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & size)) {
                integers one = rows[i], two = rows[i + size];
                rows[i] = __builtin_shuffle(one, two, upper);
                rows[i + size] = __builtin_shuffle(one, two, lower);
            }
    }
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++)
        memcpy(to + i * to_stride, &rows[i], sizeof rows[i]);
#else
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
#endif
}

/* LANES words of a row. */
static inline void words_of(int bfloat16, const float *row, uint32_t *to)
{
    if (!bfloat16) {
        memcpy(to, row, LANES * sizeof(float));
        return;
    }
#if defined(__AVX512BF16__)
    __m512bh narrow = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(row + LANES), _mm512_loadu_ps(row));
    memcpy(to, &narrow, sizeof narrow);
#else
    for (int i = 0; i < LANES; i++)
        to[i] = pair(row[2 * i], row[2 * i + 1]);
#endif
}

/* b(k, n) = data[k * k_stride + n * n_stride], as panels of PANEL columns. */
static void pack_panels(int bfloat16, const float *data, size_t k_stride, size_t n_stride, int depth, int columns, void *packed)
{
    int each = bfloat16 ? 2 : 1;
    for (int first = 0; first < columns; first += PANEL) {
        int n = columns - first < PANEL ? columns - first : PANEL, k = 0;
        const float *from = data + first * n_stride;
        uint32_t *to = (uint32_t *)packed + (size_t)(first / PANEL) * words(bfloat16, depth) * PANEL;
        if (k_stride == 1 && n == PANEL)
            for (; k + each * LANES <= depth; k += each * LANES, to += LANES * PANEL)
                for (int j = 0; j < PANEL; j += LANES) {
                    uint32_t square[LANES * LANES];
                    for (int i = 0; i < LANES; i++)
                        words_of(bfloat16, from + (j + i) * n_stride + k, square + i * LANES);
                    transpose(square, LANES, to + j, PANEL);
                }
        if (!bfloat16) {
            for (; k < depth; k++, to += PANEL) {
                const float *one = from + k * k_stride;
                float *values = (float *)to;
                for (int j = 0; j < n; j++)
                    values[j] = one[j * n_stride];
                for (int j = n; j < PANEL; j++)
                    values[j] = 0;
            }
            continue;
        }
        for (; k < depth; k += 2, to += PANEL) {
            const float *one = from + k * k_stride, *two = one + k_stride;
            if (k + 1 == depth)
                for (int j = 0; j < n; j++)
                    to[j] = pair(one[j * n_stride], 0);
            else if (n_stride == 1 && n == PANEL)
                for (int j = 0; j < PANEL; j++)
                    to[j] = pair(one[j], two[j]);
            else
                for (int j = 0; j < n; j++)
                    to[j] = pair(one[j * n_stride], two[j * n_stride]);
            for (int j = n; j < PANEL; j++)
                to[j] = 0;
        }
    }
}

/* TOKENS rows of a(m, k) = data[m * m_stride + k * k_stride]: one behind the other, DEPTH words apart, where they lie like that; else side
   by side. */
static inline void pack_rows(int bfloat16, const float *data, size_t m_stride, size_t k_stride, int depth, int rows, uint32_t *to)
{
    int whole = bfloat16 ? depth / 2 : depth;
    if (k_stride == 1) {
        for (int m = 0; m < rows; m++, to += DEPTH, data += m_stride) {
            int k = 0;
            if (!bfloat16) {
                memcpy(to, data, depth * sizeof(float));
                continue;
            }
#if defined(__AVX512BF16__)
            for (; k + LANES / 2 <= whole; k += LANES / 2) {
                __m256bh narrow = _mm512_cvtneps_pbh(_mm512_loadu_ps(data + 2 * k));
                memcpy(to + k, &narrow, sizeof narrow);
            }
#endif
            for (; k < whole; k++)
                to[k] = pair(data[2 * k], data[2 * k + 1]);
            if (depth % 2)
                to[k] = pair(data[2 * k], 0);
        }
        return;
    }
    for (int k = 0; k < whole; k++, to += TOKENS) {
        const float *one = data + (bfloat16 ? 2 : 1) * k * k_stride, *two = one + k_stride;
        if (m_stride == 1 && rows == TOKENS) {
            if (bfloat16)
                for (int m = 0; m < TOKENS; m++)
                    to[m] = pair(one[m], two[m]);
            else
                memcpy(to, one, TOKENS * sizeof(float));
            continue;
        }
        for (int m = 0; m < rows; m++)
            if (bfloat16)
                to[m] = pair(one[m * m_stride], two[m * m_stride]);
            else
                memcpy(to + m, one + m * m_stride, sizeof(float));
    }
    if (bfloat16 && depth % 2)
        for (int m = 0; m < rows; m++)
            to[m] = pair(data[m * m_stride + (depth - 1) * k_stride], 0);
}

static inline __attribute__((always_inline)) void
tile(const int bfloat16, const int lengthwise, const uint32_t *a, const uint32_t *b, int depth, float *c, int stride, int rows, int columns, int add)
{
    lanes sums[TOKENS][VECTORS];
    memset(sums, 0, sizeof sums);
    for (int k = 0; k < depth; k++, b += PANEL) {
#pragma GCC unroll 12
        for (int m = 0; m < TOKENS; m++) {
            const uint32_t *one = lengthwise ? a + m * DEPTH + k : a + k * TOKENS + m;
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) {
#if defined(__AVX512BF16__)
                if (bfloat16) {
                    sums[m][v] = (lanes)_mm512_dpbf16_ps((__m512)sums[m][v], (__m512bh)_mm512_set1_epi32((int)*one),
                                                        (__m512bh)_mm512_loadu_si512(b + v * LANES));
                    continue;
                }
#endif
                float factor;
                memcpy(&factor, one, 4);
                sums[m][v] += factor * *(const lanes *)(b + v * LANES);
            }
        }
    }
    if (columns == PANEL) {
#pragma GCC unroll 12
        for (int m = 0; m < TOKENS; m++)
            if (m < rows)
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; v++) {
                    lanes *to = (lanes *)(c + (size_t)m * stride + v * LANES);
                    if (add)
                        sums[m][v] += *to;
                    *to = sums[m][v];
                }
        return;
    }
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < columns; n++) {
            float *to = c + (size_t)m * stride + n, sum = sums[m][n / LANES][n % LANES];
            *to = add ? *to + sum : sum;
        }
}

/* c (rows, columns) = or += a times the packed panels; a(m, k) = a[m * m_stride + k * k_stride]. Of panels packed `packed` deep only the
   first `depth` are used. With `below` only what is on or below the diagonal need be right. */
static void multiply(int bfloat16, const float *a, size_t m_stride, size_t k_stride, const void *panels, int packed, float *c, int stride,
                     int rows, int columns, int depth, int add, int below)
{
    uint32_t side[DEPTH * TOKENS]; /* rows that are not there may hold anything */
    for (int from = 0; from < depth; from += DEPTH) {
        int part = depth - from < DEPTH ? depth - from : DEPTH;
        size_t skipped = words(bfloat16, from), all = words(bfloat16, packed), here = words(bfloat16, part);
        for (int m = 0; m < rows; m += TOKENS) {
            int high = rows - m < TOKENS ? rows - m : TOKENS;
            pack_rows(bfloat16, a + m * m_stride + from * k_stride, m_stride, k_stride, part, high, side);
            for (int n = 0; n < (below ? m + high : columns); n += PANEL) {
                const uint32_t *b = (const uint32_t *)panels + ((n / PANEL) * all + skipped) * PANEL;
                int wide = columns - n < PANEL ? columns - n : PANEL;
                float *to = c + (size_t)m * stride + n;
                if (bfloat16 && k_stride == 1)
                    tile(1, 1, side, b, (int)here, to, stride, high, wide, add || from);
                else if (bfloat16)
                    tile(1, 0, side, b, (int)here, to, stride, high, wide, add || from);
                else if (k_stride == 1)
                    tile(0, 1, side, b, (int)here, to, stride, high, wide, add || from);
                else
                    tile(0, 0, side, b, (int)here, to, stride, high, wide, add || from);
            }
        }
    }
}

static void forth(const struct net *net, const struct weight *w, const float *x, float *y, int tokens)
{
    multiply(net->bfloat16, x, w->n_in, 1, w->forth, w->n_in, y, w->n_out, tokens, w->n_out, w->n_in, 0, 0);
}

/* The gradient of what a matrix read, and of the matrix, from that of what it answered. `room` holds packed x. */
static void back(const struct net *net, const struct weight *w, const float *x, const float *dy, float *dx, float *gradients, void *room, int tokens)
{
    multiply(net->bfloat16, dy, w->n_out, 1, w->back, w->n_out, dx, w->n_in, tokens, w->n_in, w->n_out, 0, 0);
    pack_panels(net->bfloat16, x, w->n_in, 1, tokens, w->n_in, room);
    multiply(net->bfloat16, dy, 1, w->n_out, room, tokens, gradients + w->gradient, w->n_in, w->n_out, w->n_in, tokens, 1, 0);
}

/* ---- Small operations ---- */

static float dot(const float *x, const float *y, int n)
{
    lanes sums = { 0 };
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        sums += *(const lanes *)(x + i) * *(const lanes *)(y + i);
    float sum = total(sums);
    for (; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* y = x over its root mean square; the factor. */
static float norm(const float *x, float *y, int n)
{
    float factor = 1 / sqrtf(dot(x, x, n) / n + 1.1920929e-07f);
    for (int i = 0; i < n; i++)
        y[i] = x[i] * factor;
    return factor;
}

/* dx = or += the gradient of x from that of y = norm(x). */
static void norm_back(const float *y, float factor, const float *dy, float *dx, int n, int add)
{
    float mean = dot(dy, y, n) / n;
    if (add)
        for (int i = 0; i < n; i++)
            dx[i] += factor * (dy[i] - y[i] * mean);
    else
        for (int i = 0; i < n; i++)
            dx[i] = factor * (dy[i] - y[i] * mean);
}

/* Drops channels of a row and makes up for them, the same ones whenever it is asked; `place` tells rows apart. */
static void drop(const struct net *net, float *x, uint32_t place, int n)
{
    if (net->dropout <= 0)
        return;
    uint32_t least = (uint32_t)(net->dropout * 4294967296.0);
    float factor = 1 / (1 - net->dropout);
    uint32_t start = (net->seed ^ place * 0x9e3779b9u) * 0x85ebca6bu;
    for (int i = 0; i < n; i++) {
        uint32_t h = start + (uint32_t)i * 0xc2b2ae35u; /* lowbias32 by Wellons */
        h ^= h >> 16;
        h *= 0x7feb352du;
        h ^= h >> 15;
        h *= 0x846ca68bu;
        h ^= h >> 16;
        x[i] = h < least ? 0 : x[i] * factor;
    }
}

static void turn(const struct net *net, float *x, int position, int backwards)
{
    int half = net->head_size / 2;
    const float *cos = net->cos + (size_t)position * net->head_size, *sin = net->sin + (size_t)position * net->head_size + half;
    for (int i = 0; i < half; i++) {
        float first = x[i], second = x[i + half], s = backwards ? -sin[i] : sin[i];
        x[i] = first * cos[i] - second * s;
        x[i + half] = second * cos[i] + first * s;
    }
}

/* ---- Attention, one head of one window ---- */

/* Where head `h` of query, key or value (`which` 0, 1, 2) of a token lies. */
static inline float *part_of(const struct net *net, float *qkv, int token, int which, int h)
{
    return qkv + ((size_t)token * 3 + which) * net->width + h * net->head_size;
}

struct attention_room {
    float *keys, *values, *keys_back, *values_back, *queries, *slopes_of, *scores, *slopes;
};

static size_t attention_floats(const struct net *net, struct attention_room *room, float *arena)
{
    size_t T = net->block_size, size = net->head_size, used = 0;
    size_t across = (T + PANEL) * size, along = (size + PANEL) * T, block = (size + PANEL) * QUERIES, square = QUERIES * (T + PANEL);
    float **pieces[] = { &room->keys, &room->values, &room->keys_back, &room->values_back, &room->queries, &room->slopes_of, &room->scores, &room->slopes };
    size_t sizes[] = { across, across, along, along, block, block, square, square };
    for (int i = 0; i < 8; i++) {
        *pieces[i] = arena + used;
        used += (sizes[i] + 15) / 16 * 16;
    }
    return used;
}

/* The probabilities of keys 0 to t for each of the queries first <= t < end, as rows of `stride` scores, zero behind t. */
static void attend(const struct net *net, float *qkv, int h, const float *keys, int first, int end, float *scores, int stride)
{
    size_t row = 3 * (size_t)net->width;
    float factor = 1 / sqrtf((float)net->head_size);
    multiply(net->bfloat16, part_of(net, qkv, first, 0, h), row, 1, keys, net->head_size, scores, stride, end - first, end, net->head_size, 0, 0);
    for (int t = first; t < end; t++) {
        float *s = scores + (size_t)(t - first) * stride, largest = -1e30f;
        int n = (t + LANES) / LANES * LANES;
        for (int j = t + 1; j < stride; j++)
            s[j] = 0;
        for (int j = 0; j <= t; j++)
            largest = s[j] > largest ? s[j] : largest;
        lanes sums = { 0 };
        for (int j = 0; j < n; j += LANES) {
            lanes e = exponential((*(const lanes *)(s + j) - largest) * factor);
            *(lanes *)(s + j) = e;
        }
        for (int j = t + 1; j < n; j++)
            s[j] = 0;
        for (int j = 0; j < n; j += LANES)
            sums += *(const lanes *)(s + j);
        float share = 1 / total(sums);
        for (int j = 0; j < n; j += LANES)
            *(lanes *)(s + j) *= share;
    }
}

static void attention(const struct net *net, float *qkv, float *out, const struct attention_room *r)
{
    int T = net->block_size, size = net->head_size, stride = (T + PANEL - 1) / PANEL * PANEL;
    size_t row = 3 * (size_t)net->width;
    for (int h = 0; h < net->n_head; h++) {
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 1, h), 1, row, size, T, r->keys);
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 2, h), row, 1, T, size, r->values_back);
        for (int first = 0; first < T; first += QUERIES) {
            int end = first + QUERIES < T ? first + QUERIES : T;
            attend(net, qkv, h, r->keys, first, end, r->scores, stride);
            multiply(net->bfloat16, r->scores, stride, 1, r->values_back, T, out + (size_t)first * net->width + h * size, net->width, end - first, size, end, 0, 0);
        }
    }
}

/* dqkv from dout; query and key still normalised and turned. */
static void attention_back(const struct net *net, float *qkv, const float *dout, float *dqkv, const struct attention_room *r)
{
    int T = net->block_size, size = net->head_size, stride = (T + PANEL - 1) / PANEL * PANEL;
    size_t row = 3 * (size_t)net->width;
    float factor = 1 / sqrtf((float)size);
    for (int h = 0; h < net->n_head; h++) {
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 1, h), 1, row, size, T, r->keys);
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 2, h), 1, row, size, T, r->values);
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 1, h), row, 1, T, size, r->keys_back);
        for (int t = 0; t < T; t++)
            for (int which = 1; which < 3; which++)
                memset(part_of(net, dqkv, t, which, h), 0, size * sizeof(float));
        for (int first = 0; first < T; first += QUERIES) {
            int end = first + QUERIES < T ? first + QUERIES : T, count = end - first;
            const float *d = dout + (size_t)first * net->width + h * size;
            attend(net, qkv, h, r->keys, first, end, r->scores, stride);
            multiply(net->bfloat16, d, net->width, 1, r->values, size, r->slopes, stride, count, end, size, 0, 0);
            for (int t = first; t < end; t++) {
                float *p = r->scores + (size_t)(t - first) * stride, *s = r->slopes + (size_t)(t - first) * stride;
                float mean = dot(p, s, end);
                for (int j = 0; j < end; j++)
                    s[j] = p[j] * (s[j] - mean) * factor;
            }
            multiply(net->bfloat16, r->slopes, stride, 1, r->keys_back, T, part_of(net, dqkv, first, 0, h), (int)row, count, size, end, 0, 0);
            pack_panels(net->bfloat16, part_of(net, qkv, first, 0, h), row, 1, count, size, r->queries);
            multiply(net->bfloat16, r->slopes, 1, stride, r->queries, count, part_of(net, dqkv, 0, 1, h), (int)row, end, size, count, 1, 0);
            pack_panels(net->bfloat16, d, net->width, 1, count, size, r->slopes_of);
            multiply(net->bfloat16, r->scores, 1, stride, r->slopes_of, count, part_of(net, dqkv, 0, 2, h), (int)row, end, size, count, 1, 0);
        }
    }
}

/* ---- One chunk of windows, by one thread ---- */

/* What a layer leaves behind for the way back; all (tokens, .). */
struct kept {
    float *normed, *qkv, *attended, *normed2, *hidden;
    float *factor, *factors, *factor2; /* of the norms: one a token, one a query or key, one a token */
};

struct room {
    struct kept *layers;
    float *x, *final, *dx, *dy, *wide, *dwide, *logits;
    struct attention_room attention;
    float *embedded, *embedded_factor, *final_factor;
    void *panels;
};

static size_t lay_out(const struct net *net, struct room *room, struct kept *layers, float *arena)
{
    int windows = CHUNK_TOKENS / net->block_size > 1 ? CHUNK_TOKENS / net->block_size : 1;
    size_t tokens = (size_t)windows * net->block_size, width = net->width, used = 0;
#define TAKE(n) (arena + used); used += ((size_t)(n) + 15) / 16 * 16
    room->layers = layers;
    for (int l = 0; l < net->n_layer; l++) {
        struct kept *k = &layers[l];
        k->normed = TAKE(tokens * width);
        k->qkv = TAKE(tokens * 3 * width);
        k->attended = TAKE(tokens * width);
        k->normed2 = TAKE(tokens * width);
        k->hidden = TAKE(tokens * 4 * width);
        k->factor = TAKE(tokens);
        k->factors = TAKE(tokens * 2 * net->n_head);
        k->factor2 = TAKE(tokens);
    }
    room->x = TAKE(tokens * width);
    room->final = TAKE(tokens * width);
    room->dx = TAKE(tokens * width);
    room->dy = TAKE(tokens * width);
    room->wide = TAKE(tokens * 4 * width);
    room->dwide = TAKE(tokens * 4 * width);
    room->logits = TAKE(tokens * net->vocab_size);
    room->embedded = TAKE(tokens * width);
    room->embedded_factor = TAKE(tokens);
    room->final_factor = TAKE(tokens);
    used += attention_floats(net, &room->attention, arena + used);
    room->panels = TAKE((tokens + 1) * (4 * width + PANEL));
#undef TAKE
    return used;
}

size_t scratch_floats(const struct net *net)
{
    struct kept layers[MOST_LAYERS];
    struct room room;
    return lay_out(net, &room, layers, NULL);
}

static int chunk_windows(const struct net *net)
{
    return CHUNK_TOKENS / net->block_size > 1 ? CHUNK_TOKENS / net->block_size : 1;
}

/* Adds y, partly dropped, to the stream. */
static void add_dropped(const struct net *net, float *x, float *y, uint32_t place, int tokens)
{
    for (int t = 0; t < tokens; t++) {
        float *row = y + (size_t)t * net->width;
        drop(net, row, place + t, net->width);
        for (int i = 0; i < net->width; i++)
            x[(size_t)t * net->width + i] += row[i];
    }
}

static void square_of_relu(const float *u, float *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = u[i] > 0 ? u[i] : 0;
        a[i] = x * x;
    }
}

/* Rows of dropout: every layer has two for each token, and the embedding one. */
static uint32_t place_of(const struct net *net, int which, int first, int windows)
{
    return (uint32_t)which * (uint32_t)(windows * net->block_size) + (uint32_t)(first * net->block_size);
}

static double see_through(const struct net *net, struct room *r, const int64_t *ids, const int64_t *targets, int first, int count,
                          int windows, float scale, float *gradients)
{
    int C = net->width, T = net->block_size, tokens = count * T, H = net->n_head, size = net->head_size;
    ids += (size_t)first * T;
    targets += (size_t)first * T;
    for (int t = 0; t < tokens; t++) {
        float *row = r->x + (size_t)t * C;
        memcpy(row, net->embedding[0] + (size_t)ids[t] * C, C * sizeof(float));
        for (int lag = 1; lag <= net->earlier && lag <= t % T; lag++) {
            const float *before = net->embedding[lag] + (size_t)ids[t - lag] * C;
            for (int i = 0; i < C; i++)
                row[i] += before[i];
        }
        r->embedded_factor[t] = norm(row, r->embedded + (size_t)t * C, C);
        memcpy(row, r->embedded + (size_t)t * C, C * sizeof(float));
        drop(net, row, place_of(net, 0, first, windows) + t, C);
    }
    for (int l = 0; l < net->n_layer; l++) {
        struct kept *k = &r->layers[l];
        const struct block *b = &net->blocks[l];
        for (int t = 0; t < tokens; t++)
            k->factor[t] = norm(r->x + (size_t)t * C, k->normed + (size_t)t * C, C);
        forth(net, &b->query_key_value, k->normed, k->qkv, tokens);
        for (int t = 0; t < tokens; t++)
            for (int h = 0; h < 2 * H; h++) {
                float *x = k->qkv + (size_t)t * 3 * C + h * size;
                k->factors[(size_t)t * 2 * H + h] = norm(x, x, size);
                turn(net, x, t % T, 0);
            }
        for (int w = 0; w < count; w++)
            attention(net, k->qkv + (size_t)w * T * 3 * C, k->attended + (size_t)w * T * C, &r->attention);
        forth(net, &b->project, k->attended, r->dy, tokens);
        add_dropped(net, r->x, r->dy, place_of(net, 1 + 2 * l, first, windows), tokens);
        for (int t = 0; t < tokens; t++)
            k->factor2[t] = norm(r->x + (size_t)t * C, k->normed2 + (size_t)t * C, C);
        forth(net, &b->expand, k->normed2, k->hidden, tokens);
        square_of_relu(k->hidden, r->wide, (size_t)tokens * 4 * C);
        forth(net, &b->contract, r->wide, r->dy, tokens);
        add_dropped(net, r->x, r->dy, place_of(net, 2 + 2 * l, first, windows), tokens);
    }
    for (int t = 0; t < tokens; t++)
        r->final_factor[t] = norm(r->x + (size_t)t * C, r->final + (size_t)t * C, C);
    forth(net, &net->head, r->final, r->logits, tokens);
    double nats = 0;
    for (int t = 0; t < tokens; t++) {
        float *row = r->logits + (size_t)t * net->vocab_size, largest = -1e30f, sum = 0, wanted = row[targets[t]];
        for (int i = 0; i < net->vocab_size; i++)
            largest = row[i] > largest ? row[i] : largest;
        for (int i = 0; i < net->vocab_size; i++)
            sum += row[i] = expf(row[i] - largest);
        nats += log(sum) + largest - wanted;
        for (int i = 0; i < net->vocab_size; i++)
            row[i] *= scale / sum;
        row[targets[t]] -= scale;
    }
    if (!gradients)
        return nats;

    back(net, &net->head, r->final, r->logits, r->dy, gradients, r->panels, tokens);
    for (int t = 0; t < tokens; t++)
        norm_back(r->final + (size_t)t * C, r->final_factor[t], r->dy + (size_t)t * C, r->dx + (size_t)t * C, C, 0);
    for (int l = net->n_layer - 1; l >= 0; l--) {
        struct kept *k = &r->layers[l];
        const struct block *b = &net->blocks[l];
        /* r->dx is the gradient of the stream behind the layer, and stays that of the stream wherever we are. */
        memcpy(r->dy, r->dx, (size_t)tokens * C * sizeof(float));
        for (int t = 0; t < tokens; t++)
            drop(net, r->dy + (size_t)t * C, place_of(net, 2 + 2 * l, first, windows) + t, C);
        square_of_relu(k->hidden, r->wide, (size_t)tokens * 4 * C);
        back(net, &b->contract, r->wide, r->dy, r->dwide, gradients, r->panels, tokens);
        for (size_t i = 0; i < (size_t)tokens * 4 * C; i++)
            r->dwide[i] *= k->hidden[i] > 0 ? 2 * k->hidden[i] : 0;
        back(net, &b->expand, k->normed2, r->dwide, r->dy, gradients, r->panels, tokens);
        for (int t = 0; t < tokens; t++)
            norm_back(k->normed2 + (size_t)t * C, k->factor2[t], r->dy + (size_t)t * C, r->dx + (size_t)t * C, C, 1);

        memcpy(r->dy, r->dx, (size_t)tokens * C * sizeof(float));
        for (int t = 0; t < tokens; t++)
            drop(net, r->dy + (size_t)t * C, place_of(net, 1 + 2 * l, first, windows) + t, C);
        float *dout = r->wide, *dqkv = r->dwide;
        back(net, &b->project, k->attended, r->dy, dout, gradients, r->panels, tokens);
        for (int w = 0; w < count; w++)
            attention_back(net, k->qkv + (size_t)w * T * 3 * C, dout + (size_t)w * T * C, dqkv + (size_t)w * T * 3 * C, &r->attention);
        for (int t = 0; t < tokens; t++)
            for (int h = 0; h < 2 * H; h++) {
                float *y = k->qkv + (size_t)t * 3 * C + h * size, *d = dqkv + (size_t)t * 3 * C + h * size;
                turn(net, y, t % T, 1);
                turn(net, d, t % T, 1);
                norm_back(y, k->factors[(size_t)t * 2 * H + h], d, d, size, 0);
            }
        back(net, &b->query_key_value, k->normed, dqkv, r->dy, gradients, r->panels, tokens);
        for (int t = 0; t < tokens; t++)
            norm_back(k->normed + (size_t)t * C, k->factor[t], r->dy + (size_t)t * C, r->dx + (size_t)t * C, C, 1);
    }
    for (int t = 0; t < tokens; t++) {
        float *d = r->dx + (size_t)t * C;
        drop(net, d, place_of(net, 0, first, windows) + t, C);
        norm_back(r->embedded + (size_t)t * C, r->embedded_factor[t], d, d, C, 0);
        for (int lag = 0; lag <= net->earlier && lag <= t % T; lag++) {
            float *g = gradients + net->embedding_gradient[lag] + (size_t)ids[t - lag] * C;
            for (int i = 0; i < C; i++)
                g[i] += d[i];
        }
    }
    return nats;
}

/* ---- All of it ---- */

struct lesson {
    const struct net *net;
    const int64_t *ids, *targets;
    int windows, learn;
    float scale;
    double *nats; /* a thread's */
};

static void pack_part(void *about, int part)
{
    const struct net *net = ((struct lesson *)about)->net;
    const struct weight *w = &net->head;
    if (part < 4 * net->n_layer) {
        const struct block *b = &net->blocks[part / 4];
        w = (const struct weight *[]){ &b->query_key_value, &b->project, &b->expand, &b->contract }[part % 4];
    }
    pack_panels(net->bfloat16, w->values, 1, w->n_in, w->n_in, w->n_out, w->forth);
    if (((struct lesson *)about)->learn)
        pack_panels(net->bfloat16, w->values, w->n_in, 1, w->n_out, w->n_in, w->back);
}

static void learn_part(void *about, int part)
{
    const struct lesson *lesson = about;
    const struct net *net = lesson->net;
    struct kept layers[MOST_LAYERS];
    struct room room;
    lay_out(net, &room, layers, net->scratch[part]);
    float *gradients = lesson->learn ? net->gradients[part] : NULL;
    if (gradients)
        memset(gradients, 0, net->parameters * sizeof(float));
    int first = (int)((long)lesson->windows * part / net->threads), end = (int)((long)lesson->windows * (part + 1) / net->threads);
    double nats = 0;
    for (int step = chunk_windows(net); first < end; first += step)
        nats += see_through(net, &room, lesson->ids, lesson->targets, first, end - first < step ? end - first : step, lesson->windows,
                            lesson->scale, gradients);
    lesson->nats[part] = nats;
}

enum { SLICE = 16384 };

static void sum_part(void *about, int part)
{
    const struct net *net = ((struct lesson *)about)->net;
    size_t from = (size_t)part * SLICE, to = from + SLICE < net->parameters ? from + SLICE : net->parameters;
    for (int thread = 1; thread < net->threads; thread++)
        for (size_t i = from; i < to; i++)
            net->gradients[0][i] += net->gradients[thread][i];
}

/* The summed cross-entropy, in nats, of windows of block_size ids and what follows each. With `learn`, gradients[0] becomes the gradient
   of `scale` times that sum. */
double learn(const struct net *net, const int64_t *ids, const int64_t *targets, int windows, float scale, int learning)
{
    double nats[MOST_THREADS], sum = 0;
    struct lesson lesson = { net, ids, targets, windows, learning, scale, nats };
    run(pack_part, &lesson, 4 * net->n_layer + 1, net->threads);
    run(learn_part, &lesson, net->threads, net->threads);
    if (learning && net->threads > 1)
        run(sum_part, &lesson, (int)((net->parameters + SLICE - 1) / SLICE), net->threads);
    for (int part = 0; part < net->threads; part++)
        sum += nats[part];
    return sum;
}

/* ---- The nearest orthogonal matrix ---- */

struct stack {
    float *matrices; /* (count, rows, columns), rows <= columns */
    int rows, columns, steps, bfloat16;
    const float *coefficients; /* (steps, 3): of a matrix, of its cube, of its fifth power */
    float *scratch;            /* orthogonal_floats for each matrix */
};

size_t orthogonal_floats(int rows, int columns)
{
    size_t r = rows, c = columns;
    return 2 * r * r + r * c + (c + 1) * (r + PANEL) + (r + 1) * (c + PANEL);
}

/* Copies what is below the diagonal to where it is above, a square of the cache at a time. */
static void mirror(float *square, int n)
{
    for (int top = 0; top < n; top += LANES)
        for (int left = 0; left <= top; left += LANES) {
            if (top + LANES <= n && left < top) {
                transpose((uint32_t *)square + (size_t)top * n + left, n, (uint32_t *)square + (size_t)left * n + top, n);
                continue;
            }
            for (int i = top; i < top + LANES && i < n; i++)
                for (int j = left; j < left + LANES && j < i; j++)
                    square[(size_t)j * n + i] = square[(size_t)i * n + j];
        }
}

/* Newton-Schulz: x becomes a x + (b G + c G^2) x with G = x x^T, which drives every singular value towards 1. */
static void orthogonalise_part(void *about, int part)
{
    const struct stack *s = about;
    int bfloat16 = s->bfloat16, r = s->rows, c = s->columns;
    size_t all = (size_t)r * c, square = (size_t)r * r;
    float *x = s->matrices + part * all, *gram = s->scratch + part * orthogonal_floats(r, c), *mix = gram + square, *y = mix + square;
    float *panels = y + all, factor = 1 / (sqrtf(dot(x, x, (int)all)) + 1e-7f);
    for (size_t i = 0; i < all; i++)
        x[i] *= factor;
    for (int step = 0; step < s->steps; step++) {
        const float *by = s->coefficients + 3 * step;
        pack_panels(bfloat16, x, 1, c, c, r, panels);
        multiply(bfloat16, x, c, 1, panels, c, gram, r, r, r, c, 0, 1);
        mirror(gram, r);
        pack_panels(bfloat16, gram, r, 1, r, r, panels);
        multiply(bfloat16, gram, r, 1, panels, r, mix, r, r, r, r, 0, 1);
        mirror(mix, r);
        for (size_t i = 0; i < square; i++)
            mix[i] = by[1] * gram[i] + by[2] * mix[i];
        pack_panels(bfloat16, x, c, 1, r, c, panels);
        multiply(bfloat16, mix, r, 1, panels, r, y, c, r, c, r, 0, 0);
        for (size_t i = 0; i < all; i++)
            x[i] = by[0] * x[i] + y[i];
    }
}

/* Replaces each of `count` matrices by one near the orthogonal matrix that is nearest to it. */
void orthogonalise(float *matrices, int count, int rows, int columns, int steps, const float *coefficients, int bfloat16, float *scratch,
                   int threads)
{
    struct stack stack = { matrices, rows, columns, steps, bfloat16, coefficients, scratch };
    run(orthogonalise_part, &stack, count, threads);
}
