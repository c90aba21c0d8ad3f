/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_verdict_close.c - marks of several threads that are closer than their clocks can tell, where
 * an id goes from one object to the next: each order in which they may come is legal.
 *
 * Each test is a history that a correct program had, in the order in which its stamps put it; what
 * really happened is said beside it.
 */
#include "verdict_marks.h"

#include "base/sample.h"

/* Marks stand at the places from there on. */
static void mark_from(uint32_t first)
{
	place = first - 1;
}

#define AT(ts, kind, t, id, arg) mark_at(ts, BSCOPE_KIND_##kind, t, BUF, id, arg)
/* A while later. */
#define LATER(kind, t, id, arg) AT(now + 10 * US, kind, t, id, arg)

/* 4 drops one, resizes another to its id, and hands that to 3, which drops it. */
static void dropped_and_resized_onto(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 4, 0x50000, 64);
	LATER(NEW, 4, 0x70000, 64);
	AT(t, DROP, 3, 0x50000, 0);
	AT(t + 100, DROP, 4, 0x50000, 0);
	AT(t + 100, RESIZE_BEGIN, 4, 0x70000, 0);
	AT(t + 200, RESIZE_END, 4, 0x50000, 128);
	NOTHING();
}

/* 1 drops one, 3 makes another of its id, 2 resizes that: its counts are its own. */
static void dropped_and_the_next_resized(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	LATER(RELEASE, 1, 0x20000, 0);
	AT(t, RESIZE_BEGIN, 2, 0x20000, 0);
	AT(t + 100, RESIZE_END, 2, 0x60000, 128);
	AT(t + 200, NEW, 3, 0x20000, 64);
	AT(t + 300, DROP, 1, 0x20000, 0);
	LATER(RELEASE, 2, 0x60000, 0);
	LATER(DROP, 2, 0x60000, 0);
	NOTHING();
}

/* 1 gives back two references and drops what nobody knew; 3 makes another of its id. */
static void counts_of_one_unseen(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 3, 0x60000, 64);
	AT(t + 300, RELEASE, 1, 0x60000, 0);
	AT(t + 400, RELEASE, 1, 0x60000, 0);
	AT(t + 500, DROP, 1, 0x60000, 0);
	NOTHING();
}

/* 2 moves what nobody knew, and drops it; 3 makes another of its id, and uses it. */
static void move_of_one_unseen(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 3, 0x60000, 64);
	AT(t + 300, MOVE, 2, 0x60000, 7);
	LATER(USE, 3, 0x60000, 3);
	NOTHING();
}

/* 4 drops what nobody knew; 1 resizes its own to that id. */
static void resized_onto_one_unseen(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 1, 0x10000, 64);
	AT(t, RESIZE_BEGIN, 1, 0x10000, 0);
	AT(t + 100, RESIZE_END, 1, 0x60000, 128);
	AT(t + 200, DROP, 4, 0x60000, 0);
	AT(t + 3 * US, BORROW_MUT, 2, 0x60000, 2);
	NOTHING();
}

/* 3 drops one; 4 makes the next, of which 3 gives a reference back, and drops it; 3 makes one. */
static void three_drops(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 1, 0x40000, 64);
	AT(t, NEW, 4, 0x40000, 64);
	AT(t, DROP, 4, 0x40000, 0);
	AT(t + 200, DROP, 5, 0x40000, 0);
	AT(t + 360, DROP, 3, 0x40000, 0);
	AT(t + 570, RELEASE, 3, 0x40000, 0);
	AT(t + 980, NEW, 3, 0x40000, 64);
	NOTHING();
}

/* 4 makes one in its region; 5 drops it, and makes another of its id. */
static void made_before_the_next(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	mark_at(now + 10 * US, BSCOPE_KIND_REGION_ENTER, 4, REQ, 9, 0);
	AT(t, DROP, 5, 0x90000, 0);
	AT(t, NEW, 5, 0x90000, 64);
	AT(t + 300, NEW, 4, 0x90000, 64);
	mark_at(now + 10 * US, BSCOPE_KIND_REGION_EXIT, 4, REQ, 9, 0);
	NOTHING();
}

/* 2 makes one in its region; 3 resizes it, and drops it. */
static void made_before_its_resize(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	mark_at(now + 10 * US, BSCOPE_KIND_REGION_ENTER, 2, REQ, 9, 0);
	AT(t, RESIZE_BEGIN, 3, 0x20000, 0);
	AT(t + 100, RESIZE_END, 3, 0x50000, 128);
	AT(t + 200, NEW, 2, 0x20000, 64);
	LATER(DROP, 3, 0x50000, 0);
	mark_at(now + 10 * US, BSCOPE_KIND_REGION_EXIT, 2, REQ, 9, 0);
	NOTHING();
}

/* 2 makes one, 5 drops it and makes another of its id in its region, which 2 drops. */
static void made_between_two_drops(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	for (unsigned last = 0; last < 2; last++, t += 100 * US) {
		mark_at(t - 10 * US, BSCOPE_KIND_REGION_ENTER, 5, REQ, 9, 0);
		AT(t, NEW, 2, 0x90000, 64);
		AT(t + 600, DROP, 2, 0x90000, 0);
		AT(t + 700, DROP, 5, 0x90000, 0);
		AT(t + 800, NEW, 5, 0x90000, 64);
		/* Long ago, or a moment ago. */
		mark_at(last ? t + 900 : t + 10 * US, BSCOPE_KIND_REGION_EXIT, 5, REQ, 9, 0);
		NOTHING();
	}
}

/* The same; but what comes in between is long over. */
static void made_a_while_after(void **state)
{
	uint64_t t = now + 100 * US;
	struct bs_verdict_row *rows;
	size_t n;

	(void)state;
	mark_at(t - 10 * US, BSCOPE_KIND_REGION_ENTER, 5, REQ, 9, 0);
	AT(t, NEW, 2, 0x90000, 64);
	AT(t + 100, DROP, 2, 0x90000, 0);
	AT(t + 3 * US, NEW, 5, 0x90000, 64);
	mark_at(t + 10 * US, BSCOPE_KIND_REGION_EXIT, 5, REQ, 9, 0);
	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].verdict, BS_VERDICT_LEAK);
	assert_int_equal(rows[0].since_ns, t + 3 * US);
	free(rows);
}

/* 1 counts it, or 4 moves it to 5, before 5 resizes it. */
static void said_before_its_resize(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	for (unsigned kind = BSCOPE_KIND_MOVE; kind <= BSCOPE_KIND_RETAIN;
	     kind += BSCOPE_KIND_RETAIN - BSCOPE_KIND_MOVE, t += 100 * US) {
		mark_at(t - 10 * US, BSCOPE_KIND_REGION_ENTER, 5, REQ, 9, 0);
		AT(t, NEW, 5, 0x20000, 64);
		AT(t + 300, RESIZE_BEGIN, 5, 0x20000, 0);
		AT(t + 400, RESIZE_END, 5, 0x60000, 128);
		mark_at(t + 500, BSCOPE_KIND_REGION_EXIT, 5, REQ, 9, 0);
		mark_at(t + 600, kind, 1, BUF, 0x20000, 5);
		NOTHING();
		AT(t + 50 * US, DROP, 5, 0x60000, 0);
	}
	AT(t, NEW, 5, 0x20000, 64);
	AT(t + 10 * US, MOVE, 5, 0x20000, 4);
	AT(t + 20 * US, RESIZE_BEGIN, 5, 0x20000, 0);
	AT(t + 20 * US + 100, RESIZE_END, 5, 0x60000, 128);
	AT(t + 20 * US + 200, USE, 5, 0x60000, 5);
	AT(t + 20 * US + 300, MOVE, 4, 0x20000, 5);
	NOTHING();
}

/* 3 resizes what nobody knew, 2 makes another of its id; 3 and 1 give references back. */
static void resized_before_the_next(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 2, 0x60000, 64);
	AT(t + 200, RESIZE_BEGIN, 3, 0x60000, 0);
	AT(t + 300, RESIZE_END, 3, 0x10000, 128);
	LATER(RELEASE, 3, 0x10000, 0);
	LATER(RELEASE, 1, 0x10000, 0);
	LATER(DROP, 2, 0x10000, 0);
	NOTHING();
}

/* 4 resizes one and makes another of its id, 2 resizes that. */
static void resized_and_the_next_resized(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 4, 0x60000, 64);
	LATER(RETAIN, 4, 0x60000, 0);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 2, 0x60000, 0);
	AT(t + 100, RESIZE_END, 2, 0x80000, 128);
	AT(t + 900, RESIZE_BEGIN, 4, 0x60000, 0);
	AT(t + 1000, RESIZE_END, 4, 0x50000, 128);
	AT(t + 1100, NEW, 4, 0x60000, 64);
	LATER(DROP, 2, 0x80000, 0);
	NOTHING();
}

/* 4 gives both back; then 3 resizes one, and 5 the other to its id. */
static void given_back_and_resized_onto(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, 0x70000, 64);
	LATER(NEW, 3, 0x90000, 64);
	LATER(BORROW, 5, 0x70000, 4);
	LATER(BORROW, 3, 0x90000, 4);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 3, 0x90000, 0);
	AT(t + 100, RESIZE_END, 3, 0x80000, 128);
	AT(t + 500, RESIZE_BEGIN, 5, 0x70000, 0);
	AT(t + 600, RESIZE_END, 5, 0x90000, 128);
	AT(t + 900, UNBORROW, 4, 0x90000, 4);
	AT(t + 1100, UNBORROW, 4, 0x70000, 4);
	LATER(DROP, 3, 0x80000, 0);
	LATER(DROP, 3, 0x90000, 0);
	NOTHING();
}

/* For 3 it is borrowed and given back, then by 1 no more, and then by 1 exclusively. */
static void a_level_that_is_exclusive(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 4, 0x70000, 64);
	LATER(BORROW, 4, 0x70000, 1);
	AT(t, BORROW_MUT, 5, 0x70000, 1);
	AT(t + 300, BORROW, 4, 0x70000, 3);
	AT(t + 480, UNBORROW, 4, 0x70000, 1);
	AT(t + 670, UNBORROW, 2, 0x70000, 3);
	NOTHING();
}

static void one(enum bs_verdict verdict)
{
	struct bs_verdict_row *rows;
	size_t found;

	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &found), 0);
	assert_int_equal(found, 1);
	assert_int_equal(rows[0].verdict, verdict);
	assert_int_equal(rows[0].count, 1);
	free(rows);
}

/* An id that nobody knew whose it was has another object much later, which is in no doubt. */
static void doubt_of_long_ago(void **state)
{
	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	LATER(NEW, 2, 0x20000, 64);
	AT(now + 100, DROP, 1, 0x20000, 0);
	LATER(DROP, 2, 0x20000, 0);
	LATER(NEW, 3, 0x20000, 64);
	LATER(DROP, 3, 0x20000, 0);
	LATER(DROP, 3, 0x20000, 0);
	one(BS_VERDICT_DOUBLE_DROP);
}

/* The same of an object that was resized to that id. */
static void resized_onto_doubt_of_long_ago(void **state)
{
	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	LATER(NEW, 2, 0x20000, 64);
	AT(now + 100, DROP, 1, 0x20000, 0);
	LATER(DROP, 2, 0x20000, 0);
	LATER(NEW, 3, 0x60000, 64);
	LATER(RESIZE_BEGIN, 3, 0x60000, 0);
	LATER(RESIZE_END, 3, 0x20000, 128);
	LATER(RETAIN, 3, 0x20000, 0);
	LATER(DROP, 3, 0x20000, 0);
	one(BS_VERDICT_UNBALANCED_COUNT);
}

/* 3 moves it to 8, then 1 resizes it, then 8 uses it. */
static void moved_before_its_resize(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	LATER(MOVE, 1, 0x20000, 7);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 1, 0x20000, 0);
	AT(t + 100, RESIZE_END, 1, 0x60000, 128);
	AT(t + 200, USE, 2, 0x60000, 8);
	AT(t + 300, MOVE, 3, 0x20000, 8);
	NOTHING();
}

/* The same, resized twice. */
static void moved_before_two_resizes(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	LATER(MOVE, 1, 0x20000, 7);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 1, 0x20000, 0);
	AT(t + 100, RESIZE_END, 1, 0x60000, 128);
	AT(t + 200, RESIZE_BEGIN, 1, 0x60000, 0);
	AT(t + 300, RESIZE_END, 1, 0x70000, 128);
	AT(t + 400, USE, 2, 0x70000, 8);
	AT(t + 500, MOVE, 3, 0x20000, 8);
	LATER(USE, 2, 0x70000, 8);
	NOTHING();
}

/* 4 gives back the one, which 3 then resizes; to its id 5 resizes the other, which 4 has, too. */
static void given_back_before_its_resize(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, 0x90000, 64);
	LATER(NEW, 5, 0x70000, 64);
	LATER(BORROW, 4, 0x90000, 4);
	LATER(BORROW, 4, 0x70000, 4);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 3, 0x90000, 0);
	AT(t + 10, RESIZE_END, 3, 0x80000, 128);
	AT(t + 100, RESIZE_BEGIN, 5, 0x70000, 0);
	AT(t + 800, RESIZE_END, 5, 0x90000, 128);
	AT(t + 900, UNBORROW, 4, 0x90000, 4);
	LATER(DROP, 3, 0x80000, 0);
	LATER(UNBORROW, 4, 0x90000, 4);
	LATER(DROP, 5, 0x90000, 0);
	NOTHING();
}

/* 4 resizes one that is counted, and makes another of its id, which 2 resizes and drops. */
static void resized_and_the_next_too(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 4, 0x60000, 64);
	LATER(RETAIN, 4, 0x60000, 0);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 2, 0x60000, 0);
	AT(t + 10, RESIZE_END, 2, 0x80000, 128);
	AT(t + 900, RESIZE_BEGIN, 4, 0x60000, 0);
	AT(t + 910, RESIZE_END, 4, 0x50000, 128);
	AT(t + 920, NEW, 4, 0x60000, 64);
	AT(t + 1500, DROP, 2, 0x80000, 0);
	LATER(RELEASE, 4, 0x50000, 0);
	NOTHING();
}

/* 2 drops the owner, and moves what it had to somebody else; which 5 resizes then. */
static void moved_in_its_resize(void **state)
{
	uint64_t t;

	(void)state;
	mark_at(now + 10 * US, BSCOPE_KIND_NEW, 2, CONN, 0x30000, 16);
	LATER(NEW, 2, 0x40000, 64);
	LATER(MOVE, 2, 0x40000, 0x30000);
	t = now + 100 * US;
	mark_at(t, BSCOPE_KIND_DROP, 2, CONN, 0x30000, 0);
	AT(t + 200, RESIZE_BEGIN, 5, 0x40000, 0);
	AT(t + 1100, MOVE, 2, 0x40000, 0x77);
	AT(t + 1500, RESIZE_END, 5, 0x40000, 128);
	now += 2000000 * US;
	exits();
	NOTHING();
}

/* The same; two of one id, of which the second, in a region further in, is forgotten. */
static void two_of_a_stamp_in_regions(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	mark_at(t, BSCOPE_KIND_REGION_ENTER, 1, CONN, 0x30000, 0);
	AT(t, NEW, 1, 0x60000, 64);
	AT(t, DROP, 1, 0x60000, 0);
	mark_at(t, BSCOPE_KIND_REGION_ENTER, 1, CONN, 0x40000, 0);
	AT(t, NEW, 1, 0x60000, 64);
	mark_at(t, BSCOPE_KIND_REGION_EXIT, 1, CONN, 0x40000, 0);
	mark_at(t, BSCOPE_KIND_REGION_EXIT, 1, CONN, 0x30000, 0);
	one(BS_VERDICT_LEAK);
}

/* 3 makes one and drops it, 4 makes the next, which borrows by that id and not by its member. */
static void alive_for_all_that_is_known(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	LATER(NEW, 1, 0x90000, 64);
	mark_at(t, BSCOPE_KIND_NEW, 4, CONN, 0x30000, 16);
	mark_at(t + 100, BSCOPE_KIND_NEW, 3, CONN, 0x30000, 16);
	mark_at(t + 700, BSCOPE_KIND_DROP, 3, CONN, 0x30000, 0);
	mark_at(t + 3000, BSCOPE_KIND_NEW, 4, REQ, 0x30000, 8);
	LATER(BORROW, 2, 0x90000, 0x30000);
	mark_at(now + 10 * US, BSCOPE_KIND_DROP, 4, REQ, 0x30000, 0);
	LATER(UNBORROW, 5, 0x90000, 0x30000);
	NOTHING();
}

/* 1 drops what nobody knew; 3 resizes its own, which is borrowed, to that id. */
static void borrowed_and_resized_onto_one_unseen(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, 0x40000, 64);
	LATER(BORROW, 4, 0x40000, 4);
	t = now + 100 * US;
	AT(t, RESIZE_BEGIN, 3, 0x40000, 0);
	AT(t + 100, RESIZE_END, 3, 0x70000, 128);
	AT(t + 200, DROP, 1, 0x70000, 0);
	NOTHING();
}

/* 5 drops the holder, and gives back what it had; the next of that id, of 2 and 1, borrows it. */
static void given_back_by_the_next_holder(void **state)
{
	uint64_t t;

	(void)state;
	LATER(NEW, 3, 0x90000, 64);
	mark_at(now + 10 * US, BSCOPE_KIND_NEW, 5, CONN, 0x30000, 16);
	LATER(BORROW, 5, 0x90000, 0x30000);
	t = now + 100 * US;
	mark_at(t, BSCOPE_KIND_DROP, 5, CONN, 0x30000, 0);
	AT(t + 2200, UNBORROW, 1, 0x90000, 0x30000);
	AT(t + 2300, BORROW, 2, 0x90000, 0x30000);
	AT(t + 2700, UNBORROW, 5, 0x90000, 0x30000);
	NOTHING();
}

/* By stamps that are all the same one that was made before the region has the id of one in it. */
static void resized_to_one_of_a_region(void **state)
{
	uint64_t t = now + 100 * US;

	(void)state;
	AT(t, NEW, 1, 0x20000, 64);
	mark_at(t, BSCOPE_KIND_REGION_ENTER, 1, CONN, 0x30000, 0);
	AT(t, NEW, 1, 0x60000, 64);
	AT(t, DROP, 1, 0x60000, 0);
	AT(t, RESIZE_BEGIN, 1, 0x20000, 0);
	AT(t, RESIZE_END, 1, 0x60000, 128);
	mark_at(t, BSCOPE_KIND_REGION_EXIT, 1, CONN, 0x30000, 0);
	NOTHING();
}

/* As many drops as news: whichever of them was whose, nothing is alive. */
/* A drop of what is dead, and its new a moment later: that one is over, too. */
static void dropped_before_it_began(void **state)
{
	uint64_t t = now + 100 * US;
	struct bs_model_totals totals;

	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	LATER(DROP, 1, 0x20000, 0);
	t += 100 * US;
	AT(t, DROP, 2, 0x20000, 0);
	AT(t + 500, NEW, 3, 0x20000, 64);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 0);
	assert_int_equal(totals.live_bytes, 0);
	assert_int_equal(totals.created, 2);
	assert_int_equal(totals.dropped, 2);
	assert_int_equal(totals.unknown, 0);
	/* Two such. */
	t += 100 * US;
	AT(t, DROP, 2, 0x20000, 0);
	AT(t + 100, DROP, 4, 0x20000, 0);
	AT(t + 500, NEW, 3, 0x20000, 64);
	AT(t + 600, NEW, 5, 0x20000, 64);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 0);
	assert_int_equal(totals.unknown, 0);
	/* The next one lives; and one that begins long after such a drop is another one. */
	t += 100 * US;
	AT(t, NEW, 1, 0x20000, 64);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 1);
	t += 100 * US;
	AT(t, DROP, 1, 0x20000, 0);
	NOTHING();
	AT(t + 100 * US, DROP, 2, 0x20000, 0);
	AT(t + 200 * US, NEW, 3, 0x20000, 64);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 1);
	assert_int_equal(totals.unknown, 1);
	/* Nor does one that was dropped twice long ago count for what comes now. */
	t += 300 * US;
	AT(t, DROP, 3, 0x20000, 0);
	AT(t + 100 * US, DROP, 2, 0x20000, 0);
	AT(t + 200 * US, DROP, 2, 0x20000, 0);
	AT(t + 200 * US + 300, NEW, 3, 0x20000, 64);
	AT(t + 200 * US + 600, NEW, 4, 0x20000, 64);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 1);
}

static void as_many_drops_as_news(void **state)
{
	uint64_t t = now + 100 * US;
	struct bs_model_totals totals;

	(void)state;
	LATER(NEW, 1, 0x20000, 64);
	AT(t, DROP, 1, 0x20000, 0);
	AT(t + 100, NEW, 2, 0x20000, 64);
	AT(t + 200, DROP, 3, 0x20000, 0);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 0);
	/* A resize moves the one that is left, whichever it is. */
	t += 100 * US;
	AT(t - 50 * US, NEW, 1, 0x20000, 64);
	AT(t, DROP, 1, 0x20000, 0);
	AT(t + 100, NEW, 2, 0x20000, 64);
	AT(t + 200, RESIZE_BEGIN, 3, 0x20000, 0);
	AT(t + 300, RESIZE_END, 3, 0x50000, 64);
	LATER(DROP, 3, 0x50000, 0);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 0);
	/* Nor is it known which of two is resized, when one of them is dropped. */
	t += 100 * US;
	AT(t - 50 * US, NEW, 1, 0x20000, 64);
	AT(t, RESIZE_BEGIN, 2, 0x20000, 0);
	AT(t + 100, NEW, 3, 0x20000, 64);
	AT(t + 200, DROP, 3, 0x20000, 0);
	AT(t + 5 * US, RESIZE_END, 2, 0x50000, 64);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 1);
	LATER(DROP, 3, 0x50000, 0);
	bs_model_totals(m, &totals);
	assert_int_equal(totals.live, 0);
	NOTHING();
}

/* What one thread does has an order, however many borrows have ended just before. */
static void of_one_thread(void **state)
{
	enum { ROUNDS = 2000 };
	struct bs_verdict_row *rows;
	uint64_t t = now + 100 * US;
	size_t n, count = 0;

	(void)state;
	mark_from(1);
	AT(t, NEW, 5, 0x20000, 64);
	for (uint64_t by = 1; by < 2 * ROUNDS; by += 2, t += 400) {
		mark_from(100);
		AT(t + 100, BORROW, 5, 0x20000, by);
		AT(t + 200, BORROW_MUT, 5, 0x20000, by + 1);
		AT(t + 300, UNBORROW, 5, 0x20000, by + 1);
		AT(t + 400, UNBORROW, 5, 0x20000, by);
	}
	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_undecided(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		count += rows[i].count;
	assert_int_equal(n, 1);
	assert_int_equal(count, ROUNDS);
	free(rows);
}

/*
 * One that is resized, its end and the new of the next one of its id are lost, and the begin of
 * another's resize, whose end comes: that one has not what is said of the next one.
 */
static void resized_in_a_loss(void **state)
{
	(void)state;
	for (int known = 0; known < 2; known++) {
		if (known)
			mark_at(now + 10 * US, BSCOPE_KIND_NEW, 2, BUF, 0x40000, 8);
		mark_at(now + 10 * US, BSCOPE_KIND_RESIZE_BEGIN, 2, BUF, 0x40000, 0);
		bs_model_loss(m, now += 10 * US, 3);
		mark_at(now + 10 * US, BSCOPE_KIND_BORROW, 2, BUF, 0x40000, 5);
		mark_at(now + 10 * US, BSCOPE_KIND_RESIZE_END, 2, BUF, 0x60000, 8);
		mark_at(now + 10 * US, BSCOPE_KIND_BORROW_MUT, 1, BUF, 0x60000, 1);
		mark_at(now + 10 * US, BSCOPE_KIND_UNBORROW, 1, BUF, 0x60000, 1);
		mark_at(now + 10 * US, BSCOPE_KIND_DROP, 1, BUF, 0x60000, 1);
		NOTHING();
	}
}

/* The end of its resize, under the same id, is lost: what is said of it then is said of it. */
static void said_after_a_lost_resize(void **state)
{
	const struct bs_sample bytes = {BS_SAMPLE_BYTES, 0, 2};

	(void)state;
	assert_int_equal(bs_model_sample(m, 1000, &bytes), 0);
	mark_at(now + 10 * US, BSCOPE_KIND_NEW, 1, BUF, 0x40000, 8);
	mark_at(now + 10 * US, BSCOPE_KIND_RESIZE_BEGIN, 1, BUF, 0x40000, 0);
	bs_model_loss(m, now += 10 * US, 1);
	mark_at(now + 10 * US, BSCOPE_KIND_BORROW, 1, BUF, 0x40000, 2);
	mark_at(now + 10 * US, BSCOPE_KIND_UNBORROW, 2, BUF, 0x40000, 2);
	/* Of one that was not followed before. */
	mark_at(now + 10 * US, BSCOPE_KIND_RESIZE_END, 1, BUF, 0x70000, 8);
	mark_at(now + 10 * US, BSCOPE_KIND_RESIZE_BEGIN, 1, BUF, 0x40000, 0);
	mark_at(now + 10 * US, BSCOPE_KIND_RESIZE_END, 1, BUF, 0x60000, 8);
	mark_at(now + 10 * US, BSCOPE_KIND_BORROW_MUT, 2, BUF, 0x60000, 3);
	NOTHING();
}

/* Exits that nobody sees, of many threads and of one: the oldest regions are forgotten, no other.
 */
static void regions_that_stay(void **state)
{
	uint32_t leaked, left;

	(void)state;
	mark_at(now + 10 * US, BSCOPE_KIND_REGION_ENTER, 1, REQ, 1, 0);
	mark_at(now + 10 * US, BSCOPE_KIND_NEW, 1, BUF, 0x10000, 8);
	for (uint32_t i = 0; i < 70000; i++)
		mark_at(now + 10 * US, BSCOPE_KIND_REGION_ENTER, 1000 + i, REQ, i, 0);
	for (uint32_t i = 0; i < 3000; i++)
		mark_at(now + 10 * US, BSCOPE_KIND_REGION_ENTER, 70999, REQ, 100000 + i, 0);
	leaked = mark_at(now + 10 * US, BSCOPE_KIND_NEW, 70999, BUF, 0x20000, 8);
	left = mark_at(now + 10 * US, BSCOPE_KIND_REGION_EXIT, 70999, REQ, 102999, 0);
	/* Forgotten. */
	mark_at(now + 10 * US, BSCOPE_KIND_REGION_EXIT, 1, REQ, 1, 0);
	EXPECT({BS_VERDICT_LEAK, left, leaked});
}

/* One thread resizes what another has borrowed, and a third gives that back under its new name. */
static void ended_under_the_new_name(void **state)
{
	(void)state;
	AT(100111, NEW, 1, 0x10000, 64);
	AT(105171, BORROW, 3, 0x10000, 3);
	AT(108247, UNBORROW, 4, 0x20000, 3);
	AT(109138, RESIZE_BEGIN, 2, 0x10000, 0);
	AT(109186, RESIZE_END, 2, 0x20000, 128);
	AT(125401, BORROW_MUT, 5, 0x20000, 8);
	NOTHING();
}

/* Likewise where it stays, and the resize takes a while. */
static void ended_after_the_resize(void **state)
{
	(void)state;
	AT(101201, NEW, 4, 0x10000, 64);
	AT(119022, BORROW_MUT, 4, 0x10000, 7);
	AT(121875, RESIZE_BEGIN, 3, 0x10000, 0);
	AT(124742, UNBORROW, 2, 0x10000, 7);
	AT(125052, RESIZE_END, 3, 0x10000, 128);
	AT(126973, BORROW_MUT, 5, 0x10000, 5);
	NOTHING();
}

/* 2 resizes one away and makes another of its id: that is what 5 borrows, and 3 owns. */
static void borrowed_is_the_next(void **state)
{
	(void)state;
	AT(100383, NEW, 1, 0x10000, 64);
	AT(103330, BORROW, 5, 0x10000, 5);
	AT(104037, RESIZE_BEGIN, 2, 0x10000, 0);
	AT(104101, RESIZE_END, 2, 0x20000, 128);
	AT(104166, NEW, 2, 0x10000, 64);
	AT(117731, MOVE, 3, 0x10000, 3);
	AT(126988, USE, 1, 0x10000, 5);
	NOTHING();
}

/* 4 borrows what 1 resizes away; another one gets its id. */
static void borrowed_is_the_one_before(void **state)
{
	(void)state;
	AT(101201, NEW, 3, 0x10000, 64);
	AT(122629, NEW, 4, 0x20000, 64);
	AT(129883, RESIZE_BEGIN, 4, 0x20000, 0);
	AT(141242, RESIZE_BEGIN, 5, 0x10000, 0);
	AT(141861, NEW, 2, 0x30000, 64);
	AT(142629, RESIZE_BEGIN, 1, 0x30000, 0);
	AT(142629, RESIZE_END, 1, 0x20000, 128);
	AT(142719, RESIZE_BEGIN, 2, 0x10000, 0);
	AT(142719, RESIZE_END, 2, 0x30000, 128);
	AT(143218, RESIZE_END, 5, 0x10000, 128);
	AT(143319, BORROW, 4, 0x30000, 4);
	AT(196393, RESIZE_BEGIN, 5, 0x30000, 0);
	AT(196393, RESIZE_END, 5, 0x40000, 128);
	AT(245945, RESIZE_BEGIN, 2, 0x40000, 0);
	AT(245945, RESIZE_END, 2, 0x50000, 128);
	AT(246345, DROP, 2, 0x50000, 0);
	NOTHING();
}

/* 2 drops one; 5 resizes another to its id, 2 resizes that, where it stays, and 5 resizes it away.
 */
static void resized_before_it_was_resized_away(void **state)
{
	(void)state;
	AT(101943, NEW, 1, 0x10000, 64);
	AT(113445, RESIZE_BEGIN, 5, 0x20000, 0);
	AT(113929, RESIZE_END, 5, 0x10000, 128);
	AT(114223, RESIZE_BEGIN, 5, 0x10000, 0);
	AT(114515, RESIZE_END, 5, 0x20000, 128);
	AT(115417, NEW, 1, 0x20000, 64);
	AT(115682, DROP, 2, 0x10000, 0);
	AT(116034, RESIZE_BEGIN, 2, 0x10000, 0);
	AT(116195, RESIZE_END, 2, 0x10000, 128);
	NOTHING();
}

/* 4 owns it, 2 borrows it and uses it, 3 resizes it in between. */
static void borrowed_and_resized(void **state)
{
	(void)state;
	AT(155518, NEW, 3, 0x10000, 64);
	AT(170068, MOVE, 1, 0x10000, 5);
	AT(195075, RESIZE_BEGIN, 3, 0x10000, 0);
	AT(195132, RESIZE_END, 3, 0x20000, 128);
	AT(195539, BORROW, 2, 0x10000, 2);
	AT(249693, USE, 2, 0x20000, 2);
	NOTHING();
}

/* 2 uses one, 1 drops it and resizes another to its id. */
static void used_the_one_before(void **state)
{
	(void)state;
	AT(101596, NEW, 2, 0x10000, 64);
	AT(125413, NEW, 5, 0x20000, 64);
	AT(139771, MOVE, 4, 0x10000, 3);
	AT(143407, DROP, 1, 0x20000, 0);
	AT(143626, RESIZE_BEGIN, 1, 0x10000, 0);
	AT(143690, RESIZE_END, 1, 0x20000, 128);
	AT(145008, USE, 2, 0x20000, 2);
	NOTHING();
}

/* 1 borrows one, which 4 resizes away; 3 makes the next one of its id, which 2 borrows. */
static void borrows_of_two(void **state)
{
	(void)state;
	AT(100573, NEW, 1, 0x10000, 64);
	AT(106986, NEW, 3, 0x10000, 64);
	AT(107629, BORROW, 2, 0x10000, 6);
	AT(107778, BORROW_MUT, 1, 0x10000, 1);
	AT(108838, RESIZE_BEGIN, 4, 0x10000, 0);
	NOTHING();
}

/* 1 drops the first, 5 resizes the second away, 3 makes the third. */
static void three_of_one_id(void **state)
{
	(void)state;
	AT(100005, NEW, 3, 0x10000, 64);
	AT(100175, NEW, 5, 0x10000, 64);
	AT(100431, NEW, 5, 0x10000, 64);
	AT(100618, RESIZE_BEGIN, 5, 0x10000, 0);
	AT(100775, RESIZE_END, 5, 0x20000, 128);
	AT(101198, DROP, 1, 0x10000, 0);
	AT(114678, RETAIN, 3, 0x10000, 0);
	NOTHING();
}

/* 1 borrows one, until 2 drops it and resizes another to its id, which 3 has borrowed. */
static void borrowed_late_of_one_dropped(void **state)
{
	(void)state;
	AT(107218, NEW, 5, 0x10000, 64);
	AT(125201, NEW, 3, 0x20000, 64);
	AT(128809, BORROW, 3, 0x10000, 3);
	AT(132963, DROP, 2, 0x20000, 0);
	AT(132963, RESIZE_BEGIN, 2, 0x10000, 0);
	AT(133082, RESIZE_END, 2, 0x20000, 128);
	AT(133457, BORROW_MUT, 1, 0x20000, 1);
	AT(134012, UNBORROW, 1, 0x20000, 1);
	NOTHING();
}

/* 1 borrows one, which 5 resizes away, and another to its id, which 2 has borrowed. */
static void borrowed_late_of_one_resized(void **state)
{
	(void)state;
	AT(103704, NEW, 3, 0x10000, 64);
	AT(104313, NEW, 1, 0x20000, 64);
	AT(140564, BORROW_MUT, 2, 0x20000, 6);
	AT(143405, RESIZE_BEGIN, 5, 0x10000, 0);
	AT(144363, RESIZE_END, 5, 0x30000, 128);
	AT(144363, RESIZE_BEGIN, 5, 0x20000, 0);
	AT(144363, RESIZE_END, 5, 0x10000, 128);
	AT(144730, BORROW, 1, 0x10000, 1);
	NOTHING();
}

/* 3 borrows one, 1 resizes it away; 3 makes the next, which 2 borrows. */
static void borrowed_early_of_the_next(void **state)
{
	(void)state;
	AT(99120, NEW, 4, 0x10000, 64);
	AT(100481, BORROW_MUT, 2, 0x10000, 2);
	AT(102071, BORROW, 3, 0x10000, 3);
	AT(102166, RESIZE_BEGIN, 1, 0x10000, 0);
	AT(102436, NEW, 3, 0x10000, 64);
	NOTHING();
}

/* 2 borrows one and resizes it away, 1 makes the next, which 5 borrows. */
static void borrowed_and_resized_away(void **state)
{
	(void)state;
	AT(159914, NEW, 5, 0x10000, 64);
	AT(165386, NEW, 1, 0x10000, 64);
	AT(165408, BORROW, 5, 0x10000, 5);
	AT(167041, BORROW_MUT, 2, 0x10000, 2);
	AT(167103, RESIZE_BEGIN, 2, 0x10000, 0);
	NOTHING();
}

/* 1 borrows one, which 5 drops; 4 resizes another to its id, which 3 has borrowed. */
static void borrowed_until_dropped(void **state)
{
	(void)state;
	AT(106002, NEW, 4, 0x10000, 64);
	AT(113608, NEW, 4, 0x20000, 64);
	AT(114346, BORROW_MUT, 3, 0x20000, 9);
	AT(117116, RESIZE_BEGIN, 4, 0x20000, 0);
	AT(117166, RESIZE_END, 4, 0x10000, 128);
	AT(117412, BORROW, 1, 0x10000, 1);
	AT(117412, UNBORROW, 1, 0x10000, 1);
	AT(117485, DROP, 5, 0x10000, 0);
	NOTHING();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(dropped_and_resized_onto),
		T(dropped_and_the_next_resized),
		T(counts_of_one_unseen),
		T(move_of_one_unseen),
		T(resized_onto_one_unseen),
		T(three_drops),
		T(made_before_the_next),
		T(made_before_its_resize),
		T(made_between_two_drops),
		T(made_a_while_after),
		T(said_before_its_resize),
		T(resized_before_the_next),
		T(given_back_and_resized_onto),
		T(a_level_that_is_exclusive),
		T(doubt_of_long_ago),
		T(resized_onto_doubt_of_long_ago),
		T(moved_before_its_resize),
		T(moved_before_two_resizes),
		T(given_back_before_its_resize),
		T(resized_and_the_next_too),
		T(moved_in_its_resize),
		T(resized_to_one_of_a_region),
		T(alive_for_all_that_is_known),
		T(two_of_a_stamp_in_regions),
		T(given_back_by_the_next_holder),
		T(borrowed_and_resized_onto_one_unseen),
		T(resized_and_the_next_resized),
		T(of_one_thread),
		T(as_many_drops_as_news),
		T(dropped_before_it_began),
		T(regions_that_stay),
		T(resized_in_a_loss),
		T(said_after_a_lost_resize),
		T(ended_under_the_new_name),
		T(ended_after_the_resize),
		T(borrowed_is_the_next),
		T(borrowed_is_the_one_before),
		T(resized_before_it_was_resized_away),
		T(borrowed_and_resized),
		T(used_the_one_before),
		T(borrows_of_two),
		T(three_of_one_id),
		T(borrowed_late_of_one_dropped),
		T(borrowed_late_of_one_resized),
		T(borrowed_early_of_the_next),
		T(borrowed_and_resized_away),
		T(borrowed_until_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
