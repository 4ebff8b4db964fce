/* See products.h. A file of its own, so that it is compiled once and beside the others. */

#include "products.h"

/* How deep a sum goes before what it reads has left the nearest cache; tiles of rows that are packed at once. */
enum { DEPTH = 512, TILES = 4 };

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

/* How far apart the packed rows of a tile are where they lie one behind the other, and how much room a tile has. */
static inline size_t apart(int bfloat16)
{
    return words(bfloat16, DEPTH);
}

/* A tile's rows of a(m, k) = data[m * m_stride + k], one behind the other. */
static inline void pack_lengthwise(int bfloat16, const float *data, size_t m_stride, int depth, int rows, uint32_t *to)
{
    int whole = bfloat16 ? depth / 2 : depth;
    for (int m = 0; m < rows; m++, to += apart(bfloat16), data += m_stride) {
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
}

/* The rows of a few tiles of a(m, k) = data[m * m_stride + k * k_stride], a tile's side by side. Several at once, since a tile is not
   as wide as what the cache fetches for it. */
static inline void pack_side_by_side(int bfloat16, const float *data, size_t m_stride, size_t k_stride, int depth, int rows, uint32_t *to)
{
    for (int k = 0; k < (int)words(bfloat16, depth); k++, to += TOKENS) {
        const float *one = data + (bfloat16 ? 2 : 1) * k * k_stride, *two = one + k_stride;
        int paired = bfloat16 && 2 * k + 1 < depth;
        uint32_t *tile = to;
        for (int first = 0; first < rows; first += TOKENS, tile += apart(bfloat16) * TOKENS) {
            int end = first + TOKENS < rows ? first + TOKENS : rows;
#if defined(__AVX512BF16__)
            if (paired && m_stride == 1) {
                const __mmask16 there = (__mmask16)((1 << (end - first)) - 1);
                __m512 above = _mm512_maskz_loadu_ps(there, one + first), below = _mm512_maskz_loadu_ps(there, two + first);
                _mm512_mask_storeu_epi32(tile, there, words_of_two(above, below));
                continue;
            }
#endif
            for (int m = first; m < end; m++)
                if (bfloat16)
                    tile[m - first] = pair(one[m * m_stride], paired ? two[m * m_stride] : 0);
                else
                    memcpy(tile + m - first, one + m * m_stride, sizeof(float));
        }
    }
}

/* Up to TOKENS rows of `vectors` registers of c, at most `columns` of them: the first of a panel. */
static inline __attribute__((always_inline)) void
tile(const int bfloat16, const int lengthwise, const int vectors, const uint32_t *a, const uint32_t *b, int depth, float *c, int stride, int rows, int columns,
     const float *base, float of_base, float of_product)
{
    lanes sums[TOKENS][VECTORS]; /* set one by one, or they are in memory first */
#pragma GCC unroll 12
    for (int m = 0; m < TOKENS; m++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sums[m][v] = (lanes){ 0 };
    for (int k = 0; k < depth; k++, b += PANEL) {
#pragma GCC unroll 12
        for (int m = 0; m < TOKENS; m++) {
            const uint32_t *one = lengthwise ? a + m * apart(bfloat16) + k : a + k * TOKENS + m;
#pragma GCC unroll 8
            for (int v = 0; v < vectors; v++) {
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
    if (columns >= vectors * LANES) {
#pragma GCC unroll 12
        for (int m = 0; m < TOKENS; m++)
            if (m < rows)
#pragma GCC unroll 8
                for (int v = 0; v < vectors; v++) {
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
    uint32_t sides[TILES * DEPTH / 2 * TOKENS]; /* rows that are not there may hold anything */
    int lengthwise = k_stride == 1, at_once = lengthwise ? 1 : bfloat16 ? TILES : TILES / 2;
    for (int from = 0; from < depth; from += DEPTH, base = c, of_base = 1) {
        int part = depth - from < DEPTH ? depth - from : DEPTH;
        size_t skipped = words(bfloat16, from), all = words(bfloat16, packed), here = words(bfloat16, part);
        for (int m = 0, next = 0; m < rows; m += TOKENS, next = (next + 1) % at_once) {
            int high = rows - m < TOKENS ? rows - m : TOKENS, packing = rows - m < at_once * TOKENS ? rows - m : at_once * TOKENS;
            const float *first = a + m * m_stride + from * k_stride;
            if (lengthwise)
                pack_lengthwise(bfloat16, first, m_stride, part, high, sides);
            else if (next == 0)
                pack_side_by_side(bfloat16, first, m_stride, k_stride, part, packing, sides);
            const uint32_t *side = sides + next * apart(bfloat16) * TOKENS;
            for (int n = 0, end = below ? m + high : columns; n < end; n += PANEL) {
                const uint32_t *b = (const uint32_t *)panels + ((n / PANEL) * all + skipped) * PANEL;
                int wide = columns - n < PANEL ? columns - n : PANEL, half = end - n <= LANES;
                size_t at = (size_t)m * stride + n;
                const float *under = base ? base + at : NULL;
#define TILE(bfloat16, lengthwise, vectors) tile(bfloat16, lengthwise, vectors, side, b, (int)here, c + at, stride, high, wide, under, of_base, of_product)
                if (bfloat16 && lengthwise && half)
                    TILE(1, 1, 1);
                else if (bfloat16 && lengthwise)
                    TILE(1, 1, VECTORS);
                else if (bfloat16)
                    TILE(1, 0, VECTORS);
                else if (lengthwise && half)
                    TILE(0, 1, 1);
                else if (lengthwise)
                    TILE(0, 1, VECTORS);
                else
                    TILE(0, 0, VECTORS);
#undef TILE
            }
        }
    }
}
