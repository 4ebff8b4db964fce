/* The loss of the modern transformer and its gradient, for training: models/modern.py forwards and backwards, operation by operation.

   A thread takes its share of the windows and sees them through all layers and back, a few windows at a time, so that what it
   computes with stays in its cache and nobody waits for anybody until the gradients are added up. */

#include "pool.h"
#include "products.h"

/* Tokens a thread sees through at a time; queries at a time. */
enum { CHUNK_TOKENS = 512, QUERIES = 48 };

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

static void forth(const struct net *net, const struct weight *w, const float *x, float *y, int tokens)
{
    multiply(net->bfloat16, x, w->n_in, 1, w->forth, w->n_in, y, w->n_out, tokens, w->n_out, w->n_in, 0);
}

/* The gradient of what a matrix read, and of the matrix, from that of what it answered; with `add` added to what is there. `room` holds
   packed x. */
static void back(const struct net *net, const struct weight *w, const float *x, const float *dy, float *dx, float *gradients, int add, void *room,
                 int tokens)
{
    multiply(net->bfloat16, dy, w->n_out, 1, w->back, w->n_out, dx, w->n_in, tokens, w->n_in, w->n_out, 0);
    pack_panels(net->bfloat16, x, w->n_in, 1, tokens, w->n_in, room);
    multiply(net->bfloat16, dy, 1, w->n_out, room, tokens, gradients + w->gradient, w->n_in, w->n_out, w->n_in, tokens, add);
}

/* ---- Small operations ---- */

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

/* So far below any number that e to its power is 0. */
#define NOTHING -1e30f

static float largest(const float *x, int n)
{
    float most = NOTHING;
    int i = 0;
    if (n >= LANES) {
        lanes mosts = *(const lanes *)x;
        for (i = LANES; i + LANES <= n; i += LANES)
            mosts = larger(mosts, *(const lanes *)(x + i));
        for (int lane = 0; lane < LANES; lane++)
            most = mosts[lane] > most ? mosts[lane] : most;
    }
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* x becomes e to the power of x - most, times `factor` > 0, where none is larger than `most`; the sum of the results. */
static float exponentials(float *x, int n, float most, float factor)
{
    lanes sums = { 0 };
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        sums += *(lanes *)(x + i) = exponential((*(const lanes *)(x + i) - most) * factor);
    float sum = total(sums);
    for (; i < n; i++)
        sum += x[i] = expf((x[i] - most) * factor);
    return sum;
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

/* Scores for so many keys as whole registers: there is room, and a product writes them faster than a part of one. */
static int whole(int keys)
{
    return (keys + LANES - 1) / LANES * LANES;
}

/* The probabilities of keys 0 to t for each of the queries first <= t < end, as rows of `stride` scores, zero behind t. */
static void attend(const struct net *net, float *qkv, int h, const float *keys, int first, int end, float *scores, int stride)
{
    size_t row = 3 * (size_t)net->width;
    /* Queries and keys are of length sqrt(head_size), so no score is larger than head_size, but for what rounding adds. */
    float factor = 1 / sqrtf((float)net->head_size), most = 1.01f * (float)net->head_size;
    multiply(net->bfloat16, part_of(net, qkv, first, 0, h), row, 1, keys, net->head_size, scores, stride, end - first, whole(end), net->head_size, 0);
    for (int t = first; t < end; t++) {
        float *s = scores + (size_t)(t - first) * stride;
        int n = whole(t + 1);
        for (int j = t + 1; j < n; j++)
            s[j] = NOTHING;
        for (int j = n; j < stride; j++)
            s[j] = 0;
        float share = 1 / exponentials(s, n, most, factor);
        for (int j = 0; j < n; j += LANES)
            *(lanes *)(s + j) *= share;
    }
}

static void attention(const struct net *net, float *qkv, float *out, const struct attention_room *r)
{
    int T = net->block_size, size = net->head_size, stride = whole(T);
    size_t row = 3 * (size_t)net->width;
    for (int h = 0; h < net->n_head; h++) {
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 1, h), 1, row, size, T, r->keys);
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 2, h), row, 1, T, size, r->values_back);
        for (int first = 0; first < T; first += QUERIES) {
            int end = first + QUERIES < T ? first + QUERIES : T;
            attend(net, qkv, h, r->keys, first, end, r->scores, stride);
            multiply(net->bfloat16, r->scores, stride, 1, r->values_back, T, out + (size_t)first * net->width + h * size, net->width, end - first, size, end, 0);
        }
    }
}

/* dqkv from dout; query and key still normalised and turned. */
static void attention_back(const struct net *net, float *qkv, const float *dout, float *dqkv, const struct attention_room *r)
{
    int T = net->block_size, size = net->head_size, stride = whole(T);
    size_t row = 3 * (size_t)net->width;
    float factor = 1 / sqrtf((float)size);
    for (int h = 0; h < net->n_head; h++) {
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 1, h), 1, row, size, T, r->keys);
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 2, h), 1, row, size, T, r->values);
        pack_panels(net->bfloat16, part_of(net, qkv, 0, 1, h), row, 1, T, size, r->keys_back);
        /* The last queries first: they read all keys and values, so they write the gradients to which the others add. */
        for (int end = T, count = (T - 1) % QUERIES + 1; end > 0; end -= count, count = QUERIES) {
            int first = end - count, add = end < T;
            const float *d = dout + (size_t)first * net->width + h * size;
            attend(net, qkv, h, r->keys, first, end, r->scores, stride);
            multiply(net->bfloat16, d, net->width, 1, r->values, size, r->slopes, stride, count, whole(end), size, 0);
            for (int t = first; t < end; t++) {
                float *p = r->scores + (size_t)(t - first) * stride, *s = r->slopes + (size_t)(t - first) * stride;
                float mean = dot(p, s, end);
                for (int j = 0; j < end; j++)
                    s[j] = p[j] * (s[j] - mean) * factor;
            }
            multiply(net->bfloat16, r->slopes, stride, 1, r->keys_back, T, part_of(net, dqkv, first, 0, h), (int)row, count, size, end, 0);
            pack_panels(net->bfloat16, part_of(net, qkv, first, 0, h), row, 1, count, size, r->queries);
            multiply(net->bfloat16, r->slopes, 1, stride, r->queries, count, part_of(net, dqkv, 0, 1, h), (int)row, end, size, count, add);
            pack_panels(net->bfloat16, d, net->width, 1, count, size, r->slopes_of);
            multiply(net->bfloat16, r->scores, 1, stride, r->slopes_of, count, part_of(net, dqkv, 0, 2, h), (int)row, end, size, count, add);
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
                          int windows, float scale, float *gradients, int add)
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
        float *row = r->logits + (size_t)t * net->vocab_size, wanted = row[targets[t]], most = largest(row, net->vocab_size);
        float sum = exponentials(row, net->vocab_size, most, 1);
        nats += log(sum) + most - wanted;
        for (int i = 0; i < net->vocab_size; i++)
            row[i] *= scale / sum;
        row[targets[t]] -= scale;
    }
    if (!gradients)
        return nats;

    back(net, &net->head, r->final, r->logits, r->dy, gradients, add, r->panels, tokens);
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
        back(net, &b->contract, r->wide, r->dy, r->dwide, gradients, add, r->panels, tokens);
        for (size_t i = 0; i < (size_t)tokens * 4 * C; i++)
            r->dwide[i] *= k->hidden[i] > 0 ? 2 * k->hidden[i] : 0;
        back(net, &b->expand, k->normed2, r->dwide, r->dy, gradients, add, r->panels, tokens);
        for (int t = 0; t < tokens; t++)
            norm_back(k->normed2 + (size_t)t * C, k->factor2[t], r->dy + (size_t)t * C, r->dx + (size_t)t * C, C, 1);

        memcpy(r->dy, r->dx, (size_t)tokens * C * sizeof(float));
        for (int t = 0; t < tokens; t++)
            drop(net, r->dy + (size_t)t * C, place_of(net, 1 + 2 * l, first, windows) + t, C);
        float *dout = r->wide, *dqkv = r->dwide;
        back(net, &b->project, k->attended, r->dy, dout, gradients, add, r->panels, tokens);
        for (int w = 0; w < count; w++)
            attention_back(net, k->qkv + (size_t)w * T * 3 * C, dout + (size_t)w * T * C, dqkv + (size_t)w * T * 3 * C, &r->attention);
        for (int t = 0; t < tokens; t++)
            for (int h = 0; h < 2 * H; h++) {
                float *y = k->qkv + (size_t)t * 3 * C + h * size, *d = dqkv + (size_t)t * 3 * C + h * size;
                turn(net, y, t % T, 1);
                turn(net, d, t % T, 1);
                norm_back(y, k->factors[(size_t)t * 2 * H + h], d, d, size, 0);
            }
        back(net, &b->query_key_value, k->normed, dqkv, r->dy, gradients, add, r->panels, tokens);
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
    /* Those of the matrices are written anew by the first windows. */
    for (int lag = 0; gradients && lag <= net->earlier; lag++)
        memset(gradients + net->embedding_gradient[lag], 0, (size_t)net->vocab_size * net->width * sizeof(float));
    int first = (int)((long)lesson->windows * part / net->threads), end = (int)((long)lesson->windows * (part + 1) / net->threads);
    if (gradients && first == end)
        memset(gradients, 0, net->parameters * sizeof(float));
    double nats = 0;
    for (int step = chunk_windows(net), add = 0; first < end; first += step, add = 1)
        nats += see_through(net, &room, lesson->ids, lesson->targets, first, end - first < step ? end - first : step, lesson->windows,
                            lesson->scale, gradients, add);
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

enum { SHARES = 64 };

struct measured {
    const float *values;
    size_t n;
    double squares[SHARES];
};

static void measure_part(void *about, int part)
{
    struct measured *m = about;
    size_t from = m->n * part / SHARES, to = m->n * (part + 1) / SHARES;
    double sum = 0; /* what float32 holds is enough for a few thousand numbers */
    for (size_t i = from, n; i < to; i += n) {
        n = to - i < 4096 ? to - i : 4096;
        sum += dot(m->values + i, m->values + i, (int)n);
    }
    m->squares[part] = sum;
}

/* The length of gradients[0], in the same bits on any number of threads. */
double length(const struct net *net)
{
    struct measured measured = { .values = net->gradients[0], .n = net->parameters };
    run(measure_part, &measured, SHARES, net->threads);
    double sum = 0;
    for (int part = 0; part < SHARES; part++)
        sum += measured.squares[part];
    return sqrt(sum);
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
