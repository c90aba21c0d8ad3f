/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_sampling.c - what runtimes are told to follow (tools/target/sampling.c): the test is the
 * process, with several runtimes in it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sample.h"
#include "bscope/control.h"
#include "bscope/follow.h"
#include "target/jump.h"
#include "target/sampling.h"

enum { RUNTIMES = 3 };

static struct bscope_control controls[RUNTIMES];
static struct bscope_follow tables[RUNTIMES];
static const struct bs_sample tenth = {BS_SAMPLE_OBJECTS, 10, 0},
			      bytes = {BS_SAMPLE_BYTES, 0, 4096}, none = {BS_SAMPLE_NOT, 1, 0};

/* As bs_jumps_find: what a control block says now. */
static struct bs_jump_pool pool(unsigned i)
{
	return (struct bs_jump_pool){.addr = controls[i].pool,
				     .buffers = controls[i].buffers,
				     .control = (uintptr_t)&controls[i],
				     .table = controls[i].table};
}

static uint64_t own_table(unsigned i)
{
	return (uintptr_t)&tables[i];
}

static int setup(void **state)
{
	(void)state;
	memset(controls, 0, sizeof(controls));
	memset(tables, 0, sizeof(tables));
	for (unsigned i = 0; i < RUNTIMES; i++) {
		controls[i].abi = BSCOPE_CONTROL_ABI;
		controls[i].size = sizeof(controls[i]);
		controls[i].started = 1;
		controls[i].pool = (i + 1) << 20;
		controls[i].buffers = 16;
		controls[i].table = own_table(i);
	}
	return 0;
}

static void begin(const struct bs_sample *s, bool anew, unsigned first, unsigned second)
{
	const struct bs_jump_pool pools[] = {pool(first), pool(second)};
	struct bs_error err = {0};

	assert_int_equal(bs_sampling_begin(getpid(), pools, first == second ? 1 : 2, s, false, 0,
					   anew, &err),
			 0);
}

static void all_share_one_table(void **state)
{
	uint32_t epoch;

	(void)state;
	begin(&tenth, true, 0, 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(controls[i].table, own_table(0));
		assert_int_equal(controls[i].follow, 1);
		assert_int_equal(controls[i].follow_flags, BSCOPE_FOLLOW_BLOCKS);
		assert_int_equal(controls[i].follow_block, 10);
		assert_int_equal(controls[i].follow_gap, bs_sample_gap(&tenth));
		assert_int_not_equal(controls[i].follow_epoch, 0);
	}
	assert_int_equal(controls[2].follow, 0);
	epoch = controls[0].follow_epoch;
	begin(&bytes, true, 0, 1);
	assert_int_equal(controls[1].follow_flags, BSCOPE_FOLLOW_BYTES);
	assert_int_equal(controls[1].follow_gap, bs_sample_gap(&bytes));
	assert_int_not_equal(controls[0].follow_epoch, epoch);
	begin(&none, true, 0, 1);
	assert_int_equal(controls[0].follow, 0);
	assert_int_equal(controls[1].follow, 0);
	/* Never 0. */
	controls[0].follow_epoch = UINT32_MAX;
	begin(&tenth, true, 0, 1);
	assert_int_equal(controls[0].follow_epoch, 1);
}

static void fill(unsigned i)
{
	tables[i].used = 1;
	tables[i].full = 7;
	memset(tables[i].filter, 3, sizeof(tables[i].filter));
	memset(tables[i].keys, 5, sizeof(tables[i].keys));
}

static void the_table_is_emptied_when_nothing_is_lit(void **state)
{
	static const struct bscope_follow empty;

	(void)state;
	begin(&tenth, true, 0, 1);
	fill(0);
	begin(&tenth, true, 0, 1);
	assert_memory_equal(&tables[0], &empty, sizeof(empty));
	/* And at no other time. */
	fill(0);
	begin(&tenth, false, 0, 1);
	assert_int_equal(tables[0].full, 7);
	assert_int_equal(tables[0].keys[4711][3], 0x0505050505050505ull);
	begin(&none, true, 0, 1);
	assert_int_equal(tables[0].full, 7);
}

/* Whoever comes later joins, wherever it stands among them. */
static void a_runtime_that_comes_later_joins(void **state)
{
	(void)state;
	begin(&tenth, true, 1, 1);
	fill(1);
	begin(&tenth, false, 0, 1);
	assert_int_equal(controls[0].table, own_table(1));
	assert_int_equal(controls[1].table, own_table(1));
	assert_int_equal(controls[0].follow, 1);
	begin(&tenth, false, 1, 2);
	assert_int_equal(controls[2].table, own_table(1));
	assert_int_equal(tables[1].full, 7);
	/* What the first of them did before its runtime had memory is no matter. */
	begin(&tenth, false, 2, 0);
	assert_int_equal(controls[0].table, own_table(1));
}

static void without_memory_there_is_none(void **state)
{
	struct bs_jump_pool one;
	struct bs_error err = {0};

	(void)state;
	controls[0].table = 0;
	one = pool(0);
	assert_int_equal(bs_sampling_begin(getpid(), &one, 1, &tenth, false, 0, true, &err),
			 -ENOTSUP);
	assert_non_null(strstr(err.text, "table"));
	assert_int_equal(controls[0].follow, 0);
	begin(&none, true, 0, 0);
	/* Of two, one is enough. */
	begin(&tenth, true, 0, 1);
	assert_int_equal(controls[0].table, own_table(1));
}

static void another_mean(void **state)
{
	const struct bs_sample hundredth = {BS_SAMPLE_OBJECTS, 100, 0};
	struct bs_jump_pool both[2];
	uint32_t epoch;

	(void)state;
	begin(&tenth, true, 0, 1);
	fill(0);
	epoch = controls[1].follow_epoch;
	both[0] = pool(0);
	both[1] = pool(1);
	assert_int_equal(bs_sampling_change(getpid(), both, 2, &hundredth), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(controls[i].follow_gap, bs_sample_gap(&hundredth));
		assert_int_equal(controls[i].follow_block, 100);
		assert_int_equal(controls[i].follow_epoch, epoch + 1);
		assert_int_equal(controls[i].follow, 1);
	}
	assert_int_equal(bs_sampling_full(getpid(), both, 2), 7);
}

/* What is mapped where a plugin's own runtime was is left alone. */
static void a_runtime_that_has_gone(void **state)
{
	const struct bs_sample hundredth = {BS_SAMPLE_OBJECTS, 100, 0};
	struct bs_jump_pool pools[3];
	struct bs_error err = {0};
	static uint8_t other[sizeof(controls[1])];

	(void)state;
	begin(&tenth, true, 0, 1);
	for (unsigned i = 0; i < 3; i++)
		pools[i] = pool(i);
	pools[2].control = 8; /* nothing is mapped there */
	memset(&controls[1], 0xaa, sizeof(controls[1]));
	memset(other, 0xaa, sizeof(other));
	assert_int_equal(bs_sampling_change(getpid(), pools, 3, &hundredth), 0);
	assert_int_equal(controls[0].follow_block, 100);
	assert_memory_equal(&controls[1], other, sizeof(other));
	/* To be lit it must be there: it is looked for anew. */
	assert_int_equal(bs_sampling_begin(getpid(), pools, 2, &hundredth, false, 0, true, &err),
			 -EFAULT);
	assert_memory_equal(&controls[1], other, sizeof(other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_share_one_table, setup),
		cmocka_unit_test_setup(the_table_is_emptied_when_nothing_is_lit, setup),
		cmocka_unit_test_setup(a_runtime_that_comes_later_joins, setup),
		cmocka_unit_test_setup(without_memory_there_is_none, setup),
		cmocka_unit_test_setup(another_mean, setup),
		cmocka_unit_test_setup(a_runtime_that_has_gone, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
