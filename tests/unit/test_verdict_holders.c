/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict_holders.c - objects that borrow and own by ids which others have, too, or have a
 * moment later; and what goes from one object to the next of its id: whose borrow, count, drop is
 * it?
 *
 * Each test is a history that a correct program had, in the order in which its stamps put it; what
 * really happened is said beside it.
 */
#include "verdict_marks.h"

#define AT(ts, kind, t, klass, id, arg) mark_at(ts, BSCOPE_KIND_##kind, t, klass, id, arg)
/* A while later. */
#define LATER(kind, t, klass, id, arg) AT(now + 10 * US, kind, t, klass, id, arg)

static void killed(uint32_t tid)
{
	struct bs_event ev = {
		.ts_ns = now += 10 * US, .pid = PID, .tid = tid, .type = BS_EVENT_KILLED};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

/* While 2 destroys the holder, the next thing of its id borrows the same; then 2 gives it back. */
static void borrowed_again_by_the_next(void **state)
{
	(void)state;
	LATER(NEW, 2, BUF, 0x40000, 64);
	LATER(NEW, 2, CONN, 0x30000, 64);
	LATER(BORROW, 2, BUF, 0x40000, 0x30000);
	LATER(DROP, 2, CONN, 0x30000, 0);
	LATER(NEW, 1, REQ, 0x30000, 64);
	LATER(BORROW, 1, BUF, 0x40000, 0x30000);
	LATER(UNBORROW, 2, BUF, 0x40000, 0x30000);
	LATER(UNBORROW, 1, BUF, 0x40000, 0x30000);
	exits();
	NOTHING();
}

/* Both of an id borrow the same; the first gives it back and is dropped, then the second does. */
static void borrowed_by_both(void **state)
{
	(void)state;
	LATER(NEW, 2, BUF, 0x40000, 64);
	LATER(NEW, 2, CONN, 0x30000, 64);
	LATER(BORROW, 2, BUF, 0x40000, 0x30000);
	LATER(NEW, 1, REQ, 0x30000, 64);
	LATER(BORROW, 1, BUF, 0x40000, 0x30000);
	LATER(UNBORROW, 2, BUF, 0x40000, 0x30000);
	LATER(DROP, 1, REQ, 0x30000, 0);
	LATER(DROP, 2, CONN, 0x30000, 0);
	LATER(UNBORROW, 1, BUF, 0x40000, 0x30000);
	exits();
	NOTHING();
}

/* 1 borrows by the id of one that 4 then resizes away, and drops the other one of that id. */
static void borrowed_by_one_resized(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 1, BUF, 0x60000, 64);
	LATER(NEW, 1, CONN, 0x20000, 64);
	LATER(NEW, 4, REQ, 0x20000, 64);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 4, REQ, 0x20000, 0);
	AT(t + 10, RESIZE_END, 4, REQ, 0x30000, 64);
	AT(t + 300, BORROW, 1, BUF, 0x60000, 0x20000);
	LATER(DROP, 1, CONN, 0x20000, 0);
	LATER(UNBORROW, 4, BUF, 0x60000, 0x20000);
	exits();
	NOTHING();
}

/*
 * 3 makes one, by whose id 2 borrows, which drops it; while it is at that, 1 drops the other one of
 * that id.  The same of what is moved to it; 2 is ended in the middle.
 */
static void borrowed_by_one_made_before(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 1, BUF, 0x60000, 64);
	LATER(NEW, 1, BUF, 0x70000, 64);
	LATER(NEW, 1, CONN, 0x20000, 64);
	AT(t, BORROW, 2, BUF, 0x60000, 0x20000);
	AT(t + 100, MOVE, 2, BUF, 0x70000, 0x20000);
	AT(t + 500, NEW, 3, REQ, 0x20000, 64);
	LATER(DROP, 2, REQ, 0x20000, 0);
	LATER(DROP, 1, CONN, 0x20000, 0);
	LATER(UNBORROW, 2, BUF, 0x60000, 0x20000);
	killed(2);
	now += 2000000 * US;
	exits();
	NOTHING();
}

/*
 * 4 has one borrow what 1 has made, by clocks that differ before it was.  1 is at the one's
 * destructor, while another one of that id borrows, is dropped, and has not given it back.
 */
static void borrowed_before_it_was_made(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 1, CONN, 0x20000, 64);
	t = now + 100 * US;
	AT(t, BORROW, 4, BUF, 0x60000, 0x20000);
	AT(t + 400, NEW, 1, BUF, 0x60000, 64);
	LATER(DROP, 1, CONN, 0x20000, 0);
	LATER(NEW, 4, REQ, 0x20000, 64);
	LATER(BORROW, 4, BUF, 0x60000, 0x20000);
	LATER(DROP, 5, REQ, 0x20000, 0);
	LATER(UNBORROW, 1, BUF, 0x60000, 0x20000);
	LATER(UNBORROW, 5, BUF, 0x60000, 0x20000);
	exits();
	NOTHING();
}

/* What is given back by another thread than its holder's destructor is found all the same. */
static void given_back_by_another(void **state)
{
	uint32_t drop, borrow;

	(void)state;
	LATER(NEW, 1, BUF, 0x60000, 64);
	LATER(NEW, 1, CONN, 0x20000, 64);
	borrow = LATER(BORROW, 1, BUF, 0x60000, 0x20000);
	LATER(BORROW, 1, BUF, 0x60000, 0x20000);
	LATER(UNBORROW, 1, BUF, 0x60000, 0x20000);
	drop = LATER(DROP, 1, CONN, 0x20000, 0);
	LATER(UNBORROW, 2, BUF, 0x60000, 0x20000);
	exits();
	EXPECT({BS_VERDICT_BORROW_OUTLIVES_OWNER, drop, borrow});
}

/* 1 counts what 3 has made in its region, before 3 leaves that. */
static void counted_before_the_exit(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(REGION_ENTER, 3, REQ, 9, 0);
	AT(t, NEW, 3, BUF, 0x80000, 64);
	AT(t + 100, REGION_EXIT, 3, REQ, 9, 0);
	AT(t + 400, RELEASE, 1, BUF, 0x80000, 0);
	LATER(DROP, 1, BUF, 0x80000, 0);
	NOTHING();
}

/* Of two that nobody knew 3 borrows the one and resizes it away, and 2 resizes the other to its id.
 */
static void borrowed_of_two_unseen(void **state)
{
	(void)state;
	bs_model_free(m);
	model_new();
	AT(130302, BORROW_MUT, 2, REQ, 0x10000, 2);
	AT(131456, RESIZE_BEGIN, 2, REQ, 0x10000, 0);
	AT(131456, RESIZE_END, 2, REQ, 0x20000, 64);
	AT(131639, BORROW, 3, REQ, 0x20000, 3);
	AT(131639, RESIZE_BEGIN, 3, REQ, 0x20000, 0);
	NOTHING();
}

/* 4 drops one, 2 makes the next of its id, which is borrowed, and 3 resizes that away. */
static void borrowed_of_one_taken_for_dropped(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 2, BUF, 0x30000, 64);
	AT(t, NEW, 2, BUF, 0x30000, 64);
	AT(t + 300, BORROW, 3, BUF, 0x30000, 1);
	AT(t + 300, RESIZE_BEGIN, 3, BUF, 0x30000, 0);
	AT(t + 500, RESIZE_END, 3, BUF, 0x40000, 64);
	AT(t + 900, DROP, 4, BUF, 0x30000, 0);
	AT(t + 3200, UNBORROW, 2, BUF, 0x40000, 1);
	t += 40 * US;
	AT(t, RESIZE_BEGIN, 3, BUF, 0x30000, 0);
	AT(t + 700, RESIZE_END, 3, BUF, 0x60000, 64);
	AT(t + 1000, RESIZE_BEGIN, 4, BUF, 0x40000, 0);
	AT(t + 1200, RESIZE_END, 4, BUF, 0x30000, 64);
	AT(t + 4000, BORROW_MUT, 3, BUF, 0x60000, 3);
	NOTHING();
}

/* 1 drops one, 2 makes the next of its id, 1 drops that and makes the third: 2 resizes it, twice.
 */
static void dropped_before_two_resizes(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 2, BUF, 0x50000, 64);
	t = now + 100 * US;
	AT(t, NEW, 2, BUF, 0x50000, 64);
	AT(t, RESIZE_BEGIN, 2, BUF, 0x50000, 0);
	AT(t, RESIZE_END, 2, BUF, 0x30000, 64);
	AT(t, RESIZE_BEGIN, 2, BUF, 0x30000, 0);
	AT(t + 400, RESIZE_BEGIN, 1, BUF, 0x50000, 0);
	AT(t + 400, RESIZE_END, 1, BUF, 0x50000, 64);
	AT(t + 600, DROP, 1, BUF, 0x50000, 0);
	AT(t + 800, DROP, 1, BUF, 0x50000, 0);
	AT(t + 800, NEW, 1, BUF, 0x50000, 64);
	NOTHING();
}

/* 1 makes one and gives it back, 2 drops it and makes the next, which 1 gives back, too. */
static void given_back_of_two_one_made(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 2, BUF, 0x10000, 64);
	t = now + 100 * US;
	AT(t, DROP, 2, BUF, 0x10000, 0);
	AT(t, NEW, 2, BUF, 0x10000, 64);
	AT(t + 500, DROP, 1, BUF, 0x10000, 0);
	AT(t + 500, NEW, 1, BUF, 0x10000, 64);
	AT(t + 500, RELEASE, 1, BUF, 0x10000, 0);
	AT(t + 500, RELEASE, 1, BUF, 0x10000, 0);
	LATER(DROP, 1, BUF, 0x10000, 0);
	NOTHING();
}

/* 2 resizes one that is counted, 4 resizes it on, 5 makes the next of that id, which 3 drops. */
static void resized_on_before_the_next(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, BUF, 0x50000, 64);
	LATER(DROP, 3, BUF, 0x50000, 0);
	LATER(NEW, 1, BUF, 0x10000, 64);
	LATER(RETAIN, 3, BUF, 0x10000, 0);
	t = now + 100 * US;
	AT(t, NEW, 5, BUF, 0x50000, 64);
	AT(t + 300, RESIZE_BEGIN, 4, BUF, 0x50000, 0);
	AT(t + 400, RESIZE_BEGIN, 2, BUF, 0x10000, 0);
	AT(t + 400, RESIZE_END, 2, BUF, 0x50000, 64);
	LATER(DROP, 3, BUF, 0x50000, 0);
	NOTHING();
}

/* 5 resizes one, in which 2 makes another of its id and resizes that; 3 drops the first. */
static void dropped_while_another_is_resized(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 5, BUF, 0x10000, 64);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 5, BUF, 0x10000, 0);
	AT(t + 200, RESIZE_END, 5, BUF, 0x10000, 64);
	AT(t + 300, NEW, 2, BUF, 0x10000, 64);
	AT(t + 500, BORROW, 2, BUF, 0x10000, 7);
	AT(t + 700, RESIZE_BEGIN, 2, BUF, 0x10000, 0);
	LATER(DROP, 3, BUF, 0x10000, 0);
	LATER(RESIZE_END, 2, BUF, 0x20000, 64);
	LATER(UNBORROW, 2, BUF, 0x20000, 7);
	LATER(DROP, 2, BUF, 0x20000, 0);
	NOTHING();
}

/* 1 resizes one away, makes the next and drops it, 3 makes the third: 1 counts that, 2 drops it. */
static void counted_after_another_has_made_it(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, CONN, 0x20000, 64);
	t = now + 100 * US;
	AT(t, DROP, 2, CONN, 0x20000, 0);
	AT(t + 200, NEW, 3, CONN, 0x20000, 64);
	AT(t + 200, RESIZE_BEGIN, 1, CONN, 0x20000, 0);
	AT(t + 200, RESIZE_END, 1, CONN, 0x10000, 64);
	AT(t + 200, NEW, 1, CONN, 0x20000, 64);
	AT(t + 1200, DROP, 1, CONN, 0x20000, 0);
	AT(t + 1400, RELEASE, 1, CONN, 0x20000, 0);
	NOTHING();
}

/* 2 resizes one, 1 borrows it, 2 gives that back, 1 resizes it on and borrows it exclusively. */
static void given_back_before_it_is_resized_on(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 1, BUF, 0x20000, 64);
	t = now + 100 * US;
	AT(t, UNBORROW, 2, BUF, 0x20000, 7);
	AT(t + 300, BORROW, 1, BUF, 0x20000, 7);
	t += 30 * US;
	AT(t, BORROW, 1, BUF, 0x30000, 7);
	AT(t + 300, RESIZE_BEGIN, 1, BUF, 0x30000, 0);
	AT(t + 330, RESIZE_BEGIN, 2, BUF, 0x20000, 0);
	AT(t + 330, RESIZE_END, 2, BUF, 0x30000, 64);
	AT(t + 450, UNBORROW, 2, BUF, 0x30000, 7);
	AT(t + 900, RESIZE_END, 1, BUF, 0x50000, 64);
	AT(t + 24 * US, BORROW_MUT, 1, BUF, 0x50000, 8);
	NOTHING();
}

/* 3 resizes one to an id and away, 5 makes another of that id, which borrows. */
static void borrowed_by_one_taken_for_gone(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, CONN, 0x50000, 64);
	LATER(NEW, 5, BUF, 0x70000, 64);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 3, BUF, 0x70000, 0);
	AT(t + 100, NEW, 5, BUF, 0x50000, 64);
	AT(t + 200, RESIZE_END, 3, BUF, 0x50000, 64);
	AT(t + 700, RESIZE_BEGIN, 3, BUF, 0x50000, 0);
	AT(t + 1000, RESIZE_END, 3, BUF, 0x70000, 64);
	LATER(BORROW, 5, BUF, 0x70000, 0x50000);
	LATER(DROP, 5, CONN, 0x50000, 0);
	LATER(UNBORROW, 2, BUF, 0x70000, 0x50000);
	LATER(DROP, 2, BUF, 0x50000, 0);
	NOTHING();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(borrowed_again_by_the_next),
		T(borrowed_by_both),
		T(borrowed_by_one_resized),
		T(borrowed_by_one_made_before),
		T(borrowed_before_it_was_made),
		T(given_back_by_another),
		T(counted_before_the_exit),
		T(borrowed_of_two_unseen),
		T(borrowed_of_one_taken_for_dropped),
		T(dropped_before_two_resizes),
		T(given_back_of_two_one_made),
		T(resized_on_before_the_next),
		T(dropped_while_another_is_resized),
		T(counted_after_another_has_made_it),
		T(given_back_before_it_is_resized_on),
		T(borrowed_by_one_taken_for_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
