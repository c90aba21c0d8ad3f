/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_follow_threads.c - sampling by object in the runtime while threads pass objects among each
 * other: of each life all marks are recorded or none, by whichever thread they are made.
 *
 * Each thread looks into its own buffer after each mark.  What was decided at the birth of an
 * object goes with it, under the program's own locks.
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
#include <sched.h>
#include <stdatomic.h>

#include "follow_check.h"

enum { WORKERS = 8, IDS = 3000, SHELF = 256 };

struct object {
	uint64_t id;
	bool followed;
};

/* Ids that are free, the last one first, as an allocator does it. */
static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t free_ids[IDS];
static unsigned nfree;

/* Where objects wait to be taken by whatever thread comes. */
static struct place {
	pthread_mutex_t lock;
	bool taken;
	struct object object;
} shelf[SHELF];

static enum bs_sample_by by;

struct worker {
	pthread_t thread;
	uint64_t random, marks, born, chosen, forgotten, choices;
	struct bscope_buffer *buffer;
};

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random * 0x2545f4914f6cdd1dull >> 20;
}

static uint64_t id_take(struct worker *w)
{
	uint64_t id;

	pthread_mutex_lock(&free_lock);
	must(nfree);
	/* Now and then an old one. */
	if (next_random(w) % 4 == 0) {
		unsigned i = (unsigned)(next_random(w) % nfree);

		id = free_ids[i];
		free_ids[i] = free_ids[--nfree];
	} else {
		id = free_ids[--nfree];
	}
	pthread_mutex_unlock(&free_lock);
	return id;
}

static void id_give(uint64_t id)
{
	pthread_mutex_lock(&free_lock);
	must(nfree < IDS);
	free_ids[nfree++] = id;
	pthread_mutex_unlock(&free_lock);
}

static struct left mark_of(struct worker *w, unsigned kind, uint64_t id)
{
	struct bscope_site site = site_of(kind, 0, nargs_of(kind, (unsigned)next_random(w)));

	w->marks++;
	return make(w->buffer, &site, id, next_random(w) % 3000, 5);
}

static struct object object_new(struct worker *w)
{
	struct object o = {.id = id_take(w)};
	struct left left = mark_of(w, BSCOPE_KIND_NEW, o.id);

	/* The program is correct: nobody was alive under that id. */
	must(left.marked || !left.forgotten);
	o.followed = left.marked && !left.forgotten;
	w->born++;
	w->chosen += left.marked;
	w->forgotten += left.forgotten;
	if (w->born <= 64)
		w->choices = w->choices << 1 | left.marked;
	return o;
}

static void object_resize(struct worker *w, struct object *o)
{
	uint64_t from = o->id;
	struct left left = mark_of(w, BSCOPE_KIND_RESIZE_BEGIN, o->id);

	must(left.marked >= o->followed && !left.forgotten);
	switch (next_random(w) % 3) {
	case 0: /* it stays where it is, or there is no memory */
		break;
	case 1: /* it moves, and others have its id before this is said */
		o->id = id_take(w);
		id_give(from);
		break;
	default: { /* something else happens inside */
		struct object inner = object_new(w);

		if (next_random(w) % 2)
			object_resize(w, &inner);
		must(mark_of(w, BSCOPE_KIND_DROP, inner.id).marked >= inner.followed);
		id_give(inner.id);
	}
	}
	left = mark_of(w, BSCOPE_KIND_RESIZE_END, o->id);
	if (by != BS_SAMPLE_BYTES || o->followed)
		must(left.marked == o->followed);
	must(left.marked || !left.forgotten);
	w->forgotten += left.forgotten;
	o->followed = left.marked && !left.forgotten;
}

/* Any mark but the last; then it is put back, or ends. */
static void object_mark(struct worker *w, const struct object *o)
{
	static const uint8_t kinds[] = {BSCOPE_KIND_MOVE,     BSCOPE_KIND_BORROW,
					BSCOPE_KIND_UNBORROW, BSCOPE_KIND_RETAIN,
					BSCOPE_KIND_RELEASE,  BSCOPE_KIND_USE};
	unsigned kind = kinds[next_random(w) % ARRAY(kinds)];
	struct left left = mark_of(w, kind, o->id);

	must(left.marked == o->followed && !left.forgotten);
	/* Of the one that had this id before nothing is left, and of nobody anything is made up. */
	left = mark_of(w, kind, o->id ^ 1ull << 40);
	must(!left.marked && !left.forgotten);
}

static void turn(struct worker *w)
{
	struct place *p = &shelf[next_random(w) % SHELF];
	struct object o;
	bool had;

	pthread_mutex_lock(&p->lock);
	had = p->taken;
	o = p->object;
	p->taken = false;
	pthread_mutex_unlock(&p->lock);
	if (!had)
		o = object_new(w);
	for (unsigned n = next_random(w) % 4; n; n--)
		object_mark(w, &o);
	if (next_random(w) % 4 == 0)
		object_resize(w, &o);
	if (next_random(w) % 3) {
		pthread_mutex_lock(&p->lock);
		if (!p->taken) {
			p->object = o;
			p->taken = true;
			pthread_mutex_unlock(&p->lock);
			return;
		}
		pthread_mutex_unlock(&p->lock);
	}
	must(mark_of(w, BSCOPE_KIND_DROP, o.id).marked == o.followed);
	id_give(o.id);
}

static uint64_t marks_each;

static void *work(void *arg)
{
	struct worker *w = arg;

	w->buffer = own_buffer();
	while (w->marks < marks_each)
		turn(w);
	return NULL;
}

static struct worker workers[WORKERS];

/* colliding: the ids fall into few buckets, so that there is not room for all. */
static void begin(enum bs_sample_by how, double mean, bool colliding, uint64_t marks)
{
	by = how;
	marks_each = marks;
	memset(shelf, 0, sizeof(shelf));
	for (unsigned i = 0; i < SHELF; i++)
		pthread_mutex_init(&shelf[i].lock, NULL);
	for (nfree = 0; nfree < IDS; nfree++)
		free_ids[nfree] = colliding ? id_of_hash((nfree % 16 + 5ull) << 50 |
							 (uint64_t)nfree / 16 << 40 | nfree << 2)
					    : 0x7f0012340000ull + 64 * nfree;
	follow(how, mean);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.random = (i + 1) * 0x9e3779b97f4a7c15ull};
		must(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
}

/* All of them; what is still on the shelf is followed or not, as was said. */
static struct worker end(void)
{
	struct worker sum = {0};

	for (unsigned i = 0; i < WORKERS; i++) {
		must(!pthread_join(workers[i].thread, NULL));
		sum.marks += workers[i].marks;
		sum.born += workers[i].born;
		sum.chosen += workers[i].chosen;
		sum.forgotten += workers[i].forgotten;
	}
	for (unsigned i = 0; i < SHELF; i++)
		if (shelf[i].taken)
			must((state_of(0, shelf[i].object.id) == ALIVE) ==
			     shelf[i].object.followed);
	check_filter(true);
	return sum;
}

static void check_chosen(const struct worker *sum, double p)
{
	double n = (double)sum->born;

	must(fabs((double)sum->chosen - n * p) <= 6 * sqrt(n * p * (1 - p)) + 15);
}

static void test_objects(void **state)
{
	struct worker sum;

	static const double means[] = {2, 2.5, 20, 200};

	(void)state;
	for (size_t m = 0; m < ARRAY(means); m++) {
		double mean = means[m];

		begin(BS_SAMPLE_OBJECTS, mean, false, 150000);
		sum = end();
		check_chosen(&sum, 1.0 / mean);
		must(!sum.forgotten && !table()->full && sum.marks >= 1200000);
		/* No two threads choose alike. */
		for (unsigned i = 0; i < WORKERS && mean < 3; i++)
			for (unsigned k = 0; k < i; k++)
				must(__builtin_popcountll(workers[i].choices ^ workers[k].choices) >
				     (mean > 2 ? 4 : 0)); /* by blocks, half of them say nothing */
		wipe(NULL);
	}
}

static void test_bytes(void **state)
{
	(void)state;
	begin(BS_SAMPLE_BYTES, 3000, false, 150000);
	/* Resizes that are chosen no more are. */
	must(end().forgotten > 100 && !table()->full);
}

static void test_full(void **state)
{
	(void)state;
	begin(BS_SAMPLE_OBJECTS, 1, true, 150000);
	must(end().forgotten > 1000 && table()->full > 1000);
}

/* Another mean, again and again, while threads are at work. */
static void test_changing(void **state)
{
	unsigned changes = 0;

	(void)state;
	begin(BS_SAMPLE_OBJECTS, 2, false, 300000);
	for (double mean = 2; changes < 2000; changes++) {
		mean = mean > 1000 ? 1 : mean * 3;
		follow(BS_SAMPLE_OBJECTS, changes % 2 ? mean : mean + 0.5);
		usleep(200);
	}
	must(!end().forgotten && !table()->full);
	must(changes > 50);
	/* And now for good; what is on the shelf is nobody's. */
	wipe(NULL);
	begin(BS_SAMPLE_OBJECTS, 10, false, 100000);
	{
		struct worker sum = end();

		check_chosen(&sum, 0.1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_objects, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_bytes, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_full, wipe, unfollow),
		cmocka_unit_test_setup_teardown(test_changing, wipe, unfollow),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
