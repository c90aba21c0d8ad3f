/* SPDX-License-Identifier: GPL-2.0-only */
/* test_model.c - each rule of the model, one history at a time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sample.h"
#include "bscope/abi.h"
#include "model/model.h"

#define START 1000000000ull
#define MS    1000000ull

static struct bs_model *m;
static uint64_t now;

static int setup(void **state)
{
	struct bs_model_opts opts = {.start_ns = START};

	(void)state;
	m = bs_model_new(&opts);
	now = START;
	return m ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	bs_model_free(m);
	return 0;
}

/* A mark of pid 1, tid 1, class 1 at place 10 * kind, 1 ms after the one before. */
static struct bs_event ev(unsigned kind, uint64_t id)
{
	now += MS;
	return (struct bs_event){.ts_ns = now,
				 .id = id,
				 .pid = 1,
				 .tid = 1,
				 .place = kind * 10,
				 .klass_id = 1,
				 .type = BS_EVENT_MARK,
				 .kind = (uint8_t)kind};
}

static void give(struct bs_event e)
{
	assert_int_equal(bs_model_event(m, &e), 0);
}

static void mark(unsigned kind, uint64_t id)
{
	give(ev(kind, id));
}

static void sized(unsigned kind, uint64_t id, uint64_t bytes)
{
	struct bs_event e = ev(kind, id);

	e.arg = bytes;
	e.has = BS_EVENT_HAS_BYTES;
	give(e);
}

static void life(unsigned type, uint32_t pid, uint64_t arg)
{
	struct bs_event e = {.ts_ns = now += MS, .pid = pid, .tid = pid, .type = (uint8_t)type};

	e.arg = arg;
	give(e);
}

static void totals(uint64_t created, uint64_t dropped, uint64_t live, uint64_t bytes,
		   uint64_t unknown)
{
	struct bs_model_totals t;

	bs_model_totals(m, &t);
	assert_int_equal(t.created, created);
	assert_int_equal(t.dropped, dropped);
	assert_int_equal(t.live, live);
	assert_int_equal(t.live_bytes, bytes);
	assert_int_equal(t.unknown, unknown);
}

static struct bs_site_row site_of(uint32_t place, uint32_t code)
{
	struct bs_site_row *rows, row = {0};
	size_t n, found = 0;

	assert_int_equal(bs_model_sites(m, 0, &rows, &n), 0);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].place == place && rows[i].code == code) {
			row = rows[i];
			found++;
		}
	}
	free(rows);
	assert_true(found <= 1);
	return row;
}

static struct bs_class_row class_of(uint32_t klass)
{
	struct bs_class_row *rows, row = {0};
	size_t n;

	assert_int_equal(bs_model_classes(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].klass_id == klass)
			row = rows[i];
	}
	free(rows);
	return row;
}

#define NEW   BSCOPE_KIND_NEW
#define DROP  BSCOPE_KIND_DROP
#define BEGIN BSCOPE_KIND_RESIZE_BEGIN
#define END   BSCOPE_KIND_RESIZE_END

static void empty(void **state)
{
	struct bs_class_row *classes;
	struct bs_site_row *sites;
	struct bs_growth_row *growth;
	struct bs_exit_row *exits;
	size_t n = 1;

	(void)state;
	totals(0, 0, 0, 0, 0);
	assert_int_equal(bs_model_classes(m, &classes, &n), 0);
	assert_true(!classes && !n);
	assert_int_equal(bs_model_sites(m, 0, &sites, &n), 0);
	assert_true(!sites && !n);
	assert_int_equal(bs_model_growth(m, &growth, &n), 0);
	assert_true(!growth && !n);
	assert_int_equal(bs_model_at_exit(m, &exits, &n), 0);
	assert_true(!exits && !n);
	assert_int_equal(bs_model_hits(m, 0), 0);
	assert_int_equal(bs_model_hits(m, 4000000000u), 0);
	bs_model_free(NULL);
}

static void new_and_drop(void **state)
{
	struct bs_site_row row;

	(void)state;
	sized(NEW, 100, 64);
	sized(NEW, 200, 36);
	totals(2, 0, 2, 100, 0);
	mark(DROP, 100); /* 2 ms after its new */
	totals(2, 1, 1, 36, 0);
	row = site_of(NEW * 10, 0);
	assert_int_equal(row.klass_id, 1);
	assert_int_equal(row.created, 2);
	assert_int_equal(row.dropped, 1);
	assert_int_equal(row.live, 1);
	assert_int_equal(row.live_bytes, 36);
	assert_int_equal(row.oldest_ns, MS);
	assert_int_equal(row.lifetime.count, 1);
	assert_int_equal(row.lifetime.max_ns, 2 * MS);
	assert_int_equal(row.lifetime.p50_ns, 2 * MS);
	assert_int_equal(bs_model_hits(m, NEW * 10), 2);
	assert_int_equal(bs_model_hits(m, DROP * 10), 1);
}

static void id_0_is_an_id(void **state)
{
	(void)state;
	sized(NEW, 0, 5);
	totals(1, 0, 1, 5, 0);
	mark(DROP, 0);
	totals(1, 1, 0, 0, 0);
}

static void new_without_size(void **state)
{
	struct bs_event e = ev(NEW, 1);

	(void)state;
	e.arg = 4711; /* says nothing without HAS_BYTES */
	give(e);
	totals(1, 0, 1, 0, 0);
}

static void classes_and_processes_apart(void **state)
{
	struct bs_event e;

	(void)state;
	sized(NEW, 7, 10);
	e = ev(NEW, 7);
	e.klass_id = 2;
	give(e);
	e = ev(NEW, 7);
	e.pid = 2;
	give(e);
	totals(3, 0, 3, 10, 0);
	e = ev(DROP, 7);
	e.pid = 2;
	give(e);
	give(e);
	totals(3, 1, 2, 10, 1);
	mark(DROP, 7);
	totals(3, 2, 1, 0, 1);
	assert_int_equal(class_of(1).live, 0);
	assert_int_equal(class_of(1).created, 2);
	assert_int_equal(class_of(1).unknown, 1);
	assert_int_equal(class_of(2).live, 1);
	assert_int_equal(class_of(2).unknown, 0);
}

static void second_new_on_a_living_id(void **state)
{
	(void)state;
	sized(NEW, 1, 100);
	sized(NEW, 1, 30);
	totals(2, 0, 1, 30, 1);
	assert_int_equal(class_of(1).unknown, 1);
	assert_int_equal(class_of(1).lifetime.count, 0);
	mark(DROP, 1);
	totals(2, 1, 0, 0, 1);
}

static void drop_of_the_unknown(void **state)
{
	(void)state;
	mark(DROP, 1);
	totals(0, 0, 0, 0, 1);
	/* A class of which nothing but this is known is reported. */
	assert_int_equal(class_of(1).unknown, 1);
}

static void other_kinds(void **state)
{
	static const uint8_t kinds[] = {BSCOPE_KIND_MOVE,	BSCOPE_KIND_BORROW,
					BSCOPE_KIND_BORROW_MUT, BSCOPE_KIND_RETAIN,
					BSCOPE_KIND_RELEASE,	BSCOPE_KIND_UNBORROW,
					BSCOPE_KIND_USE};
	struct bs_model_totals t;

	(void)state;
	sized(NEW, 1, 8);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		mark(kinds[i], 1);
		mark(kinds[i], 2);
		mark(kinds[i], 2);
		totals(1, 0, 1, 8, 2 * (i + 1));
		bs_model_totals(m, &t);
		assert_int_equal(t.marks[kinds[i]], 3);
		assert_int_equal(bs_model_hits(m, kinds[i] * 10u), 3);
	}
}

/* Nothing of a region was missed when nothing but its enter and exit is there. */
static void regions(void **state)
{
	(void)state;
	mark(BSCOPE_KIND_REGION_ENTER, 7);
	mark(BSCOPE_KIND_REGION_EXIT, 7);
	totals(0, 0, 0, 0, 0);
	assert_int_equal(bs_model_hits(m, BSCOPE_KIND_REGION_EXIT * 10u), 1);
}

static void late_drop(void **state)
{
	struct bs_event e;

	(void)state;
	now += 100 * MS;
	sized(NEW, 1, 8);
	e = ev(DROP, 1);
	e.ts_ns -= 50 * MS;
	give(e);
	totals(1, 1, 0, 0, 0);
	assert_int_equal(site_of(NEW * 10, 0).lifetime.max_ns, 0);
	assert_int_equal(site_of(NEW * 10, 0).lifetime.count, 1);
	e = ev(NEW, 2);
	e.ts_ns = START - 5; /* before the window */
	give(e);
	totals(2, 1, 1, 0, 0);
}

static void resize(void **state)
{
	struct bs_site_row row;

	(void)state;
	sized(NEW, 1, 100);
	mark(BEGIN, 1);
	totals(1, 0, 1, 100, 0); /* it exists meanwhile */
	assert_int_equal(site_of(NEW * 10, 0).oldest_ns, MS);
	sized(END, 2, 250);
	totals(1, 0, 1, 250, 0);
	/* Origin and birth are those of its new. */
	row = site_of(NEW * 10, 0);
	assert_int_equal(row.live, 1);
	assert_int_equal(row.live_bytes, 250);
	assert_int_equal(row.oldest_ns, 2 * MS);
	assert_int_equal(site_of(END * 10, 0).klass_id, 0);
	mark(DROP, 1);
	totals(1, 0, 1, 250, 1);
	mark(DROP, 2);
	totals(1, 1, 0, 0, 1);
	assert_int_equal(site_of(NEW * 10, 0).lifetime.max_ns, 4 * MS);
}

/* By bytes each size is chosen for itself, and whoever made it is where it comes from. */
static void resize_by_bytes(void **state)
{
	const struct bs_sample bytes = {BS_SAMPLE_BYTES, 0, 1}, either = {BS_SAMPLE_EITHER, 4, 1},
			       objects = {BS_SAMPLE_OBJECTS, 1, 0};
	const struct bs_sample *const samples[] = {&bytes, &either, &objects};
	struct bs_event e;

	for (unsigned i = 0; i < 3; i++) {
		bool moves = i < 2;

		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
		assert_int_equal(bs_model_sample(m, START, samples[i]), 0);
		sized(NEW, 1, 100);
		mark(BEGIN, 1);
		assert_int_equal(site_of(NEW * 10, 0).live_bytes, 100);
		sized(END, 2, 250);
		totals(1, 0, 1, 250, 0);
		assert_int_equal(site_of(NEW * 10, 0).created, 1);
		assert_int_equal(site_of(NEW * 10, 0).live_bytes, moves ? 0 : 250);
		assert_int_equal(site_of(END * 10, 0).live_bytes, moves ? 250 : 0);
		assert_int_equal(site_of(END * 10, 0).live, moves);
		if (moves) {
			/* One that was not chosen before, and one that is no more. */
			sized(END, 3, 50);
			assert_int_equal(site_of(END * 10, 0).live_bytes, 300);
			assert_int_equal(site_of(END * 10, 0).estimate.live_bytes.value, 300);
			mark(BEGIN, 3);
			sized(END, 3, 10);
			e = ev(END, 3);
			e.type = BS_EVENT_FORGOTTEN;
			give(e);
			assert_int_equal(site_of(END * 10, 0).live_bytes, 250);
		}
		mark(DROP, 2);
		totals(1, 1, 0, 0, 0);
		/* It has lived since its birth. */
		assert_int_equal(site_of((moves ? END : NEW) * 10, 0).lifetime.count, 1);
		assert_int_equal(site_of((moves ? END : NEW) * 10, 0).lifetime.max_ns,
				 (moves ? 7 : 3) * MS);
	}
}

/* They do not stay for ever where others begin; what ended unseen has vanished. */
static void resizes_whose_end_was_lost(void **state)
{
	struct bs_model_totals t;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		sized(NEW, i, 10);
		mark(BEGIN, i);
	}
	bs_model_totals(m, &t);
	assert_int_equal(t.vanished, 0);
	bs_model_loss(m, now, 1000);
	for (uint64_t i = 1; i <= 1000; i++) {
		sized(NEW, 5000, 10);
		mark(BEGIN, 5000);
		sized(END, 5001, 20);
		mark(DROP, 5001);
	}
	bs_model_totals(m, &t);
	assert_int_equal(t.created, 2000);
	assert_int_equal(t.dropped, 1000);
	assert_int_equal(t.vanished, 1000 - 64);
	assert_int_equal(t.live, 64);
}

/*
 * Who is not chosen any more when it is resized, others stand for: however often that is, no more
 * may be alive.  But where the table has no room it could be that as well.
 */
static void resizes_by_bytes_leave_no_doubt(void **state)
{
	const struct bs_sample bytes = {BS_SAMPLE_BYTES, 0, 1000};
	struct bs_estimate before, after;
	struct bs_event e;

	assert_int_equal(teardown(state), 0);
	assert_int_equal(setup(state), 0);
	assert_int_equal(bs_model_sample(m, START, &bytes), 0);
	for (uint64_t i = 1; i <= 20; i++)
		sized(NEW, i, 100);
	assert_int_equal(bs_model_estimate(m, &before), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		/* One of them, and one that was not followed: as many as before are. */
		mark(BEGIN, 1 + i % 20);
		sized(END, 1000, 100);
		e = ev(END, 1000);
		e.ts_ns = now -= MS;
		e.type = BS_EVENT_FORGOTTEN;
		assert_int_equal(bs_model_event(m, &e), 0);
		sized(END, 1 + i % 20, 100);
	}
	assert_int_equal(bs_model_estimate(m, &after), 0);
	assert_true(after.live_bytes.value == before.live_bytes.value);
	assert_true(after.live_bytes.high < 1.01 * before.live_bytes.high);
	assert_true(after.live.high < 1.01 * before.live.high);
	/* A new one that found no room. */
	sized(NEW, 2000, 100);
	e = ev(NEW, 2000);
	e.type = BS_EVENT_FORGOTTEN;
	give(e);
	assert_int_equal(bs_model_estimate(m, &after), 0);
	assert_true(after.live_bytes.high > 900000);
}

static void resize_that_failed(void **state)
{
	(void)state;
	sized(NEW, 1, 100);
	mark(BEGIN, 1);
	sized(END, 1, 100);
	totals(1, 0, 1, 100, 0);
	mark(DROP, 1);
	totals(1, 1, 0, 0, 0);
}

static void shrinking(void **state)
{
	(void)state;
	sized(NEW, 1, 100);
	mark(BEGIN, 1);
	sized(END, 1, 10);
	totals(1, 0, 1, 10, 0);
}

/* The allocator gives the old address to another thread before the resize ends. */
static void old_id_taken_meanwhile(void **state)
{
	struct bs_event e;

	(void)state;
	sized(NEW, 1, 100);
	mark(BEGIN, 1);
	e = ev(NEW, 1);
	e.tid = 2;
	e.arg = 7;
	e.has = BS_EVENT_HAS_BYTES;
	give(e);
	totals(2, 0, 2, 107, 0);
	sized(END, 2, 200);
	totals(2, 0, 2, 207, 0);
	e = ev(DROP, 1);
	e.tid = 2;
	give(e);
	totals(2, 1, 1, 200, 0);
}

static void resize_onto_a_living_id(void **state)
{
	(void)state;
	sized(NEW, 1, 100);
	sized(NEW, 2, 10);
	mark(BEGIN, 1);
	sized(END, 2, 150);
	totals(2, 0, 1, 150, 1); /* the end of the first 2 was not seen */
}

static void resizes_of_two_threads(void **state)
{
	struct bs_event e;

	(void)state;
	sized(NEW, 1, 10);
	sized(NEW, 2, 20);
	mark(BEGIN, 1);
	e = ev(BEGIN, 2);
	e.tid = 2;
	give(e);
	sized(END, 3, 11); /* thread 1: what was 1 */
	e = ev(END, 4);
	e.tid = 2;
	e.arg = 22;
	e.has = BS_EVENT_HAS_BYTES;
	give(e);
	totals(2, 0, 2, 33, 0);
	mark(DROP, 3);
	totals(2, 1, 1, 22, 0);
}

static void nested_resizes(void **state)
{
	struct bs_event e;

	(void)state;
	/* Of another class, ended in either order. */
	sized(NEW, 1, 10);
	e = ev(NEW, 1);
	e.klass_id = 2;
	e.place = 11;
	give(e);
	mark(BEGIN, 1);
	e = ev(BEGIN, 1);
	e.klass_id = 2;
	give(e);
	sized(END, 5, 50);
	e = ev(END, 6);
	e.klass_id = 2;
	e.arg = 60;
	e.has = BS_EVENT_HAS_BYTES;
	give(e);
	totals(2, 0, 2, 110, 0);
	assert_int_equal(class_of(1).live_bytes, 50);
	assert_int_equal(class_of(2).live_bytes, 60);

	/* Of the same class: the inner one ends first. */
	sized(NEW, 7, 1);
	mark(BEGIN, 5);
	mark(BEGIN, 7);
	sized(END, 8, 2);
	sized(END, 9, 51);
	totals(3, 0, 3, 113, 0);
	assert_int_equal(site_of(NEW * 10, 0).live, 2);
	mark(DROP, 8);
	totals(3, 1, 2, 111, 0);

	/* Of the same class, ended in the other order, not moved: the id tells. */
	sized(NEW, 8, 2);
	mark(BEGIN, 8);
	mark(BEGIN, 9);
	sized(END, 8, 3);
	sized(END, 9, 52);
	totals(4, 1, 3, 115, 0);
	mark(DROP, 8);
	totals(4, 2, 2, 112, 0);
}

static void drop_instead_of_the_end(void **state)
{
	(void)state;
	sized(NEW, 1, 100);
	mark(BEGIN, 1);
	mark(DROP, 1);
	totals(1, 1, 0, 0, 0);
	sized(END, 5, 10); /* belongs to nothing now */
	totals(1, 1, 1, 10, 1);
}

static void adoption(void **state)
{
	struct bs_event e;
	struct bs_site_row row;

	(void)state;
	mark(BEGIN, 1);
	totals(0, 0, 0, 0, 1);
	e = ev(END, 2);
	e.arg = 300;
	e.has = BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER;
	e.code = 77;
	give(e);
	totals(0, 0, 1, 300, 1); /* counted once for the pair */
	row = site_of(END * 10, 77);
	assert_int_equal(row.created, 0);
	assert_int_equal(row.live, 1);
	assert_int_equal(row.live_bytes, 300);
	assert_int_equal(row.oldest_ns, 0);
	mark(DROP, 2);
	totals(0, 1, 0, 0, 1);
	row = site_of(END * 10, 77);
	assert_int_equal(row.dropped, 1);
	/* How long it had lived is not known. */
	assert_int_equal(row.lifetime.count, 0);

	/* The begin was before the attach. */
	sized(END, 3, 30);
	totals(0, 1, 1, 30, 2);
	assert_int_equal(site_of(END * 10, 0).live_bytes, 30);
}

static void threads_that_die_in_a_resize(void **state)
{
	struct bs_model_totals t;

	(void)state;
	for (uint32_t i = 1; i <= 100000; i++) {
		struct bs_event e;

		sized(NEW, i, 10);
		e = ev(BEGIN, i);
		e.tid = i;
		give(e);
	}
	bs_model_totals(m, &t);
	assert_int_equal(t.created, 100000);
	/* Those still waited for are bounded; the others are unknown. */
	assert_true(t.live <= 2000);
	assert_int_equal(t.live + t.unknown, 100000);
	assert_int_equal(t.live_bytes, 10 * t.live);
	life(BS_EVENT_EXIT, 1, 0);
	bs_model_totals(m, &t);
	assert_int_equal(t.live, 0);
	assert_int_equal(t.live_bytes, 0);
}

static struct bs_exit_row *exits(size_t want)
{
	struct bs_exit_row *rows;
	size_t n;

	assert_int_equal(bs_model_at_exit(m, &rows, &n), 0);
	assert_int_equal(n, want);
	return rows;
}

static void exit_of_a_process(void **state)
{
	struct bs_exit_row *rows;
	struct bs_event e;

	(void)state;
	sized(NEW, 1, 100);
	sized(NEW, 2, 50);
	sized(NEW, 3, 25);
	e = ev(NEW, 4);
	e.code = 9;
	e.arg = 1000;
	e.has = BS_EVENT_HAS_BYTES;
	give(e);
	e = ev(NEW, 5);
	e.pid = 2;
	e.arg = 1;
	e.has = BS_EVENT_HAS_BYTES;
	give(e);
	mark(DROP, 3);
	mark(BEGIN, 2); /* exits in the middle of a resize */
	totals(5, 1, 4, 1151, 0);
	life(BS_EVENT_EXIT, 1, 0);
	totals(5, 1, 1, 1, 0);
	rows = exits(2);
	assert_int_equal(rows[0].pid, 1);
	assert_int_equal(rows[0].klass_id, 1);
	assert_int_equal(rows[0].place, NEW * 10);
	assert_int_equal(rows[0].code, 9);
	assert_int_equal(rows[0].count, 1);
	assert_int_equal(rows[0].bytes, 1000);
	assert_int_equal(rows[1].code, 0);
	assert_int_equal(rows[1].count, 2);
	assert_int_equal(rows[1].bytes, 150);
	free(rows);
	/* Nothing is left of it. */
	mark(DROP, 1);
	totals(5, 1, 1, 1, 1);
	life(BS_EVENT_EXIT, 99, 0); /* never heard of */
	free(exits(2));
}

static void exec_of_a_process(void **state)
{
	struct bs_exit_row *rows;

	(void)state;
	sized(NEW, 1, 100);
	life(BS_EVENT_EXEC, 1, 0);
	totals(1, 0, 0, 0, 0);
	sized(NEW, 1, 20); /* the new program */
	totals(2, 0, 1, 20, 0);
	life(BS_EVENT_EXIT, 1, 0);
	rows = exits(1); /* same pid, same place: one row */
	assert_int_equal(rows[0].count, 2);
	assert_int_equal(rows[0].bytes, 120);
	free(rows);
}

static void fork_of_a_process(void **state)
{
	struct bs_event e;

	(void)state;
	sized(NEW, 1, 100);
	life(BS_EVENT_FORK, 1, 2);
	totals(1, 0, 1, 100, 0);
	e = ev(DROP, 1); /* the child frees what it inherited */
	e.pid = 2;
	give(e);
	totals(1, 0, 1, 100, 1);
	e = ev(NEW, 1);
	e.pid = 2;
	give(e);
	totals(2, 0, 2, 100, 1);
	mark(DROP, 1);
	totals(2, 1, 1, 0, 1);
	/* Pid 2 again, its exit was not seen: what it had is gone. */
	life(BS_EVENT_FORK, 1, 2);
	totals(2, 1, 0, 0, 1);
	free(exits(1));
}

static void many_short_lived_processes(void **state)
{
	struct bs_exit_row *rows;
	struct bs_model_totals t;
	uint64_t count = 0;
	size_t n;

	(void)state;
	for (uint64_t i = 1; i <= 200000; i++)
		sized(NEW, i, 1);
	for (uint32_t pid = 2; pid < 200002; pid++) {
		struct bs_event e = ev(NEW, 1);

		e.pid = pid;
		give(e);
		if (pid % 3)
			life(BS_EVENT_EXIT, pid, 0);
	}
	life(BS_EVENT_EXIT, 1, 0);
	bs_model_totals(m, &t);
	assert_int_equal(bs_model_at_exit(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		count += rows[i].count;
	assert_int_equal(count + t.live, 400000);
	/* Rows are bounded: those on top share one without a pid. */
	assert_true(n <= 131072 + 1);
	free(rows);
}

static void losses(void **state)
{
	struct bs_model_totals t;

	(void)state;
	bs_model_totals(m, &t);
	assert_int_equal(t.lost, 0);
	bs_model_loss(m, now, 5);
	bs_model_loss(m, now + MS, 7);
	bs_model_totals(m, &t);
	assert_int_equal(t.lost, 12);
}

static void sites_by_age(void **state)
{
	struct bs_site_row *rows;
	struct bs_event e;
	size_t n;

	(void)state;
	sized(NEW, 1, 10);
	now += 1000 * MS;
	sized(NEW, 2, 20);
	e = ev(NEW, 3);
	e.place = 99;
	give(e);
	assert_int_equal(bs_model_tick(m, now += 500 * MS), 0);
	assert_int_equal(bs_model_sites(m, 1000 * MS, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].place, NEW * 10);
	assert_int_equal(rows[0].live, 1);
	assert_int_equal(rows[0].live_bytes, 10);
	assert_int_equal(rows[0].oldest_ns, 1502 * MS);
	free(rows);
	assert_int_equal(bs_model_sites(m, 500 * MS, &rows, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].live, 2);
	assert_int_equal(rows[1].live, 1);
	assert_int_equal(rows[1].oldest_ns, 500 * MS);
	free(rows);
	assert_int_equal(bs_model_sites(m, 10000 * MS, &rows, &n), 0);
	assert_true(!rows && !n);
}

static void order_of_rows(void **state)
{
	struct bs_class_row *classes;
	struct bs_site_row *sites;
	size_t n;

	(void)state;
	for (uint32_t i = 1; i <= 50; i++) {
		struct bs_event e = ev(NEW, i);

		e.klass_id = i % 10 + 1;
		e.place = i;
		e.arg = i * 7919 % 13;
		e.has = BS_EVENT_HAS_BYTES;
		give(e);
		if (i % 4 == 0) {
			e.kind = DROP;
			give(e);
		}
	}
	assert_int_equal(bs_model_classes(m, &classes, &n), 0);
	assert_int_equal(n, 10);
	for (size_t i = 1; i < n; i++) {
		assert_true(classes[i - 1].live_bytes >= classes[i].live_bytes);
		if (classes[i - 1].live_bytes == classes[i].live_bytes)
			assert_true(classes[i - 1].live >= classes[i].live);
	}
	assert_int_equal(bs_model_sites(m, 0, &sites, &n), 0);
	assert_int_equal(n, 50);
	for (size_t i = 1; i < n; i++) {
		assert_true(sites[i - 1].live_bytes >= sites[i].live_bytes);
		if (sites[i - 1].live_bytes == sites[i].live_bytes)
			assert_true(sites[i - 1].live >= sites[i].live);
	}
	free(classes);
	free(sites);
}

static void absurd_sizes_come_and_go(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		sized(NEW, i, UINT64_MAX - i);
	for (uint64_t i = 0; i < 1000; i++) {
		mark(BEGIN, i);
		sized(END, i, i % 2 ? UINT64_MAX : 0);
	}
	for (uint64_t i = 0; i < 1000; i++)
		mark(DROP, i);
	totals(1000, 1000, 0, 0, 0);
}

static void refused(void **state)
{
	struct bs_event bad[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		bad[i] = ev(NEW, 1);
	bad[0].kind = 0;
	bad[1].kind = BSCOPE_KIND_END;
	bad[2].klass_id = 0;
	bad[3].place = 0;
	bad[4].klass_id = UINT32_MAX;
	bad[5].place = UINT32_MAX;
	bad[6].type = 0;
	bad[7].type = BS_EVENT_KILLED + 1;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(bs_model_event(m, &bad[i]), -EINVAL);
	totals(0, 0, 0, 0, 0);
}

static struct bs_growth_row growth_of(uint32_t place)
{
	struct bs_growth_row *rows, row = {0};
	size_t n;

	assert_int_equal(bs_model_growth(m, &rows, &n), 0);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].place == place)
			row = rows[i];
		if (i)
			assert_true(rows[i - 1].sure_bytes_per_s >= rows[i].sure_bytes_per_s);
	}
	free(rows);
	return row;
}

/* 100 bytes every 10 ms for 10 s, and a place that replaces what it has. */
static void growth_rows(void **state)
{
	struct bs_growth_row row;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		struct bs_event e = ev(NEW, i);

		e.arg = 100;
		e.has = BS_EVENT_HAS_BYTES;
		give(e);
		e = ev(NEW, 1000000 + i);
		e.place = 5;
		e.arg = 5000;
		e.has = BS_EVENT_HAS_BYTES;
		give(e);
		if (i >= 10)
			mark(DROP, 1000000 + i - 10);
		now = START + (i + 1) * 10 * MS;
	}
	bs_model_tick(m, now);
	row = growth_of(NEW * 10);
	assert_int_equal(row.live, 1000);
	assert_int_equal(row.live_bytes, 100000);
	assert_true(row.bytes_per_s - row.error_bytes_per_s < 10000);
	assert_true(row.bytes_per_s + row.error_bytes_per_s > 10000);
	assert_true(row.error_bytes_per_s < 200);
	assert_true(row.sure_bytes_per_s > 9800);
	assert_true(row.objects_per_s > 98 && row.objects_per_s < 102);
	assert_true(row.oldest_ns > 9990 * MS && row.oldest_ns < 10000 * MS);
	row = growth_of(5);
	assert_int_equal(row.live, 10);
	assert_true(row.sure_bytes_per_s == 0);
}

/* What was there before the attach is no growth, what it gains afterwards is. */
static void growth_of_adopted(void **state)
{
	struct bs_growth_row row;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		mark(BEGIN, i);
		sized(END, i, 1000000);
		now = START + (i + 1) * 10 * MS;
	}
	bs_model_tick(m, now);
	row = growth_of(END * 10);
	assert_int_equal(row.live_bytes, 1000000000);
	assert_true(row.bytes_per_s == 0);
	assert_true(row.sure_bytes_per_s == 0);

	for (uint64_t i = 0; i < 1000; i++) {
		mark(BEGIN, 5);
		sized(END, 5, 1000000 + 1000 * (i + 1));
		now = START + (1001 + i) * 10 * MS;
	}
	bs_model_tick(m, now);
	row = growth_of(END * 10);
	assert_int_equal(row.live_bytes, 1001000000);
	assert_true(row.bytes_per_s > 40000 && row.bytes_per_s < 100000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(empty),
		T(new_and_drop),
		T(id_0_is_an_id),
		T(new_without_size),
		T(classes_and_processes_apart),
		T(second_new_on_a_living_id),
		T(drop_of_the_unknown),
		T(other_kinds),
		T(regions),
		T(late_drop),
		T(resize),
		T(resize_by_bytes),
		T(resizes_by_bytes_leave_no_doubt),
		T(resizes_whose_end_was_lost),
		T(resize_that_failed),
		T(shrinking),
		T(old_id_taken_meanwhile),
		T(resize_onto_a_living_id),
		T(resizes_of_two_threads),
		T(nested_resizes),
		T(drop_instead_of_the_end),
		T(adoption),
		T(threads_that_die_in_a_resize),
		T(exit_of_a_process),
		T(exec_of_a_process),
		T(fork_of_a_process),
		T(many_short_lived_processes),
		T(losses),
		T(sites_by_age),
		T(order_of_rows),
		T(absurd_sizes_come_and_go),
		T(refused),
		T(growth_rows),
		T(growth_of_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
