/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict.c - what is found, and what is not: by example, and random histories against a
 * plain reference.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bscope/abi.h"
#include "model/model.h"

#define PID 100u
#define US  1000ull /* two marks so far apart have an order */

enum { BUF = 1, CONN, REQ, CLASSES = REQ };

static struct bs_model *m;
static uint64_t now;
static uint32_t place;

static void model_new(void)
{
	struct bs_model_opts opts = {.start_ns = 1000};

	m = bs_model_new(&opts);
	assert_non_null(m);
	now = 10000;
	place = 0;
	for (uint32_t k = 1; k <= CLASSES; k++)
		assert_int_equal(bs_model_class(m, k, true, 0), 0);
}

static int setup(void **state)
{
	(void)state;
	model_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bs_model_free(m);
	return 0;
}

static uint32_t mark_at(uint64_t ts, unsigned kind, uint32_t tid, uint32_t klass, uint64_t id,
			uint64_t arg)
{
	struct bs_event ev = {
		.ts_ns = ts,
		.id = id,
		.arg = arg,
		.pid = PID,
		.tid = tid,
		.place = ++place,
		.klass_id = klass,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.has = BS_EVENT_HAS_OTHER,
	};

	if (kind == BSCOPE_KIND_NEW || kind == BSCOPE_KIND_RESIZE_END)
		ev.has = BS_EVENT_HAS_BYTES;
	now = ts > now ? ts : now;
	assert_int_equal(bs_model_event(m, &ev), 0);
	return place;
}

/* The next mark, a while later; its place, which no other has. */
static uint32_t mark(unsigned kind, uint32_t tid, uint32_t klass, uint64_t id, uint64_t arg)
{
	return mark_at(now + 10 * US, kind, tid, klass, id, arg);
}

#define NEW(t, id)	      mark(BSCOPE_KIND_NEW, t, BUF, id, 64)
#define DROP(t, id)	      mark(BSCOPE_KIND_DROP, t, BUF, id, 0)
#define MOVE(t, id, to)	      mark(BSCOPE_KIND_MOVE, t, BUF, id, to)
#define BORROW(t, id, by)     mark(BSCOPE_KIND_BORROW, t, BUF, id, by)
#define BORROW_MUT(t, id, by) mark(BSCOPE_KIND_BORROW_MUT, t, BUF, id, by)
#define UNBORROW(t, id, by)   mark(BSCOPE_KIND_UNBORROW, t, BUF, id, by)
#define USE(t, id, by)	      mark(BSCOPE_KIND_USE, t, BUF, id, by)
#define RETAIN(t, id)	      mark(BSCOPE_KIND_RETAIN, t, BUF, id, 0)
#define RELEASE(t, id)	      mark(BSCOPE_KIND_RELEASE, t, BUF, id, 0)
#define RESIZE_BEGIN(t, id)   mark(BSCOPE_KIND_RESIZE_BEGIN, t, BUF, id, 0)
#define RESIZE_END(t, id)     mark(BSCOPE_KIND_RESIZE_END, t, BUF, id, 128)
#define CONN_NEW(t, id)	      mark(BSCOPE_KIND_NEW, t, CONN, id, 64)
#define CONN_DROP(t, id)      mark(BSCOPE_KIND_DROP, t, CONN, id, 0)
#define REGION_ENTER(t, id)   mark(BSCOPE_KIND_REGION_ENTER, t, REQ, id, 0)
#define REGION_EXIT(t, id)    mark(BSCOPE_KIND_REGION_EXIT, t, REQ, id, 0)

struct want {
	enum bs_verdict verdict;
	uint32_t at, since;
};

/* All that was found by now, in the order of time. */
static void expect_rows(const struct want *want, size_t n)
{
	struct bs_verdict_row *rows;
	size_t found;

	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &found), 0);
	for (size_t i = 0; i < found && i < n; i++) {
		assert_int_equal(rows[i].verdict, want[i].verdict);
		assert_int_equal(rows[i].at, want[i].at);
		assert_int_equal(rows[i].since, want[i].since);
		assert_int_equal(rows[i].pid, PID);
		assert_int_equal(rows[i].count, 1);
	}
	assert_int_equal(found, n);
	free(rows);
}
#define EXPECT(...)                                                   \
	do {                                                          \
		const struct want want_[] = {__VA_ARGS__};            \
		expect_rows(want_, sizeof(want_) / sizeof(want_[0])); \
	} while (0)
#define NOTHING() expect_rows(NULL, 0)

static void exits(void)
{
	struct bs_event ev = {
		.ts_ns = now += 10 * US, .pid = PID, .tid = PID, .type = BS_EVENT_EXIT};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

/* --- by example ----------------------------------------------------------------------------- */

static void double_drop(void **state)
{
	uint32_t first, second, third, fourth;

	(void)state;
	NEW(1, 0x10000);
	first = DROP(1, 0x10000);
	second = DROP(2, 0x10000);
	third = DROP(1, 0x10000);
	NEW(1, 0x10000);
	DROP(1, 0x10000);
	/* Of what was there before anybody looked: two drops are two drops. */
	fourth = DROP(1, 0x20000);
	EXPECT({BS_VERDICT_DOUBLE_DROP, second, first}, {BS_VERDICT_DOUBLE_DROP, third, second});
	second = DROP(1, 0x20000);
	expect_rows((const struct want[]){{BS_VERDICT_DOUBLE_DROP, first + 1, first},
					  {BS_VERDICT_DOUBLE_DROP, first + 2, first + 1},
					  {BS_VERDICT_DOUBLE_DROP, second, fourth}},
		    3);
}

static void use_after_drop(void **state)
{
	static const unsigned kinds[] = {BSCOPE_KIND_RETAIN,   BSCOPE_KIND_RELEASE,
					 BSCOPE_KIND_USE,      BSCOPE_KIND_MOVE,
					 BSCOPE_KIND_BORROW,   BSCOPE_KIND_BORROW_MUT,
					 BSCOPE_KIND_UNBORROW, BSCOPE_KIND_RESIZE_BEGIN};
	struct want want[8];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		uint64_t id = 0x10000 * (i + 1);

		NEW(1, id);
		want[i].since = DROP(1, id);
		want[i].at = mark(kinds[i], 2, BUF, id, 7);
		want[i].verdict = BS_VERDICT_USE_AFTER_DROP;
	}
	expect_rows(want, 8);
}

static void use_after_move(void **state)
{
	uint32_t move, use;

	(void)state;
	NEW(1, 0x10000);
	USE(1, 0x10000, 0xa); /* nobody knows the owner */
	move = MOVE(1, 0x10000, 0xb);
	USE(2, 0x10000, 0xb);
	BORROW(2, 0x10000, 0xc);
	USE(3, 0x10000, 0xc);
	UNBORROW(2, 0x10000, 0xc);
	use = USE(1, 0x10000, 0xa);
	EXPECT({BS_VERDICT_USE_AFTER_MOVE, use, move});
	MOVE(2, 0x10000, 0xa);
	USE(1, 0x10000, 0xa);
	DROP(1, 0x10000);
	/* Another object. */
	NEW(1, 0x10000);
	USE(1, 0x10000, 0xd);
	EXPECT({BS_VERDICT_USE_AFTER_MOVE, use, move});
}

static void borrows(void **state)
{
	uint32_t first, second, third;

	(void)state;
	NEW(1, 0x10000);
	/* Levels of one, and several that share. */
	BORROW(1, 0x10000, 1);
	BORROW(2, 0x10000, 2);
	BORROW(1, 0x10000, 1);
	UNBORROW(1, 0x10000, 1);
	UNBORROW(2, 0x10000, 2);
	BORROW_MUT(1, 0x10000, 1);
	BORROW_MUT(1, 0x10000, 1);
	UNBORROW(1, 0x10000, 1);
	UNBORROW(1, 0x10000, 1); /* down to the shared one */
	BORROW(2, 0x10000, 2);
	UNBORROW(2, 0x10000, 2);
	UNBORROW(1, 0x10000, 1);
	UNBORROW(1, 0x10000, 1); /* one more than were seen */
	NOTHING();
	first = BORROW(1, 0x10000, 1);
	second = BORROW_MUT(2, 0x10000, 2);
	third = BORROW(3, 0x10000, 3);
	EXPECT({BS_VERDICT_CONFLICTING_BORROW, second, first},
	       {BS_VERDICT_CONFLICTING_BORROW, third, second});
}

/* A lock of which nobody saw the beginning. */
static void borrows_of_what_is_unknown(void **state)
{
	uint32_t first, second;

	(void)state;
	first = BORROW_MUT(1, 0x10000, 1);
	second = BORROW_MUT(2, 0x10000, 2);
	EXPECT({BS_VERDICT_CONFLICTING_BORROW, second, first});
}

static void drop_while_borrowed(void **state)
{
	uint32_t borrow, drop;

	(void)state;
	NEW(1, 0x10000);
	borrow = BORROW(1, 0x10000, 1);
	BORROW(2, 0x10000, 2);
	drop = DROP(1, 0x10000);
	UNBORROW(1, 0x10000, 1); /* said already */
	UNBORROW(2, 0x10000, 2);
	EXPECT({BS_VERDICT_DROP_WHILE_BORROWED, drop, borrow});
}

static void unbalanced_count(void **state)
{
	struct bs_verdict_row *rows;
	uint32_t new, drop;
	size_t n;

	(void)state;
	NEW(1, 0x10000);
	RETAIN(1, 0x10000);
	RELEASE(2, 0x10000);
	RELEASE(1, 0x10000);
	DROP(1, 0x10000);
	NEW(1, 0x20000); /* not counted */
	DROP(1, 0x20000);
	RETAIN(1, 0x30000); /* older than the attach */
	DROP(1, 0x30000);
	NOTHING();
	new = NEW(1, 0x10000);
	RETAIN(1, 0x10000);
	RETAIN(1, 0x10000);
	RELEASE(1, 0x10000);
	drop = DROP(1, 0x10000);
	EXPECT({BS_VERDICT_UNBALANCED_COUNT, drop, new});
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	assert_int_equal(rows[0].balance, 2);
	free(rows);
}

static void borrow_outlives_owner(void **state)
{
	uint32_t borrow, drop;

	(void)state;
	NEW(1, 0x10000);
	CONN_NEW(1, 0x50000);
	borrow = BORROW(1, 0x10000, 0x50000);
	drop = CONN_DROP(1, 0x50000);
	NOTHING();
	exits();
	EXPECT({BS_VERDICT_BORROW_OUTLIVES_OWNER, drop, borrow});
}

/* What a destructor gives back after it has said that it is at work. */
static void borrow_ends_with_its_owner(void **state)
{
	uint32_t borrow, drop;

	(void)state;
	NEW(1, 0x10000);
	CONN_NEW(1, 0x50000);
	BORROW(1, 0x10000, 0x50000);
	CONN_DROP(1, 0x50000);
	UNBORROW(1, 0x10000, 0x50000);
	NOTHING();
	/* Another thread that has it in its name is no part of that. */
	CONN_NEW(1, 0x60000);
	borrow = BORROW(2, 0x10000, 0x60000);
	drop = CONN_DROP(1, 0x60000);
	UNBORROW(2, 0x10000, 0x60000);
	EXPECT({BS_VERDICT_BORROW_OUTLIVES_OWNER, drop, borrow});
}

static void borrowers_that_are_not_objects(void **state)
{
	(void)state;
	NEW(1, 0x10000);
	/* Given back in time. */
	CONN_NEW(1, 0x50000);
	BORROW(1, 0x10000, 0x50000);
	UNBORROW(1, 0x10000, 0x50000);
	CONN_DROP(1, 0x50000);
	/* A number that is a descriptor, too. */
	CONN_NEW(1, 7);
	BORROW(1, 0x10000, 7);
	CONN_DROP(1, 7);
	UNBORROW(1, 0x10000, 7);
	/* A struct and its first member: either may be the borrower. */
	CONN_NEW(1, 0x60000);
	mark(BSCOPE_KIND_NEW, 1, REQ, 0x60000, 64);
	BORROW(1, 0x10000, 0x60000);
	CONN_DROP(1, 0x60000);
	UNBORROW(1, 0x10000, 0x60000);
	NOTHING();
}

static void leak_of_a_region(void **state)
{
	uint32_t new, exit;

	(void)state;
	NEW(1, 0x10000);
	REGION_EXIT(1, 9); /* was entered before anybody looked */
	REGION_ENTER(1, 1);
	NEW(1, 0x20000); /* dropped in time */
	DROP(1, 0x20000);
	NEW(2, 0x30000); /* of another thread */
	NEW(1, 0x40000); /* somebody else's from now on */
	MOVE(1, 0x40000, 0xa);
	NEW(1, 0x50000); /* kept by somebody */
	RETAIN(1, 0x50000);
	REGION_ENTER(1, 2);
	NEW(1, 0x60000);
	DROP(1, 0x60000);
	REGION_EXIT(1, 2);
	new = NEW(1, 0x70000);
	RESIZE_BEGIN(1, 0x70000);
	RESIZE_END(1, 0x80000);
	exit = REGION_EXIT(1, 1);
	EXPECT({BS_VERDICT_LEAK, exit, new});
}

static void leak_of_an_owner(void **state)
{
	uint32_t move, drop;

	(void)state;
	CONN_NEW(1, 0x50000);
	NEW(1, 0x10000);
	NEW(1, 0x20000);
	NEW(1, 0x30000);
	move = MOVE(1, 0x10000, 0x50000);
	MOVE(1, 0x20000, 0x50000);
	MOVE(1, 0x30000, 0x50000);
	MOVE(1, 0x30000, 0xa); /* to another */
	drop = CONN_DROP(1, 0x50000);
	DROP(1, 0x20000); /* its destructor is at work */
	NOTHING();
	exits();
	EXPECT({BS_VERDICT_LEAK, drop, move});
}

static void another_process_knows_nothing(void **state)
{
	struct bs_event ev = {.ts_ns = now, .pid = PID, .tid = PID, .type = BS_EVENT_EXEC};

	(void)state;
	NEW(1, 0x10000);
	DROP(1, 0x10000);
	ev.ts_ns = now += 10 * US;
	assert_int_equal(bs_model_event(m, &ev), 0);
	DROP(1, 0x10000);
	NOTHING();
}

/* --- what may be missing -------------------------------------------------------------------- */

static void losses(void **state)
{
	(void)state;
	NEW(1, 0x10000);
	DROP(1, 0x10000);
	bs_model_loss(m, now + 1, 1);
	DROP(1, 0x10000);
	NOTHING();
	assert_int_equal(bs_model_undecided(m), 1);
	DROP(1, 0x10000); /* after that */
	EXPECT({BS_VERDICT_DOUBLE_DROP, place, place - 1});
}

static void dark_sites(void **state)
{
	(void)state;
	assert_int_equal(bs_model_class(m, BUF, false, now + 100 * US), 0);
	DROP(1, 0x10000);
	DROP(1, 0x10000);
	now += 200 * US;
	DROP(1, 0x20000);
	DROP(1, 0x20000);
	EXPECT({BS_VERDICT_DOUBLE_DROP, place, place - 1});
	assert_int_equal(bs_model_class(m, BUF, false, UINT64_MAX), 0);
	DROP(1, 0x30000);
	DROP(1, 0x30000);
	EXPECT({BS_VERDICT_DOUBLE_DROP, place - 2, place - 3});
	assert_int_equal(bs_model_undecided(m), 2);
}

/* A class that does not say when its objects begin. */
static void no_new(void **state)
{
	uint32_t first, second;

	(void)state;
	assert_int_equal(bs_model_class(m, 9, false, 0), 0);
	mark(BSCOPE_KIND_DROP, 1, 9, 0x10000, 0);
	mark(BSCOPE_KIND_DROP, 1, 9, 0x10000, 0);
	mark(BSCOPE_KIND_USE, 1, 9, 0x10000, 0);
	first = mark(BSCOPE_KIND_BORROW_MUT, 1, 9, 0x20000, 1);
	second = mark(BSCOPE_KIND_BORROW_MUT, 1, 9, 0x20000, 2);
	EXPECT({BS_VERDICT_CONFLICTING_BORROW, second, first});
	assert_int_equal(bs_model_class(m, 0, false, 0), -EINVAL);
}

static void late(void **state)
{
	(void)state;
	DROP(1, 0x10000);
	mark_at(now - 5 * US, BSCOPE_KIND_USE, 2, BUF, 0x20000, 1);
	DROP(1, 0x10000);
	NOTHING();
}

/* --- too close to have an order ------------------------------------------------------------- */

#define AT(ts, kind, t, id, arg) mark_at(ts, BSCOPE_KIND_##kind, t, BUF, id, arg)

static void too_close(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	/* The use may have been before the drop, or after the new. */
	AT(t, NEW, 1, 0x10000, 0);
	AT(t += 10 * US, DROP, 1, 0x10000, 0);
	AT(t += 400, USE, 2, 0x10000, 1);
	AT(t += 10 * US, USE, 2, 0x10000, 1);
	AT(t += 400, NEW, 1, 0x10000, 0);
	NOTHING();
	/* The unborrow may have been before the drop. */
	AT(t += 10 * US, BORROW, 2, 0x10000, 1);
	AT(t += 10 * US, DROP, 1, 0x10000, 0);
	AT(t += 400, UNBORROW, 2, 0x10000, 1);
	/* The release, too. */
	AT(t += 10 * US, NEW, 1, 0x20000, 0);
	AT(t += 10 * US, RETAIN, 1, 0x20000, 0);
	AT(t += 10 * US, RELEASE, 1, 0x20000, 0);
	AT(t += 10 * US, DROP, 1, 0x20000, 0);
	AT(t += 400, RELEASE, 2, 0x20000, 0);
	/* Holds that overlap by less. */
	AT(t += 10 * US, BORROW_MUT, 1, 0x30000, 1);
	AT(t += 10 * US, BORROW_MUT, 2, 0x30000, 2);
	AT(t += 400, UNBORROW, 1, 0x30000, 1);
	AT(t += 10 * US, UNBORROW, 2, 0x30000, 2);
	/* The use may have been before the move; or the borrow before the use. */
	AT(t += 10 * US, MOVE, 1, 0x40000, 0xa);
	AT(t += 400, USE, 2, 0x40000, 0xb);
	AT(t += 10 * US, USE, 2, 0x40000, 0xc);
	AT(t += 400, BORROW, 1, 0x40000, 0xc);
	/* The drop of one object may have been before the new of the next. */
	AT(t += 10 * US, NEW, 1, 0x50000, 0);
	AT(t += 10 * US, NEW, 2, 0x50000, 0);
	AT(t += 400, DROP, 1, 0x50000, 0);
	AT(t += 10 * US, DROP, 2, 0x50000, 0);
	NOTHING();
	assert_true(bs_model_undecided(m) >= 7);
}

/* One thread's marks have one however close they are. */
static void close_but_of_one_thread(void **state)
{
	uint64_t t = now + 100 * US;
	uint32_t drop, use, again;

	(void)state;
	AT(t, NEW, 1, 0x10000, 0);
	drop = AT(t += 10, DROP, 1, 0x10000, 0);
	use = AT(t += 10, USE, 1, 0x10000, 1);
	again = AT(t += 10, DROP, 1, 0x10000, 0);
	EXPECT({BS_VERDICT_USE_AFTER_DROP, use, drop}, {BS_VERDICT_DOUBLE_DROP, again, drop});
}

/* --- rows ------------------------------------------------------------------------------------- */

static void rows_are_counted(void **state)
{
	struct bs_verdict_row *rows;
	size_t n;

	(void)state;
	for (uint64_t i = 0; i < 100; i++) {
		for (unsigned k = 0; k < 2; k++) {
			place = k;
			DROP(1, 0x10000 * (i + 1));
		}
	}
	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].count, 100);
	assert_int_equal(rows[0].id, 0x10000);
	assert_int_equal(rows[0].at, 2);
	assert_int_equal(rows[0].since, 1);
	free(rows);
}

/* --- a correct program, seen through clocks that differ --------------------------------------- */

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

enum { OBJECTS = 6, THREADS = 5, EVENTS = 4000, IDS = 8 };

struct object {
	bool alive, counted;
	unsigned id, from; /* numbers of ids; from: before the resize that is under way */
	int resizer;	   /* the thread, or -1 */
	unsigned refs;
	unsigned shared[THREADS]; /* borrow levels by thread */
	int exclusive;		  /* the thread, or -1 */
	uint64_t owner;
};

struct stamped {
	struct bs_event ev;
	size_t n;
};

static int stamped_cmp(const void *x, const void *y)
{
	const struct stamped *a = x, *b = y;

	if (a->ev.ts_ns != b->ev.ts_ns)
		return a->ev.ts_ns < b->ev.ts_ns ? -1 : 1;
	return (a->n > b->n) - (a->n < b->n);
}

static bool id_taken[IDS];

/* One that nobody has: an allocator gives them out again, most often the last one. */
static unsigned id_take(void)
{
	unsigned id = below(IDS);

	while (id_taken[id])
		id = (id + 1) % IDS;
	id_taken[id] = true;
	return id;
}

/* What this thread may do with that object now: a kind, 0 if nothing; *arg: its operand. */
static unsigned legal(struct object *o, unsigned t, uint64_t *arg)
{
	bool borrowed = o->exclusive >= 0;

	for (unsigned i = 0; i < THREADS; i++)
		borrowed |= o->shared[i];
	*arg = 1 + t;
	if (!o->alive) {
		*o = (struct object){.alive = true,
				     .counted = below(2),
				     .id = id_take(),
				     .resizer = -1,
				     .refs = 1,
				     .exclusive = -1};
		return BSCOPE_KIND_NEW;
	}
	if (o->resizer >= 0) {
		if (o->resizer != (int)t)
			return 0;
		o->resizer = -1;
		return BSCOPE_KIND_RESIZE_END;
	}
	switch (below(9)) {
	case 8:
		if (borrowed || o->refs != 1)
			return 0;
		/* Between begin and end others may get the id that it had. */
		o->resizer = (int)t;
		o->from = o->id;
		if (below(2)) {
			o->id = id_take();
			id_taken[o->from] = false;
		}
		return BSCOPE_KIND_RESIZE_BEGIN;
	case 0:
		if (o->counted && o->refs) {
			o->refs++;
			return BSCOPE_KIND_RETAIN;
		}
		return 0;
	case 1:
	case 2:
		if (o->counted && o->refs > 1) {
			o->refs--;
			return BSCOPE_KIND_RELEASE;
		}
		/* The last one: by then nobody borrows it. */
		if (o->counted && o->refs == 1 && !borrowed) {
			o->refs = 0;
			return BSCOPE_KIND_RELEASE;
		}
		if (borrowed || (o->counted && o->refs))
			return 0;
		o->alive = false;
		id_taken[o->id] = false;
		return BSCOPE_KIND_DROP;
	case 3:
		if (!o->refs || (o->exclusive >= 0 && o->exclusive != (int)t) || o->exclusive >= 0)
			return 0;
		o->shared[t]++;
		return BSCOPE_KIND_BORROW;
	case 4:
		if (!o->refs || borrowed)
			return 0;
		o->exclusive = (int)t;
		return BSCOPE_KIND_BORROW_MUT;
	case 5:
	case 6:
		if (o->exclusive == (int)t)
			o->exclusive = -1;
		else if (o->shared[t])
			o->shared[t]--;
		else
			return 0;
		return BSCOPE_KIND_UNBORROW;
	default:
		if (!o->refs)
			return 0;
		if (below(2)) {
			o->owner = *arg = 50 + below(3);
			return BSCOPE_KIND_MOVE;
		}
		*arg = o->owner ? o->owner : *arg;
		return BSCOPE_KIND_USE;
	}
}

/* Marks 50 to 300 ns apart, stamped up to a quarter of a microsecond too early or too late. */
static void a_correct_program_is_left_alone(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct stamped *v = calloc(EVENTS, sizeof(*v));
		struct object objects[OBJECTS] = {0};
		uint64_t last[THREADS] = {0}, t = 1000000;
		unsigned busy[THREADS] = {0}; /* number of an object + 1 */
		size_t n = 0;

		memset(id_taken, 0, sizeof(id_taken));
		assert_non_null(v);
		seed = round * 0x9e3779b97f4a7c15ull + 1;
		model_new();
		while (n < EVENTS) {
			unsigned thread = below(THREADS), o = below(OBJECTS), kind;
			uint64_t arg, ts;

			/* Between begin and end it does nothing else. */
			if (busy[thread] && busy[thread] != o + 1)
				continue;
			kind = legal(&objects[o], thread, &arg);
			if (!kind)
				continue;
			if (kind == BSCOPE_KIND_RESIZE_BEGIN || kind == BSCOPE_KIND_RESIZE_END)
				busy[thread] = kind == BSCOPE_KIND_RESIZE_BEGIN ? o + 1 : 0;
			t += 50 + below(250);
			ts = t + below(2 * 250 + 1) - 250;
			if (ts < last[thread])
				ts = last[thread];
			last[thread] = ts;
			v[n].n = n;
			v[n++].ev = (struct bs_event){
				.ts_ns = ts,
				.id = 0x10000u *
				      (1 + (kind == BSCOPE_KIND_RESIZE_BEGIN ? objects[o].from
									     : objects[o].id)),
				.arg = arg,
				.pid = PID,
				.tid = thread,
				.place = kind,
				.klass_id = BUF,
				.type = BS_EVENT_MARK,
				.kind = (uint8_t)kind,
				.has = kind == BSCOPE_KIND_NEW ? 0 : BS_EVENT_HAS_OTHER,
			};
		}
		qsort(v, n, sizeof(*v), stamped_cmp);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(bs_model_event(m, &v[i].ev), 0);
		NOTHING();
		free(v);
		bs_model_free(m);
	}
}

/* --- random histories against a plain reference ------------------------------------------------
 */

enum { R_IDS = 5, R_THREADS = 3, R_BY = 4, R_EVENTS = 400, R_ROWS = 4000 };

struct ref_hold {
	uint64_t by;
	size_t since;
	unsigned levels, exclusive;
	int holder; /* object that it is, -1: none */
	size_t orphaned;
	uint32_t orphaned_by;
};

/* One (class, id).  Numbers of events are from 1; 0 is none. */
struct ref_object {
	enum { UNKNOWN, ALIVE, DEAD } state;
	size_t since; /* its new, or drop */
	int refs;
	bool counted, moved;
	size_t move;
	uint64_t owner;
	int owner_is;
	size_t orphaned;
	struct ref_hold holds[8];
	unsigned nholds;
	bool whole; /* known since its new when it was dropped */
	uint32_t maker;
	unsigned depth; /* of regions, when it was made */
};

static struct ref_object ref[CLASSES + 1][R_IDS];
static struct {
	uint64_t id;
	uint32_t klass;
	bool unsure;
} ref_regions[R_THREADS][64];
static unsigned ref_nregions[R_THREADS];
static struct want ref_rows[R_ROWS];
static size_t ref_n;

static void ref_row(enum bs_verdict verdict, size_t at, size_t since)
{
	assert_true(ref_n < R_ROWS);
	ref_rows[ref_n++] = (struct want){verdict, (uint32_t)at, (uint32_t)since};
}

/* The tracked object that a value is, as class * R_IDS + id; -1: none, or not sure. */
static int ref_tracked(uint64_t value)
{
	int found = -1;

	for (int k = 1; k <= CLASSES; k++)
		for (int i = 0; i < R_IDS; i++)
			if (value == 0x10000u * (i + 1u) && ref[k][i].state == ALIVE) {
				if (found >= 0)
					return -1;
				found = k * R_IDS + i;
			}
	return found;
}

static struct ref_hold *ref_hold(struct ref_object *o, uint64_t by)
{
	for (unsigned i = 0; i < o->nholds; i++)
		if (o->holds[i].by == by)
			return &o->holds[i];
	return NULL;
}

static void ref_holder_gone(int self, size_t n, uint32_t tid)
{
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < R_IDS; i++) {
			struct ref_object *o = &ref[k][i];

			if (o->move && o->owner_is == self && !o->orphaned)
				o->orphaned = n;
			for (unsigned h = 0; h < o->nholds; h++)
				if (o->holds[h].holder == self) {
					o->holds[h].holder = -1;
					o->holds[h].orphaned = n;
					o->holds[h].orphaned_by = tid;
				}
		}
}

static void ref_borrow(struct ref_object *o, const struct bs_event *ev, size_t n, bool exclusive)
{
	struct ref_hold *h = ref_hold(o, ev->arg);

	for (unsigned i = 0; i < o->nholds; i++)
		if (o->holds[i].by != ev->arg && (exclusive || o->holds[i].exclusive)) {
			ref_row(BS_VERDICT_CONFLICTING_BORROW, n, o->holds[i].since);
			break;
		}
	if (!h) {
		assert_true(o->nholds < 8);
		h = &o->holds[o->nholds++];
		*h = (struct ref_hold){.by = ev->arg, .since = n, .holder = ref_tracked(ev->arg)};
	}
	h->levels++;
	if (exclusive && !h->exclusive)
		h->exclusive = h->levels;
}

static void ref_outlives(struct ref_hold *h)
{
	if (h->orphaned)
		ref_row(BS_VERDICT_BORROW_OUTLIVES_OWNER, h->orphaned, h->since);
	h->orphaned = 0;
}

static void ref_unborrow(struct ref_object *o, uint64_t by, uint32_t tid)
{
	struct ref_hold *h = ref_hold(o, by);

	if (!h)
		return;
	if (--h->levels < h->exclusive)
		h->exclusive = 0;
	if (!h->levels) {
		if (tid != h->orphaned_by)
			ref_outlives(h);
		o->nholds--;
		memmove(h, h + 1, (size_t)(&o->holds[o->nholds] - h) * sizeof(*h));
	}
}

static void ref_drop(struct ref_object *o, int self, size_t n, uint32_t tid)
{
	if (o->state == DEAD) {
		ref_row(BS_VERDICT_DOUBLE_DROP, n, o->since);
		o->since = n;
		o->whole = false;
		return;
	}
	if (o->nholds)
		ref_row(BS_VERDICT_DROP_WHILE_BORROWED, n, o->holds[0].since);
	if (o->state == ALIVE && o->counted && o->refs != 0)
		ref_row(BS_VERDICT_UNBALANCED_COUNT, n, o->since);
	if (o->state == ALIVE)
		ref_holder_gone(self, n, tid);
	o->whole = o->state == ALIVE;
	/* Borrows remain until they end, as nobody's. */
	for (unsigned i = 0; i < o->nholds; i++) {
		ref_outlives(&o->holds[i]);
		o->holds[i].holder = -1;
	}
	o->move = o->orphaned = 0;
	o->owner_is = -1;
	o->state = DEAD;
	o->since = n;
}

static void ref_region_exit(const struct bs_event *ev, size_t n)
{
	unsigned t = ev->tid, d = ref_nregions[t];

	while (d &&
	       (ref_regions[t][d - 1].id != ev->id || ref_regions[t][d - 1].klass != ev->klass_id))
		d--;
	if (!d) {
		/* Perhaps one around these, entered unseen. */
		for (d = 0; d < ref_nregions[t]; d++)
			ref_regions[t][d].unsure = true;
		return;
	}
	for (unsigned k = 1; k <= CLASSES; k++)
		for (unsigned i = 0; i < R_IDS; i++) {
			struct ref_object *o = &ref[k][i];

			if (o->state != ALIVE || o->maker != t || o->depth < d)
				continue;
			if (o->depth == d && !ref_regions[t][d - 1].unsure && !o->moved &&
			    !o->counted)
				ref_row(BS_VERDICT_LEAK, n, o->since);
			o->depth = 0; /* belongs to no region any more */
		}
	ref_nregions[t] = d - 1;
}

static void ref_event(const struct bs_event *ev, size_t n)
{
	unsigned i = (unsigned)(ev->id / 0x10000) - 1;
	struct ref_object *o = &ref[ev->klass_id][i];
	int self = (int)(ev->klass_id * R_IDS + i);
	unsigned t = ev->tid;

	if (ev->kind == BSCOPE_KIND_REGION_ENTER) {
		ref_regions[t][ref_nregions[t]].id = ev->id;
		ref_regions[t][ref_nregions[t]].klass = ev->klass_id;
		ref_regions[t][ref_nregions[t]].unsure = false;
		ref_nregions[t]++;
		return;
	}
	if (ev->kind == BSCOPE_KIND_REGION_EXIT) {
		ref_region_exit(ev, n);
		return;
	}
	if (ev->kind == BSCOPE_KIND_NEW) {
		memset(o, 0, sizeof(*o));
		*o = (struct ref_object){.state = ALIVE,
					 .since = n,
					 .refs = 1,
					 .owner_is = -1,
					 .maker = t,
					 .depth = ref_nregions[t]};
		return;
	}
	if (ev->kind == BSCOPE_KIND_DROP) {
		ref_drop(o, self, n, ev->tid);
		return;
	}
	if (o->state == DEAD) {
		if (ev->kind == BSCOPE_KIND_UNBORROW && ref_hold(o, ev->arg))
			ref_unborrow(o, ev->arg, ev->tid);
		/* Of one that nobody knew, it is not known either who borrowed it. */
		else if (ev->kind != BSCOPE_KIND_UNBORROW || o->whole)
			ref_row(BS_VERDICT_USE_AFTER_DROP, n, o->since);
		return;
	}
	switch (ev->kind) {
	case BSCOPE_KIND_RETAIN:
	case BSCOPE_KIND_RELEASE:
		o->counted = true;
		o->refs += ev->kind == BSCOPE_KIND_RETAIN ? 1 : -1;
		break;
	case BSCOPE_KIND_MOVE:
		o->moved = true;
		o->move = n;
		o->owner = ev->arg;
		o->owner_is = ref_tracked(ev->arg);
		o->orphaned = 0;
		break;
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		ref_borrow(o, ev, n, ev->kind == BSCOPE_KIND_BORROW_MUT);
		break;
	case BSCOPE_KIND_UNBORROW:
		ref_unborrow(o, ev->arg, ev->tid);
		break;
	case BSCOPE_KIND_USE:
		if (o->move && o->owner != ev->arg && !ref_hold(o, ev->arg))
			ref_row(BS_VERDICT_USE_AFTER_MOVE, n, o->move);
		break;
	}
}

static struct bs_event ref_random(size_t n, uint64_t ts)
{
	static const uint8_t kinds[] = {
		BSCOPE_KIND_NEW,	  BSCOPE_KIND_NEW,	   BSCOPE_KIND_NEW,
		BSCOPE_KIND_DROP,	  BSCOPE_KIND_DROP,	   BSCOPE_KIND_MOVE,
		BSCOPE_KIND_BORROW,	  BSCOPE_KIND_BORROW_MUT,  BSCOPE_KIND_UNBORROW,
		BSCOPE_KIND_UNBORROW,	  BSCOPE_KIND_UNBORROW,	   BSCOPE_KIND_RETAIN,
		BSCOPE_KIND_RELEASE,	  BSCOPE_KIND_RELEASE,	   BSCOPE_KIND_USE,
		BSCOPE_KIND_REGION_ENTER, BSCOPE_KIND_REGION_EXIT, BSCOPE_KIND_REGION_EXIT};
	struct bs_event ev = {
		.ts_ns = ts,
		.id = 0x10000u * (1 + below(R_IDS)),
		.pid = PID,
		.tid = below(R_THREADS),
		.place = (uint32_t)n,
		.klass_id = 1 + below(CLASSES),
		.type = BS_EVENT_MARK,
		.kind = kinds[below(sizeof(kinds))],
	};

	/* Somebody, or an object. */
	ev.arg = below(2) ? 1 + below(R_BY) : 0x10000u * (1 + below(R_IDS));
	if (ev.kind == BSCOPE_KIND_NEW)
		ev.arg = 64;
	return ev;
}

static int want_cmp(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct want));
}

/* Of several borrows in force another may be the oldest that was seen. */
static bool ref_has(const struct bs_verdict_row *row)
{
	bool any = row->verdict == BS_VERDICT_DROP_WHILE_BORROWED ||
		   row->verdict == BS_VERDICT_CONFLICTING_BORROW;

	for (size_t i = 0; i < ref_n; i++)
		if (ref_rows[i].verdict == row->verdict && ref_rows[i].at == row->at &&
		    (any || ref_rows[i].since == row->since))
			return true;
	return false;
}

static void random_histories(void **state)
{
	static struct bs_event v[R_EVENTS];
	size_t found_all = 0, found_lossy = 0;

	(void)state;
	for (unsigned round = 0; round < 10000; round++) {
		struct bs_verdict_row *rows;
		uint64_t ts = 1000000, lost_ns = 0;
		struct want *got;
		size_t n;

		seed = round * 0x9e3779b97f4a7c15ull + 77;
		memset(ref, 0, sizeof(ref));
		memset(ref_nregions, 0, sizeof(ref_nregions));
		for (unsigned k = 1; k <= CLASSES; k++)
			for (unsigned i = 0; i < R_IDS; i++)
				ref[k][i].owner_is = -1;
		ref_n = 0;
		for (size_t i = 0; i < R_EVENTS; i++) {
			v[i] = ref_random(i + 1, ts += 1001 + below(5000));
			ref_event(&v[i], i + 1);
		}
		for (unsigned k = 1; k <= CLASSES; k++)
			for (unsigned i = 0; i < R_IDS; i++)
				for (unsigned h = 0; h < ref[k][i].nholds; h++)
					ref_outlives(&ref[k][i].holds[h]);
		for (unsigned k = 1; k <= CLASSES; k++)
			for (unsigned i = 0; i < R_IDS; i++)
				if (ref[k][i].state == ALIVE && ref[k][i].orphaned)
					ref_row(BS_VERDICT_LEAK, ref[k][i].orphaned,
						ref[k][i].move);

		/* All of it, one by one: exactly that. */
		model_new();
		for (size_t i = 0; i < R_EVENTS; i++)
			assert_int_equal(bs_model_event(m, &v[i]), 0);
		now = ts;
		exits();
		assert_int_equal(bs_model_end(m), 0);
		assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
		got = calloc(n + 1, sizeof(*got));
		assert_non_null(got);
		for (size_t i = 0; i < n; i++)
			got[i] = (struct want){rows[i].verdict, rows[i].at, rows[i].since};
		qsort(got, n, sizeof(*got), want_cmp);
		qsort(ref_rows, ref_n, sizeof(*ref_rows), want_cmp);
		assert_int_equal(n, ref_n);
		assert_memory_equal(got, ref_rows, n * sizeof(*got));
		found_all += n;
		free(got);
		free(rows);
		bs_model_free(m);

		/* Some of it is lost: nothing that is not among those. */
		model_new();
		for (size_t i = 0; i < R_EVENTS; i++) {
			if (!below(1 + round % 100)) {
				lost_ns = v[i].ts_ns;
				continue;
			}
			if (lost_ns)
				bs_model_loss(m, lost_ns, 1);
			lost_ns = 0;
			assert_int_equal(bs_model_event(m, &v[i]), 0);
		}
		if (lost_ns)
			bs_model_loss(m, lost_ns, 1);
		now = ts;
		exits();
		assert_int_equal(bs_model_end(m), 0);
		assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
		for (size_t i = 0; i < n; i++)
			assert_true(ref_has(&rows[i]));
		found_lossy += n;
		free(rows);
		bs_model_free(m);
	}
	assert_true(found_all > 100000 && found_lossy > 10000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(double_drop),
		T(use_after_drop),
		T(use_after_move),
		T(borrows),
		T(borrows_of_what_is_unknown),
		T(drop_while_borrowed),
		T(unbalanced_count),
		T(borrow_outlives_owner),
		T(borrow_ends_with_its_owner),
		T(borrowers_that_are_not_objects),
		T(leak_of_a_region),
		T(leak_of_an_owner),
		T(another_process_knows_nothing),
		T(losses),
		T(dark_sites),
		T(no_new),
		T(late),
		T(too_close),
		T(close_but_of_one_thread),
		T(rows_are_counted),
		cmocka_unit_test(a_correct_program_is_left_alone),
		cmocka_unit_test(random_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
