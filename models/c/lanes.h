/* Registers of floats in the vector extension that gcc and clang share, so that the same source serves every processor they know. */

#ifndef LANES_H
#define LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#endif

/* How many floats a register holds, and how many tokens share a weight that has been read, so that all sums stay in registers. */
#if defined(__AVX512F__)
enum { LANES = 16, TOKENS = 12 };
#elif defined(__aarch64__)
enum { LANES = 4, TOKENS = 12 };
#else
enum { LANES = 8, TOKENS = 6 };
#endif

/* Registers side by side in a product: as many outputs lie together in memory. */
enum { VECTORS = 2, PANEL = VECTORS * LANES };

/* Read and written wherever a float may lie. */
typedef float lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(LANES * 4)));
typedef int16_t shorts __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

static inline lanes larger(lanes a, lanes b)
{
    integers first = a > b, one, two;
    memcpy(&one, &a, sizeof one);
    memcpy(&two, &b, sizeof two);
    one = (one & first) | (two & ~first);
    memcpy(&a, &one, sizeof a);
    return a;
}

/* The upper half is added to the lower until one is left. */
static inline float total(lanes v)
{
#if defined(__AVX__)
#if defined(__AVX512F__)
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1)));
#else
    __m256 eight = (__m256)v;
#endif
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return two[0] + two[1];
#else
    float sum[LANES];
    memcpy(sum, &v, sizeof v);
    for (int n = LANES / 2; n; n /= 2)
        for (int i = 0; i < n; i++)
            sum[i] += sum[i + n];
    return sum[0];
#endif
}

/* e to the power of x <= 0, within 2 units of the last place: 2^n times a polynomial (that of Cephes' expf); 0 below e^-87. */
static inline lanes exponential(lanes x)
{
    integers low = x < -87.0f, bits;
    memcpy(&bits, &x, sizeof x);
    bits &= ~low;
    memcpy(&x, &bits, sizeof x);
    integers whole = __builtin_convertvector(x * 1.44269504f - 0.5f, integers); /* rounds to zero, so to the nearest for x <= 0 */
    lanes n = __builtin_convertvector(whole, lanes);
    x = x - n * 0.693359375f + n * 2.12194440e-4f;
    lanes p = x * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * x + 8.3334519073e-3f;
    p = p * x + 4.1665795894e-2f;
    p = p * x + 1.6666665459e-1f;
    p = p * x + 5.0000001201e-1f;
    p = p * x * x + x + 1.0f;
    bits = ((whole + 127) << 23) & ~low;
    lanes power;
    memcpy(&power, &bits, sizeof bits);
    return p * power;
}

#endif
