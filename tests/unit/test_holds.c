/* SPDX-License-Identifier: GPL-2.0-only */
/* test_holds.c - the borrows of one object, few and many: found, counted, and named by age. */
#include "verdict_marks.h"

#include "model/ties.h"

#define MANY 1000u

/* What there should be: since when (0: not there), and whether it is exclusive. */
static uint64_t since[MANY];
static bool exclusive[MANY], doubtful[MANY];

static uint64_t seed = 88172645463325252ull;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

static void check(const struct bs_tie *tie)
{
	const struct bs_hold *held = bs_tie_held(tie);
	uint64_t oldest = UINT64_MAX, by = 0;
	uint32_t n = 0, nexclusive = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		const struct bs_hold *hold = bs_hold_find(tie, 1 + i);

		assert_int_equal(!hold, !since[i]);
		if (!hold)
			continue;
		assert_int_equal(hold->by, 1 + i);
		assert_int_equal(hold->since.ts_ns, since[i] / 16);
		assert_int_equal(hold->exclusive != 0, exclusive[i]);
		n++;
		nexclusive += exclusive[i];
		if (!doubtful[i] && since[i] < oldest) {
			oldest = since[i];
			by = 1 + i;
		}
	}
	assert_int_equal(tie->nholds, n);
	assert_int_equal(tie->nexclusive, nexclusive);
	assert_int_equal(held ? held->by : 0, by);
}

static void change(struct bs_tie *tie, uint32_t i, uint64_t ts)
{
	const struct bs_event ev = {.ts_ns = ts, .tid = 1};
	struct bs_hold *hold = bs_hold_find(tie, 1 + i);

	if (hold) {
		bs_hold_remove(tie, hold);
		since[i] = 0;
		return;
	}
	hold = bs_hold_add(tie, 1 + i);
	assert_non_null(hold);
	/* Coarse stamps are the same for a while. */
	hold->since.ts_ns = ts / 16;
	since[i] = ts;
	hold->doubt = doubtful[i] = !rnd(4);
	hold->levels = 1;
	exclusive[i] = !rnd(3);
	if (exclusive[i])
		bs_hold_exclude(tie, hold, &ev);
}

/* Up and down between none and that many. */
static void test_as_an_array(void **state)
{
	struct bs_tie tie = {0};
	uint32_t most = 0;
	uint64_t ts = 1;

	(void)state;
	for (uint32_t among = 2; among <= MANY; among = among * 3 / 2 + 1)
		for (uint32_t i = 0; i < 2 * among; i++) {
			change(&tie, rnd(among), ts++);
			most = tie.nholds > most ? tie.nholds : most;
			if (i % 16 == 0)
				check(&tie);
		}
	assert_true(most > MANY / 3);
	while (tie.nholds) {
		change(&tie, (uint32_t)tie.holds[rnd(tie.nholds)].by - 1, ts++);
		if (tie.nholds % 8 == 0)
			check(&tie);
	}
	check(&tie);
	assert_null(tie.index);
	bs_holds_fini(&tie);
}

/* Of many readers all but two have ended: a drop names the older of them. */
static void test_many_readers(void **state)
{
	uint32_t at[MANY + 1], drop;
	uint64_t ts = 100000;

	(void)state;
	mark_at(ts += 10000, BSCOPE_KIND_NEW, 1, BUF, 0x70000, 8);
	for (uint32_t i = 1; i <= MANY; i++)
		at[i] = mark_at(ts += 10000, BSCOPE_KIND_BORROW, 1, BUF, 0x70000, i);
	for (uint32_t i = 1; i <= MANY; i++)
		if (i != 300 && i != 700)
			mark_at(ts += 10000, BSCOPE_KIND_UNBORROW, 1, BUF, 0x70000, i);
	drop = mark_at(ts += 10000, BSCOPE_KIND_DROP, 1, BUF, 0x70000, 0);
	mark_at(ts + 1000000, BSCOPE_KIND_NEW, 1, BUF, 0x80000, 8);
	EXPECT({BS_VERDICT_DROP_WHILE_BORROWED, drop, at[300]});
}

/* Who writes while many read is in the way of the oldest; and a reader then of who writes. */
static void test_a_writer_among_many(void **state)
{
	uint32_t first = 0, writer, reader;
	uint64_t ts = 100000;

	(void)state;
	mark_at(ts += 10000, BSCOPE_KIND_NEW, 1, BUF, 0x70000, 8);
	for (uint32_t i = 1; i <= MANY; i++) {
		uint32_t at = mark_at(ts += 10000, BSCOPE_KIND_BORROW, 1, BUF, 0x70000, i);

		first = first ? first : at;
	}
	writer = mark_at(ts += 10000, BSCOPE_KIND_BORROW_MUT, 1, BUF, 0x70000, MANY + 1);
	reader = mark_at(ts += 10000, BSCOPE_KIND_BORROW, 1, BUF, 0x70000, MANY + 2);
	mark_at(ts + 1000000, BSCOPE_KIND_NEW, 1, BUF, 0x80000, 8);
	EXPECT({BS_VERDICT_CONFLICTING_BORROW, writer, first},
	       {BS_VERDICT_CONFLICTING_BORROW, reader, writer});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_an_array),
		cmocka_unit_test_setup_teardown(test_many_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_writer_among_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
