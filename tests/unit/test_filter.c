// SPDX-License-Identifier: GPL-2.0-only
/* test_filter.c - the language of -f, and the spelling of kinds. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "target/filter.h"
#include "target/module.h"
#include "target/sites.h"

static const struct bs_site site = {
	.klass = "net::buf",
	.name = "c->out",
	.file = "/home/x/src/net/conn.c",
	.kind = BSCOPE_KIND_BORROW_MUT,
};

static bool matches(const char *a, const char *b)
{
	struct bs_filter *f = NULL;
	struct bs_error err;
	bool yes;

	assert_int_equal(bs_filter_add(&f, a, &err), 0);
	if (b)
		assert_int_equal(bs_filter_add(&f, b, &err), 0);
	yes = bs_filter_match(f, &site);
	bs_filter_free(f);
	return yes;
}

static void kinds(void **state)
{
	static const char *const spelled[] = {
		"new",	  "drop",	  "resize_begin", "resize_end", "move",
		"borrow", "borrow_mut",	  "unborrow",	  "retain",	"release",
		"use",	  "region_enter", "region_exit",
	};

	(void)state;
	/* The stored values of abi.h, 1 to 13. */
	for (unsigned i = 0; i < 13; i++) {
		assert_string_equal(bs_kind_name(i + 1), spelled[i]);
		assert_int_equal(bs_kind_find(spelled[i]), i + 1);
	}
	assert_null(bs_kind_name(0));
	assert_null(bs_kind_name(14));
	assert_null(bs_kind_name(1000));
	assert_int_equal(bs_kind_find(""), 0);
	assert_int_equal(bs_kind_find("New"), 0);
	assert_int_equal(bs_kind_find("new "), 0);
}

static void match(void **state)
{
	(void)state;
	assert_true(bs_filter_match(NULL, &site));
	assert_true(matches("kind=borrow_mut", NULL));
	assert_false(matches("kind=borrow", NULL));
	assert_true(matches("kind=new,borrow_mut,drop", NULL));
	assert_true(matches("class=net::buf", NULL));
	assert_true(matches("class=net::*", NULL));
	assert_true(matches("class=conn,*buf", NULL));
	assert_false(matches("class=buf", NULL));
	assert_false(matches("class=NET::*", NULL));
	assert_true(matches("name=c->*", NULL));
	assert_true(matches("name=?->out", NULL));
	assert_false(matches("name=out", NULL));
	assert_true(matches("name=c->[a-z]*", NULL));
}

static void files(void **state)
{
	(void)state;
	assert_true(matches("file=/home/x/src/net/conn.c", NULL));
	assert_true(matches("file=conn.c", NULL));
	assert_true(matches("file=net/conn.c", NULL));
	assert_true(matches("file=net/*.c", NULL));
	assert_true(matches("file=src/*", NULL));
	assert_true(matches("file=*/net/*", NULL));
	assert_true(matches("file=home/*", NULL));
	/* A tail begins behind a slash. */
	assert_false(matches("file=onn.c", NULL));
	assert_false(matches("file=et/conn.c", NULL));
	assert_false(matches("file=conn", NULL));
	assert_false(matches("file=net", NULL));
}

static void narrow(void **state)
{
	(void)state;
	assert_true(matches("kind=borrow_mut", "class=net*"));
	assert_false(matches("kind=borrow_mut", "class=conn"));
	assert_false(matches("kind=new", "class=net*"));
	/* The same key twice is and, too. */
	assert_true(matches("class=net*", "class=*buf"));
	assert_false(matches("kind=borrow_mut", "kind=new"));
}

static void garbage(void **state)
{
	static const char *const bad[] = {
		"",	      "kind",	   "=",		"=new",	     "color=red",
		"kind=",      "kind=new,", "kind=,new", "kind=bad",  "class=",
		"class=a,,b", "Kind=new",  "kin=new",	"kinds=new", " kind=new",
	};
	struct bs_filter *f = NULL;
	struct bs_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(bs_filter_add(&f, bad[i], &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_null(f);
	}
	bs_filter_add(&f, "color=red", &err);
	assert_non_null(strstr(err.text, "color=red"));
	assert_non_null(strstr(err.text, "kind=KIND, class=GLOB, file=GLOB or name=GLOB"));
	bs_filter_add(&f, "kind=drops", &err);
	assert_non_null(strstr(err.text, "'drops'"));
	assert_non_null(strstr(err.text, "region_exit"));

	/* A bad one leaves what was there as it was. */
	assert_int_equal(bs_filter_add(&f, "class=net*", &err), 0);
	assert_int_equal(bs_filter_add(&f, "kind=nothing", NULL), -EINVAL);
	assert_true(bs_filter_match(f, &site));
	bs_filter_free(f);
	bs_filter_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),  cmocka_unit_test(match),   cmocka_unit_test(files),
		cmocka_unit_test(narrow), cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
