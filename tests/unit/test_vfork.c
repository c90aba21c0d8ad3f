/* SPDX-License-Identifier: GPL-2.0-only */
/* test_vfork.c - marks of vfork children: memory is their parent's, descriptors are their own. */
#include "verdict_check.h"

enum { FD = 7, CHILD = 500, GRANDCHILD = 501, OTHER = 600, T = 11 };

static void mark(uint32_t pid, uint32_t tid, uint32_t klass, unsigned kind, uint64_t id)
{
	const struct bs_event ev = {
		.ts_ns = now += 2 * US,
		.pid = pid,
		.tid = tid,
		.type = BS_EVENT_MARK,
		.kind = (uint8_t)kind,
		.klass_id = klass,
		.id = id,
		.place = kind,
	};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

static void life(unsigned type, uint32_t pid, uint32_t tid, uint64_t arg, uint64_t shares)
{
	const struct bs_event ev = {.ts_ns = now += 2 * US,
				    .pid = pid,
				    .tid = tid,
				    .type = (uint8_t)type,
				    .arg = arg,
				    .id = shares};

	assert_int_equal(bs_model_event(m, &ev), 0);
}

static void begin(void)
{
	model_new();
	assert_int_equal(bs_model_numbers(m, FD), 0);
}

static void totals(uint64_t created, uint64_t dropped, uint64_t live, uint64_t unknown)
{
	struct bs_model_totals t;

	bs_model_totals(m, &t);
	assert_int_equal(t.created, created);
	assert_int_equal(t.dropped, dropped);
	assert_int_equal(t.live, live);
	assert_int_equal(t.unknown, unknown);
}

static void end(size_t verdicts)
{
	struct bs_verdict_row *rows;
	size_t n;

	assert_int_equal(bs_model_end(m), 0);
	assert_int_equal(bs_model_verdicts(m, &rows, &n), 0);
	free(rows);
	assert_int_equal(n, verdicts);
	bs_model_free(m);
}

/* By traps: the child frees what is its parent's, and leaves what its parent frees. */
static void memory(void **state)
{
	(void)state;
	begin();
	mark(PID, T, CONN, BSCOPE_KIND_NEW, 0x1000);
	mark(PID, T, CONN, BSCOPE_KIND_NEW, 0x2000);
	mark(PID, T, CONN, BSCOPE_KIND_DROP, 0x1000);
	life(BS_EVENT_FORK, PID, T, CHILD, 1);
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_NEW, 0x1000);
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_DROP, 0x2000);
	life(BS_EVENT_EXEC, CHILD, CHILD, 0, 0);
	totals(3, 2, 1, 0);
	mark(PID, T, CONN, BSCOPE_KIND_DROP, 0x1000);
	totals(3, 3, 0, 0);
	/* From here on its memory is its own. */
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_NEW, 0x1000);
	mark(PID, T, CONN, BSCOPE_KIND_NEW, 0x1000);
	totals(5, 3, 2, 0);
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_DROP, 0x1000);
	life(BS_EVENT_EXIT, CHILD, CHILD, 0, 0);
	totals(5, 4, 1, 0);
	end(0);
}

/* That of a child of fork is its own from the beginning. */
static void fork_is_none(void **state)
{
	(void)state;
	begin();
	mark(PID, T, CONN, BSCOPE_KIND_NEW, 0x1000);
	life(BS_EVENT_FORK, PID, T, CHILD, 0);
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_DROP, 0x1000);
	totals(1, 0, 1, 1);
	mark(PID, T, CONN, BSCOPE_KIND_DROP, 0x1000);
	totals(1, 1, 0, 1);
	end(0);
}

/* Closed by the child, a descriptor is its parent's still. */
static void numbers(void **state)
{
	(void)state;
	begin();
	mark(PID, T, FD, BSCOPE_KIND_NEW, 5);
	life(BS_EVENT_FORK, PID, T, CHILD, 1);
	mark(CHILD, CHILD, FD, BSCOPE_KIND_DROP, 5);
	mark(CHILD, CHILD, FD, BSCOPE_KIND_NEW, 0);
	/* Another thread of its parent does not stand still. */
	mark(PID, T + 1, FD, BSCOPE_KIND_NEW, 6);
	totals(3, 0, 3, 1);
	life(BS_EVENT_EXEC, CHILD, CHILD, 0, 0);
	totals(3, 0, 2, 1);
	mark(PID, T, FD, BSCOPE_KIND_DROP, 5);
	mark(PID, T, FD, BSCOPE_KIND_DROP, 6);
	totals(3, 2, 0, 1);
	end(0);
}

/* A child of a child, in the memory of both; and others, who have nothing to do with them. */
static void grandchild(void **state)
{
	(void)state;
	begin();
	mark(PID, T, CONN, BSCOPE_KIND_NEW, 0x1000);
	mark(OTHER, OTHER, CONN, BSCOPE_KIND_NEW, 0x1000);
	life(BS_EVENT_FORK, PID, T, CHILD, 1);
	life(BS_EVENT_FORK, CHILD, CHILD, GRANDCHILD, 1);
	mark(GRANDCHILD, GRANDCHILD, CONN, BSCOPE_KIND_DROP, 0x1000);
	mark(GRANDCHILD, GRANDCHILD, CONN, BSCOPE_KIND_NEW, 0x2000);
	life(BS_EVENT_EXIT, GRANDCHILD, GRANDCHILD, 0, 0);
	totals(3, 1, 2, 0);
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_DROP, 0x2000);
	life(BS_EVENT_EXIT, CHILD, CHILD, 0, 0);
	totals(3, 2, 1, 0);
	end(0);
}

/* A process that has gone owns nothing that a child still says. */
static void parent_gone(void **state)
{
	(void)state;
	begin();
	mark(PID, T, CONN, BSCOPE_KIND_NEW, 0x1000);
	life(BS_EVENT_FORK, PID, T, CHILD, 1);
	life(BS_EVENT_EXIT, PID, T, 0, 0);
	mark(CHILD, CHILD, CONN, BSCOPE_KIND_NEW, 0x1000);
	life(BS_EVENT_EXIT, CHILD, CHILD, 0, 0);
	totals(2, 0, 0, 0);
	/* More than are kept. */
	for (uint32_t i = 0; i < 1000; i++)
		life(BS_EVENT_FORK, PID, T + i, 1000 + i, 1);
	end(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),      cmocka_unit_test(fork_is_none),
		cmocka_unit_test(numbers),     cmocka_unit_test(grandchild),
		cmocka_unit_test(parent_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
