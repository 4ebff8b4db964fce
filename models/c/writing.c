/* The forward pass of both transformers for one text, on weights of 16 bits.

   models/compiled.py lays everything out in memory and calls `forward`; nothing here allocates. It says what models/classic.py and
   models/modern.py say, operation by operation.

   A sum is made in the same order however many tokens are read at once and however many threads there are: a text that is read at
   once and one that grew by single tokens end in the same bits. */

#include "lanes.h"
#include "pool.h"

/* Groups of PANEL outputs that are read side by side for one token. */
enum { GROUPS = 4 };

/* For whoever packs the weights. */
const int kernel_rows = PANEL;

/* Weight (o, i) is scale[o] * an integer. Of every PANEL outputs the integers lie one behind the other, and those of the next input
   behind them. Outputs are filled up with zeros to whole groups. */
struct matrix {
    const int16_t *weights;
    const float *scale;
    int n_in, n_out;
};

struct layer {
    struct matrix query_key_value, project, expand, contract;
    const float *attention_gain, *feed_forward_gain; /* NULL for the modern one */
    float *keys;   /* (n_head, head_size, positions): a channel of all positions in a row */
    float *values; /* (n_head, block_size, head_size) */
};

struct model {
    int modern, n_layer, n_head, head_size, width, block_size, positions, vocab_size, earlier;
    struct layer *layers;
    struct matrix head;
    const float *gain;       /* of the last norm; NULL for the modern one */
    const float *embedding;  /* (vocab_size, width) */
    const float *other;      /* classic: of positions (block_size, width); modern: of earlier tokens (earlier, vocab_size, width) */
    const float *cos, *sin;  /* modern: (block_size, head_size) */
    float *x, *normed, *wide, *narrow; /* (block_size, .): the stream, its norm, and what matrices answer */
    int threads;
};

/* ---- Products ----

   A register holds the sums of LANES outputs, to each of which one input is added at a time. */

static inline lanes widened(const int16_t *weights)
{
#if defined(__AVX512F__)
    /* What the general line means; gcc 12 takes it apart. */
    return (lanes)_mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)weights)));
#else
    return __builtin_convertvector(__builtin_convertvector(*(const shorts *)weights, integers), lanes);
#endif
}

static inline __attribute__((always_inline)) void
multiply_tile(const int groups, const int tokens, const struct matrix *m, int first, const float *x, int x_stride, float *y)
{
    const int16_t *weights = m->weights + (size_t)first * PANEL * m->n_in;
    const size_t apart = (size_t)PANEL * m->n_in;
    lanes sums[groups][tokens][VECTORS];
    memset(sums, 0, sizeof sums);
    for (int i = 0; i < m->n_in; i++, weights += PANEL) {
#pragma GCC unroll 8
        for (int g = 0; g < groups; g++) {
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) {
                lanes weight = widened(weights + g * apart + v * LANES);
#pragma GCC unroll 12
                for (int t = 0; t < tokens; t++)
                    sums[g][t][v] += weight * x[(size_t)t * x_stride + i];
            }
        }
    }
#pragma GCC unroll 8
    for (int g = 0; g < groups; g++)
#pragma GCC unroll 12
        for (int t = 0; t < tokens; t++)
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) {
                int row = (first + g) * PANEL + v * LANES;
                *(lanes *)(y + (size_t)t * m->n_out + row) = sums[g][t][v] * *(const lanes *)(m->scale + row);
            }
}

struct product {
    const struct matrix *matrix;
    const float *x;
    float *y;
    int x_stride, tokens, groups; /* groups of rows a part */
};

static void multiply_part(void *about, int part)
{
    const struct product *p = about;
    const struct matrix *m = p->matrix;
    int group = part * p->groups, last = group + p->groups, all = m->n_out / PANEL;
    if (last > all)
        last = all;
    /* For a few tokens groups lie side by side, or there would be too few sums to keep the processor busy. */
    if (p->tokens < TOKENS)
        for (; group + GROUPS <= last; group += GROUPS) {
            const float *x = p->x;
            float *y = p->y;
            int left = p->tokens;
            for (; left >= 3; left -= 3, x += (size_t)3 * p->x_stride, y += (size_t)3 * m->n_out)
                multiply_tile(GROUPS, 3, m, group, x, p->x_stride, y);
            if (left == 2)
                multiply_tile(GROUPS, 2, m, group, x, p->x_stride, y);
            else if (left == 1)
                multiply_tile(GROUPS, 1, m, group, x, p->x_stride, y);
        }
    for (; group < last; group++) {
        const float *x = p->x;
        float *y = p->y;
        int t = 0;
        for (; t + TOKENS <= p->tokens; t += TOKENS)
            multiply_tile(1, TOKENS, m, group, x + (size_t)t * p->x_stride, p->x_stride, y + (size_t)t * m->n_out);
        for (; t + 3 <= p->tokens; t += 3)
            multiply_tile(1, 3, m, group, x + (size_t)t * p->x_stride, p->x_stride, y + (size_t)t * m->n_out);
        for (; t < p->tokens; t++)
            multiply_tile(1, 1, m, group, x + (size_t)t * p->x_stride, p->x_stride, y + (size_t)t * m->n_out);
    }
}

/* y (tokens, n_out) = x (tokens, n_in), whose rows lie x_stride apart, times the matrix. */
static void multiply(const struct model *model, const struct matrix *matrix, const float *x, int x_stride, float *y, int tokens)
{
    struct product about = { matrix, x, y, x_stride, tokens, tokens < TOKENS ? GROUPS : 1 };
    run(multiply_part, &about, (matrix->n_out / PANEL + about.groups - 1) / about.groups, model->threads);
}

/* ---- Norms ---- */

static float sum_of_squares(const float *x, int n)
{
    lanes sums = { 0 };
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        lanes v = *(const lanes *)(x + i);
        sums += v * v;
    }
    float sum = total(sums);
    for (; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

static float sum_of(const float *x, int n)
{
    lanes sums = { 0 };
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        sums += *(const lanes *)(x + i);
    float sum = total(sums);
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

/* RMSNorm without a gain, as torch has it (epsilon of float32), or LayerNorm with a gain and no bias. May be done in place. */
static void norm(const float *x, const float *gain, float *out, int n)
{
    if (!gain) {
        float factor = 1 / sqrtf(sum_of_squares(x, n) / n + 1.1920929e-07f);
        for (int i = 0; i < n; i++)
            out[i] = x[i] * factor;
        return;
    }
    float mean = sum_of(x, n) / n;
    for (int i = 0; i < n; i++)
        out[i] = x[i] - mean;
    float factor = 1 / sqrtf(sum_of_squares(out, n) / n + 1e-5f);
    for (int i = 0; i < n; i++)
        out[i] = out[i] * factor * gain[i];
}

/* ---- Attention ---- */

struct attention {
    const struct model *model;
    struct layer *layer;
    float *qkv, *out;
    int start, tokens;
};

/* Puts the keys and values of one head into the cache, queries and keys normalised and turned before if the model is modern. */
static void remember_part(void *about, int head)
{
    const struct attention *a = about;
    const struct model *m = a->model;
    int size = m->head_size, half = size / 2, stride = a->layer->query_key_value.n_out;
    for (int t = 0; t < a->tokens; t++) {
        int position = a->start + t;
        float *row = a->qkv + (size_t)t * stride;
        float *parts[2] = { row + head * size, row + m->width + head * size };
        const float *v = row + 2 * m->width + head * size;
        if (m->modern) {
            const float *cos = m->cos + (size_t)position * size, *sin = m->sin + (size_t)position * size;
            for (int part = 0; part < 2; part++) {
                float *x = parts[part];
                norm(x, NULL, x, size);
                for (int i = 0; i < half; i++) {
                    float first = x[i], second = x[i + half];
                    x[i] = first * cos[i] + second * sin[i];
                    x[i + half] = second * cos[i + half] + first * sin[i + half];
                }
            }
        }
        float *keys = a->layer->keys + (size_t)head * size * m->positions + position;
        for (int i = 0; i < size; i++)
            keys[(size_t)i * m->positions] = parts[1][i];
        memcpy(a->layer->values + ((size_t)head * m->block_size + position) * size, v, size * sizeof(float));
    }
}

static void attend_part(void *about, int part)
{
    const struct attention *a = about;
    const struct model *m = a->model;
    int head = part % m->n_head, t = part / m->n_head, size = m->head_size;
    int n = a->start + t + 1, padded = (n + LANES - 1) / LANES * LANES;
    const float *q = a->qkv + (size_t)t * a->layer->query_key_value.n_out + head * size;
    const float *keys = a->layer->keys + (size_t)head * size * m->positions;
    const float *values = a->layer->values + (size_t)head * m->block_size * size;
    float scores[padded], factor = 1 / sqrtf((float)size), largest = -1e30f;
    for (int j = 0; j < padded; j += LANES) {
        lanes sum = { 0 };
        for (int i = 0; i < size; i++)
            sum += q[i] * *(const lanes *)(keys + (size_t)i * m->positions + j);
        *(lanes *)(scores + j) = sum * factor;
    }
    for (int j = n; j < padded; j++)
        scores[j] = -1e30f; /* what is behind the text has no share */
    for (int j = 0; j < n; j++)
        largest = scores[j] > largest ? scores[j] : largest;
    lanes sums = { 0 };
    for (int j = 0; j < padded; j += LANES) {
        lanes e = exponential(*(const lanes *)(scores + j) - largest);
        *(lanes *)(scores + j) = e;
        sums += e;
    }
    float share = 1 / total(sums);
    float *out = a->out + (size_t)t * m->width + head * size;
    int i = 0;
    for (; i + LANES <= size; i += LANES) {
        lanes even = { 0 }, odd = { 0 };
        int j = 0;
        for (; j + 1 < n; j += 2) {
            even += scores[j] * *(const lanes *)(values + (size_t)j * size + i);
            odd += scores[j + 1] * *(const lanes *)(values + (size_t)(j + 1) * size + i);
        }
        if (j < n)
            even += scores[j] * *(const lanes *)(values + (size_t)j * size + i);
        *(lanes *)(out + i) = (even + odd) * share;
    }
    for (; i < size; i++) {
        float sum = 0;
        for (int j = 0; j < n; j++)
            sum += scores[j] * values[(size_t)j * size + i];
        out[i] = sum * share;
    }
}

/* ---- The pass ---- */

static void embed(const struct model *m, const int64_t *ids, int position, float *x)
{
    int n = m->width;
    memcpy(x, m->embedding + (size_t)ids[position] * n, n * sizeof(float));
    if (!m->modern) {
        for (int i = 0; i < n; i++)
            x[i] += m->other[(size_t)position * n + i];
        return;
    }
    for (int lag = 1; lag <= m->earlier && lag <= position; lag++) {
        const float *row = m->other + ((size_t)(lag - 1) * m->vocab_size + ids[position - lag]) * n;
        for (int i = 0; i < n; i++)
            x[i] += row[i];
    }
    norm(x, NULL, x, n);
}

static void normalise(const struct model *m, const float *gain, int tokens)
{
    for (int t = 0; t < tokens; t++)
        norm(m->x + (size_t)t * m->width, gain, m->normed + (size_t)t * m->width, m->width);
}

static void add(const struct model *m, const float *y, int tokens, int stride)
{
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < m->width; i++)
            m->x[(size_t)t * m->width + i] += y[(size_t)t * stride + i];
}

struct activation {
    const struct model *model;
    float *hidden;
    int n;
};

/* The square of ReLU, or GELU with the error function as 1 - polynomial(t) e^(-x^2) (Abramowitz and Stegun 7.1.26: within 2e-7). */
static void activate_part(void *about, int token)
{
    const struct activation *a = about;
    float *hidden = a->hidden + (size_t)token * a->n;
    for (int i = 0; i < a->n; i += LANES) {
        lanes x = *(lanes *)(hidden + i);
        integers positive = x > 0.0f, bits;
        memcpy(&bits, &x, sizeof x);
        bits &= positive;
        lanes above;
        memcpy(&above, &bits, sizeof x);
        if (a->model->modern) {
            *(lanes *)(hidden + i) = above * above;
            continue;
        }
        lanes size = (above + above - x) * 0.70710678f; /* |x| over the root of 2 */
        lanes t = 1.0f / (1.0f + 0.3275911f * size);
        lanes p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
        /* x times the normal distribution's share below it: that of the half where x lies, less or more its tail. */
        lanes tail = 0.5f * p * exponential(-size * size);
        *(lanes *)(hidden + i) = above - (above + above - x) * tail;
    }
}

static void feed_forward(const struct model *m, const struct layer *layer, int tokens)
{
    normalise(m, layer->feed_forward_gain, tokens);
    multiply(m, &layer->expand, m->normed, m->width, m->wide, tokens);
    struct activation activation = { m, m->wide, layer->expand.n_out };
    run(activate_part, &activation, tokens, m->threads);
    multiply(m, &layer->contract, m->wide, layer->expand.n_out, m->narrow, tokens);
    add(m, m->narrow, tokens, layer->contract.n_out);
}

/* Reads ids[start : start + tokens] of a window whose first `start` tokens have been read; logits (as many as the head has rows) of what
   follows. */
void forward(const struct model *m, const int64_t *ids, int start, int tokens, float *logits)
{
    for (int t = 0; t < tokens; t++)
        embed(m, ids, start + t, m->x + (size_t)t * m->width);
    for (int l = 0; l < m->n_layer; l++) {
        struct layer *layer = &m->layers[l];
        normalise(m, layer->attention_gain, tokens);
        multiply(m, &layer->query_key_value, m->normed, m->width, m->wide, tokens);
        struct attention attention = { m, layer, m->wide, m->normed, start, tokens };
        run(remember_part, &attention, m->n_head, tokens > 1 ? m->threads : 1);
        run(attend_part, &attention, m->n_head * tokens, m->threads);
        multiply(m, &layer->project, m->normed, m->width, m->narrow, tokens);
        add(m, m->narrow, tokens, layer->project.n_out);
        feed_forward(m, layer, tokens);
    }
    norm(m->x + (size_t)(tokens - 1) * m->width, m->gain, m->normed, m->width);
    multiply(m, &m->head, m->normed, m->width, logits, 1);
}

/* ---- Several texts ---- */

/* One of several texts over the same weights. */
struct text {
    struct layer *layers; /* with its own keys and values */
    const int64_t *ids;
    int position; /* of the token to be read */
};

struct attentions {
    const struct model *model;
    const struct text *texts;
    int layer;
};

static void attend_alone_part(void *about, int part)
{
    const struct attentions *all = about;
    const struct model *m = all->model;
    int t = part / m->n_head, head = part % m->n_head;
    struct layer *layer = &all->texts[t].layers[all->layer];
    struct attention one = { m, layer, m->wide + (size_t)t * layer->query_key_value.n_out, m->normed + (size_t)t * m->width,
                             all->texts[t].position, 1 };
    remember_part(&one, head);
    attend_part(&one, head);
}

/* Reads the next token of each of `count` texts, at most block_size: every weight is fetched once for all of them, and each gets the
   logits (count, as many as the head has rows) that it would have got alone. */
void forward_each(const struct model *m, const struct text *texts, int count, float *logits)
{
    for (int t = 0; t < count; t++)
        embed(m, texts[t].ids, texts[t].position, m->x + (size_t)t * m->width);
    for (int l = 0; l < m->n_layer; l++) {
        const struct layer *layer = &m->layers[l];
        normalise(m, layer->attention_gain, count);
        multiply(m, &layer->query_key_value, m->normed, m->width, m->wide, count);
        struct attentions attentions = { m, texts, l };
        run(attend_alone_part, &attentions, m->n_head * count, m->threads);
        multiply(m, &layer->project, m->normed, m->width, m->narrow, count);
        add(m, m->narrow, count, layer->project.n_out);
        feed_forward(m, layer, count);
    }
    normalise(m, m->gain, count);
    multiply(m, &m->head, m->normed, m->width, logits, count);
}
