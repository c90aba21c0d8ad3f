/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_follow.c - sampling by object in the runtime: who is chosen, and that of a chosen one all
 * marks are recorded, of others none (include/bscope/follow.h).
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

#if defined(__x86_64__)

#include <math.h>
#include <pthread.h>

#include "follow_check.h"

/*
 * What is left to chance is seeded by the clock: bounds are so wide that the whole program fails by
 * it once in a million runs or less (six standard deviations of a normal distribution: 2 in 10^9).
 */
#define WIDE 6.0

static bool born(struct bscope_buffer *b, unsigned nargs, uint64_t id, uint64_t bytes)
{
	struct bscope_site site = site_of(BSCOPE_KIND_NEW, 1, nargs);

	return make(b, &site, id, bytes, 7).marked;
}

static void dropped(uint64_t id)
{
	struct bscope_site site = site_of(BSCOPE_KIND_DROP, 1, 1);

	mark(&site, id, 0, 0);
}

/* --- who is chosen -----------------------------------------------------------------------------
 */

/* Successes of n trials of probability p: not further from n * p than chance takes them. */
static void check_binomial(double successes, double n, double p)
{
	double far = WIDE * sqrt(n * p * (1 - p)) + 15;

	if (fabs(successes - n * p) > far)
		print_message("%.0f of %.0f, p = %g: not within %.0f of %.0f\n", successes, n, p,
			      far, n * p);
	must(fabs(successes - n * p) <= far);
}

/*
 * One in N that is no whole number, and each gap between two of them as long as it would be if each
 * object were decided by itself: longer than k with the chance (1 - 1 / N)^k.
 */
static void test_one_in_n(void **state)
{
	static const double means[] = {1.25, 2.5, 3.75, 7.5, 10.5, 100.5, 1000.5};
	struct bscope_buffer *b = own_buffer();

	(void)state;
	for (size_t i = 0; i < ARRAY(means); i++) {
		double p = 1.0 / means[i], first = 0, third = 0, second = 0;
		uint64_t n = 200000 + 400 * (uint64_t)means[i], chosen = 0, gap = 0;

		follow(BS_SAMPLE_OBJECTS, means[i]);
		for (uint64_t k = 0; k < n; k++) {
			gap++;
			if (!born(b, 1 + k % 3, 64 * (k % 50), k))
				continue;
			chosen++;
			first += gap == 1;
			second += gap == 2;
			third += (double)gap > floor(means[i]);
			gap = 0;
			dropped(64 * (k % 50));
		}
		check_binomial((double)chosen, (double)n, p);
		check_binomial(first, (double)chosen, p);
		check_binomial(second, (double)chosen, p * (1 - p));
		check_binomial(third, (double)chosen, pow(1 - p, floor(means[i])));
	}
}

/* The strata of these births, as include/bscope/buffer.h has it, written down once more. */
static unsigned stratum_of(const struct bscope_site *site, uint64_t caller)
{
	uint64_t v = site->index >> 11;

	return (v ^ (site->nargs == 3 ? caller ^ caller >> 4 : 0)) % 256;
}

/*
 * One in N that is a whole number: in each stratum exactly one of N births that follow each other,
 * in a place that is as likely as any other, whatever the block before.
 */
static void test_blocks(void **state)
{
	static const unsigned means[] = {1, 2, 3, 7, 10, 100, 1000};
	static const uint64_t callers[] = {0x401230, 0x7f0012345678, 0x7f0012345676, 1ull << 59};
	struct bscope_buffer *b = own_buffer();

	(void)state;
	for (size_t i = 0; i < ARRAY(means); i++) {
		unsigned births[256] = {0}, last[256] = {0}, strata = 0;
		/* Of blocks: all, with the place in the first half, in the half of that before. */
		double blocks = 0, first = 0, same = 0, half = (double)(means[i] / 2) / means[i];
		bool chosen[256] = {false}, begun[256] = {false}, was_first[256] = {false};

		follow(BS_SAMPLE_OBJECTS, means[i]);
		for (uint64_t k = 0; k < 200000 + 4000ull * means[i]; k++) {
			struct bscope_site site = site_of(BSCOPE_KIND_NEW, (uint32_t)(rng() % 3),
							  1 + (unsigned)(rng() % 3));
			uint64_t caller = callers[rng() % ARRAY(callers)], id = 64 * (k % 50);
			unsigned s = stratum_of(&site, caller);

			if (make(b, &site, id, k, caller).marked) {
				const struct bscope_site drop =
					site_of(BSCOPE_KIND_DROP, site.index % 2048, 1);

				must(!chosen[s]);
				chosen[s] = true;
				last[s] = births[s];
				mark(&drop, id, 0, 0);
			}
			if (++births[s] < means[i])
				continue;
			must(chosen[s]);
			if (begun[s])
				same += (last[s] < means[i] / 2) == was_first[s];
			blocks++;
			first += was_first[s] = last[s] < means[i] / 2;
			strata += !begun[s];
			begun[s] = true;
			births[s] = 0;
			chosen[s] = false;
		}
		/* Some callers share one, or have that of another site. */
		must(strata == 13);
		check_binomial(first, blocks, half);
		check_binomial(same, blocks - strata, half * half + (1 - half) * (1 - half));
	}
}

enum { EACH = 7, THREADS = 200 };

static void *few_births(void *arg)
{
	uint64_t *chosen = arg;
	struct bscope_buffer *b = own_buffer();

	for (uint64_t i = 0; i < EACH; i++)
		*chosen += born(b, 1, i, 0);
	return NULL;
}

/* Threads that come one after the other have each what the one before has left of its block. */
static void test_blocks_go_on(void **state)
{
	uint64_t chosen = 0, buffers = 0, births = (uint64_t)EACH * THREADS;

	(void)state;
	follow(BS_SAMPLE_OBJECTS, 100);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_t thread;

		must(!pthread_create(&thread, NULL, few_births, &chosen));
		must(!pthread_join(thread, NULL));
	}
	for (uint32_t i = 0; i < pool()->used; i++)
		buffers += pool()->buffers[i].owner != 0;
	must(buffers < 5);
	/* A block of each may not have ended. */
	must(chosen <= births / 100 + buffers && chosen + buffers >= births / 100);
}

/* Each by its own size, whatever the sizes of those before and behind it. */
static void test_by_bytes(void **state)
{
	static const uint64_t sizes[] = {0,	     1,		 16,	    500,	4096,
					 100000,     1 << 20,	 10 << 20,  1ull << 40, 1ull << 46,
					 1ull << 47, 1ull << 63, UINT64_MAX};
	static const double means[] = {2, 4096, 524288, 1e12};
	struct bscope_buffer *b = own_buffer();

	(void)state;
	/* By bytes alone, and one in ten besides. */
	for (size_t m = 0; m < 2 * ARRAY(means); m++) {
		double mean = means[m / 2], others = m % 2 ? 0.9 : 1;
		/* By size, and by the size of the one before. */
		double n[ARRAY(sizes)][ARRAY(sizes)] = {{0}},
		       chosen[ARRAY(sizes)][ARRAY(sizes)] = {{0}};
		double unsized = 0, unsized_chosen = 0;
		size_t before = 0;

		follow_sample(
			(struct bs_sample){m % 2 ? BS_SAMPLE_EITHER : BS_SAMPLE_BYTES, 10, mean});
		for (uint64_t k = 0; k < 1000000; k++) {
			size_t i = rng() % ARRAY(sizes);
			bool is;

			/* A site without sizes: what is in the register is the program's. */
			if (k % 8 == 0) {
				is = born(b, 1, 64 * (k % 50), rng());
				unsized++;
				unsized_chosen += is;
			} else {
				is = born(b, 2 + k % 2, 64 * (k % 50), sizes[i]);
				n[before][i]++;
				chosen[before][i] += is;
				before = i;
			}
			if (is)
				dropped(64 * (k % 50));
		}
		check_binomial(unsized_chosen, unsized, 1 - others * exp(-1 / mean));
		for (size_t x = 0; x < ARRAY(sizes); x++)
			for (size_t y = 0; y < ARRAY(sizes); y++) {
				double bytes = sizes[y] ? (double)sizes[y] : 1;

				/* What is beyond all memory counts for 64 TiB. */
				if (bytes > 0x1p46)
					bytes = 0x1p46;
				check_binomial(chosen[x][y], n[x][y],
					       1 - others * exp(-bytes / mean));
			}
	}
}

/* Which of n objects are chosen, one in two, each the first one of a block: a bit for each. */
static uint64_t choices(struct bscope_buffer *b)
{
	uint64_t bits = 0;

	for (uint64_t i = 0; i < 64; i++) {
		bits = bits << 1 | born(b, 1, i, 0);
		must(born(b, 1, 64 + i, 0) == !(bits & 1));
	}
	return bits;
}

static unsigned apart(uint64_t x, uint64_t y)
{
	return (unsigned)__builtin_popcountll(x ^ y);
}

static int pipe_fd[2];

static void child_chooses(void)
{
	struct bscope_buffer *b;
	uint64_t bits;

	for (unsigned i = 0; i < 1 << 14; i++)
		must(!memcmp(table()->keys[i], (uint64_t[8]){0}, 64));
	must(!table()->used && !table()->full && control()->follow);
	b = own_buffer();
	bits = choices(b);
	must(write(pipe_fd[1], &bits, sizeof(bits)) == sizeof(bits));
}

/* Parent and children each draw their own; as do threads (test_follow_threads.c). */
static void test_fork(void **state)
{
	const struct bscope_site use = site_of(BSCOPE_KIND_USE, 1, 2);
	uint64_t bits[9], n = 0;
	struct bscope_buffer *b = own_buffer();

	(void)state;
	must(!pipe(pipe_fd));
	follow(BS_SAMPLE_OBJECTS, 2);
	bits[0] = choices(b);
	for (unsigned i = 1; i < ARRAY(bits); i++) {
		in_child(BY_FORK, child_chooses);
		must(read(pipe_fd[0], &bits[i], sizeof(bits[i])) == sizeof(bits[i]));
	}
	for (unsigned i = 0; i < ARRAY(bits); i++)
		for (unsigned k = 0; k < i; k++)
			must(apart(bits[i], bits[k]) > 4);
	/* The parent goes on as if nothing had been. */
	for (unsigned i = 0; i < 64; i++) {
		bool followed = bits[0] >> (63 - i) & 1;

		must(make(b, &use, i, 1, 0).marked == followed);
		n += followed;
	}
	must(n > 4 && n < 60);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void child_rate(void)
{
	struct bscope_buffer *b = own_buffer();
	double chosen = 0;

	for (uint64_t i = 0; i < 200000; i++)
		chosen += born(b, 1, i % 100, 0);
	check_binomial(chosen, 200000, 0.1);
}

static void test_fork_rate(void **state)
{
	(void)state;
	own_buffer();
	follow(BS_SAMPLE_OBJECTS, 10);
	for (int how = BY_FORK; how <= BY_RAW_CLONE; how++)
		in_child(how, child_rate);
}

/* From the next object on, whatever the gap that was begun. */
static void test_another_mean(void **state)
{
	struct bscope_buffer *b = own_buffer();

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		double chosen = 0;

		follow(BS_SAMPLE_OBJECTS, 1e9);
		for (uint64_t i = 0; i < 1000; i++)
			chosen += born(b, 1, i, 0);
		must(chosen <= 1);
		follow(BS_SAMPLE_OBJECTS, 2);
		chosen = 0;
		for (uint64_t i = 0; i < 10000; i++)
			chosen += born(b, 1, i % 1000, 0);
		check_binomial(chosen, 10000, 0.5);
		follow(BS_SAMPLE_OBJECTS, 1);
		for (uint64_t i = 0; i < 1000; i++)
			must(born(b, 1, i, 0));
	}
}

/* --- whole lives -------------------------------------------------------------------------------
 */

enum { IDS = 40, RESIZES = 5 };

static const uint32_t klasses[] = {0, 1, 5, 1024, 2047};
#define KLASSES ARRAY(klasses)

/* What the table must know; and which of the resizes that have begun are of followed ones. */
static int known[KLASSES][IDS];
static struct {
	size_t klass;
	unsigned id;
	bool followed;
} resizes[RESIZES];
static unsigned nresizes;

static uint64_t id_value(unsigned i)
{
	/* Pointers, small numbers, numbers from the top. */
	return i % 3 == 0 ? 0x7f3200001000ull + 48 * i : i % 3 == 1 ? i : ~(uint64_t)i;
}

/*
 * One mark, chosen at random, of an object or of none: what it leaves is what the contract says,
 * where chance decides one of the things that it allows.  follow_check's reader looks at each slot.
 */
static void random_mark(struct bscope_buffer *b, bool bytes, uint64_t *chosen)
{
	static const uint8_t kinds[] = {
		BSCOPE_KIND_NEW,	BSCOPE_KIND_NEW,      BSCOPE_KIND_NEW,
		BSCOPE_KIND_DROP,	BSCOPE_KIND_DROP,     BSCOPE_KIND_RESIZE_BEGIN,
		BSCOPE_KIND_RESIZE_END, BSCOPE_KIND_MOVE,     BSCOPE_KIND_BORROW,
		BSCOPE_KIND_BORROW_MUT, BSCOPE_KIND_UNBORROW, BSCOPE_KIND_RETAIN,
		BSCOPE_KIND_RELEASE,	BSCOPE_KIND_USE,      BSCOPE_KIND_REGION_ENTER,
		BSCOPE_KIND_REGION_EXIT};
	unsigned kind = kinds[rng() % ARRAY(kinds)], i = (unsigned)(rng() % IDS);
	size_t k = rng() % KLASSES;
	bool was = false;
	struct bscope_site site;
	struct left left;
	int *now;

	if (kind == BSCOPE_KIND_RESIZE_BEGIN && nresizes == RESIZES)
		return;
	if (kind == BSCOPE_KIND_RESIZE_END) {
		if (!nresizes--) {
			nresizes = 0;
			return;
		}
		/* It has moved, or not; where it goes to, another may have been. */
		k = resizes[nresizes].klass;
		if (rng() % 2)
			i = resizes[nresizes].id;
		was = resizes[nresizes].followed;
	}
	site = site_of(kind, klasses[k], nargs_of(kind, (unsigned)rng()));
	now = &known[k][i];
	left = make(b, &site, id_value(i), rng() % 3000, rng() >> 7);
	switch (kind) {
	case BSCOPE_KIND_NEW:
		must(left.forgotten == (!left.marked && *now == ALIVE));
		*now = left.marked ? ALIVE : ABSENT;
		*chosen += left.marked;
		break;
	case BSCOPE_KIND_RESIZE_END:
		if (!bytes || was)
			must(left.marked == was);
		/* A followed one may be chosen again or not; one of the others may be chosen. */
		if (left.marked)
			must(!left.forgotten || (bytes && was));
		else
			must(left.forgotten == (*now == ALIVE));
		*now = left.marked && !left.forgotten ? ALIVE : ABSENT;
		break;
	case BSCOPE_KIND_REGION_ENTER:
	case BSCOPE_KIND_REGION_EXIT:
		must(left.marked && !left.forgotten);
		break;
	default:
		must(left.marked == (*now != ABSENT) && !left.forgotten);
	}
	if (kind == BSCOPE_KIND_RESIZE_BEGIN) {
		resizes[nresizes].klass = k;
		resizes[nresizes].id = i;
		resizes[nresizes++].followed = *now == ALIVE;
	}
	if ((kind == BSCOPE_KIND_DROP || kind == BSCOPE_KIND_RESIZE_BEGIN) && *now == ALIVE)
		*now = DEAD;
	must(state_of(klasses[k], id_value(i)) == *now);
}

static void whole_lives(enum bs_sample_by by, double mean)
{
	struct bscope_buffer *b = own_buffer();
	uint64_t chosen = 0;

	memset(known, 0, sizeof(known));
	nresizes = 0;
	follow(by, mean);
	for (unsigned n = 0; n < 400000; n++) {
		random_mark(b, by == BS_SAMPLE_BYTES, &chosen);
		if (n % 20000)
			continue;
		for (size_t k = 0; k < KLASSES; k++)
			for (unsigned i = 0; i < IDS; i++)
				must(state_of(klasses[k], id_value(i)) == known[k][i]);
		check_filter(true);
	}
	must(chosen > 1000 / mean);
	must(!table()->full);
}

static void test_whole_lives(void **state)
{
	(void)state;
	whole_lives(BS_SAMPLE_OBJECTS, 2);
	wipe(NULL);
	whole_lives(BS_SAMPLE_OBJECTS, 1);
	wipe(NULL);
	whole_lives(BS_SAMPLE_OBJECTS, 10);
	wipe(NULL);
	whole_lives(BS_SAMPLE_OBJECTS, 10.5);
	wipe(NULL);
	whole_lives(BS_SAMPLE_BYTES, 1000);
}

/* A class has so many bits in the table that there are 2048; then they begin anew. */
static void test_classes(void **state)
{
	struct bscope_buffer *b = own_buffer();

	(void)state;
	follow(BS_SAMPLE_OBJECTS, 1);
	for (uint32_t k = 0; k < 2048; k++) {
		struct bscope_site new = site_of(BSCOPE_KIND_NEW, k, 1);

		must(make(b, &new, 4711, 0, 0).marked);
	}
	follow(BS_SAMPLE_OBJECTS, 1e15);
	for (uint32_t k = 0; k < 2048; k++) {
		struct bscope_site drop = site_of(BSCOPE_KIND_DROP, k, 1);
		struct bscope_site use = site_of(BSCOPE_KIND_USE, k, 2);

		must(state_of(k, 4711) == ALIVE);
		must(make(b, &use, 4711, 1, 0).marked);
		must(!make(b, &use, 4712, 1, 0).marked);
		must(make(b, &drop, 4711, 0, 0).marked);
		must(state_of(k, 4711) == DEAD);
		must(k == 2047 || state_of(k + 1, 4711) == ALIVE);
	}
	/* The number is cut in the site's index itself, and hurts nothing else there. */
	must(BSCOPE_INDEX(0xfffff, 2048 + 5, BSCOPE_KIND_USE) ==
	     BSCOPE_INDEX(0xfffff, 5, BSCOPE_KIND_USE));
	must(BSCOPE_INDEX(1, UINT32_MAX, BSCOPE_KIND_NEW) == (1u << 31 | 1u << 11 | 2047));
}

/* --- the entries and the function behind them do the same --------------------------------------
 */

struct script {
	struct bscope_site site;
	uint64_t id, a1, a2;
};

static void same_way(enum bs_sample_by by, double mean)
{
	static struct script script[3000];
	static struct bscope_buffer start, by_entries;
	static struct bscope_follow table_start, table_entries;
	struct bscope_buffer *b = own_buffer();

	follow(by, mean);
	own_buffer(); /* its first mark since draws a gap from the clock */
	for (unsigned round = 0; round < 40; round++) {
		for (size_t i = 0; i < ARRAY(script); i++) {
			unsigned kind = 1 + (unsigned)(rng() % (BSCOPE_KIND_END - 1));

			if (rng() % 2)
				kind = rng() % 2 ? BSCOPE_KIND_NEW : BSCOPE_KIND_RESIZE_END;
			script[i].site = site_of(kind, klasses[rng() % KLASSES],
						 nargs_of(kind, (unsigned)rng()));
			script[i].id = id_value((unsigned)(rng() % IDS));
			script[i].a1 = rng() % 16 ? rng() % 3000 : rng();
			script[i].a2 = rng() >> 7;
		}
		memcpy(&start, b, sizeof(start));
		memcpy(&table_start, table(), sizeof(table_start));
		for (size_t i = 0; i < ARRAY(script); i++)
			mark(&script[i].site, script[i].id, script[i].a1, script[i].a2);
		memcpy(&by_entries, b, sizeof(by_entries));
		memcpy(&table_entries, table(), sizeof(table_entries));
		memcpy(b, &start, sizeof(start));
		memcpy(table(), &table_start, sizeof(table_start));
		for (size_t i = 0; i < ARRAY(script); i++)
			bs_sampled(&script[i].site, script[i].id, script[i].a1, script[i].a2);
		by_entries.coarse = b->coarse; /* a time, too */
		must(!memcmp(&by_entries, b, BSCOPE_BUFFER_HEAD_BYTES));
		must(!memcmp(by_entries.blocks, b->blocks, sizeof(b->blocks)));
		must(!memcmp(&table_entries, table(), sizeof(table_entries)));
		/* All but the times. */
		for (uint64_t i = 0; i < SLOTS; i++) {
			uint64_t head = b->slots[i].head, other = by_entries.slots[i].head;

			must(b->slots[i].value == by_entries.slots[i].value);
			if (!(head & BSCOPE_SLOT_EXTRA)) {
				head &= 0xffffff;
				other &= 0xffffff;
			}
			must(head == other);
		}
	}
	must(b->next > FIRST + 2 * SLOTS);
}

static void test_entries(void **state)
{
	(void)state;
	same_way(BS_SAMPLE_OBJECTS, 1);
	same_way(BS_SAMPLE_OBJECTS, 2);
	same_way(BS_SAMPLE_OBJECTS, 50);
	same_way(BS_SAMPLE_OBJECTS, 1.5);
	same_way(BS_SAMPLE_OBJECTS, 50.5);
	same_way(BS_SAMPLE_BYTES, 1000);
	same_way(BS_SAMPLE_BYTES, 1e7);
}

/* --- a table that is full ----------------------------------------------------------------------
 */

static void test_full(void **state)
{
	struct bscope_site new = site_of(BSCOPE_KIND_NEW, 0, 2);
	struct bscope_site use = site_of(BSCOPE_KIND_USE, 0, 2);
	struct bscope_site drop = site_of(BSCOPE_KIND_DROP, 0, 1);
	struct bscope_buffer *b = own_buffer();
	uint64_t ids[40], full = 0;

	(void)state;
	follow(BS_SAMPLE_OBJECTS, 1);
	/* All in one bucket, but the last of each ten in another. */
	for (uint64_t i = 0; i < ARRAY(ids); i++)
		ids[i] = id_of_hash((i % 10 == 9 ? 77ull : 4242ull) << 50 | i << 44 | i << 2);
	for (uint64_t i = 0; i < ARRAY(ids); i++) {
		bool room = i % 10 == 9 || i - i / 10 < 8;
		struct left left = make(b, &new, ids[i], i, 0);

		must(left.marked && left.forgotten == !room);
		full += !room;
		must(state_of(0, ids[i]) == (room ? ALIVE : ABSENT));
		must(table()->full == full);
	}
	check_filter(true);
	/* Whoever is in is as if nothing had been, whoever is not is not. */
	for (uint64_t i = 0; i < ARRAY(ids); i++)
		must(make(b, &use, ids[i], 1, 0).marked == (state_of(0, ids[i]) == ALIVE));
	/* One that is dead makes room, and its misuse is not seen any more. */
	must(make(b, &drop, ids[3], 0, 0).marked && make(b, &drop, ids[3], 0, 0).marked);
	must(make(b, &new, ids[20], 1, 0).marked && state_of(0, ids[20]) == ALIVE);
	must(state_of(0, ids[3]) == ABSENT && !make(b, &drop, ids[3], 0, 0).marked);
	must(make(b, &new, ids[3], 1, 0).forgotten && state_of(0, ids[3]) == ABSENT);
	check_filter(true);
	/* A resize to where there is no room: its end is recorded, and that it is forgotten. */
	{
		struct bscope_site begin = site_of(BSCOPE_KIND_RESIZE_BEGIN, 0, 1);
		struct bscope_site end = site_of(BSCOPE_KIND_RESIZE_END, 0, 2);
		struct left left;

		must(make(b, &begin, ids[9], 0, 0).marked);
		left = make(b, &end, ids[21], 100, 0);
		must(left.marked && left.forgotten && state_of(0, ids[21]) == ABSENT);
		must(state_of(0, ids[9]) == DEAD);
		/* And one that fails keeps its place. */
		must(make(b, &begin, ids[5], 0, 0).marked);
		left = make(b, &end, ids[5], 100, 0);
		must(left.marked && !left.forgotten && state_of(0, ids[5]) == ALIVE);
	}
	check_filter(true);
}

/* Every place of a half: what is reserved together lies in one. */
static void test_full_everywhere(void **state)
{
	struct bscope_buffer *b = own_buffer();

	(void)state;
	follow(BS_SAMPLE_OBJECTS, 1);
	for (uint64_t i = 0; i < 8; i++) {
		struct bscope_site new = site_of(BSCOPE_KIND_NEW, 0, 1);

		must(!make(b, &new, id_of_hash(9ull << 50 | i << 2), 0, 0).forgotten);
	}
	for (uint64_t i = 8; i < 20000; i++) {
		struct bscope_site new = site_of(BSCOPE_KIND_NEW, 0, 1 + (unsigned)(rng() % 3));
		struct left left = make(b, &new, id_of_hash(9ull << 50 | i << 2), i, i);

		must(left.marked && left.forgotten);
	}
}

/* Adds and removes by the million in few buckets; counters that are full stay so. */
static void test_filter(void **state)
{
	static uint64_t ids[512];
	static int is[512];
	struct bscope_buffer *b = own_buffer();

	(void)state;
	for (uint64_t i = 0; i < ARRAY(ids); i++)
		ids[i] = id_of_hash((100 + i % 64) << 50 | (i / 64) << 45 | i << 2);
	follow(BS_SAMPLE_OBJECTS, 2);
	for (unsigned n = 0; n < 500000; n++) {
		unsigned i = (unsigned)(rng() % ARRAY(ids));
		unsigned kind = rng() % 2 ? BSCOPE_KIND_NEW : BSCOPE_KIND_DROP;
		struct bscope_site site = site_of(kind, 0, 1);
		struct left left = make(b, &site, ids[i], 0, 0);

		if (kind == BSCOPE_KIND_NEW) {
			must(left.marked || left.forgotten == (is[i] == ALIVE));
			is[i] = left.marked && !left.forgotten ? ALIVE : ABSENT;
		} else {
			/* A dead one may have had to go. */
			must(is[i] != ALIVE || left.marked);
			is[i] = is[i] == ALIVE ? DEAD : is[i];
		}
		must(state_of(0, ids[i]) == is[i] || (is[i] == DEAD && !state_of(0, ids[i])));
		if (n % 50000 == 0)
			check_filter(n <= 250000);
		if (n == 250000)
			table()->filter[800] = table()->filter[801] = 255;
	}
	check_filter(false);
	must(table()->filter[800] == 255 && table()->filter[801] == 255);
}

/* The 255th in one counter fills it, and the next does not make it begin anew. */
static void test_filter_fills(void **state)
{
	struct bscope_site new = site_of(BSCOPE_KIND_NEW, 0, 1);
	struct bscope_buffer *b = own_buffer();
	uint64_t hash = 4242ull << 50;
	uint8_t *counter = &table()->filter[hash >> (64 - BSCOPE_FOLLOW_FILTER_BITS)];

	(void)state;
	follow(BS_SAMPLE_OBJECTS, 1);
	*counter = 253;
	for (uint64_t i = 0; i < 4; i++) {
		must(make(b, &new, id_of_hash(hash | i << 2), 0, 0).marked);
		must(*counter == (i ? 255 : 254));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_in_n, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_blocks, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_blocks_go_on, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_by_bytes, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_fork, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_fork_rate, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_another_mean, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_whole_lives, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_classes, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_entries, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_full, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_full_everywhere, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_filter, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_filter_fills, wipe, unfollow),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
