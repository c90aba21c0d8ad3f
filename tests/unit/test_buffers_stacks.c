// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_buffers_stacks.c - stacks that are told before their slots are committed come with these
 * slots, and with no others.
 */
#include "buffers_check.h"

/* What came with the slots, in order: events' ids and stacks. */
static struct {
	uint64_t id[20000];
	uint32_t stack[20000];
	size_t n;
} came;

static int came_take(void *ctx, uint32_t pid, uint32_t tid, uint32_t buffer,
		     const struct bscope_slot *slots, size_t n)
{
	const uint32_t *stacks = bs_buffers_stacks(buffers);

	(void)ctx;
	(void)pid;
	(void)tid;
	(void)buffer;
	for (size_t i = 0; i < n; i++) {
		if (slots[i].head & BSCOPE_SLOT_EXTRA) {
			must(!stacks || !stacks[i]);
			continue;
		}
		must(came.n < 20000);
		came.id[came.n] = slots[i].value;
		came.stack[came.n++] = stacks ? stacks[i] : 0;
	}
	return 0;
}

static int stacks_setup(void **state)
{
	int ret = setup(state);

	bs_buffers_free(buffers);
	came.n = 0;
	buffers = bs_buffers_new(&(struct bs_buffers_ops){.take = came_take});
	return ret;
}

static void told(const struct bscope_buffer *b, uint64_t slot, uint32_t stack)
{
	must(!bs_buffers_stack(buffers, (uint32_t)getpid(), (uintptr_t)b, slot, stack));
}

/* Writes so many events; every third one has a stack, which is told before. */
static uint64_t write_stacked(struct bscope_buffer *b, uint64_t first, uint64_t n)
{
	for (uint64_t id = first; id < first + n; id++) {
		if (id % 3 == 0)
			told(b, b->next, (uint32_t)id + 7);
		write_event(b, event_of(id, 1));
	}
	return first + n;
}

static void expect_all(uint64_t first, uint64_t n)
{
	must(came.n == n);
	for (uint64_t i = 0; i < n; i++) {
		must(came.id[i] == first + i);
		must(came.stack[i] == ((first + i) % 3 ? 0 : (uint32_t)(first + i) + 7));
	}
}

static void test_from_memory(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 42);
	write_stacked(b, 1, 100);
	look();
	expect_all(1, 100);
}

/* More than a lap of the buffer, by batches and by looks. */
static void test_by_the_ring(void **state)
{
	struct bscope_buffer *b = taken(1);
	uint64_t next = 1;

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 42);
	for (int i = 0; i < 5; i++) {
		next = write_stacked(b, next, BATCH);
		record_batch(b, b->next, 0);
	}
	next = write_stacked(b, next, 77);
	look();
	expect_all(1, next - 1);
}

/* The slots of one lap are never taken for those of another one. */
static void test_lost_slots(void **state)
{
	struct bscope_buffer *b = taken(0);
	uint64_t next = 1;

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 42);
	/* A batch that does not come, and a lap later one without any stack. */
	next = write_stacked(b, next, BATCH);
	next = write_stacked(b, next, BATCH);
	for (uint64_t i = 0; i < BATCH; i++)
		write_event(b, event_of(next++, 1));
	record_batch(b, b->next, 0);
	must(came.n > 0);
	for (size_t i = 0; i < came.n; i++)
		if (came.id[i] > 2 * BATCH)
			must(!came.stack[i]);
}

static void test_lies(void **state)
{
	struct bscope_buffer *b = taken(0);

	(void)state;
	add();
	record_short(b, BS_RING_BUFFER, 42);
	/* No such process, no such buffer, no such slot. */
	must(!bs_buffers_stack(buffers, 1, (uintptr_t)b, b->next, 5));
	must(!bs_buffers_stack(buffers, (uint32_t)getpid(), (uintptr_t)b + 8, b->next, 5));
	told(b, 0, 5);
	told(b, UINT64_MAX, 5);
	told(b, b->next + 1000, 5);
	write_event(b, event_of(1, 1));
	look();
	must(came.n == 1 && came.stack[0] == 0);
}

int main(void)
{
#define STACKS_TEST(name) cmocka_unit_test_setup_teardown(name, stacks_setup, teardown)
	const struct CMUnitTest tests[] = {
		STACKS_TEST(test_from_memory),
		STACKS_TEST(test_by_the_ring),
		STACKS_TEST(test_lost_slots),
		STACKS_TEST(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
