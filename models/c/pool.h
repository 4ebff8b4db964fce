/* Work shared out among threads that are there already. */

#ifndef POOL_H
#define POOL_H

enum { MOST_THREADS = 64 };

typedef void part_function(void *about, int part);

/* Calls function(about, part) for each part from 0 to parts - 1, on up to `threads` threads, and returns when all are done. One caller
   at a time. */
void run(part_function *function, void *about, int parts, int threads);

#endif
