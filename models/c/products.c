/* See products.h. A file of its own, so that it is compiled once and beside the others. */

#include "products.h"

/* How deep a sum goes before what it reads has left the nearest cache. */
enum { DEPTH = 512 };

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

#if defined(__AVX512BF16__)
/* LANES words, each of a number of one row and the number below it. */
static inline __m512i words_of_two(__m512 one, __m512 two)
{
    typedef int16_t numbers __attribute__((vector_size(64)));
    const numbers by_turns = { 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31 };
    return _mm512_permutexvar_epi16((__m512i)by_turns, (__m512i)_mm512_cvtne2ps_pbh(two, one));
}
#endif

void pack_panels(int bfloat16, const float *data, size_t k_stride, size_t n_stride, int depth, int columns, void *packed)
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
                for (int j = 0; j < PANEL; j += LANES)
#if defined(__AVX512BF16__)
                    _mm512_storeu_si512(to + j, words_of_two(_mm512_loadu_ps(one + j), _mm512_loadu_ps(two + j)));
#else
                    for (int i = j; i < j + LANES; i++)
                        to[i] = pair(one[i], two[i]);
#endif
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
            if (!bfloat16) {
                memcpy(to, one, TOKENS * sizeof(float));
                continue;
            }
#if defined(__AVX512BF16__)
            const __mmask16 there = (1 << TOKENS) - 1;
            _mm512_mask_storeu_epi32(to, there, words_of_two(_mm512_maskz_loadu_ps(there, one), _mm512_maskz_loadu_ps(there, two)));
#else
            for (int m = 0; m < TOKENS; m++)
                to[m] = pair(one[m], two[m]);
#endif
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
tile(const int bfloat16, const int lengthwise, const uint32_t *a, const uint32_t *b, int depth, float *c, int stride, int rows, int columns,
     const float *base, float of_base, float of_product)
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
                    size_t at = (size_t)m * stride + v * LANES;
                    lanes sum = sums[m][v] * of_product;
                    if (base)
                        sum = of_base * *(const lanes *)(base + at) + sum;
                    *(lanes *)(c + at) = sum;
                }
        return;
    }
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < columns; n++) {
            size_t at = (size_t)m * stride + n;
            float sum = sums[m][n / LANES][n % LANES] * of_product;
            c[at] = base ? of_base * base[at] + sum : sum;
        }
}

void multiply_onto(int bfloat16, const float *a, size_t m_stride, size_t k_stride, const void *panels, int packed, float *c,
                          int stride, int rows, int columns, int depth, const float *base, float of_base, float of_product, int below)
{
    uint32_t side[DEPTH * TOKENS]; /* rows that are not there may hold anything */
    for (int from = 0; from < depth; from += DEPTH, base = c, of_base = 1) {
        int part = depth - from < DEPTH ? depth - from : DEPTH;
        size_t skipped = words(bfloat16, from), all = words(bfloat16, packed), here = words(bfloat16, part);
        for (int m = 0; m < rows; m += TOKENS) {
            int high = rows - m < TOKENS ? rows - m : TOKENS;
            pack_rows(bfloat16, a + m * m_stride + from * k_stride, m_stride, k_stride, part, high, side);
            for (int n = 0; n < (below ? m + high : columns); n += PANEL) {
                const uint32_t *b = (const uint32_t *)panels + ((n / PANEL) * all + skipped) * PANEL;
                int wide = columns - n < PANEL ? columns - n : PANEL;
                size_t at = (size_t)m * stride + n;
                const float *under = base ? base + at : NULL;
                if (bfloat16 && k_stride == 1)
                    tile(1, 1, side, b, (int)here, c + at, stride, high, wide, under, of_base, of_product);
                else if (bfloat16)
                    tile(1, 0, side, b, (int)here, c + at, stride, high, wide, under, of_base, of_product);
                else if (k_stride == 1)
                    tile(0, 1, side, b, (int)here, c + at, stride, high, wide, under, of_base, of_product);
                else
                    tile(0, 0, side, b, (int)here, c + at, stride, high, wide, under, of_base, of_product);
            }
        }
    }
}
