// SPDX-License-Identifier: GPL-2.0-only
/* test_num.c - numbers that people type. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/num.h"

static void u64(void **state)
{
	uint64_t v = 77;

	(void)state;
	assert_int_equal(bs_num_u64("0", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(bs_num_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(bs_num_u64("007", 1, 7, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(bs_num_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(bs_num_u64("99999999999999999999999", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(bs_num_u64("99999999999999999999999x", 0, UINT64_MAX, &v), -EINVAL);
	assert_int_equal(bs_num_u64("4", 5, 9, &v), -ERANGE);
	assert_int_equal(bs_num_u64("10", 5, 9, &v), -ERANGE);
	assert_int_equal(v, 7);
}

static void u64_garbage(void **state)
{
	static const char *const bad[] = {"", " ", "-1", "+1", " 1", "1 ", "0x10", "1.0", "a"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bs_num_u64(bad[i], 0, UINT64_MAX, &v), -EINVAL);
}

static void seconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"30", 30000000000},	      {"0.5", 500000000},
		{".25", 250000000},	      {"1.000000001", 1000000001},
		{"2.0000000019", 2000000001}, {"315532800", 315532800000000000},
	};
	static const char *const bad[] = {"", ".", "1.", "-1", "1s", "1e3", "1.5.5", "nan", "inf"};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(bs_num_seconds(good[i].text, 0, &v), 0);
		assert_true(v == good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(bs_num_seconds(bad[i], 1, &v), -EINVAL);
	assert_int_equal(bs_num_seconds("0", 0, &v), -ERANGE);
	assert_int_equal(bs_num_seconds("0.0000000001", 0, &v), -ERANGE);
	assert_int_equal(bs_num_seconds("0", 1, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(bs_num_seconds("315532800.1", 0, &v), -ERANGE);
	assert_int_equal(bs_num_seconds("18446744073709551616", 0, &v), -ERANGE);
	assert_int_equal(bs_num_seconds("18446744074", 0, &v), -ERANGE);
}

static void bytes(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(bs_num_bytes("512", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 512);
	assert_int_equal(bs_num_bytes("64K", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(bs_num_bytes("3m", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 3145728);
	assert_int_equal(bs_num_bytes("2G", 0, UINT64_MAX, &v), 0);
	assert_true(v == 2147483648);
	assert_int_equal(bs_num_bytes("17179869184G", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(bs_num_bytes("17179869183G", 0, UINT64_MAX, &v), 0);
	assert_true(v == 0xffffffffc0000000);
	assert_int_equal(bs_num_bytes("4K", 8192, 65536, &v), -ERANGE);
	assert_int_equal(bs_num_bytes("1M", 8192, 65536, &v), -ERANGE);
	assert_int_equal(bs_num_bytes("K", 0, 9, &v), -EINVAL);
	assert_int_equal(bs_num_bytes("1KB", 0, 9, &v), -EINVAL);
	assert_int_equal(bs_num_bytes("1T", 0, 9, &v), -EINVAL);
	assert_int_equal(bs_num_bytes("1.5K", 0, 9, &v), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64),
		cmocka_unit_test(u64_garbage),
		cmocka_unit_test(seconds),
		cmocka_unit_test(bytes),
	};

	return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
