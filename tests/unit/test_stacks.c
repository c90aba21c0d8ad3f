// SPDX-License-Identifier: GPL-2.0-only
/* test_stacks.c - the table of stacks: each once, callers, bounds; and stacks as codes of events.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bscope/abi.h"
#include "decode/decode.h"
#include "decode/stacks.h"
#include "model/model.h"

static struct bs_stacks *stacks;

static int setup(void **state)
{
	(void)state;
	stacks = bs_stacks_new();
	return stacks ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	bs_stacks_free(stacks);
	return 0;
}

static void test_each_once(void **state)
{
	uint32_t a[] = {5, 6, 7}, b[] = {5, 6, 8}, one, two;

	(void)state;
	one = bs_stacks_intern(stacks, 1, a, 3, 0);
	two = bs_stacks_intern(stacks, 1, b, 3, 0);
	assert_true(bs_is_stack(one) && bs_is_stack(two));
	assert_int_not_equal(one, two);
	assert_int_equal(bs_stacks_intern(stacks, 1, a, 3, 0), one);
	/* All that it is said to be makes it what it is. */
	assert_int_not_equal(bs_stacks_intern(stacks, 1, a, 2, 0), one);
	assert_int_not_equal(bs_stacks_intern(stacks, 2, a, 3, 0), one);
	assert_int_not_equal(bs_stacks_intern(stacks, 1, a, 3, BS_STACK_TRUNCATED), one);
	assert_int_equal(bs_stacks_count(stacks), 5);
	assert_memory_equal(bs_stacks_get(stacks, two)->codes, b, sizeof(b));
	assert_int_equal(bs_stacks_get(stacks, two)->n, 3);
	assert_null(bs_stacks_get(stacks, 7));
	assert_null(bs_stacks_get(stacks, BS_STACK_BIT | 6));
	assert_null(bs_stacks_get(stacks, BS_STACK_BIT));
}

static void test_what_is_none(void **state)
{
	uint32_t many[BS_STACK_FRAMES + 1] = {1};

	(void)state;
	assert_int_equal(bs_stacks_intern(stacks, 0, many, 0, 0), 0);
	assert_int_equal(bs_stacks_intern(stacks, 0, many, BS_STACK_FRAMES + 1, 0), 0);
	assert_int_not_equal(bs_stacks_intern(stacks, 0, many, BS_STACK_FRAMES, 0), 0);
}

static void test_names(void **state)
{
	uint32_t a = bs_stacks_name(stacks, "redis-server"), b = bs_stacks_name(stacks, "");

	(void)state;
	assert_int_not_equal(a, b);
	assert_int_equal(bs_stacks_name(stacks, "redis-server"), a);
	assert_string_equal(bs_stacks_name_get(stacks, a), "redis-server");
	assert_string_equal(bs_stacks_name_get(stacks, b), "");
	assert_string_equal(bs_stacks_name_get(stacks, 0), "?");
	assert_string_equal(bs_stacks_name_get(stacks, 99), "?");
}

static void test_callers(void **state)
{
	uint32_t codes[] = {10, 11, 12, 13}, number = bs_stacks_intern(stacks, 1, codes, 4, 0),
		 other;

	(void)state;
	/* A site that says none. */
	assert_int_equal(bs_stacks_event(stacks, number, 3, BSCOPE_KIND_NEW, 0), number);
	assert_int_equal(bs_stacks_caller(stacks, number), 0);
	/* One that does, and it is there. */
	assert_int_equal(bs_stacks_event(stacks, number, 3, BSCOPE_KIND_NEW, 12), number);
	assert_int_equal(bs_stacks_caller(stacks, number), 12);
	assert_int_equal(bs_stacks_get(stacks, number)->events, 2);
	assert_int_equal(bs_stacks_get(stacks, number)->place, 3);
	assert_int_equal(bs_stacks_get(stacks, number)->kind, BSCOPE_KIND_NEW);
	/* It is not: it comes behind the site, and what was said before stays true. */
	other = bs_stacks_event(stacks, number, 3, BSCOPE_KIND_NEW, 77);
	assert_int_not_equal(other, number);
	assert_int_equal(bs_stacks_caller(stacks, other), 77);
	assert_int_equal(bs_stacks_caller(stacks, number), 12);
	assert_int_equal(bs_stacks_get(stacks, other)->n, 5);
	assert_int_equal(bs_stacks_get(stacks, other)->codes[0], 10);
	assert_int_equal(bs_stacks_get(stacks, other)->codes[1], 77);
	assert_int_equal(bs_stacks_get(stacks, other)->codes[4], 13);
	assert_int_equal(bs_stacks_get(stacks, number)->events, 2);
	/* What is no stack is a caller itself. */
	assert_int_equal(bs_stacks_caller(stacks, 42), 42);
	assert_int_equal(bs_stacks_caller(stacks, 0), 0);
}

static void test_bound(void **state)
{
	uint32_t codes[2] = {1, 0}, number = 0;

	(void)state;
	for (codes[1] = 1; codes[1] <= BS_STACKS_MAX; codes[1]++)
		number = bs_stacks_intern(stacks, 0, codes, 2, 0);
	assert_int_not_equal(number, 0);
	assert_int_equal(bs_stacks_beyond(stacks), 0);
	assert_int_equal(bs_stacks_intern(stacks, 0, codes, 2, 0), 0);
	assert_int_equal(bs_stacks_beyond(stacks), 1);
	/* Those that are there are found still; a caller that does not fit is kept alone. */
	codes[1] = 1;
	assert_int_not_equal(bs_stacks_intern(stacks, 0, codes, 2, 0), 0);
	assert_int_equal(bs_stacks_event(stacks, number, 1, BSCOPE_KIND_NEW, 123456789), 123456789);
	assert_int_equal(bs_stacks_count(stacks), BS_STACKS_MAX);
}

/* --- stacks in the model: rows by caller are the same as if there were none --------------------
 */

static uint32_t caller(void *ctx, uint32_t code)
{
	return bs_stacks_caller(ctx, code);
}

#define START 1000000000ull

static uint64_t rng_state = 88172645463325252ull;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

static void test_rows_by_caller(void **state)
{
	struct bs_model *with, *without;
	struct bs_site_row *sites[2];
	struct bs_growth_row *growth[2];
	struct bs_exit_row *exits[2];
	struct bs_stack_row *rows;
	uint32_t numbers[64], callers[64];
	uint64_t created = 0, live = 0, bytes = 0, exited = 0, ids[4000];
	double lived = 0;
	size_t n[2], nrows;
	uint32_t by_stack[64] = {0};

	(void)state;
	with = bs_model_new(
		&(struct bs_model_opts){.start_ns = START, .caller = caller, .caller_ctx = stacks});
	without = bs_model_new(&(struct bs_model_opts){.start_ns = START});
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t codes[3] = {1, 100 + i % 7, 1000 + i};

		callers[i] = codes[1];
		numbers[i] = bs_stacks_intern(stacks, 1, codes, 3, 0);
	}
	for (uint64_t i = 0; i < 4000; i++) {
		uint32_t at = (uint32_t)(rng() % 64);
		struct bs_event ev = {
			.ts_ns = START + i * 1000000,
			.id = 0x1000 + 16 * i,
			.arg = 1 + rng() % 500,
			.pid = 7,
			.tid = 7,
			.place = 3,
			.klass_id = 1,
			.type = BS_EVENT_MARK,
			.kind = BSCOPE_KIND_NEW,
			.has = BS_EVENT_HAS_BYTES | BS_EVENT_HAS_CALLER,
		};

		ids[i] = ev.id;
		by_stack[at]++;
		ev.code = bs_stacks_event(stacks, numbers[at], 3, BSCOPE_KIND_NEW, callers[at]);
		assert_int_equal(ev.code, numbers[at]);
		assert_int_equal(bs_model_event(with, &ev), 0);
		ev.code = callers[at];
		assert_int_equal(bs_model_event(without, &ev), 0);
		if (i < 100 || rng() % 4)
			continue;
		ev.kind = BSCOPE_KIND_DROP;
		ev.id = ids[rng() % i];
		ev.has = 0;
		ev.code = 0;
		assert_int_equal(bs_model_event(with, &ev), 0);
		assert_int_equal(bs_model_event(without, &ev), 0);
	}
	assert_int_equal(bs_model_tick(with, START + 4000000000ull), 0);
	assert_int_equal(bs_model_tick(without, START + 4000000000ull), 0);

	assert_int_equal(bs_model_sites(with, 0, &sites[0], &n[0]), 0);
	assert_int_equal(bs_model_sites(without, 0, &sites[1], &n[1]), 0);
	assert_int_equal(n[0], 7);
	assert_int_equal(n[1], 7);
	assert_memory_equal(sites[0], sites[1], 7 * sizeof(*sites[0]));
	assert_int_equal(bs_model_growth(with, &growth[0], &n[0]), 0);
	assert_int_equal(bs_model_growth(without, &growth[1], &n[1]), 0);
	assert_int_equal(n[0], 7);
	assert_int_equal(n[1], 7);
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(growth[0][i].code, growth[1][i].code);
		assert_int_equal(growth[0][i].live_bytes, growth[1][i].live_bytes);
		assert_int_equal(growth[0][i].oldest_ns, growth[1][i].oldest_ns);
		/* Means are kept as floats. */
		assert_true(growth[1][i].bytes_per_s > 0);
		assert_true(growth[0][i].bytes_per_s > growth[1][i].bytes_per_s * 0.9999 &&
			    growth[0][i].bytes_per_s < growth[1][i].bytes_per_s * 1.0001);
	}

	assert_int_equal(bs_model_stacks(with, &rows, &nrows), 0);
	assert_int_equal(nrows, 64);
	for (size_t i = 0; i < nrows; i++) {
		assert_true(bs_is_stack(rows[i].code));
		assert_int_equal(rows[i].created, by_stack[(rows[i].code & ~BS_STACK_BIT) - 1]);
		created += rows[i].created;
		live += rows[i].live;
		bytes += rows[i].live_bytes;
		lived += rows[i].lifetime_ns;
	}
	assert_int_equal(created, 4000);
	for (size_t i = 0; i < 7; i++) {
		live -= sites[1][i].live;
		bytes -= sites[1][i].live_bytes;
	}
	assert_int_equal(live, 0);
	assert_int_equal(bytes, 0);
	assert_true(lived > 0);
	free(rows);

	for (int i = 0; i < 2; i++) {
		struct bs_event ev = {
			.ts_ns = START + 4000000001ull, .pid = 7, .tid = 7, .type = BS_EVENT_EXIT};

		assert_int_equal(bs_model_event(i ? without : with, &ev), 0);
		assert_int_equal(bs_model_at_exit(i ? without : with, &exits[i], &n[i]), 0);
	}
	assert_int_equal(n[0], 7);
	assert_int_equal(n[1], 7);
	for (size_t i = 0; i < 7; i++)
		assert_memory_equal(&exits[0][i], &exits[1][i], sizeof(exits[0][i]));
	assert_int_equal(bs_model_stacks(with, &rows, &nrows), 0);
	for (size_t i = 0; i < nrows; i++) {
		assert_int_equal(rows[i].live, 0);
		exited += rows[i].exited;
	}
	for (size_t i = 0; i < 7; i++)
		exited -= exits[1][i].count;
	assert_int_equal(exited, 0);
	free(rows);
	for (int i = 0; i < 2; i++) {
		free(sites[i]);
		free(growth[i]);
		free(exits[i]);
	}
	bs_model_free(with);
	bs_model_free(without);
}

int main(void)
{
#define STACKS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		STACKS_TEST(test_each_once), STACKS_TEST(test_what_is_none),
		STACKS_TEST(test_names),     STACKS_TEST(test_callers),
		STACKS_TEST(test_bound),     STACKS_TEST(test_rows_by_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
