/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_model_coarse.c - histories of several threads with coarse stamps: events of one thread in
 * order, those of others up to a stamp's age before or after them.  Objects are counted as they
 * were; nobody is accused by an order that was not; what one thread has alone is judged as ever.
 */
#include "verdict_check.h"

#define THREADS 5u
#define OBJECTS 24u
#define LENGTH	6000u
#define LOOK_NS 100000000ull /* stamps are renewed so often at least */
#define COARSE	1000000000ull
#define STEP_NS 200000u
#define PRIVATE BUF
#define SHARED	CONN

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

struct made {
	struct bs_event ev;
	uint32_t lot, n; /* among those with the same stamp; in the thread's order */
};
static struct made made[2 * LENGTH];
static uint32_t nmade;
static uint64_t true_ns, looked_ns, half_ns[THREADS + 1];
static struct {
	uint64_t created, dropped;
} truth[CLASSES + 1];

/* A mark by a thread: its stamp is that of the last look, or of its last full half. */
static void make(uint32_t thread, unsigned kind, uint32_t klass, uint64_t id)
{
	uint64_t stamp = looked_ns > half_ns[thread] ? looked_ns : half_ns[thread];

	true_ns += 1 + below(STEP_NS);
	if (true_ns - looked_ns > LOOK_NS)
		looked_ns = true_ns;
	/* Any number of marks fill a half. */
	if (!below(100))
		half_ns[thread] = true_ns;
	assert_true(nmade < 2 * LENGTH);
	made[nmade] = (struct made){.ev = {.ts_ns = stamp,
					   .id = id,
					   .arg = 10,
					   .pid = PID,
					   .tid = PID + thread,
					   .place = 100 * klass + kind,
					   .klass_id = klass,
					   .type = BS_EVENT_MARK,
					   .kind = (uint8_t)kind,
					   .has = kind == BSCOPE_KIND_NEW ? BS_EVENT_HAS_BYTES : 0},
				    .n = nmade};
	nmade++;
	truth[klass].created += kind == BSCOPE_KIND_NEW;
	truth[klass].dropped += kind == BSCOPE_KIND_DROP;
}

static int by_stamp(const void *x, const void *y)
{
	const struct made *a = x, *b = y;

	if (a->ev.ts_ns != b->ev.ts_ns)
		return a->ev.ts_ns < b->ev.ts_ns ? -1 : 1;
	/* One thread's stay together, the threads in any order. */
	if (a->lot != b->lot)
		return a->lot < b->lot ? -1 : 1;
	return (a->n > b->n) - (a->n < b->n);
}

static void give_all(void)
{
	uint32_t lots[THREADS + 1];

	/* In this order the threads come, where their stamps are the same. */
	for (uint32_t i = 0; i <= THREADS; i++)
		lots[i] = below(1000) * (THREADS + 1) + i;
	for (uint32_t i = 0; i < nmade; i++)
		made[i].lot = lots[made[i].ev.tid - PID];
	qsort(made, nmade, sizeof(*made), by_stamp);
	for (uint32_t i = 0; i < nmade; i++)
		assert_int_equal(bs_model_event(m, &made[i].ev), 0);
	assert_int_equal(bs_model_tick(m, true_ns + 2 * COARSE), 0);
}

static void begin(uint64_t random)
{
	struct bs_model_opts opts = {.start_ns = 1000, .coarse_ns = COARSE};

	m = bs_model_new(&opts);
	assert_non_null(m);
	for (uint32_t k = 1; k <= CLASSES; k++)
		assert_int_equal(bs_model_class(m, k, true, 0), 0);
	nmade = 0;
	true_ns = looked_ns = 10000;
	memset(half_ns, 0, sizeof(half_ns));
	memset(truth, 0, sizeof(truth));
	seed = random * 0x9e3779b97f4a7c15ull + 1;
}

/*
 * All threads have said something of the class, at different times: before that nobody knows that
 * it is shared, and what one thread's marks alone look like is counted.
 */
static void all_come(uint32_t klass)
{
	for (uint32_t t = 1; t <= THREADS; t++) {
		true_ns += LOOK_NS;
		looked_ns = true_ns;
		make(t, BSCOPE_KIND_USE, klass, 0x100000);
	}
	true_ns += LOOK_NS;
	looked_ns = true_ns;
}

static struct bs_class_row row_of(uint32_t klass)
{
	struct bs_class_row *rows, row = {0};
	size_t n;

	assert_int_equal(bs_model_classes(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (rows[i].klass_id == klass)
			row = rows[i];
	free(rows);
	return row;
}

static void counts_right(uint32_t klass)
{
	struct bs_class_row row = row_of(klass);
	struct bs_model_totals t;

	bs_model_totals(m, &t);
	assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);
	assert_int_equal(row.created, truth[klass].created);
	assert_int_equal(row.dropped, truth[klass].dropped);
	assert_int_equal(row.live, truth[klass].created - truth[klass].dropped);
	assert_int_equal(row.live_bytes, 10 * row.live);
}

/* --- what threads share ----------------------------------------------------------------------- */

/* A correct program: any thread begins, uses and ends any object; ids are used again at once. */
static void shared_lives(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 200; round++) {
		bool alive[OBJECTS] = {0};
		int refs[OBJECTS] = {0};

		begin(round);
		/* At first one thread alone, in some: its counts are not what coarse.c counts. */
		for (uint32_t i = 0; i < LENGTH; i++) {
			if (i == (round % 2 ? 300 : 0))
				all_come(SHARED);
			uint32_t thread = round % 2 && i < 300 ? 1 : 1 + below(THREADS);
			uint32_t o = below(OBJECTS), what = below(8);

			if (!alive[o]) {
				make(thread, BSCOPE_KIND_NEW, SHARED, 16 * o);
				alive[o] = true;
				refs[o] = 1;
			} else if (what == 0 && refs[o] == 1) {
				make(thread, BSCOPE_KIND_RELEASE, SHARED, 16 * o);
				make(thread, BSCOPE_KIND_DROP, SHARED, 16 * o);
				alive[o] = false;
			} else if (what < 3 && refs[o] > 1) {
				make(thread, BSCOPE_KIND_RELEASE, SHARED, 16 * o);
				refs[o]--;
			} else if (what < 6) {
				make(thread, BSCOPE_KIND_RETAIN, SHARED, 16 * o);
				refs[o]++;
			} else {
				make(thread, BSCOPE_KIND_USE, SHARED, 16 * o);
			}
		}
		give_all();
		counts_right(SHARED);
		assert_int_equal(bs_model_shared(m), 1);
		NOTHING();
		bs_model_free(m);
	}
}

/* Quickly, so that one id has many lives within one stamp. */
static void ids_again(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 200; round++) {
		bool alive[4] = {0};

		begin(round);
		all_come(SHARED);
		for (uint32_t i = 0; i < LENGTH; i++) {
			uint32_t o = below(4);

			make(1 + below(THREADS), alive[o] ? BSCOPE_KIND_DROP : BSCOPE_KIND_NEW,
			     SHARED, 16 * o);
			alive[o] = !alive[o];
			/* Now and then everything is the same moment. */
			if (round % 3)
				true_ns += below(1000000);
		}
		give_all();
		counts_right(SHARED);
		NOTHING();
		bs_model_free(m);
	}
}

/*
 * Resizes, too, by which objects move to other ids, that another has had a moment before.  What was
 * made known by a resize before its new came is counted twice, as created and adopted, and as gone
 * twice.
 */
static void resizes(void **state)
{
	(void)state;
	for (uint64_t round = 1; round <= 200; round++) {
		/* By id: is somebody there? */
		bool taken[OBJECTS] = {0};
		struct bs_model_totals t;
		uint64_t alive = 0;

		begin(round);
		all_come(SHARED);
		for (uint32_t i = 0; i < LENGTH - 1; i++) {
			uint32_t thread = 1 + below(THREADS), from = below(OBJECTS);
			uint32_t to = below(OBJECTS);

			if (!taken[from]) {
				make(thread, BSCOPE_KIND_NEW, SHARED, 16 * from);
				taken[from] = true;
			} else if (below(2)) {
				make(thread, BSCOPE_KIND_DROP, SHARED, 16 * from);
				taken[from] = false;
			} else if (!taken[to]) {
				make(thread, BSCOPE_KIND_RESIZE_BEGIN, SHARED, 16 * from);
				make(thread, BSCOPE_KIND_RESIZE_END, SHARED, 16 * to);
				taken[from] = false;
				taken[to] = true;
			}
			if (round % 3)
				true_ns += below(100000);
		}
		for (uint32_t i = 0; i < OBJECTS; i++)
			alive += taken[i];
		give_all();
		bs_model_totals(m, &t);
		assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);
		assert_int_equal(t.created, truth[SHARED].created);
		assert_int_equal(t.live, alive);
		NOTHING();
		bs_model_free(m);
	}
}

/* Objects of before the attach: their drops are nobody's, once it is too late for a new. */
static void from_before(void **state)
{
	(void)state;
	begin(7);
	make(1, BSCOPE_KIND_USE, SHARED, 16);
	make(2, BSCOPE_KIND_DROP, SHARED, 16);
	true_ns += 3 * COARSE;
	looked_ns = true_ns;
	make(1, BSCOPE_KIND_NEW, SHARED, 16);
	truth[SHARED].dropped--;
	give_all();
	counts_right(SHARED);
	bs_model_free(m);
}

/* Even where the order that came looks wrong all over, and would be with precise stamps. */
static void no_verdicts(void **state)
{
	static const unsigned wrong[] = {
		BSCOPE_KIND_DROP,   BSCOPE_KIND_DROP,	  BSCOPE_KIND_USE, BSCOPE_KIND_MOVE,
		BSCOPE_KIND_BORROW, BSCOPE_KIND_UNBORROW, BSCOPE_KIND_NEW, BSCOPE_KIND_BORROW_MUT};
	struct bs_model_totals t;

	(void)state;
	for (uint64_t round = 1; round <= 100; round++) {
		begin(round);
		for (uint32_t i = 0; i < LENGTH; i++)
			make(1 + below(THREADS), wrong[below(8)], SHARED, 16 * below(OBJECTS));
		give_all();
		NOTHING();
		bs_model_totals(m, &t);
		assert_int_equal(t.created + t.adopted, t.dropped + t.vanished + t.live + t.exited);
		bs_model_free(m);
	}
}

/* --- what one thread has alone ---------------------------------------------------------------- */

/* All that is found with precise stamps is found with coarse ones, whatever the others do. */
static void private_classes(void **state)
{
	static const unsigned kinds[] = {BSCOPE_KIND_NEW,	 BSCOPE_KIND_NEW,
					 BSCOPE_KIND_DROP,	 BSCOPE_KIND_USE,
					 BSCOPE_KIND_BORROW,	 BSCOPE_KIND_UNBORROW,
					 BSCOPE_KIND_BORROW_MUT, BSCOPE_KIND_RETAIN,
					 BSCOPE_KIND_RELEASE,	 BSCOPE_KIND_MOVE};
	uint64_t all = 0;

	(void)state;
	for (uint64_t round = 1; round <= 100; round++) {
		struct bs_verdict_row *coarse, *precise;
		struct bs_model *other;
		size_t n, k, seen = 0;

		begin(round);
		for (uint32_t i = 0; i < LENGTH; i++)
			if (below(2))
				make(1, kinds[below(10)], PRIVATE, 16 * below(OBJECTS));
			else
				make(1 + below(THREADS), kinds[below(10)], SHARED,
				     16 * below(OBJECTS));
		give_all();
		assert_int_equal(bs_model_end(m), 0);
		assert_int_equal(bs_model_verdicts(m, &coarse, &n), 0);

		/* The private class alone, at its true times. */
		other = m;
		model_new();
		for (uint32_t i = 0; i < nmade; i++) {
			struct bs_event ev = made[i].ev;

			if (ev.klass_id != PRIVATE)
				continue;
			ev.ts_ns = now += 10 * US;
			assert_int_equal(bs_model_event(m, &ev), 0);
		}
		assert_int_equal(bs_model_end(m), 0);
		assert_int_equal(bs_model_verdicts(m, &precise, &k), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(coarse[i].klass_id, PRIVATE);
		for (size_t i = 0; i < k; i++)
			for (size_t j = 0; j < n; j++)
				if (precise[i].verdict == coarse[j].verdict &&
				    precise[i].at == coarse[j].at &&
				    precise[i].since == coarse[j].since) {
					assert_int_equal(precise[i].count, coarse[j].count);
					seen++;
				}
		assert_int_equal(seen, k);
		assert_int_equal(n, k);
		all += k;
		free(coarse);
		free(precise);
		bs_model_free(m);
		bs_model_free(other);
	}
	assert_true(all > 300);
}

/* A second thread's first mark comes before it is decided: nothing is found. */
static void not_alone_after_all(void **state)
{
	(void)state;
	begin(3);
	make(1, BSCOPE_KIND_NEW, SHARED, 16);
	make(1, BSCOPE_KIND_DROP, SHARED, 16);
	make(1, BSCOPE_KIND_DROP, SHARED, 16);
	make(2, BSCOPE_KIND_USE, SHARED, 32);
	give_all();
	NOTHING();
	bs_model_free(m);
	/* The same without it. */
	begin(3);
	make(1, BSCOPE_KIND_NEW, SHARED, 16);
	make(1, BSCOPE_KIND_DROP, SHARED, 16);
	make(1, BSCOPE_KIND_DROP, SHARED, 16);
	make(2, BSCOPE_KIND_USE, PRIVATE, 32);
	give_all();
	EXPECT({BS_VERDICT_DOUBLE_DROP, 100 * SHARED + BSCOPE_KIND_DROP,
		100 * SHARED + BSCOPE_KIND_DROP});
	assert_int_equal(bs_model_shared(m), 0);
	bs_model_free(m);
}

/* A mark at a given stamp. */
static void stamped(uint64_t ts_ns, uint32_t thread, unsigned kind, uint32_t klass, uint64_t id,
		    uint64_t arg)
{
	struct bs_event ev = {
		.ts_ns = ts_ns,
		.id = id,
		.arg = arg,
		.pid = PID,
		.tid = PID + thread,
		.place = 100 * klass + kind,
		.klass_id = klass,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.has = BS_EVENT_HAS_OTHER,
	};

	if (kind == BSCOPE_KIND_NEW)
		ev.has = BS_EVENT_HAS_BYTES;
	assert_int_equal(bs_model_event(m, &ev), 0);
	now = ts_ns;
}

/*
 * Two classes, each one thread's, by the order of whose marks something looks wrong: it is only
 * where both are the same thread's.
 */
static void of_two_classes(void **state)
{
	(void)state;
	for (uint32_t other = 1; other <= 2; other++) {
		begin(5);
		now = 1000;
		started();
		stamped(10000, 1, BSCOPE_KIND_NEW, PRIVATE, 0x100000, 8);
		stamped(10000, other, BSCOPE_KIND_NEW, CONN, 0x200000, 8);
		stamped(20000000, 1, BSCOPE_KIND_BORROW, PRIVATE, 0x100000, 0x200000);
		/* The other thread's stamp is old: this is after the unborrow. */
		stamped(21000000, other, BSCOPE_KIND_DROP, CONN, 0x200000, 0);
		if (other == 1) {
			exits();
			EXPECT({BS_VERDICT_BORROW_OUTLIVES_OWNER, 100 * CONN + BSCOPE_KIND_DROP,
				100 * PRIVATE + BSCOPE_KIND_BORROW});
		} else {
			stamped(30000000, 1, BSCOPE_KIND_UNBORROW, PRIVATE, 0x100000, 0x200000);
			stamped(30000000, 1, BSCOPE_KIND_DROP, PRIVATE, 0x100000, 0);
			exits();
			NOTHING();
		}
		bs_model_free(m);

		begin(6);
		now = 1000;
		started();
		stamped(10000, 1, BSCOPE_KIND_NEW, PRIVATE, 0x100000, 8);
		stamped(10000, other, BSCOPE_KIND_NEW, CONN, 0x200000, 8);
		/* The first thread's stamp is old: it belongs to the next one of that id. */
		stamped(20000000, 1, BSCOPE_KIND_MOVE, PRIVATE, 0x100000, 0x200000);
		stamped(21000000, other, BSCOPE_KIND_DROP, CONN, 0x200000, 0);
		stamped(21000000, other, BSCOPE_KIND_NEW, CONN, 0x200000, 8);
		now += 2 * COARSE;
		exits();
		if (other == 1)
			EXPECT({BS_VERDICT_LEAK, 100 * CONN + BSCOPE_KIND_DROP,
				100 * PRIVATE + BSCOPE_KIND_MOVE});
		else
			NOTHING();
		bs_model_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_lives),	       cmocka_unit_test(resizes),
		cmocka_unit_test(ids_again),	       cmocka_unit_test(from_before),
		cmocka_unit_test(no_verdicts),	       cmocka_unit_test(private_classes),
		cmocka_unit_test(not_alone_after_all), cmocka_unit_test(of_two_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
