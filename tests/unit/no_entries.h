/* SPDX-License-Identifier: GPL-2.0-only */
/* no_entries.h - all that a test of the runtime's entries can do where no stub calls them. */
#ifndef NO_ENTRIES_H
#define NO_ENTRIES_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

static void test_flush(void **state)
{
	(void)state;
	bscope_flush();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_flush)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
