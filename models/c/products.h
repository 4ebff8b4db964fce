/* Products of matrices for training, on panels of packed numbers: in float32 or, where the processor multiplies it, in bfloat16 with sums
   in float32. */

#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "lanes.h"

/* b(k, n) = data[k * k_stride + n * n_stride], as panels of PANEL columns: `packed` has room for (depth + 1) * (columns + PANEL) floats. */
void pack_panels(int bfloat16, const float *data, size_t k_stride, size_t n_stride, int depth, int columns, void *packed);

/* c (rows, columns) = of_product times a times the packed panels, plus of_base times base, which may be c or NULL; a(m, k) =
   a[m * m_stride + k * k_stride]. Of panels packed `packed` deep only the first `depth` are used. With `below` only what is on or below
   the diagonal need be right. */
void multiply_onto(int bfloat16, const float *a, size_t m_stride, size_t k_stride, const void *panels, int packed, float *c, int stride,
                   int rows, int columns, int depth, const float *base, float of_base, float of_product, int below);

/* c = or += a times the packed panels. */
static inline void multiply(int bfloat16, const float *a, size_t m_stride, size_t k_stride, const void *panels, int packed, float *c, int stride,
                     int rows, int columns, int depth, int add)
{
    multiply_onto(bfloat16, a, m_stride, k_stride, panels, packed, c, stride, rows, columns, depth, add ? c : NULL, 1, 1, 0);
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
    typedef uint32_t __attribute__((may_alias)) word; /* they may be floats */
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++)
            ((word *)to)[j * to_stride + i] = ((const word *)from)[i * from_stride + j];
#endif
}

static inline float dot(const float *x, const float *y, int n)
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

#endif
