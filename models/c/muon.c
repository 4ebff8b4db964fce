/* A step of Muon (Jordan et al. 2024) for many matrices: momentum, Newton-Schulz, and the update of the weights. A matrix stays with
   one thread from its gradient to its weights. */

#include <stdatomic.h>

#include "pool.h"
#include "products.h"

/* Steps of Newton-Schulz on the square of a matrix before the matrix itself must be multiplied again. */
enum { AWAY = 3 };

struct weights {
    float *values, *momentum; /* (n_out, n_in) */
    const float *gradient;
    int n_out, n_in;
};

struct muon {
    const struct weights *matrices;
    int count, steps, bfloat16;
    const float *coefficients; /* (steps, 3): of a matrix, of its cube, of its fifth power */
    float lr, momentum, weight_decay;
    float **scratch; /* one of `muon_floats` floats a thread */
    atomic_int next;
};

/* Room for one matrix, rows <= columns. */
struct room {
    float *x;                             /* (rows, columns) */
    float *gram, *mix, *product, *gained; /* (rows, rows) */
    float *panels, *squares;              /* packed x, a packed square */
};

static size_t lay_out(struct room *room, float *arena, int rows, int columns)
{
    size_t r = rows, c = columns, used = 0;
    size_t long_way = (c + 1) * (r + PANEL), wide_way = (r + 1) * (c + PANEL);
    float **pieces[] = { &room->x, &room->gram, &room->mix, &room->product, &room->gained, &room->panels, &room->squares };
    size_t sizes[] = { r * c, r * r, r * r, r * r, r * r, long_way > wide_way ? long_way : wide_way, (r + 1) * (r + PANEL) };
    for (int i = 0; i < 7; i++) {
        *pieces[i] = arena + used;
        used += (sizes[i] + LANES - 1) / LANES * LANES;
    }
    return used;
}

size_t muon_floats(int n_out, int n_in)
{
    struct room room;
    return n_out <= n_in ? lay_out(&room, NULL, n_out, n_in) : lay_out(&room, NULL, n_in, n_out);
}

/* to (columns, rows) = the transposed from (rows, columns). */
static void turn_over(const float *from, int rows, int columns, float *to)
{
    for (int top = 0; top < rows; top += LANES)
        for (int left = 0; left < columns; left += LANES) {
            const float *square = from + (size_t)top * columns + left;
            float *there = to + (size_t)left * rows + top;
            if (top + LANES <= rows && left + LANES <= columns) {
                transpose((const uint32_t *)square, columns, (uint32_t *)there, rows);
                continue;
            }
            for (int i = 0; i < LANES && top + i < rows; i++)
                for (int j = 0; j < LANES && left + j < columns; j++)
                    there[(size_t)j * rows + i] = square[(size_t)i * columns + j];
        }
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

/* c = a times the packed b, plus of_base times base, where all of them are polynomials of one symmetric matrix, and so is c: half of it
   is computed. */
static void symmetric(const struct muon *s, const float *a, const float *packed, float *c, int r, const float *base, float of_base, float of_product)
{
    multiply_onto(s->bfloat16, a, r, 1, packed, r, c, r, r, r, r, base, of_base, of_product, 1);
    mirror(c, r);
}

/* Newton-Schulz: x becomes (a + b G + c G^2) x with G = x x^T, which drives every singular value towards 1. `steps` of them on G alone
   ("Gram Newton-Schulz": Zhang, Amsel, Chen and Dao 2026): p(G) x has the square p(G) G p(G), so x is multiplied once by the product of
   all polynomials, which costs less where x is longer than wide. Of a polynomial only what is not a multiple of 1 goes through packed
   numbers: the rest would drown small singular values in what rounding does to large ones. Still rounding spoils G a little more with
   each step, so there may not be many. */
static void pull(const struct muon *s, const struct room *o, const float *coefficients, int steps, int r, int c)
{
    float *gram = o->gram, *mix = o->mix, *product = o->product, *spare = o->gained, of_one = 1;
    size_t square = (size_t)r * r;
    pack_panels(s->bfloat16, o->x, 1, c, c, r, o->panels);
    multiply_onto(s->bfloat16, o->x, c, 1, o->panels, c, gram, r, r, r, c, NULL, 0, 1, 1);
    mirror(gram, r);
    for (int step = 0; step < steps; step++) {
        const float *by = coefficients + 3 * step;
        pack_panels(s->bfloat16, gram, r, 1, r, r, o->squares);
        symmetric(s, gram, o->squares, mix, r, gram, by[1], by[2]);
        pack_panels(s->bfloat16, mix, r, 1, r, r, o->squares);
        if (step == 0)
            memcpy(product, mix, square * sizeof(float));
        else {
            symmetric(s, product, o->squares, spare, r, product, by[0], 1);
            for (size_t i = 0; i < square; i++)
                product[i] = spare[i] + of_one * mix[i];
        }
        of_one *= by[0];
        if (step + 1 < steps) {
            symmetric(s, gram, o->squares, spare, r, gram, by[0], 1);
            symmetric(s, spare, o->squares, gram, r, spare, by[0], 1);
        }
    }
    pack_panels(s->bfloat16, o->x, c, 1, r, c, o->panels);
    multiply_onto(s->bfloat16, product, r, 1, o->panels, r, o->x, c, r, c, r, o->x, of_one, 1, 0);
}

static void step_one(const struct muon *s, const struct weights *w, float *scratch)
{
    size_t all = (size_t)w->n_out * w->n_in;
    int tall = w->n_out > w->n_in, r = tall ? w->n_in : w->n_out, c = tall ? w->n_out : w->n_in;
    struct room o;
    lay_out(&o, scratch, r, c);
    float *ahead = tall ? o.panels : o.x, rest = 1 - s->momentum;
    for (size_t i = 0; i < all; i++) {
        float g = w->gradient[i], m = w->momentum[i] += rest * (g - w->momentum[i]);
        ahead[i] = g + s->momentum * (m - g); /* Nesterov: look one step ahead */
    }
    float factor = 1 / (sqrtf(dot(ahead, ahead, (int)all)) + 1e-7f);
    for (size_t i = 0; i < all; i++)
        ahead[i] *= factor;
    if (tall)
        turn_over(ahead, c, r, o.x);
    int at_once = c > r ? AWAY : 1;
    for (int step = 0; step < s->steps; step += at_once)
        pull(s, &o, s->coefficients + 3 * step, s->steps - step < at_once ? s->steps - step : at_once, r, c);
    const float *update = o.x;
    if (tall) {
        turn_over(o.x, r, c, o.panels);
        update = o.panels;
    }
    /* A tall matrix needs a longer step for the same change of its output (Bernstein 2024). */
    float kept = 1 - s->lr * s->weight_decay, lr = s->lr * (tall ? sqrtf((float)w->n_out / w->n_in) : 1);
    for (size_t i = 0; i < all; i++)
        w->values[i] = kept * w->values[i] - lr * update[i];
}

static void muon_part(void *about, int part)
{
    struct muon *s = about;
    for (int next; (next = atomic_fetch_add(&s->next, 1)) < s->count;)
        step_one(s, &s->matrices[next], s->scratch[part]);
}

void muon(const struct weights *matrices, int count, int steps, const float *coefficients, float lr, float momentum, float weight_decay,
          int bfloat16, float **scratch, int threads)
{
    struct muon all = { matrices, count, steps, bfloat16, coefficients, lr, momentum, weight_decay, scratch, 0 };
    run(muon_part, &all, threads, threads);
}
