// SPDX-License-Identifier: GPL-2.0-only
/*
 * tree.c - a call tree of which it is known what each path makes: what a flamegraph must show.
 *
 * usage: tree ROUNDS
 *
 * Says that it is ready, waits for SIGUSR1 (or ends by SIGTERM), makes ROUNDS rounds of 100
 * objects, half a millisecond each, then waits for SIGTERM and says, a line for each path: the
 * path, objects made, alive, bytes alive, and for how long in sum those lived that were dropped, in
 * microseconds by its own clock. Without waiting (TREE_AT_ONCE set) it ends when it is done.  Also
 * built as C++.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <bscope/bscope.h>

#define ROUND_NS 500000ull
#define HELD	 65536u /* objects of a path that can wait for their drop */

/* A path makes so many objects of so many bytes each round; of five, `drops` are dropped later. */
struct path {
	const char *name;
	unsigned each, bytes, drops, after; /* after: rounds */
	uint64_t made, alive, alive_bytes, lived_ns;
	uint64_t first, last; /* those that wait, by number */
	struct {
		uint64_t id, since_ns, round;
	} held[HELD];
};

static struct path ab = {"run;a;b;leaf_ab", 50, 100, 5, 20, 0, 0, 0, 0, 0, 0, {{0, 0, 0}}};
static struct path ac = {"run;a;c;leaf_ac", 20, 1000, 0, 0, 0, 0, 0, 0, 0, 0, {{0, 0, 0}}};
static struct path d = {"run;dd;leaf_d", 25, 400, 4, 60, 0, 0, 0, 0, 0, 0, {{0, 0, 0}}};
static struct path e = {"run;ee;ee;ee;leaf_e", 5, 4000, 2, 100, 0, 0, 0, 0, 0, 0, {{0, 0, 0}}};

static uint64_t now_round, next_id = 0x10000, depth;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* What is behind a call in its function, so that the call is no jump. */
#define BEHIND() __asm__ __volatile__("" : : : "memory")

static inline __attribute__((always_inline)) uint64_t begin(struct path *p)
{
	uint64_t id = next_id++;

	p->made++;
	p->alive++;
	p->alive_bytes += p->bytes;
	return id;
}

static inline __attribute__((always_inline)) void made(struct path *p, uint64_t id)
{
	if (p->made % 5 >= p->drops)
		return;
	p->held[p->last % HELD].id = id;
	p->held[p->last % HELD].since_ns = now_ns();
	p->held[p->last++ % HELD].round = now_round;
}

#define LEAF(p)                                              \
	__attribute__((noinline)) static void leaf_##p(void) \
	{                                                    \
		for (unsigned i = 0; i < p.each; i++) {      \
			uint64_t id = begin(&p);             \
                                                             \
			BSCOPE_NEW_SIZED(tree, id, p.bytes); \
			made(&p, id);                        \
		}                                            \
	}
#define CALLER(name, callee)                             \
	__attribute__((noinline)) static void name(void) \
	{                                                \
		callee();                                \
		BEHIND();                                \
	}

LEAF(ab)
LEAF(ac)
LEAF(d)
LEAF(e)
CALLER(b, leaf_ab)
CALLER(c, leaf_ac)

__attribute__((noinline)) static void a(void)
{
	b();
	c();
	BEHIND();
}

CALLER(dd, leaf_d)

__attribute__((noinline)) static void ee(void)
{
	if (++depth < 3)
		ee();
	else
		leaf_e();
	BEHIND();
}

static void drop(struct path *p)
{
	while (p->first < p->last && p->held[p->first % HELD].round + p->after <= now_round) {
		uint64_t id = p->held[p->first % HELD].id;

		BSCOPE_DROP(tree, id);
		p->lived_ns += now_ns() - p->held[p->first++ % HELD].since_ns;
		p->alive--;
		p->alive_bytes -= p->bytes;
	}
}

__attribute__((noinline)) static void run(uint64_t rounds)
{
	uint64_t next = now_ns();

	for (now_round = 0; now_round < rounds; now_round++) {
		a();
		dd();
		depth = 0;
		ee();
		drop(&ab);
		drop(&d);
		drop(&e);
		for (next += ROUND_NS; now_ns() < next;)
			;
	}
	BEHIND();
}

static void say(const struct path *p)
{
	printf("%s %llu %llu %llu %llu\n", p->name, (unsigned long long)p->made,
	       (unsigned long long)p->alive, (unsigned long long)p->alive_bytes,
	       (unsigned long long)p->lived_ns / 1000);
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	sigset_t set;
	int sig = 0;

	if (!rounds) {
		fprintf(stderr, "usage: tree ROUNDS\n");
		return 64;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fprintf(stderr, "ready\n");
	if (!getenv("TREE_AT_ONCE"))
		sigwait(&set, &sig);
	if (sig == SIGTERM)
		return 0;
	run(rounds);
	if (!getenv("TREE_AT_ONCE"))
		sigwait(&set, &sig);
	say(&ab);
	say(&ac);
	say(&d);
	say(&e);
	return 0;
}
