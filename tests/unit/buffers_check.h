/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * buffers_check.h - for tests of tools/collect/buffers*.c: buffers that the test writes by hand, in
 * its own memory, so that it can stop in the middle of everything; records of the ring as the BPF
 * programs would make them; and what comes out, checked.
 */
#ifndef BUFFERS_CHECK_H
#define BUFFERS_CHECK_H

#include "record_check.h"

#include "bpf/event.h"
#include "collect/buffers.h"
#include "decode/tsc.h"

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

static int sink_take(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		     const struct bscope_slot *slots, size_t n)
{
	(void)buffer;
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

static uint64_t lost_are;

static uint64_t sink_lost(void *ctx)
{
	must(ctx == &sink);
	return lost_are;
}

static const struct bs_buffers_ops sink_ops = {
	.take = sink_take, .owner = sink_owner, .end = sink_end, .lost = sink_lost, .ctx = &sink};

static int setup(void **state)
{
	(void)state;
	memset(&sink, 0, sizeof(sink));
	sink_seen = 0;
	owner_is = 0;
	owner_asked = 0;
	end_of = NULL;
	lost_are = 0;
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

/*
 * A look that cannot read everything: whatever else is on its way, what is not known may be as old
 * as the last look that could, which was between `from` and `to`.
 */
static void look_in_vain(uint64_t from, uint64_t to)
{
	uint64_t hold = UINT64_MAX;

	read_now();
	take(false, &hold);
	must(hold >= from && hold <= to);
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

#define BUFFERS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
