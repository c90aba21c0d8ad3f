/* SPDX-License-Identifier: GPL-2.0-only */
/* test_verdict.c - what is found, and what is not, by example. */
#include "verdict_marks.h"

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

/* Who had borrowed it before anybody looked, or when something was lost, may go on using it. */
static void borrowed_unseen(void **state)
{
	(void)state;
	MOVE(1, 0x10000, 0xb);
	USE(1, 0x10000, 0xa);
	UNBORROW(1, 0x10000, 0xa);
	NOTHING();
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

/* By clocks that differ, another thread drops an object before a destructor has given it back. */
static void borrow_ends_a_moment_after_its_object(void **state)
{
	uint32_t borrow, drop, gone;

	(void)state;
	NEW(1, 0x10000);
	CONN_NEW(1, 0x50000);
	BORROW(1, 0x10000, 0x50000);
	CONN_DROP(1, 0x50000);
	DROP(2, 0x10000);
	mark_at(now + 200, BSCOPE_KIND_UNBORROW, 1, BUF, 0x10000, 0x50000);
	NOTHING();
	/* Much later is too late; or when another object has that id. */
	for (int i = 0; i < 2; i++) {
		uint64_t id = i ? 0x30000 : 0x20000;

		bs_model_free(m);
		model_new();
		started();
		NEW(1, id);
		CONN_NEW(1, 0x50000);
		borrow = BORROW(1, id, 0x50000);
		drop = CONN_DROP(1, 0x50000);
		gone = DROP(2, id);
		if (i)
			NEW(1, id);
		else
			UNBORROW(1, id, 0x50000);
		EXPECT({BS_VERDICT_BORROW_OUTLIVES_OWNER, drop, borrow},
		       {BS_VERDICT_DROP_WHILE_BORROWED, gone, borrow});
	}
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

/* A struct from before anybody looked may have its first member at its own address. */
static void owners_unless_all_was_heard(void **state)
{
	struct bs_event ev = {.pid = PID, .tid = PID, .type = BS_EVENT_EXEC};

	(void)state;
	ev.ts_ns = now += 10 * US;
	assert_int_equal(bs_model_event(m, &ev), 0);
	NEW(1, 0x10000);
	CONN_NEW(1, 0x50000);
	BORROW(1, 0x10000, 0x50000);
	MOVE(1, 0x10000, 0x50000);
	CONN_DROP(1, 0x50000);
	exits();
	NOTHING();
	/* Nor if a class was lit later. */
	started();
	now += 10 * US;
	assert_int_equal(bs_model_class(m, REQ, true, now), 0);
	NEW(1, 0x10000);
	CONN_NEW(1, 0x50000);
	BORROW(1, 0x10000, 0x50000);
	MOVE(1, 0x10000, 0x50000);
	CONN_DROP(1, 0x50000);
	exits();
	NOTHING();
}

/* Where it is after that is not known by those that it has. */
static void owners_that_are_resized(void **state)
{
	(void)state;
	NEW(1, 0x10000);
	CONN_NEW(1, 0x50000);
	MOVE(1, 0x10000, 0x50000);
	BORROW(1, 0x10000, 0x50000);
	mark(BSCOPE_KIND_RESIZE_BEGIN, 1, CONN, 0x50000, 0);
	mark(BSCOPE_KIND_RESIZE_END, 1, CONN, 0x60000, 128);
	CONN_NEW(1, 0x50000);
	CONN_DROP(1, 0x50000);
	exits();
	NOTHING();
}

/* A thread that was ended in the middle of a destructor would have done the rest. */
static void destructors_cut_off(void **state)
{
	struct bs_event ev = {.pid = PID, .tid = 2, .type = BS_EVENT_KILLED};
	uint32_t move, drop;

	(void)state;
	NEW(1, 0x10000);
	NEW(1, 0x20000);
	CONN_NEW(2, 0x50000);
	MOVE(2, 0x10000, 0x50000);
	BORROW(2, 0x20000, 0x50000);
	CONN_DROP(2, 0x50000);
	NEW(1, 0x30000);
	CONN_NEW(1, 0x60000);
	move = MOVE(1, 0x30000, 0x60000);
	drop = CONN_DROP(1, 0x60000);
	ev.ts_ns = now += 10 * US;
	assert_int_equal(bs_model_event(m, &ev), 0);
	exits();
	EXPECT({BS_VERDICT_LEAK, drop, move});
	assert_int_equal(bs_model_undecided(m), 2);
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

/*
 * A resize whose end nobody will see: it must not take what others of its thread have begun for
 * its own, though the end of one may say its id.
 */
static void resizes_of_others(void)
{
	RESIZE_BEGIN(1, 0x20000);
	RESIZE_END(1, 0x10000);
	NEW(1, 0x30000);
	RETAIN(1, 0x30000);
	RESIZE_BEGIN(1, 0x30000);
	RESIZE_END(1, 0x20000);
	RELEASE(1, 0x20000);
	RELEASE(1, 0x20000);
	DROP(1, 0x20000);
	NEW(1, 0x30000);
	RESIZE_BEGIN(1, 0x30000);
	RESIZE_END(1, 0x20000);
	RELEASE(1, 0x20000);
	DROP(1, 0x20000);
	RELEASE(1, 0x10000);
	DROP(1, 0x10000);
	NOTHING();
}

static void resize_end_that_was_lost(void **state)
{
	(void)state;
	NEW(1, 0x10000);
	RESIZE_BEGIN(1, 0x10000);
	bs_model_loss(m, now + 10 * US, 1);
	now += 20 * US;
	NEW(1, 0x20000);
	RETAIN(1, 0x20000);
	RELEASE(1, 0x20000);
	resizes_of_others();
}

static void resize_end_that_is_not_followed(void **state)
{
	/* All that are being resized, as where traps are followed by jumps. */
	struct bs_event ev = {.pid = PID, .type = BS_EVENT_FORGOTTEN};

	(void)state;
	NEW(1, 0x10000);
	RESIZE_BEGIN(1, 0x10000);
	ev.ts_ns = now += 10 * US;
	assert_int_equal(bs_model_event(m, &ev), 0);
	NEW(1, 0x20000);
	RETAIN(1, 0x20000);
	RELEASE(1, 0x20000);
	resizes_of_others();
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

/* One thread borrows and tells another, which gives it back: the end may come first. */
static void borrows_handed_on(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 1, 0x10000, 0);
	AT(t += 10 * US, UNBORROW, 2, 0x10000, 1);
	AT(t += 400, BORROW_MUT, 1, 0x10000, 1);
	AT(t += 10 * US, BORROW, 3, 0x10000, 3);
	AT(t += 10 * US, UNBORROW, 3, 0x10000, 3);
	AT(t += 10 * US, DROP, 3, 0x10000, 0);
	NOTHING();
	/* Which of its levels was exclusive? */
	AT(t += 10 * US, NEW, 1, 0x20000, 0);
	AT(t += 10 * US, BORROW_MUT, 1, 0x20000, 1);
	AT(t += 10 * US, BORROW, 1, 0x20000, 1);
	AT(t += 400, UNBORROW, 2, 0x20000, 1);
	AT(t += 10 * US, BORROW, 3, 0x20000, 3);
	NOTHING();
	/* One after the other. */
	AT(t += 10 * US, NEW, 1, 0x30000, 0);
	AT(t += 10 * US, BORROW_MUT, 1, 0x30000, 1);
	AT(t += 10 * US, UNBORROW, 2, 0x30000, 1);
	AT(t += 10 * US, BORROW_MUT, 1, 0x30000, 1);
	AT(t += 10 * US, BORROW, 1, 0x30000, 2);
	EXPECT({BS_VERDICT_CONFLICTING_BORROW, place, place - 1});
}

/* The struct's mark comes just after the drop of its first member, and belongs before. */
static void structs_begun_late(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 1, 0x10000, 0);
	AT(t, NEW, 1, 0x20000, 0);
	mark_at(t += 10 * US, BSCOPE_KIND_NEW, 2, REQ, 0x50000, 0);
	AT(t += 10 * US, BORROW, 3, 0x10000, 0x50000);
	AT(t, MOVE, 3, 0x20000, 0x50000);
	mark_at(t += 10 * US, BSCOPE_KIND_DROP, 2, REQ, 0x50000, 0);
	AT(t += 400, UNBORROW, 3, 0x10000, 0x50000);
	mark_at(t += 400, BSCOPE_KIND_NEW, 1, CONN, 0x50000, 0);
	exits();
	NOTHING();
	assert_int_equal(bs_model_undecided(m), 2);
}

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

/* The same thread as that of an earlier birth, but not of this one. */
/* Whoever has borrowed it a moment before its birth, by another clock, may use it when it has been
 * moved. */
static void borrowed_before_its_birth(void **state)
{
	uint64_t t;

	(void)state;
	/* Of an id that nobody has had; that one has had that is dead; or is being dropped. */
	for (int i = 0; i < 3; i++) {
		uint64_t id = i ? 0x20000 : 0x10000;

		if (i)
			NEW(1, id);
		if (i == 1)
			DROP(1, id);
		t = now + 10 * US;
		AT(t, BORROW, 2, id, 0xb);
		if (i == 2)
			AT(t + 100, DROP, 1, id, 0);
		AT(t + 200, NEW, 1, id, 64);
		MOVE(2, id, 0xc);
		USE(2, id, 0xb);
		DROP(2, id);
	}
	/* Of one that has just been resized. */
	NEW(1, 0x30000);
	RESIZE_BEGIN(1, 0x30000);
	t = now + 10 * US;
	AT(t, BORROW, 2, 0x40000, 0xb);
	AT(t + 200, RESIZE_END, 1, 0x40000, 64);
	MOVE(2, 0x40000, 0xc);
	USE(2, 0x40000, 0xb);
	NOTHING();
}

/* Of two that have just given their borrows back, either may have used it before. */
static void used_before_its_borrow_ended(void **state)
{
	uint64_t t;

	(void)state;
	NEW(1, 0x10000);
	BORROW(2, 0x10000, 0xb);
	BORROW(3, 0x10000, 0xc);
	MOVE(1, 0x10000, 0xd);
	t = now + 10 * US;
	AT(t, UNBORROW, 2, 0x10000, 0xb);
	AT(t + 50, UNBORROW, 3, 0x10000, 0xc);
	AT(t + 200, USE, 4, 0x10000, 0xb);
	NOTHING();
}

static void a_birth_long_ago(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 1, 0x10000, 0);
	AT(t += 10 * US, DROP, 1, 0x10000, 0);
	AT(t += 100, NEW, 1, 0x10000, 0);
	AT(t += 10 * US, DROP, 2, 0x10000, 0);
	AT(t += 400, NEW, 3, 0x10000, 0);
	/* Of this one, or of the one before. */
	AT(t += 300, RETAIN, 1, 0x10000, 0);
	AT(t += 10 * US, RELEASE, 3, 0x10000, 0);
	AT(t += 10 * US, DROP, 3, 0x10000, 0);
	NOTHING();
	assert_true(bs_model_undecided(m) > 0);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(double_drop),
		T(use_after_drop),
		T(use_after_move),
		T(borrowed_unseen),
		T(borrows),
		T(borrows_of_what_is_unknown),
		T(drop_while_borrowed),
		T(unbalanced_count),
		T(borrow_outlives_owner),
		T(borrow_ends_with_its_owner),
		T(borrow_ends_a_moment_after_its_object),
		T(borrowers_that_are_not_objects),
		T(leak_of_a_region),
		T(leak_of_an_owner),
		T(owners_unless_all_was_heard),
		T(owners_that_are_resized),
		T(destructors_cut_off),
		T(another_process_knows_nothing),
		T(losses),
		T(resize_end_that_was_lost),
		T(resize_end_that_is_not_followed),
		T(dark_sites),
		T(no_new),
		T(late),
		T(borrows_handed_on),
		T(structs_begun_late),
		T(too_close),
		T(borrowed_before_its_birth),
		T(used_before_its_borrow_ended),
		T(a_birth_long_ago),
		T(close_but_of_one_thread),
		T(rows_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
