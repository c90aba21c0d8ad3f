/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * leaky.c - a daemon that leaks 1 KiB/s among 10 MiB/s of honest allocation.
 *
 * usage: leaky SECONDS [LEAK_BYTES_PER_S [HONEST_BYTES_PER_S]]
 *
 * With its sites it shows what marks in a program look like; built with -DBSCOPE_DISABLE it is
 * the program without sites that the preload library is for.  The rates follow the clock, so
 * they are the truth that a test compares with; at the end it prints what it did.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bscope/bscope.h>

#define STEP_NS 5000000ull /* work is done 200 times a second */
#define PEER	64
#define CACHE	512

struct request {
	struct request *next;
	uint64_t until_ns; /* when it is answered */
	size_t bytes;
};

struct peer {
	struct peer *next; /* nobody ever walks this list: that is the leak */
	char address[PEER - sizeof(void *)];
};

static struct request *waiting[256]; /* by the step in which they end */
static struct peer *peers;
static char *cache[CACHE];
static uint64_t leaked, honest, random_state = 88172645463325252ull;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

static __attribute__((noinline)) void request_start(uint64_t step)
{
	size_t bytes = 512 + random_next() % 4096;
	unsigned lasts = 1 + (unsigned)(random_next() % 60); /* 5 to 300 ms */
	struct request *r = malloc(bytes);

	if (!r)
		abort();
	BSCOPE_NEW_SIZED(request, r, bytes);
	r->bytes = bytes;
	r->next = waiting[(step + lasts) % 256];
	waiting[(step + lasts) % 256] = r;
	honest += bytes;
}

static __attribute__((noinline)) void requests_answer(uint64_t step)
{
	struct request *r = waiting[step % 256];

	waiting[step % 256] = NULL;
	while (r) {
		struct request *next = r->next;

		BSCOPE_DROP(request, r);
		free(r);
		r = next;
	}
}

/* A cache of fixed size: entries come and go, nothing grows. */
static __attribute__((noinline)) void cache_replace(void)
{
	size_t slot = random_next() % CACHE, bytes = 256 + random_next() % 1024;

	if (cache[slot]) {
		BSCOPE_DROP(cache, cache[slot]);
		free(cache[slot]);
	}
	cache[slot] = malloc(bytes);
	if (!cache[slot])
		abort();
	BSCOPE_NEW_SIZED(cache, cache[slot], bytes);
	memset(cache[slot], 1, bytes);
	honest += bytes;
}

static __attribute__((noinline)) void peer_remember(void)
{
	struct peer *p = malloc(sizeof(*p));

	if (!p)
		abort();
	BSCOPE_NEW_SIZED(peer, p, sizeof(*p));
	p->next = peers;
	peers = p;
	leaked += sizeof(*p);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 60;
	double leak_rate = argc > 2 ? atof(argv[2]) : 1024;
	double honest_rate = argc > 3 ? atof(argv[3]) : 10 << 20;
	uint64_t start = now_ns(), step = 0;
	double elapsed = 0;

	while (elapsed < seconds) {
		uint64_t due = start + ++step * STEP_NS;
		struct timespec ts = {.tv_sec = (time_t)(due / 1000000000ull),
				      .tv_nsec = (long)(due % 1000000000ull)};

		requests_answer(step);
		while ((double)honest < honest_rate * elapsed) {
			request_start(step);
			if (random_next() % 4 == 0)
				cache_replace();
		}
		while ((double)leaked + sizeof(struct peer) <= leak_rate * elapsed)
			peer_remember();
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		elapsed = (double)(now_ns() - start) / 1e9;
	}
	printf("{\"seconds\": %.3f, \"leaked\": %llu, \"honest\": %llu}\n", elapsed,
	       (unsigned long long)leaked, (unsigned long long)honest);
	return 0;
}
