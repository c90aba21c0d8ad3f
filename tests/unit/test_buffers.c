/* SPDX-License-Identifier: GPL-2.0-only */
/* test_buffers.c - what of the buffers is passed on, counted as lost or waited for. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__x86_64__)

#include <errno.h>
#include <stdlib.h>

#include "buffers_check.h"

/* --- what is new -------------------------------------------------------------------------------
 */

static void test_nothing(void **state)
{
	(void)state;
	expect_counts(0, 0);
	must(!look());
	add();
	must(!look());
	expect_counts(0, 0);
	assert_int_equal(bs_buffers_gone(buffers, getpid()), 0);
	assert_int_equal(bs_buffers_gone(buffers, getpid()), 0);
	expect_counts(0, 0);
	bs_buffers_free(NULL);
}

static void test_from_memory(void **state)
{
	struct bscope_buffer *b = taken(2);
	uint64_t id = 1;

	(void)state;
	/* What is there already is of earlier times. */
	write_events(b, 500000, 500777);
	add();
	must(!look());
	expect_none();
	record_short(b, BS_RING_BUFFER, TID);
	for (uint64_t n = 0; n < 900; n += 37) {
		write_events(b, id, id + n);
		must(!look());
		expect_ids(id, id + n, TID);
		id += n + 1;
		must(!look());
		expect_none();
	}
	expect_counts(id - 1, id - 1);
	assert_int_equal(counts().skipped, 0);
}

static void test_from_ring(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t id = 1;

	(void)state;
	add();
	for (unsigned half = 0; half < 50; half++) {
		uint64_t first = id, end = (b->next / BATCH + 1) * BATCH;

		while (b->next < end)
			write_event(b, event_of(id, 1 + id % 3)), id++;
		/* A pair that had no room is in the next half already. */
		if (b->next > end)
			id--;
		record_batch(b, end, 0);
		expect_ids(first, id - 1, TID);
		id += b->next > end;
		if (b->next > end) {
			must(!look());
			expect_ids(id - 1, id - 1, TID);
		}
	}
	expect_counts(id - 1, id - 1);
	/* Memory has nothing that did not come. */
	must(!look());
	expect_none();
}

/* Each half comes both ways, in any order, and more than once. */
static void test_each_once(void **state)
{
	struct bscope_buffer *b = taken(1);
	struct bs_ring_batch old;
	uint64_t hold = UINT64_MAX, id = 1;

	(void)state;
	add();
	write_singles(b, id, id + 299);
	read_now();
	must(!take(false, &hold));
	expect_ids(1, 300, TID == 0 ? 0 : 0); /* nobody has said whose it is */
	/* A look is under way, meanwhile the half is full. */
	write_singles(b, 301, 600);
	read_now();
	write_singles(b, 601, BATCH);
	old = batch_of(b, FIRST + BATCH, 0);
	must(!bs_buffers_record(buffers, &old, sizeof(old)));
	expect_ids(301, BATCH, TID);
	must(!take(false, &hold));
	expect_none();
	/* Twice, and late: after memory was read beyond it. */
	must(!bs_buffers_record(buffers, &old, sizeof(old)));
	expect_none();
	write_singles(b, BATCH + 1, 2 * BATCH + 10);
	must(!look());
	expect_ids(BATCH + 1, 2 * BATCH + 10, TID);
	record_batch(b, FIRST + 2 * BATCH, 0);
	must(!bs_buffers_record(buffers, &old, sizeof(old)));
	expect_none();
	expect_counts(2 * BATCH + 10, 2 * BATCH + 10);
	/* A part of a half, as the last batch of a thread is. */
	write_singles(b, 2 * BATCH + 11, 2 * BATCH + 40);
	record_batch(b, 0, BS_BATCH_LAST);
	expect_ids(2 * BATCH + 11, 2 * BATCH + 40, TID);
	must(!look());
	expect_none();
	expect_counts(2 * BATCH + 40, 2 * BATCH + 40);
	assert_int_equal(counts().skipped, 0);
	assert_int_equal(counts().abandoned, 0);
}

#define MANY (3 * SLOTS + 777)

/* Written over before anybody looked: the newest are there, the others are told exactly. */
static void test_gap(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	write_singles(b, 1, MANY);
	must(!look());
	expect_ids(MANY - SLOTS + 1, MANY, 0);
	expect_counts(MANY, SLOTS);
	assert_int_equal(counts().skipped, MANY - SLOTS);
	/* The same by the ring: a half is missing. */
	write_singles(b, MANY + 1, MANY + 1 + 3 * BATCH);
	record_batch(b, b->next / BATCH * BATCH, 0);
	must(sink.n == sink_seen + BATCH);
	must(sink.id[sink_seen] > MANY + BATCH);
	sink_seen = sink.n;
	must(!look());
	expect_ids(b->next / BATCH * BATCH - FIRST + 1, MANY + 1 + 3 * BATCH, TID);
	must(counts().written == MANY + 1 + 3 * BATCH);
}

/* A half did not fit into the ring, but a look that was under way has it. */
static void test_dropped_half_was_read(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t hold = UINT64_MAX;

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, TID);
	write_singles(b, 1, BATCH + 5);
	read_now();
	write_singles(b, BATCH + 6, 2 * BATCH);
	record_batch(b, FIRST + 2 * BATCH, 0);
	must(!take(false, &hold));
	expect_ids(1, 2 * BATCH, TID);
	expect_counts(2 * BATCH, 2 * BATCH);
	assert_int_equal(counts().skipped, 0);
}

static void test_laps(void **state)
{
	struct bscope_buffer *b = taken(3);
	uint64_t id = 1;

	(void)state;
	b->next = (1ull << 32) - 3 * SLOTS + 5;
	add();
	for (unsigned i = 0; i < 40; i++, id += 700) {
		write_events(b, id, id + 699);
		must(!look());
		expect_ids(id, id + 699, 0);
	}
	expect_counts(id - 1, id - 1);
}

/* Counts so close to the end of numbers that adding to them runs over. */
static void test_numbers_run_over(void **state)
{
	(void)state;
	for (uint64_t room = 11; room < 3 * SLOTS; room = room * 2 + 1) {
		uint64_t hold = UINT64_MAX;
		struct bscope_buffer *b;

		memset(made, 0, POOL_BYTES);
		sink.n = sink_seen = 0;
		bs_buffers_free(buffers);
		buffers = bs_buffers_new(&sink_ops);
		b = taken(0);
		b->next = UINT64_MAX - room;
		add();
		write_singles(b, 1, 10);
		must(!look());
		expect_ids(1, 10, 0);
		/* And over the end: whatever is made of that, it is nothing that is not there. */
		write_singles(b, 11, 2 * room);
		read_now();
		take(false, &hold);
		for (size_t i = 10; i < sink.n; i++)
			must(sink.id[i] > 10 && sink.id[i] <= 2 * room);
		read_now();
		take(false, &hold);
		bs_buffers_settle(buffers);
	}
}

static void test_two_pools(void **state)
{
	struct bscope_pool *first = made, *second;
	struct bscope_buffer *a, *b;
	uint64_t from, to;

	(void)state;
	second = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(second != MAP_FAILED);
	a = taken(0);
	made = second;
	b = taken(0);
	made = first;
	add();
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)second, NBUFFERS));
	/* Known already: nothing begins anew. */
	write_events(a, 1, 10);
	add();
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)second, NBUFFERS));
	must(!look());
	expect_ids(1, 10, 0);
	write_events(b, 11, 20);
	record_short(b, BS_RING_BUFFER, 78);
	from = tsc();
	must(!look());
	to = tsc();
	expect_ids(11, 20, 78);
	expect_counts(20, 20);
	munmap(second, POOL_BYTES);
	/* Memory that is not there any more: nobody knows what was in it; the rest is as before. */
	write_events(a, 21, 30);
	look_in_vain(from, to);
	expect_ids(21, 30, 0);
	assert_int_equal(bs_buffers_add(buffers, getpid(), 4096, NBUFFERS), -EFAULT);
	write_events(a, 31, 40);
	look_in_vain(from, to);
	expect_ids(31, 40, 0);
}

static void test_no_buffer(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	made->no_buffer = 1000;
	add();
	write_events(b, 1, 5);
	made->no_buffer += 33;
	must(!look());
	expect_ids(1, 5, 0);
	expect_counts(38, 5);
	assert_int_equal(counts().no_buffer, 33);
	/* A count that goes back is a lie. */
	made->no_buffer = 7;
	must(!look());
	expect_counts(38, 5);
	assert_int_equal(bs_buffers_gone(buffers, getpid()), 0);
	expect_counts(38, 5);
	assert_int_equal(counts().no_buffer, 33);
}

/* --- slots that are reserved and not written ---------------------------------------------------
 */

static void test_just_being_written(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t n, hold;
	size_t waiting;

	(void)state;
	add();
	write_events(b, 1, 20);
	n = reserve(b, 1);
	hold = UINT64_MAX;
	read_now();
	waiting = take(false, &hold);
	assert_int_equal(waiting, 1);
	expect_ids(1, 20, 0);
	/* Nothing that is still to come is older than the event before it. */
	assert_int_equal(hold, made_time - 1);
	/* A handler goes on meanwhile: its events have to wait. */
	write_events(b, 22, 30);
	waiting = look();
	assert_int_equal(waiting, 1);
	expect_none();
	commit_first(b, n, event_of(21, 1));
	must(!look());
	expect_ids(21, 30, 0);
	expect_counts(30, 30);
	assert_int_equal(counts().abandoned, 0);
}

/* Of a pair the second slot comes first. */
static void test_pair_in_two_steps(void **state)
{
	struct bscope_buffer *b = taken(0);
	struct event e = event_of(6, 3);
	uint64_t n;

	(void)state;
	add();
	write_events(b, 1, 5);
	n = reserve(b, 2);
	b->extra++;
	assert_int_equal(look(), 1);
	expect_ids(1, 5, 0);
	commit_second(b, n, e);
	assert_int_equal(look(), 1);
	expect_none();
	commit_first(b, n, e);
	must(!look());
	expect_ids(6, 6, 0);
	assert_int_equal(sink.orphans, 0);
	expect_counts(6, 6);
}

/* Interrupted by a handler that filled the half: what it wrote does not wait, the rest comes late.
 */
static void hole(unsigned nargs, bool by_ring)
{
	struct bscope_buffer *b = taken(0);
	struct event e = event_of(6, nargs);
	uint64_t n;
	size_t first;

	add();
	record_short(b, BS_RING_BUFFER, TID);
	write_events(b, 1, 5);
	n = reserve(b, nargs > 1 ? 2 : 1);
	b->extra += nargs > 1;
	write_singles(b, 7, 7 + 2 * BATCH / 3 * 2);
	if (by_ring)
		record_batch(b, FIRST + BATCH, 0);
	assert_int_equal(look(), 1);
	must(sink.n == 5 + (2 * BATCH / 3 * 2 + 1));
	sink_seen = sink.n;
	assert_int_equal(look(), 1);
	expect_none();
	if (nargs > 1) {
		commit_second(b, n, e);
		look();
	}
	commit_first(b, n, e);
	must(!look());
	expect_ids(6, 6, TID);
	/* Once. */
	must(!look());
	first = sink.n;
	if (by_ring)
		record_batch(b, FIRST + BATCH, 0);
	must(sink.n == first);
	expect_counts(sink.n, sink.n);
	assert_int_equal(counts().abandoned, 0);
}

static void test_hole_single(void **state)
{
	(void)state;
	hole(1, false);
}

static void test_hole_single_by_ring(void **state)
{
	(void)state;
	hole(1, true);
}

static void test_hole_pair(void **state)
{
	(void)state;
	hole(3, false);
}

static void test_hole_pair_by_ring(void **state)
{
	(void)state;
	hole(2, true);
}

/*
 * A batch that comes while a look is under way brings a hole of which that look knows nothing: it
 * waits for the next.
 */
static void test_hole_meanwhile(void **state)
{
	struct bscope_buffer *b = taken(0), *other = taken(1);
	uint64_t hold = UINT64_MAX, n;

	(void)state;
	add();
	/* What a look left behind where it kept its copies, of the same lap. */
	write_singles(b, 1, 100);
	write_singles(other, 10001, 10000 + BATCH * 3 / 2);
	must(!look());
	must(sink.n == 100 + BATCH * 3 / 2);
	sink_seen = sink.n;
	n = reserve(b, 1);
	write_singles(b, 102, BATCH);
	read_now();
	record_batch(b, FIRST + BATCH, 0);
	expect_ids(102, BATCH, TID);
	assert_int_equal(take(false, &hold), 1);
	expect_none();
	commit_first(b, n, event_of(101, 1));
	must(!look());
	expect_ids(101, 101, TID);
	expect_counts(BATCH * 5 / 2, BATCH * 5 / 2);
}

/* Nobody ever writes it.  Its place is used anew in the end. */
static void test_hole_abandoned(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	write_singles(b, 1, 5);
	reserve(b, 1);
	write_singles(b, 7, 200);
	assert_int_equal(look(), 1);
	must(sink.n == 199);
	write_singles(b, 201, SLOTS + 5);
	/* Its place is the next to be reserved. */
	assert_int_equal(look(), 1);
	assert_int_equal(counts().abandoned, 0);
	write_singles(b, SLOTS + 6, SLOTS + 6);
	must(!look());
	assert_int_equal(counts().abandoned, 1);
	expect_counts(SLOTS + 6, SLOTS + 5);
}

/* Many at once: those that are too many to be waited for are given up. */
static void test_holes_many(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t n[20], id = 1;
	size_t waited;

	(void)state;
	add();
	for (unsigned i = 0; i < 20; i++) {
		n[i] = reserve(b, 1);
		write_singles(b, id, id + 9);
		id += 10;
	}
	write_singles(b, id, id + 99);
	id += 100;
	assert_int_equal(look(), 1);
	must(sink.n == id - 1);
	for (unsigned i = 0; i < 20; i++)
		commit_first(b, n[i], event_of(1000 + i, 1));
	sink_seen = sink.n;
	must(!look());
	waited = sink.n - sink_seen;
	assert_in_range(waited, 1, 20);
	for (size_t i = 0; i < waited; i++)
		must(sink.id[sink_seen + i] == 1000 + i);
	expect_counts(id - 1 + 20, id - 1 + waited);
	assert_int_equal(counts().abandoned, 20 - waited);
}

/* Nobody writes any more. */
static void test_hole_at_the_end(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t hold = UINT64_MAX;

	(void)state;
	add();
	write_singles(b, 1, 10);
	reserve(b, 1);
	write_singles(b, 12, 15);
	reserve(b, 2);
	b->extra++;
	assert_int_equal(look(), 1);
	must(sink.n == 10);
	read_now();
	take(true, &hold);
	must(sink.n == 14);
	expect_counts(16, 14);
	assert_in_range(counts().abandoned, 2, 3); /* slots */
	read_now();
	must(!take(true, &hold));
	expect_counts(16, 14);
}

/* What a look holds back: the stamp before the oldest that is on its way. */
static void test_hold(void **state)
{
	struct bscope_buffer *a = taken(0), *b = taken(1);
	uint64_t hold, at, stamp, before;

	(void)state;
	add();
	write_singles(a, 1, 3);
	stamp = made_time - 1;
	write_singles(b, 4, 6);
	must(!look());
	reserve(a, 1);
	reserve(b, 1);
	hold = UINT64_MAX;
	read_now();
	assert_int_equal(take(false, &hold), 2);
	assert_int_equal(hold, stamp);
	/* It is lowered, never raised. */
	hold = stamp - 5;
	read_now();
	assert_int_equal(take(false, &hold), 2);
	assert_int_equal(hold, stamp - 5);
	/* Of a buffer of which nothing has come: reserved after the look before this one. */
	bs_buffers_gone(buffers, getpid());
	memset(made, 0, POOL_BYTES);
	add();
	must(!bs_buffers_read(buffers, true, &before));
	hold = UINT64_MAX;
	must(!take(false, &hold));
	reserve(taken(0), 1);
	must(!bs_buffers_read(buffers, true, &at));
	hold = UINT64_MAX;
	assert_int_equal(take(false, &hold), 1);
	assert_true(hold <= at);
	assert_int_equal(hold, before);
}

/*
 * Somebody takes a buffer, and writes, before the look, which is told of it only by the ring: what
 * it wrote comes now, or it is held back for.
 */
static void test_taken_before_the_look(void **state)
{
	struct bscope_buffer *b, *other = taken(1);
	uint64_t before, at, hold = UINT64_MAX;
	size_t waiting;

	(void)state;
	add();
	record_short(other, BS_RING_BUFFER, TID);
	must(!bs_buffers_read(buffers, false, &before));
	must(!take(false, &hold));
	bs_buffers_settle(buffers);
	must(!bs_buffers_read(buffers, false, &before));
	must(!take(false, &hold));
	bs_buffers_settle(buffers);
	b = taken(0);
	write_singles(b, 1, 5);
	must(!bs_buffers_read(buffers, false, &at));
	record_short(b, BS_RING_BUFFER, TID + 1);
	waiting = take(false, &hold);
	assert_true(sink.n == 5 || (waiting && hold <= before));
	must(!bs_buffers_read(buffers, false, &at));
	hold = UINT64_MAX;
	must(!take(false, &hold));
	expect_ids(1, 5, TID + 1);
}

static void test_refused(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t hold = UINT64_MAX, at;
	struct bs_ring_batch batch;
	size_t waiting;

	(void)state;
	add();
	write_singles(b, 1, 10);
	read_now();
	sink.refuse = -ECANCELED;
	assert_int_equal(bs_buffers_take(buffers, false, REFERENCE, &hold, &waiting), -ECANCELED);
	write_singles(b, 11, BATCH);
	batch = batch_of(b, FIRST + BATCH, 0);
	assert_int_equal(bs_buffers_record(buffers, &batch, sizeof(batch)), -ECANCELED);
	sink.refuse = 1; /* not negative: goes on */
	write_singles(b, BATCH + 1, BATCH + 10);
	must(!bs_buffers_read(buffers, true, &at));
	assert_int_equal(bs_buffers_take(buffers, false, REFERENCE, &hold, &waiting), 0);
	assert_int_equal(sink.n, BATCH + 10);
	expect_counts(BATCH + 10, BATCH + 10);
}

/* Whoever has a buffer has the stamp from then on; memory of nobody stays as it is. */
static void test_stamp(void **state)
{
	uint64_t at = 0x123456789abcdefull;
	uint32_t stamp = (uint32_t)(at >> 8);
	struct bscope_buffer *v[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		v[i] = taken(i * 2);
	add();
	write_events(v[1], 1, 10);
	must(!look());
	bs_buffers_stamp(buffers, at);
	for (unsigned i = 0; i < NBUFFERS; i++) {
		bool has = i % 2 == 0 && i < 6;

		must(made->buffers[i].coarse == (has ? stamp : 0));
	}
	/* Nothing else is written. */
	write_events(v[1], 11, 20);
	must(!look());
	expect_ids(1, 20, 0);
	bs_buffers_stamp(buffers, at + (1ull << 40) + 256);
	must(v[1]->coarse == stamp + 1);
	/* Nobody is there any more: nothing happens. */
	bs_buffers_gone(buffers, getpid());
	bs_buffers_stamp(buffers, 0);
}

static bool executes_now;

static bool executes(void *ctx, uint32_t pid)
{
	must(ctx == &sink && (pid_t)pid == getpid());
	return executes_now;
}

/*
 * Another program may have anything where the pool was: nothing is written there, when it begins,
 * meanwhile or in the end.
 */
static void test_not_ours(void **state)
{
	struct bs_buffers_ops ops = sink_ops;
	struct bscope_buffer *b = taken(0);
	struct bscope_pool was;
	uint64_t owner = b->owner;

	(void)state;
	ops.executes = executes;
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(&ops);
	assert_non_null(buffers);
	executes_now = true;
	assert_int_not_equal(bs_buffers_add(buffers, getpid(), (uintptr_t)made, NBUFFERS), 0);
	must(made->tool == 0 && b->owner == owner);
	executes_now = false;
	add();
	must(made->tool != 0);
	write_events(b, 1, 10);
	must(!look());
	bs_buffers_stamp(buffers, 1 << 8);
	must(b->coarse == 1);
	was = *made;
	executes_now = true;
	bs_buffers_stamp(buffers, 2 << 8);
	bs_buffers_release(buffers);
	must(b->coarse == 1 && made->tool == was.tool);
	/* Nor where nobody has told us of it, but what lies there does not say that it is ours. */
	executes_now = false;
	made->tool++;
	bs_buffers_stamp(buffers, 2 << 8);
	bs_buffers_release(buffers);
	must(b->coarse == 1 && made->tool == was.tool + 1);
	made->tool--;
	bs_buffers_stamp(buffers, 2 << 8);
	must(b->coarse == 2);
	bs_buffers_release(buffers);
	must(made->tool == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUFFERS_TEST(test_stamp),
		BUFFERS_TEST(test_not_ours),
		BUFFERS_TEST(test_nothing),
		BUFFERS_TEST(test_from_memory),
		BUFFERS_TEST(test_from_ring),
		BUFFERS_TEST(test_each_once),
		BUFFERS_TEST(test_gap),
		BUFFERS_TEST(test_dropped_half_was_read),
		BUFFERS_TEST(test_laps),
		BUFFERS_TEST(test_numbers_run_over),
		BUFFERS_TEST(test_two_pools),
		BUFFERS_TEST(test_no_buffer),
		BUFFERS_TEST(test_just_being_written),
		BUFFERS_TEST(test_pair_in_two_steps),
		BUFFERS_TEST(test_hole_single),
		BUFFERS_TEST(test_hole_single_by_ring),
		BUFFERS_TEST(test_hole_pair),
		BUFFERS_TEST(test_hole_pair_by_ring),
		BUFFERS_TEST(test_hole_meanwhile),
		BUFFERS_TEST(test_hole_abandoned),
		BUFFERS_TEST(test_holes_many),
		BUFFERS_TEST(test_hole_at_the_end),
		BUFFERS_TEST(test_hold),
		BUFFERS_TEST(test_taken_before_the_look),
		BUFFERS_TEST(test_refused),
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* no buffers on this architecture */

#include "collect/buffers.h"

static void test_free(void **state)
{
	(void)state;
	bs_buffers_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_free)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
