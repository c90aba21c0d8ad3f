// SPDX-License-Identifier: GPL-2.0-only
/* test_render_writer.c - the JSON writer alone: layout, wrong use, numbers and strings. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>

#include "render/human.h"
#include "render/json_writer.h"

#include "render_check.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void writer_layout(void **state)
{
	struct capture c;
	struct bs_json j;

	(void)state;
	bs_json_init(&j, capture_begin(&c));
	bs_json_object_begin(&j, NULL);
	bs_json_object_begin(&j, "a\"b");
	bs_json_object_end(&j);
	bs_json_array_begin(&j, "rows");
	bs_json_object_begin(&j, NULL);
	bs_json_bool(&j, "t", true);
	bs_json_array_begin(&j, "x");
	bs_json_hex_str(&j, NULL, 0xffffffffffffffff);
	bs_json_u64_str(&j, NULL, 18446744073709551615u);
	bs_json_null(&j, NULL);
	bs_json_array_end(&j);
	bs_json_object_end(&j);
	bs_json_array_end(&j);
	bs_json_str(&j, "n", NULL);
	bs_json_u64(&j, "u", 18446744073709551615u);
	bs_json_i64(&j, "i", INT64_MIN);
	bs_json_object_end(&j);
	assert_int_equal(bs_json_finish(&j), 0);
	assert_string_equal(capture_end(&c), "{\n"
					     "  \"a\\\"b\": {},\n"
					     "  \"rows\": [\n"
					     "    {\"t\": true, \"x\": [\"0xffffffffffffffff\", "
					     "\"18446744073709551615\", null]}\n"
					     "  ],\n"
					     "  \"n\": null,\n"
					     "  \"u\": 18446744073709551615,\n"
					     "  \"i\": -9223372036854775808\n"
					     "}\n");
	free(c.s);
}

static void misuse_key_in_array(struct bs_json *j)
{
	bs_json_array_begin(j, NULL);
	bs_json_u64(j, "key", 1);
	bs_json_array_end(j);
}

static void misuse_no_key(struct bs_json *j)
{
	bs_json_object_begin(j, NULL);
	bs_json_str(j, NULL, "x");
	bs_json_object_end(j);
}

static void misuse_crossed(struct bs_json *j)
{
	bs_json_object_begin(j, NULL);
	bs_json_array_end(j);
}

static void misuse_end_alone(struct bs_json *j)
{
	bs_json_object_end(j);
}

static void misuse_two_documents(struct bs_json *j)
{
	bs_json_null(j, NULL);
	bs_json_null(j, NULL);
}

static void misuse_left_open(struct bs_json *j)
{
	bs_json_array_begin(j, NULL);
}

static void misuse_nothing(struct bs_json *j)
{
	(void)j;
}

static void misuse_too_deep(struct bs_json *j)
{
	for (int i = 0; i <= BS_JSON_MAX_DEPTH; i++)
		bs_json_array_begin(j, NULL);
	for (int i = 0; i <= BS_JSON_MAX_DEPTH; i++)
		bs_json_array_end(j);
}

static void writer_misuse(void **state)
{
	static void (*const cases[])(struct bs_json *) = {
		misuse_key_in_array,  misuse_no_key,	misuse_crossed, misuse_end_alone,
		misuse_two_documents, misuse_left_open, misuse_nothing, misuse_too_deep,
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct capture c;
		struct bs_json j;

		bs_json_init(&j, capture_begin(&c));
		cases[i](&j);
		if (bs_json_finish(&j) != -EINVAL)
			fail_msg("case %zu was accepted: %s", i, capture_end(&c));
		capture_end(&c);
		free(c.s);
	}
}

static void writer_depth(void **state)
{
	struct capture c;
	struct bs_json j;
	json_t *doc;

	(void)state;
	bs_json_init(&j, capture_begin(&c));
	for (int i = 0; i < BS_JSON_MAX_DEPTH; i++)
		bs_json_array_begin(&j, NULL);
	for (int i = 0; i < BS_JSON_MAX_DEPTH; i++)
		bs_json_array_end(&j);
	assert_int_equal(bs_json_finish(&j), 0);
	doc = json_loads(capture_end(&c), 0, NULL);
	assert_non_null(doc);
	json_decref(doc);
	free(c.s);
}

/* The value that a parser reads back. */
static json_t *written(void (*write)(struct bs_json *, const void *), const void *arg)
{
	json_error_t error;
	struct capture c;
	struct bs_json j;
	json_t *doc;

	bs_json_init(&j, capture_begin(&c));
	write(&j, arg);
	assert_int_equal(bs_json_finish(&j), 0);
	doc = json_loads(capture_end(&c), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
	if (!doc)
		fail_msg("%s in: %s", error.text, c.s);
	free(c.s);
	return doc;
}

static void write_double(struct bs_json *j, const void *arg)
{
	bs_json_double(j, NULL, *(const double *)arg);
}

static void write_str(struct bs_json *j, const void *arg)
{
	bs_json_str(j, NULL, arg);
}

static void writer_doubles(void **state)
{
	static const double finite[] = {0,	  -0.0,	   1,	     -1,
					0.1,	  1.0 / 3, 1e300,    5e-324,
					2.5e-308, 1e15,	   -123.456, 9007199254740993.0};
	static const double not_finite[] = {NAN, INFINITY, -INFINITY};

	(void)state;
	for (size_t i = 0; i < N(finite); i++) {
		json_t *v = written(write_double, &finite[i]);

		assert_true(json_is_number(v));
		assert_true(json_number_value(v) == finite[i]);
		json_decref(v);
	}
	for (size_t i = 0; i < N(not_finite); i++) {
		json_t *v = written(write_double, &not_finite[i]);

		assert_true(json_is_null(v));
		json_decref(v);
	}
}

static void writer_decimal_point(void **state)
{
	/* Separators of real locales: de_DE, fr_CH, ps_AF (U+066B). */
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"1,5", "1.5"},
		{"-0,25e-07", "-0.25e-07"},
		{"1\xd9\xab"
		 "5",
		 "1.5"},
		{"1.5e+20", "1.5e+20"},
		{"1e+06", "1e+06"},
		{"42", "42"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		char buf[32];

		strcpy(buf, cases[i].in);
		bs_fmt_point(buf);
		assert_string_equal(buf, cases[i].out);
	}
}

#define FFFD "\xef\xbf\xbd"

static void writer_strings(void **state)
{
	static const struct {
		const char *in, *out; /* as a parser reads it back */
	} cases[] = {
		{"", ""},
		{"\"\\/\b\f\n\r\t\001\037\177", "\"\\/\b\f\n\r\t\001\037\177"},
		{"\033[31mred\033[0m", "\033[31mred\033[0m"},
		{"\xc2\x9b"
		 "31m",
		 "\xc2\x9b"
		 "31m"},
		{"\xe2\x80\xae"
		 "x\xe2\x80\xac",
		 "\xe2\x80\xae"
		 "x\xe2\x80\xac"},
		{"\xf3\xa0\x81\x81", "\xf3\xa0\x81\x81"}, /* a tag: a pair of surrogates */
		{"\xf0\x9f\x98\x80 \xe4\xb8\xad", "\xf0\x9f\x98\x80 \xe4\xb8\xad"},
		/* Bytes that are not UTF-8, as Unicode 15 section 3.9, table 3-8 to 3-11, has it.
		 */
		{"a\x80z", "a" FFFD "z"},
		{"\xff\xfe", FFFD FFFD},
		{"\xc0\xaf", FFFD FFFD},
		{"\xe2\x82", FFFD},
		{"\xe2\x82z", FFFD "z"},
		{"\xe0\x80\xaf", FFFD FFFD FFFD},
		{"\xed\xa0\x80", FFFD FFFD FFFD},
		{"\xf4\x91\x92\x93", FFFD FFFD FFFD FFFD},
		{"\xf0\x80\x80\x41", FFFD FFFD FFFD "A"},
		{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", FFFD FFFD FFFD FFFD "A"},
		{"\xf0\x9f\x98", FFFD},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		json_t *v = written(write_str, cases[i].in);

		if (strcmp(json_string_value(v), cases[i].out))
			fail_msg("case %zu reads back as %s", i, json_string_value(v));
		json_decref(v);
	}
}

static void writer_long_string(void **state)
{
	size_t n = 65536;
	char *s = malloc(n + 1);
	json_t *v;

	(void)state;
	for (size_t i = 0; i < n; i++)
		s[i] = "a\"\n\x1b"[i % 4];
	s[n] = '\0';
	v = written(write_str, s);
	assert_string_equal(json_string_value(v), s);
	json_decref(v);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_layout),	cmocka_unit_test(writer_misuse),
		cmocka_unit_test(writer_depth),		cmocka_unit_test(writer_doubles),
		cmocka_unit_test(writer_decimal_point), cmocka_unit_test(writer_strings),
		cmocka_unit_test(writer_long_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
