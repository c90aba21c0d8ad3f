// SPDX-License-Identifier: GPL-2.0-only
/* test_fail_on.c - the names that --fail-on takes, and what of a report they mean. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bscope-trace/fail_on.h"

#include "render_sample.h"

static unsigned set_of(const char *list)
{
	struct bs_error err = {0};
	unsigned set = 0;

	if (bs_fail_on_add(&set, list, &err))
		fail_msg("%s: %s", list, err.text);
	return set;
}

/* Every verdict has a name, all differ, and each is taken back. */
static void names(void **state)
{
	unsigned all = 0;

	(void)state;
	assert_null(bs_verdict_name(0));
	assert_null(bs_verdict_name(BS_VERDICT_END));
	for (unsigned v = 1; v < BS_VERDICT_END; v++) {
		assert_non_null(bs_verdict_name(v));
		assert_int_equal(set_of(bs_verdict_name(v)), 1u << v);
		all |= 1u << v;
	}
	assert_int_equal(set_of("any"), all);
	assert_int_equal(set_of("live-at-exit"), BS_FAIL_ON_LIVE_AT_EXIT);
	assert_int_equal(set_of("any,live-at-exit"), all | BS_FAIL_ON_LIVE_AT_EXIT);
	assert_int_equal(set_of("lock-cycle"), BS_FAIL_ON_LOCK_CYCLE);
	assert_int_equal(all & BS_FAIL_ON_LOCK_CYCLE, 0);
	assert_int_equal(set_of("leak,leak,double-drop"),
			 1u << BS_VERDICT_LEAK | 1u << BS_VERDICT_DOUBLE_DROP);
}

static void wrong_names(void **state)
{
	static const char *const wrong[] = {"",		"a",	 "leaks",     "LEAK",
					    "leak,",	",leak", "leak,,any", "double_drop",
					    "any leak", "lea",	 "none",      " leak"};
	char *long_name = calloc(1, 100001);

	(void)state;
	for (size_t i = 0; i <= N(wrong); i++) {
		const char *list = i < N(wrong) ? wrong[i] : memset(long_name, 'x', 100000);
		struct bs_error err = {0};
		unsigned set = 1u << BS_VERDICT_LEAK;

		if (bs_fail_on_add(&set, list, &err) != -EINVAL)
			fail_msg("\"%s\" was taken", list);
		assert_int_equal(set, 1u << BS_VERDICT_LEAK);
		/* The message names every name. */
		for (unsigned v = 1; v < BS_VERDICT_END; v++)
			assert_non_null(strstr(err.text, bs_verdict_name(v)));
		assert_non_null(strstr(err.text, "live-at-exit or any"));
	}
	free(long_name);
}

static void found(void **state)
{
	static const struct bs_report_exit left[] = {{.count = 5}, {.count = 2}};
	struct bs_report r = sample_wrong;
	char text[512], small[16];

	(void)state;
	assert_int_equal(bs_fail_on_found(set_of("double-drop"), &r, text, sizeof(text)), 3);
	assert_string_equal(text, "3 double-drop");
	/* Rows of one verdict are one number; the order is that of the manual. */
	assert_int_equal(bs_fail_on_found(set_of("leak,unbalanced-count"), &r, text, sizeof(text)),
			 909);
	assert_string_equal(text, "8 unbalanced-count, 901 leak");
	bs_fail_on_found(set_of("any,live-at-exit"), &r, text, sizeof(text));
	assert_string_equal(text, "3 double-drop, 1 use-after-drop, 12345 use-after-move, "
				  "1 drop-while-borrowed, 2 conflicting-borrow, "
				  "8 unbalanced-count, 1 borrow-outlives-owner, 901 leak");
	assert_true(bs_fail_on_found(set_of("any"), &r, small, sizeof(small)) > 0);
	assert_string_equal(small, "3 double-drop, ");

	assert_int_equal(bs_fail_on_found(set_of("live-at-exit"), &r, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	r.nverdicts = 1;
	r.at_exit = left;
	r.nat_exit = N(left);
	assert_int_equal(bs_fail_on_found(set_of("leak"), &r, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	bs_fail_on_found(set_of("any,live-at-exit"), &r, text, sizeof(text));
	assert_string_equal(text, "3 double-drop, 7 live-at-exit");
	/* What is no error by itself is not any. */
	bs_fail_on_found(set_of("any"), &r, text, sizeof(text));
	assert_string_equal(text, "3 double-drop");
	assert_int_equal(bs_fail_on_found(0, &r, text, sizeof(text)), 0);
	/* What could not be decided is no finding. */
	r.nverdicts = 0;
	assert_true(r.undecided > 0);
	assert_int_equal(bs_fail_on_found(set_of("any"), &r, text, sizeof(text)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(wrong_names),
		cmocka_unit_test(found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
