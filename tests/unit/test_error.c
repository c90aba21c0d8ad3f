// SPDX-License-Identifier: GPL-2.0-only
/* test_error.c - error sentences, and names made safe for a terminal. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

static void clean_one(const char *src, const char *want)
{
	char buf[256];

	memset(buf, 'Z', sizeof(buf));
	bs_text_clean(buf, sizeof(buf), src);
	assert_string_equal(buf, want);
}

static void text_clean(void **state)
{
	(void)state;
	clean_one("", "");
	clean_one("src/a b~.c", "src/a b~.c");
	clean_one("a\nb\tc", "a\\x0ab\\x09c");
	clean_one("\x1b[2J", "\\x1b[2J");
	clean_one("\x7f", "\\x7f");
	/* Valid UTF-8 of two, three and four bytes. */
	clean_one("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac "
		  "\xf0\x9f\x98\x80");
	/* U+009B, the C1 form of ESC [, and its bare byte. */
	clean_one("\xc2\x9bJ", "\\xc2\\x9bJ");
	clean_one("\x9b", "\\x9b");
	clean_one("\xc2\xa0", "\xc2\xa0");
	/* Overlong slash, a surrogate, past U+10FFFF, cut short. */
	clean_one("\xc0\xaf", "\\xc0\\xaf");
	clean_one("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	clean_one("\xed\xa0\x80", "\\xed\\xa0\\x80");
	clean_one("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	clean_one("\xe2\x82", "\\xe2\\x82");
	clean_one("\xf0\x9f\x98", "\\xf0\\x9f\\x98");
	clean_one("\xc3(", "\\xc3(");
}

/* Whatever the room: terminated, nothing behind it touched, and no half characters. */
static void text_clean_room(void **state)
{
	static const char src[] = "ab\n\xe2\x82\xac"
				  "c";
	static const char *const want[] = {NULL,
					   "",
					   "a",
					   "ab",
					   "ab",
					   "ab",
					   "ab",
					   "ab\\x0a",
					   "ab\\x0a",
					   "ab\\x0a",
					   "ab\\x0a\xe2\x82\xac",
					   "ab\\x0a\xe2\x82\xac"
					   "c"};

	(void)state;
	for (size_t room = 0; room < sizeof(want) / sizeof(want[0]); room++) {
		char buf[32];

		memset(buf, 'Z', sizeof(buf));
		bs_text_clean(buf, room, src);
		assert_int_equal(buf[room], 'Z');
		if (room)
			assert_string_equal(buf, want[room]);
		else
			assert_int_equal(buf[0], 'Z');
	}
}

static void set(void **state)
{
	struct bs_error err = {0};
	char longer[3000];

	(void)state;
	assert_int_equal(bs_error_set(NULL, -ENOENT, "%s", "x"), -ENOENT);
	assert_int_equal(bs_error_set(&err, -EPERM, "pid %d: no sites in %s", 812, "/bin/\x1b[Jx"),
			 -EPERM);
	assert_int_equal(err.code, -EPERM);
	assert_string_equal(err.text, "pid 812: no sites in /bin/\\x1b[Jx");
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(bs_error_set(&err, -EIO, "%s", longer), -EIO);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_clean),
		cmocka_unit_test(text_clean_room),
		cmocka_unit_test(set),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
