/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_buffers.c - what of the buffers is passed on, counted as lost or waited for: buffers that
 * the test writes by hand, in its own memory, so that it can stop in the middle of everything.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#if defined(__x86_64__)

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "bpf/event.h"
#include "collect/buffers.h"
#include "decode/tsc.h"
#include "record_check.h"

/* --- the program, by hand ----------------------------------------------------------------------
 */

#define NBUFFERS   8u
#define POOL_BYTES (sizeof(struct bscope_pool) + NBUFFERS * sizeof(struct bscope_buffer))
#define GUARD	   (1u << 20)
#define TID	   77u
#define OWNER	   0x7000ull

static struct bscope_pool *made;

/* A buffer that a thread has taken. */
static struct bscope_buffer *taken(unsigned i)
{
	struct bscope_buffer *b = &made->buffers[i];

	b->owner = OWNER + 16 * i;
	if (b->next < FIRST)
		b->next = FIRST;
	if (made->used <= i)
		made->used = i + 1;
	return b;
}

static uint64_t reserve(struct bscope_buffer *b, unsigned slots)
{
	b->next += slots;
	return b->next - slots;
}

static void commit_second(struct bscope_buffer *b, uint64_t n, struct event e)
{
	uint64_t code = e.nargs == 3 ? second_of(e.id) : 0;

	b->slots[(n + 1) % SLOTS] = (struct bscope_slot){
		code << 24 | BSCOPE_SLOT_EXTRA | code >> 40 | BSCOPE_SLOT_LAP(n + 1),
		first_of(e.id)};
}

/* Time is what the test says, so that holding back can be told to the tick. */
static uint64_t made_time = 1ull << 41;

static void commit_first(struct bscope_buffer *b, uint64_t n, struct event e)
{
	b->slots[n % SLOTS] =
		(struct bscope_slot){made_time++ << 24 | BSCOPE_SLOT_LAP(n) | e.index, e.id};
}

static void write_event(struct bscope_buffer *b, struct event e)
{
	uint64_t pads, n = place(b->next, e.nargs, &pads);

	for (uint64_t i = b->next; i < n; i++)
		b->slots[i % SLOTS] = (struct bscope_slot){1u << 24 | BSCOPE_SLOT_LAP(i), 0};
	b->extra += pads + (e.nargs > 1);
	b->next = n + (e.nargs > 1 ? 2 : 1);
	if (e.nargs > 1)
		commit_second(b, n, e);
	commit_first(b, n, e);
}

/* Events first..last of this thread, of all kinds. */
static void write_events(struct bscope_buffer *b, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++)
		write_event(b, event_of(id, 1 + id % 3));
}

static void write_singles(struct bscope_buffer *b, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++)
		write_event(b, event_of(id, 1));
}

/* --- the ring, by hand -------------------------------------------------------------------------
 */

/* As bpf/batch.h does it.  end 0: what there is. */
static struct bs_ring_batch batch_of(const struct bscope_buffer *b, uint64_t end, uint32_t flags)
{
	struct bs_ring_batch batch = {
		.pid = (uint32_t)getpid(),
		.tid = TID,
		.type = BS_RING_BATCH,
		.flags = flags,
		.buffer = (uintptr_t)b,
		.end = end ? end : b->next,
		.owner = b->owner,
		.next = b->next,
		.extra = b->extra,
	};

	memcpy(batch.slots, &b->slots[(batch.end - 1) % SLOTS / BATCH * BATCH],
	       sizeof(batch.slots));
	return batch;
}

static struct bs_ring_event short_of(const struct bscope_buffer *b, uint32_t type, uint32_t tid)
{
	return (struct bs_ring_event){
		.pid = (uint32_t)getpid(), .tid = tid, .type = type, .args = {(uintptr_t)b}};
}

/* --- what comes out ----------------------------------------------------------------------------
 */

#define SINK_MAX 100000u

static struct sink {
	uint64_t id[SINK_MAX];
	uint32_t tid[SINK_MAX];
	size_t n, calls;
	uint64_t orphans; /* slots of operands without their event */
	int refuse;	  /* what it returns */
} sink;

static int sink_take(void *ctx, uint32_t pid, uint32_t tid, const struct bscope_slot *slots,
		     size_t n)
{
	must(ctx == &sink);
	must(pid == (uint32_t)getpid());
	must(n > 0 && n <= SLOTS);
	sink.calls++;
	for (size_t i = 0; i < n; i++) {
		struct event e = event_of(slots[i].value, 1);
		uint32_t index = slots[i].head & BSCOPE_SLOT_INDEX_MASK;

		if (slots[i].head & BSCOPE_SLOT_EXTRA) {
			sink.orphans++;
			continue;
		}
		if (!index)
			continue;
		/* The number of operands follows from the index, as in life it does. */
		while (e.nargs < 3 && e.index != index)
			e = event_of(e.id, e.nargs + 1);
		must(e.index == index);
		if (e.nargs > 1) {
			uint64_t code = e.nargs == 3 ? second_of(e.id) : 0;

			must(++i < n);
			must(slots[i].value == first_of(e.id));
			must((slots[i].head >> 24 | (slots[i].head & BSCOPE_SLOT_INDEX_MASK)
							    << 40) == code);
		}
		must(sink.n < SINK_MAX);
		sink.id[sink.n] = e.id;
		sink.tid[sink.n++] = tid;
	}
	return sink.refuse;
}

/* The events that came since the last time: first..last, in order. */
static size_t sink_seen;

static void expect_ids(uint64_t first, uint64_t last, uint32_t tid)
{
	must(sink.n - sink_seen == last + 1 - first);
	for (uint64_t id = first; id <= last; id++, sink_seen++) {
		must(sink.id[sink_seen] == id);
		must(sink.tid[sink_seen] == tid);
	}
}

static void expect_none(void)
{
	must(sink.n == sink_seen);
}

static struct bs_buffers *buffers;
static uint32_t owner_is;
static unsigned owner_asked;

static uint32_t sink_owner(void *ctx, uint32_t pid, uint64_t buffer)
{
	must(ctx == &sink && pid == (uint32_t)getpid());
	must(buffer >= (uintptr_t)made && buffer < (uintptr_t)made + POOL_BYTES);
	owner_asked++;
	return owner_is;
}

/* Of one buffer. */
static const struct bscope_buffer *end_of;
static uint64_t end_next, end_extra, end_ts;

static bool sink_end(void *ctx, uint32_t pid, uint64_t buffer, struct bs_end *end)
{
	must(ctx == &sink && pid == (uint32_t)getpid());
	if (!end_of || buffer != (uintptr_t)end_of)
		return false;
	*end = (struct bs_end){end_next, end_extra, end_ts};
	return true;
}

static const struct bs_buffers_ops sink_ops = {
	.take = sink_take, .owner = sink_owner, .end = sink_end, .ctx = &sink};

static int setup(void **state)
{
	(void)state;
	memset(&sink, 0, sizeof(sink));
	sink_seen = 0;
	owner_is = 0;
	owner_asked = 0;
	end_of = NULL;
	/* Nothing of this program lies behind it: what believes a lie must not write there. */
	made = mmap(NULL, POOL_BYTES + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(made != MAP_FAILED);
	assert_int_equal(mprotect(made, (POOL_BYTES + 4095) & ~4095ul, PROT_READ | PROT_WRITE), 0);
	buffers = bs_buffers_new(&sink_ops);
	assert_non_null(buffers);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bs_buffers_free(buffers);
	return munmap(made, POOL_BYTES + GUARD);
}

static void add(void)
{
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)made, NBUFFERS));
}

/* The kernel's clock: each record is later than the one before. */
static uint64_t clock_ns = 1000;

static void record_batch(const struct bscope_buffer *b, uint64_t end, uint32_t flags)
{
	struct bs_ring_batch batch = batch_of(b, end, flags);

	batch.ts_ns = ++clock_ns;
	must(!bs_buffers_record(buffers, &batch, sizeof(batch)));
}

static void record_short(const struct bscope_buffer *b, uint32_t type, uint32_t tid)
{
	struct bs_ring_event event = short_of(b, type, tid);

	event.ts_ns = ++clock_ns;
	must(!bs_buffers_record(buffers, &event, sizeof(event)));
}

static void read_now(void)
{
	uint64_t before = tsc(), at;

	must(!bs_buffers_read(buffers, true, &at));
	must(at >= before && at <= tsc());
}

/* The stamps of the test lie below this. */
#define REFERENCE (made_time + 1000)

static size_t take(bool last, uint64_t *hold)
{
	size_t waiting = 12345;

	must(!bs_buffers_take(buffers, last, REFERENCE, hold, &waiting));
	must(waiting != 12345);
	return waiting;
}

static size_t look(void)
{
	uint64_t hold = UINT64_MAX;
	size_t waiting;

	read_now();
	waiting = take(false, &hold);
	must(waiting ? hold != UINT64_MAX : hold == UINT64_MAX);
	return waiting;
}

static struct bs_buffers_counts counts(void)
{
	struct bs_buffers_counts c;

	memset(&c, 0xa5, sizeof(c));
	bs_buffers_counts(buffers, &c);
	must(c.written >= c.received);
	must(c.received == sink.n);
	return c;
}

static void expect_counts(uint64_t written, uint64_t received)
{
	struct bs_buffers_counts c = counts();

	assert_int_equal(c.written, written);
	assert_int_equal(c.received, received);
}

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
		look();
		for (size_t i = 10; i < sink.n; i++)
			must(sink.id[i] > 10 && sink.id[i] <= 2 * room);
		look();
		bs_buffers_settle(buffers);
	}
}

static void test_two_pools(void **state)
{
	struct bscope_pool *first = made, *second;
	struct bscope_buffer *a, *b;

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
	must(!look());
	expect_ids(11, 20, 78);
	expect_counts(20, 20);
	munmap(second, POOL_BYTES);
	/* Memory that is not there any more costs nothing else. */
	write_events(a, 21, 30);
	must(!look());
	expect_ids(21, 30, 0);
	assert_int_equal(bs_buffers_add(buffers, getpid(), 4096, NBUFFERS), -EFAULT);
	write_events(a, 31, 40);
	must(!look());
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

/* --- whose they are ----------------------------------------------------------------------------
 */

static void test_owner_asked(void **state)
{
	struct bscope_buffer *b = taken(4);

	(void)state;
	add();
	/* Nobody knows: tid 0. */
	write_events(b, 1, 5);
	must(!look());
	expect_ids(1, 5, 0);
	assert_true(owner_asked > 0);
	/* Whoever loaded the BPF programs knows, and is asked once. */
	owner_is = 99;
	write_events(b, 6, 9);
	must(!look());
	expect_ids(6, 9, 99);
	owner_asked = 0;
	write_events(b, 10, 12);
	must(!look());
	expect_ids(10, 12, 99);
	assert_int_equal(owner_asked, 0);
	/* Told to the process, for the next tool. */
	bs_buffers_settle(buffers);
	assert_int_equal(b->tid, 99);
}

static void test_announced(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 1234);
	write_events(b, 1, 5);
	must(!look());
	expect_ids(1, 5, 1234);
	assert_int_equal(b->tid, 0);
	bs_buffers_settle(buffers);
	assert_int_equal(b->tid, 1234);
	assert_int_equal(owner_asked, 0);
	/* The next tool reads it. */
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(&sink_ops);
	sink.n = sink_seen = 0;
	b->tid = (uint64_t)gettid(); /* of a thread that lives */
	add();
	assert_int_equal(b->owner, OWNER | BSCOPE_OWNER_RENEW);
	/* Until the thread has renewed it may be of a thread that has ended. */
	must(!look());
	b->owner = OWNER;
	write_events(b, 6, 8);
	must(!look());
	expect_ids(6, 8, (uint32_t)gettid());
}

/* Asked to announce itself, once; and a buffer whose owner is known to be dead is freed. */
static void test_baseline(void **state)
{
	struct bscope_buffer *fresh = taken(0), *dead = taken(1), *asked = taken(2),
			     *old = taken(3);
	struct bscope_buffer *none = taken(4), *known_dead = taken(5);

	(void)state;
	dead->tid = 1; /* no thread of ours */
	asked->owner |= BSCOPE_OWNER_RENEW;
	old->tid = (uint64_t)gettid();
	none->owner = 0;
	known_dead->owner |= BSCOPE_OWNER_DEAD;
	write_events(dead, 1, 100);
	add();
	assert_int_equal(fresh->owner, OWNER | BSCOPE_OWNER_RENEW);
	assert_true(!dead->owner || dead->owner & BSCOPE_OWNER_DEAD); /* anybody's */
	assert_int_equal(known_dead->owner, (OWNER + 80) | BSCOPE_OWNER_DEAD);
	assert_int_equal(asked->owner, (OWNER + 32) | BSCOPE_OWNER_RENEW);
	assert_int_equal(old->owner, (OWNER + 48) | BSCOPE_OWNER_RENEW);
	assert_int_equal(none->owner, 0);
	must(!look());
	expect_none();
	/* Its next owner is not the thread whose number was left there. */
	taken(1);
	write_events(dead, 101, 105);
	must(!look());
	expect_ids(101, 105, 0);
}

/*
 * Threads one after another in one buffer, as the runtime has it for those with the same thread
 * pointer: each ends by its last batch, the next one announces itself, and the buffer counts on.
 */
static void one_after_another(bool settled)
{
	struct bscope_buffer *b = taken(0);
	uint64_t id = 1;

	add();
	for (uint32_t tid = 1; tid < 300; tid++) {
		struct bs_ring_batch batch;

		record_short(b, BS_RING_BUFFER, tid);
		write_events(b, id, id + 20);
		/* A half that is full is sent by itself. */
		if (tid % 2)
			look();
		write_events(b, id + 21, id + 30);
		if (b->next % BATCH < 60 && b->next > FIRST + BATCH) {
			batch = batch_of(b, b->next / BATCH * BATCH, 0);
			batch.tid = tid;
			must(!bs_buffers_record(buffers, &batch, sizeof(batch)));
		}
		batch = batch_of(b, 0, BS_BATCH_LAST);
		batch.tid = tid;
		must(!bs_buffers_record(buffers, &batch, sizeof(batch)));
		expect_ids(id, id + 30, tid);
		if (settled)
			bs_buffers_settle(buffers);
		id += 31;
	}
	expect_counts(id - 1, id - 1);
	/* There are plenty of buffers: nobody else is let in. */
	assert_int_equal(b->owner & BSCOPE_OWNER_DEAD, 0);
	bs_buffers_gone(buffers, getpid());
	expect_counts(id - 1, id - 1);
	assert_int_equal(counts().at_most, 0);
}

static void test_one_after_another(void **state)
{
	(void)state;
	one_after_another(true);
}

/* Before the tool comes to it. */
static void test_one_right_after_another(void **state)
{
	(void)state;
	one_after_another(false);
}

/* More looks than it takes until threads are looked for. */
#define MANY_LOOKS 40

static void settle_often(void)
{
	for (unsigned i = 0; i < MANY_LOOKS; i++) {
		look();
		bs_buffers_settle(buffers);
	}
}

/* Its last batch did not fit into the ring: what it wrote is read from memory. */
static void test_ended_unseen(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 1); /* no thread of ours */
	write_events(b, 1, 50);
	settle_often();
	expect_ids(1, 50, 1);
	assert_int_equal(b->owner & BSCOPE_OWNER_DEAD, 0);
	/* Its end is no secret: nothing of it can be missing. */
	bs_buffers_gone(buffers, getpid());
	expect_counts(50, 50);
	assert_int_equal(counts().at_most, 0);
}

/* Where there are few buffers left, those of dead threads are for anybody; of others, not. */
static void test_few_left(void **state)
{
	struct bscope_buffer *told = taken(0), *untold = taken(1), *lives = taken(2);
	struct bscope_buffer *unknown = taken(3);

	(void)state;
	add();
	record_short(untold, BS_RING_BUFFER, 1); /* no thread of ours */
	record_short(lives, BS_RING_BUFFER, (uint32_t)gettid());
	write_events(told, 1, 10);
	record_batch(told, 0, BS_BATCH_LAST);
	settle_often();
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(made->buffers[i].owner & BSCOPE_OWNER_DEAD, 0);
	for (unsigned i = 4; i < NBUFFERS; i++) {
		taken(i);
		record_short(&made->buffers[i], BS_RING_BUFFER, (uint32_t)gettid());
	}
	settle_often();
	assert_true(told->owner & BSCOPE_OWNER_DEAD);
	assert_true(untold->owner & BSCOPE_OWNER_DEAD);
	for (unsigned i = 2; i < NBUFFERS; i++)
		assert_int_equal(made->buffers[i].owner & BSCOPE_OWNER_DEAD, 0);
	(void)lives;
	(void)unknown;
	/* Taken by somebody else, and by whoever has the same thread pointer. */
	told->owner = 0x9000;
	untold->owner = OWNER + 16;
	record_short(told, BS_RING_BUFFER, (uint32_t)gettid());
	record_short(untold, BS_RING_BUFFER, (uint32_t)gettid());
	write_events(told, 11, 20);
	settle_often();
	assert_int_equal(told->owner, 0x9000);
	assert_int_equal(untold->owner, OWNER + 16);
	expect_counts(20, 20);
}

/* The same, but it ends after the look has read its buffer: what it wrote last is its own, too. */
static pthread_barrier_t barrier;
static volatile pid_t thread_tid;

static void *live_until_told(void *arg)
{
	(void)arg;
	thread_tid = gettid();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void thread_begin(pthread_t *thread)
{
	must(!pthread_barrier_init(&barrier, NULL, 2));
	must(!pthread_create(thread, NULL, live_until_told, NULL));
	pthread_barrier_wait(&barrier);
}

static void thread_end(pthread_t thread)
{
	char path[64];

	pthread_barrier_wait(&barrier);
	must(!pthread_join(thread, NULL));
	pthread_barrier_destroy(&barrier);
	/* It leaves /proc a little later than its thread's join. */
	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)thread_tid);
	while (!access(path, F_OK))
		usleep(100);
}

static void test_ended_after_the_look(void **state)
{
	struct bscope_buffer *b;
	uint64_t id = 1;

	(void)state;
	b = taken(0);
	add();
	/* Whichever of the looks it is after which threads are looked for. */
	for (unsigned looks = 0; looks < MANY_LOOKS / 2; looks++) {
		uint64_t first = id;
		pthread_t thread;
		uint32_t tid;

		thread_begin(&thread);
		tid = (uint32_t)thread_tid;
		taken(0);
		record_short(b, BS_RING_BUFFER, tid);
		for (unsigned i = 0; i <= looks; i++, id += 10) {
			write_events(b, id, id + 9);
			must(!look());
			if (i < looks)
				bs_buffers_settle(buffers);
		}
		write_events(b, id, id + 9);
		id += 10;
		thread_end(thread);
		bs_buffers_settle(buffers);
		must(!look());
		expect_ids(first, id - 1, tid);
	}
	expect_counts(id - 1, id - 1);
}

/* --- processes that go -------------------------------------------------------------------------
 */

static void test_gone(void **state)
{
	struct bscope_buffer *sent = taken(0), *unsent = taken(1), *looked = taken(2);
	struct bs_buffers_counts c;

	(void)state;
	taken(3);
	add();
	for (unsigned i = 0; i < 3; i++)
		record_short(&made->buffers[i], BS_RING_BUFFER, 100 + i);
	write_singles(sent, 1, 10);
	write_singles(unsent, 11, 20);
	write_singles(looked, 21, 30);
	must(!look());
	must(sink.n == 30);
	/* Nobody sees what comes now, but for the last batch of one and a look at all. */
	write_singles(looked, 31, 35);
	read_now();
	write_singles(unsent, 36, 40);
	write_singles(looked, 41, 45);
	write_singles(sent, 46, 50);
	record_batch(sent, 0, BS_BATCH_LAST);
	assert_int_equal(bs_buffers_gone(buffers, getpid()), 0);
	c = counts();
	assert_int_equal(c.received, 40);
	assert_int_equal(c.written, 40);
	/* For two threads nobody has said what they had at last: less than half a buffer each. */
	assert_int_equal(c.at_most, 2 * BATCH);
	assert_true(c.at_most >= 10);
	/* It is no more. */
	write_singles(sent, 51, 60);
	record_batch(sent, 0, 0);
	must(!look());
	assert_int_equal(counts().written, 40);
	/* The number comes round. */
	memset(made, 0, POOL_BYTES);
	write_singles(taken(0), 61, 70);
	add();
	write_singles(taken(0), 71, 80);
	must(!look());
	expect_counts(50, 50);
}

static void test_gone_all_sent(void **state)
{
	struct bscope_buffer *a = taken(0), *b = taken(1);

	(void)state;
	taken(2)->owner = 0; /* nobody's */
	add();
	write_singles(a, 1, 10);
	write_singles(b, 11, 20);
	record_batch(a, 0, BS_BATCH_LAST);
	record_batch(b, 0, BS_BATCH_LAST);
	bs_buffers_gone(buffers, getpid());
	expect_counts(20, 20);
	assert_int_equal(counts().at_most, 0);
}

/* The kernel's programs know with what counts threads ended, whatever fitted into the ring. */
static void test_gone_counts_known(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, TID);
	write_events(b, 1, 100);
	must(!look());
	write_events(b, 101, 700);
	end_of = b;
	end_next = b->next;
	end_extra = b->extra;
	end_ts = ++clock_ns;
	bs_buffers_gone(buffers, getpid());
	expect_counts(700, 100);
	assert_int_equal(counts().at_most, 0);
	assert_true(counts().skipped > 0);
}

/* What they know may be of a thread before: its own memory could not be read any more. */
static void test_gone_counts_old(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, TID);
	write_events(b, 1, 100);
	end_of = b;
	end_next = b->next;
	end_extra = b->extra;
	end_ts = ++clock_ns;
	record_batch(b, 0, BS_BATCH_LAST);
	bs_buffers_settle(buffers);
	record_short(b, BS_RING_BUFFER, TID + 1);
	write_events(b, 101, 200);
	must(!look());
	write_events(b, 201, 300);
	bs_buffers_gone(buffers, getpid());
	assert_int_equal(counts().written, 200);
	assert_true(counts().at_most >= 100);
}

/* A count of the kernel's that goes beyond all measure is the program's lie. */
static void test_gone_counts_odd(void **state)
{
	static const uint64_t odd[][2] = {
		{0, 0}, {UINT64_MAX, 0}, {FIRST + 20, UINT64_MAX}, {1ull << 60, 5}, {FIRST, 40}};

	(void)state;
	for (size_t i = 0; i < ARRAY(odd); i++) {
		struct bscope_buffer *b;

		memset(made, 0, POOL_BYTES);
		b = taken(0);
		add();
		write_singles(b, 1, 10);
		must(!look());
		end_of = b;
		end_next = odd[i][0];
		end_extra = odd[i][1];
		bs_buffers_gone(buffers, getpid());
		expect_counts(10 * (i + 1), 10 * (i + 1));
	}
}

/* The record that announced the thread was lost as well: it may have written all the same. */
static void test_gone_not_announced(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	write_singles(b, 1, 10);
	must(!look());
	write_singles(b, 11, 400);
	bs_buffers_gone(buffers, getpid());
	assert_int_equal(counts().written, 10);
	assert_true(counts().at_most >= 390);
}

/* In the middle of an event. */
static void test_gone_in_the_middle(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	write_singles(b, 1, 10);
	reserve(b, 1);
	record_batch(b, 0, BS_BATCH_LAST);
	bs_buffers_gone(buffers, getpid());
	expect_counts(11, 10);
	assert_int_equal(counts().abandoned, 1);
	assert_int_equal(counts().at_most, 0);
}

/* Memory that could not be read is no last batch. */
static void test_gone_unread(void **state)
{
	struct bscope_buffer *b = taken(0);
	struct bs_ring_event event = short_of(b, BS_RING_UNREAD, TID);

	(void)state;
	event.site = BS_BATCH_LAST;
	add();
	write_singles(b, 1, BATCH);
	record_batch(b, FIRST + BATCH, 0);
	must(!bs_buffers_record(buffers, &event, sizeof(event)));
	bs_buffers_gone(buffers, getpid());
	expect_counts(BATCH, BATCH);
	assert_int_equal(counts().at_most, BATCH);
}

/*
 * A process whose main thread has ended, the others have not: as much a process as any.
 */
static void *others_go_on(void *arg)
{
	int *fds = arg;
	char c;

	/* What the parent waits for: the main thread is gone. */
	for (char state = 0; state != 'Z';) {
		char path[64], line[512];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
		f = fopen(path, "r");
		if (!f)
			break;
		if (!fgets(line, sizeof(line), f))
			line[0] = '\0';
		fclose(f);
		state = strrchr(line, ')') ? strrchr(line, ')')[2] : 'Z';
	}
	must(write(fds[1], "", 1) == 1);
	must(read(fds[0], &c, 1) == 1);
	write_events(taken(0), 11, 20);
	must(write(fds[1], "", 1) == 1);
	must(read(fds[0], &c, 1) == 1);
	_exit(0);
}

static int sink_any_pid(void *ctx, uint32_t pid, uint32_t tid, const struct bscope_slot *slots,
			size_t n)
{
	(void)pid;
	return sink_take(ctx, (uint32_t)getpid(), tid, slots, n);
}

static void test_main_thread_ended(void **state)
{
	int to[2], from[2], fds[2];
	pthread_t thread;
	uint64_t hold = UINT64_MAX;
	size_t waiting;
	pid_t child;
	char c;

	(void)state;
	must(!pipe(to) && !pipe(from));
	taken(0);
	child = fork();
	must(child >= 0);
	if (!child) {
		fds[0] = to[0];
		fds[1] = from[1];
		write_events(taken(0), 1, 10);
		must(!pthread_create(&thread, NULL, others_go_on, fds));
		pthread_exit(NULL);
	}
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(&(struct bs_buffers_ops){.take = sink_any_pid, .ctx = &sink});
	must(read(from[0], &c, 1) == 1);
	/* All of this is undone before anything can fail: the child is not to stay behind. */
	{
		int ret = bs_buffers_add(buffers, child, (uintptr_t)made, NBUFFERS);
		uint64_t at;

		must(write(to[1], "", 1) == 1 && read(from[0], &c, 1) == 1);
		must(!bs_buffers_read(buffers, true, &at));
		must(!bs_buffers_take(buffers, false, REFERENCE + 1000, &hold, &waiting));
		bs_buffers_settle(buffers);
		must(write(to[1], "", 1) == 1);
		reap(child);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		assert_int_equal(ret, 0);
	}
	expect_ids(11, 20, 0);
}

/* --- hostile memory ----------------------------------------------------------------------------
 */

static int sink_anything(void *ctx, uint32_t pid, uint32_t tid, const struct bscope_slot *slots,
			 size_t n)
{
	uint64_t sum = 0;

	must(ctx == &sink && pid == (uint32_t)getpid());
	must(n > 0 && n <= SLOTS);
	/* All of it can be read (ASan). */
	for (size_t i = 0; i < n; i++) {
		sum += slots[i].head ^ slots[i].value;
		must(slots[i].head);
		sink.n += !(slots[i].head & BSCOPE_SLOT_EXTRA) &&
			  slots[i].head & BSCOPE_SLOT_INDEX_MASK;
	}
	(void)tid;
	return sum == 0x1234567 ? 1 : 0;
}

static uint64_t odd_number(uint64_t near)
{
	switch (rng() % 10) {
	case 0:
		return rng();
	case 1:
		return rng() % 10;
	case 2:
		return UINT64_MAX - rng() % 5000;
	case 3:
		return near - rng() % 5000;
	case 4:
		return 1ull << rng() % 64;
	case 5:
		return near + (1ull << rng() % 50);
	default:
		return near + rng() % 3000;
	}
}

static void scribble(void)
{
	for (unsigned i = 0; i < NBUFFERS; i++) {
		struct bscope_buffer *b = &made->buffers[i];

		if (rng() % 2 == 0)
			b->next = rng() % 32 ? b->next + rng() % 1500 : odd_number(b->next);
		if (rng() % 32 == 0)
			b->extra = odd_number(b->extra);
		if (rng() % 4 == 0)
			b->owner = odd_number(b->owner);
		if (rng() % 4 == 0)
			b->tid = odd_number(b->tid);
		for (uint64_t k = 0, n = rng() % 300; k < n; k++) {
			struct bscope_slot *s = &b->slots[rng() % SLOTS];

			s->value = rng();
			s->head = rng() % 8 ? (rng() & ~(uint64_t)BSCOPE_SLOT_LAP_MASK) |
						      BSCOPE_SLOT_LAP(b->next - rng() % 3000)
					    : rng() % 2;
		}
	}
	if (rng() % 2)
		made->used = (uint32_t)odd_number(NBUFFERS);
	if (rng() % 2)
		made->no_buffer = odd_number(made->no_buffer);
}

static void random_record(void)
{
	static struct bs_ring_batch batch;
	struct bscope_buffer *b = &made->buffers[rng() % (NBUFFERS + 1)];
	uint64_t at = (uintptr_t)b + (rng() % 8 ? 0 : odd_number(0));
	size_t size = rng() % 8 ? sizeof(batch) : rng() % sizeof(batch);
	struct bs_ring_batch *exact;

	batch.pid = (uint32_t)getpid() + (rng() % 8 == 0);
	batch.tid = (uint32_t)odd_number(TID);
	batch.type = rng() % 4 ? BS_RING_BATCH : (uint32_t)(rng() % 9);
	batch.flags = (uint32_t)rng() % 4;
	batch.buffer = at; /* lies where args[0] of the short ones does */
	batch.next = b < &made->buffers[NBUFFERS] ? odd_number(b->next) : rng();
	batch.end = odd_number(batch.next);
	batch.extra = odd_number(batch.extra);
	for (unsigned i = 0; i < 200; i++)
		batch.slots[rng() % BATCH] = (struct bscope_slot){
			(rng() & ~(uint64_t)BSCOPE_SLOT_LAP_MASK) | BSCOPE_SLOT_LAP(batch.end),
			rng()};
	/* Nothing lies behind it. */
	exact = malloc(size ? size : 1);
	must(exact);
	memcpy(exact, &batch, size);
	must(!bs_buffers_record(buffers, exact, size));
	free(exact);
}

static void test_hostile(void **state)
{
	(void)state;
	bs_buffers_free(buffers);
	buffers = bs_buffers_new(
		&(struct bs_buffers_ops){.take = sink_anything, .owner = sink_owner, .ctx = &sink});
	add();
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t hold = UINT64_MAX;
		struct bs_buffers_counts c;

		scribble();
		if (rng() % 2)
			random_record();
		read_now();
		scribble();
		for (uint64_t i = rng() % 4; i; i--)
			random_record();
		take(rng() % 16 == 0, &hold);
		if (rng() % 2)
			bs_buffers_settle(buffers);
		bs_buffers_counts(buffers, &c);
		/* Whatever is said, no more came than came; the other counts are the program's. */
		must(c.received == sink.n);
		if (rng() % 16 == 0) {
			if (rng() % 2)
				read_now();
			must(!bs_buffers_gone(buffers, getpid()));
			for (unsigned i = 0; i < NBUFFERS && rng() % 2; i++)
				made->buffers[i].next = made->buffers[i].extra = 0;
			add();
		}
	}
	assert_true(sink.n > 100000);
}

/* Numbers of buffers that nobody could have. */
static void test_hostile_pool(void **state)
{
	(void)state;
	made->used = UINT32_MAX;
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)made, NBUFFERS));
	must(!look());
	bs_buffers_gone(buffers, getpid());
	/* More than lie there: an error, and no trace of it. */
	assert_int_equal(bs_buffers_add(buffers, getpid(), (uintptr_t)made, UINT64_MAX), -EFAULT);
	made->used = 1;
	must(!bs_buffers_add(buffers, getpid(), (uintptr_t)made, UINT64_MAX));
	write_events(taken(0), 1, 10);
	must(!look());
	expect_ids(1, 10, 0);
	made->used = UINT32_MAX;
	write_events(taken(0), 11, 20);
	look();
	expect_counts(10, 10);
}

int main(void)
{
#define BUFFERS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
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
		BUFFERS_TEST(test_owner_asked),
		BUFFERS_TEST(test_announced),
		BUFFERS_TEST(test_baseline),
		BUFFERS_TEST(test_one_after_another),
		BUFFERS_TEST(test_one_right_after_another),
		BUFFERS_TEST(test_few_left),
		BUFFERS_TEST(test_ended_unseen),
		BUFFERS_TEST(test_ended_after_the_look),
		BUFFERS_TEST(test_gone),
		BUFFERS_TEST(test_gone_all_sent),
		BUFFERS_TEST(test_gone_counts_known),
		BUFFERS_TEST(test_gone_counts_old),
		BUFFERS_TEST(test_gone_counts_odd),
		BUFFERS_TEST(test_gone_not_announced),
		BUFFERS_TEST(test_gone_in_the_middle),
		BUFFERS_TEST(test_gone_unread),
		BUFFERS_TEST(test_main_thread_ended),
		BUFFERS_TEST(test_hostile),
		BUFFERS_TEST(test_hostile_pool),
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
