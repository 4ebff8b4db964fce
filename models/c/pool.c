/* A job is a number of parts. Whoever is there takes the next one, so a thread that the system has sent away holds up nobody but for
   the part it is at. `left` is the number of the job in its upper half and how many parts nobody has taken in its lower: a thread that
   comes late cannot take a part of another job for one of its own. */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "pool.h"


enum { SPINS = 4000 };

static struct {
    _Atomic uint64_t left;
    _Atomic int done, sleeping, wanted;
    _Atomic(part_function *) function;
    _Atomic(void *) about;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int started;
} pool = { .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t current_job(void)
{
    return (uint32_t)(atomic_load(&pool.left) >> 32);
}

static void take_parts(uint32_t job)
{
    uint64_t left = atomic_load(&pool.left);
    while ((uint32_t)(left >> 32) == job && (uint32_t)left) {
        part_function *function = atomic_load(&pool.function);
        void *about = atomic_load(&pool.about);
        if (atomic_compare_exchange_weak(&pool.left, &left, left - 1)) {
            function(about, (int)(uint32_t)left - 1);
            atomic_fetch_add(&pool.done, 1);
            left = atomic_load(&pool.left);
        }
    }
}

/* Looks out for jobs, and falls asleep when there has been none for a while. */
static void *work(void *number)
{
    uint32_t last = 0;
    for (int spins = 0;;) {
        uint32_t job = current_job();
        if (job != last) {
            last = job;
            spins = 0;
            if ((intptr_t)number < atomic_load(&pool.wanted))
                take_parts(job);
        } else if (++spins < SPINS) {
            relax();
        } else {
            pthread_mutex_lock(&pool.mutex);
            atomic_fetch_add(&pool.sleeping, 1);
            while (current_job() == last)
                pthread_cond_wait(&pool.wake, &pool.mutex);
            atomic_fetch_sub(&pool.sleeping, 1);
            pthread_mutex_unlock(&pool.mutex);
        }
    }
    return NULL;
}

void run(part_function *function, void *about, int parts, int threads)
{
    if (threads > MOST_THREADS)
        threads = MOST_THREADS;
    if (threads < 2 || parts < 2) {
        for (int part = 0; part < parts; part++)
            function(about, part);
        return;
    }
    for (; pool.started < threads - 1; pool.started++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(intptr_t)pool.started))
            break;
        pthread_detach(thread);
    }
    uint32_t job = current_job() + 1;
    atomic_store(&pool.done, 0);
    atomic_store(&pool.wanted, threads - 1);
    atomic_store(&pool.function, function);
    atomic_store(&pool.about, about);
    atomic_store(&pool.left, (uint64_t)job << 32 | (uint32_t)parts);
    if (atomic_load(&pool.sleeping)) {
        pthread_mutex_lock(&pool.mutex);
        pthread_cond_broadcast(&pool.wake);
        pthread_mutex_unlock(&pool.mutex);
    }
    take_parts(job);
    for (int spins = 0; atomic_load(&pool.done) < parts; spins++) {
        if (spins < SPINS)
            relax();
        else
            sched_yield();
    }
}

