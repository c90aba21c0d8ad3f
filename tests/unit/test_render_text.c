// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_render_text.c - what people read: golden reports, numbers in words, widths, and names
 * that try to act on the terminal.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "render/human.h"
#include "render/table.h"
#include "render/text.h"
#include "render/utf8.h"

#include "render_check.h"
#include "render_sample.h"

static void golden(void **state)
{
	static const struct {
		const char *name;
		const struct bs_report *report;
		unsigned width;
	} cases[] = {
		{"leak-100.txt", &sample_leak, 0},	   {"leak-80.txt", &sample_leak, 80},
		{"hostile-100.txt", &sample_hostile, 100}, {"empty-80.txt", &sample_empty, 80},
		{"preload-80.txt", &sample_preload, 80},   {"wrong-100.txt", &sample_wrong, 100},
		{"wrong-80.txt", &sample_wrong, 80},
	};
	struct capture c;

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		assert_int_equal(
			bs_render_text(capture_begin(&c), cases[i].report, cases[i].width, false),
			0);
		assert_golden(cases[i].name, capture_end(&c));
		free(c.s);
	}
	assert_int_equal(bs_render_list(capture_begin(&c), leak_sites, N(leak_sites), false), 0);
	assert_golden("sites.txt", capture_end(&c));
	free(c.s);
}

/* Color only wraps: without the sequences it is the same text. */
static void color_says_nothing(void **state)
{
	static const struct bs_report *const reports[] = {
		&sample_leak, &sample_hostile, &sample_empty, &sample_preload, &sample_wrong};

	(void)state;
	for (size_t i = 0; i < N(reports); i++) {
		struct capture plain, color;
		size_t sequences = 0, to = 0;

		assert_int_equal(bs_render_text(capture_begin(&plain), reports[i], 90, false), 0);
		assert_int_equal(bs_render_text(capture_begin(&color), reports[i], 90, true), 0);
		capture_end(&plain);
		capture_end(&color);
		assert_null(strchr(plain.s, '\033'));
		for (const char *s = color.s; *s; s++) {
			if (*s == '\033') {
				size_t n = strspn(s + 2, "0123456789;");

				assert_int_equal(s[1], '[');
				assert_int_equal(s[2 + n], 'm');
				s += 2 + n;
				sequences++;
			} else {
				color.s[to++] = *s;
			}
		}
		color.s[to] = '\0';
		assert_true(sequences > 0);
		assert_string_equal(color.s, plain.s);
		free(plain.s);
		free(color.s);
	}
}

static void fits_every_width(void **state)
{
	static const struct bs_report *const reports[] = {
		&sample_leak, &sample_hostile, &sample_empty, &sample_preload, &sample_wrong};

	(void)state;
	for (size_t i = 0; i < N(reports); i++) {
		/* Below 80 and above 400 all are the same; where columns come and go, every width.
		 */
		for (unsigned width = 78; width <= 500; width += width < 130 ? 1 : 13) {
			size_t limit = width < 80 ? 80 : width > 400 ? 400 : width;
			struct capture c;

			assert_int_equal(
				bs_render_text(capture_begin(&c), reports[i], width, false), 0);
			capture_end(&c);
			if (widest_line(c.s) > limit)
				fail_msg("report %zu at %u is %zu wide:\n%s", i, width,
					 widest_line(c.s), c.s);
			assert_harmless(c.s);
			free(c.s);
		}
	}
}

/* Hostile names of 64 KiB in every place that a name can have, all rows shown and not. */
static void long_hostile_names(void **state)
{
	static const char *const units[] = {
		"a", "\"\n\033[2J\177", "\xff", "\xe2\x80\xae", "\xe4\xb8\xad",
		" ", "e\xcc\x81",	"%s%n", "\xc2\x9b",	"\xe2\x82",
	};

	(void)state;
	for (size_t u = 0; u < N(units); u++) {
		struct bs_report_process process;
		struct bs_report_site site;
		struct bs_report_class klass;
		struct bs_report_origin origin;
		struct bs_report_growth growth;
		struct bs_report_exit at_exit;
		struct bs_report_verdict verdict;
		struct bs_report_cycle_edge edges[2];
		struct bs_report_cycle cycle;
		struct bs_report_lock_use use;
		struct bs_report r = sample_hostile;
		size_t len = 0, n = strlen(units[u]);
		char *name = malloc(65536 + 1);
		const char *notes[1] = {name};
		uint64_t address = 1;

		assert_non_null(name);
		for (; len + n <= 65536; len += n)
			memcpy(name + len, units[u], n);
		name[len] = '\0';
		process = (struct bs_report_process){1, name, name, true};
		site = (struct bs_report_site){"use", name, name, name,	    name, name,
					       1,     1,    true, &address, 1};
		klass = (struct bs_report_class){name, 1, 1, 1, 1, 1, {1, 1, 1, 1, 1}};
		origin = (struct bs_report_origin){name, name, name, name, 1,
						   1,	 1,    1,    1,	   {1, 1, 1, 1, 1}};
		growth = (struct bs_report_growth){name, name, name, name, 1,  1,
						   1,	 2.0,  1.0,  2.0,  1., true};
		at_exit = (struct bs_report_exit){1, name, name, name, name, 1, 1};
		verdict = (struct bs_report_verdict){.verdict = name, .klass = name, .count = 2};
		verdict.at = (struct bs_report_mark){name, name, name, name, name, 1, 1, 2, NULL};
		verdict.since =
			(struct bs_report_mark){name, name, name, name, name, 1, 1, 1, name};
		edges[0] = (struct bs_report_cycle_edge){verdict.at, verdict.since, 1, 2};
		edges[1] = (struct bs_report_cycle_edge){verdict.since, verdict.at, 2, 1};
		cycle = (struct bs_report_cycle){1, edges, 2, 3};
		use = (struct bs_report_lock_use){name, name, name, name, {1, 1, 1, 1, 1}};
		r.cycles = &cycle;
		r.ncycles = 1;
		r.lock_uses = &use;
		r.nlock_uses = 1;
		r.verdicts = &verdict;
		r.nverdicts = 1;
		r.processes = &process;
		r.nprocesses = 1;
		r.sites = &site;
		r.nsites = 1;
		r.classes = &klass;
		r.nclasses = 1;
		r.origins = r.older = &origin;
		r.norigins = r.nolder = 1;
		r.growth = &growth;
		r.ngrowth = 1;
		r.at_exit = &at_exit;
		r.nat_exit = 1;
		r.notes = notes;
		r.nnotes = 1;
		for (int verbose = 0; verbose < 2; verbose++) {
			struct capture c;

			r.verbose = verbose;
			assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
			capture_end(&c);
			assert_harmless(c.s);
			assert_in_range(widest_line(c.s), 1, 100);
			free(c.s);
			assert_int_equal(bs_render_list(capture_begin(&c), &site, 1, false), 0);
			assert_harmless(capture_end(&c));
			free(c.s);
		}
		free(name);
	}
}

static void shortens_in_the_middle(void **state)
{
	static const struct {
		const char *in;
		size_t columns;
		const char *out;
	} cases[] = {
		{"session_new at src/session.c:120", 32, "session_new at src/session.c:120"},
		{"session_new at src/session.c:120", 20, "sessio…session.c:120"},
		{"abcdef", 5, "a…def"},
		{"abcdef", 1, "…"},
		{"abcdef", 0, ""},
		/* Wide characters are not cut in two; what sits on one goes with it. */
		{"中文中文中文", 8, "中…中文"},
		{"ae\xcc\x81iou", 4, "a…ou"},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct bs_str s = {0};

		bs_str_add_short(&s, cases[i].in, cases[i].columns);
		if (strcmp(s.s ? s.s : "", cases[i].out))
			fail_msg("case %zu: %s", i, s.s);
		assert_true(bs_utf8_columns(s.s ? s.s : "") <= cases[i].columns);
		bs_str_fini(&s);
	}
}

static void numbers(void **state)
{
	char buf[BS_FMT];

	(void)state;
	assert_string_equal(bs_fmt_count(buf, 0), "0");
	assert_string_equal(bs_fmt_count(buf, 999), "999");
	assert_string_equal(bs_fmt_count(buf, 1000), "1,000");
	assert_string_equal(bs_fmt_count(buf, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(bs_fmt_short(buf, 999999), "999,999");
	assert_string_equal(bs_fmt_short(buf, 1000000), "1.00 M");
	assert_string_equal(bs_fmt_short(buf, UINT64_MAX), "18.4 E");
	assert_string_equal(bs_fmt_si(buf, 7), "7");
	assert_string_equal(bs_fmt_si(buf, 0.524), "0.52");
	assert_string_equal(bs_fmt_si(buf, 999.6), "1.00 k");
	assert_string_equal(bs_fmt_si(buf, 1234567), "1.23 M");
	assert_string_equal(bs_fmt_si(buf, NAN), "?");
	assert_string_equal(bs_fmt_bytes(buf, 0), "0 B");
	assert_string_equal(bs_fmt_bytes(buf, 1023), "1023 B");
	assert_string_equal(bs_fmt_bytes(buf, 1024), "1.00 KiB");
	assert_string_equal(bs_fmt_bytes(buf, 10230), "9.99 KiB");
	assert_string_equal(bs_fmt_bytes(buf, 1048575), "1.00 MiB");
	assert_string_equal(bs_fmt_bytes(buf, 3.2 * 1024 * 1024), "3.20 MiB");
	assert_string_equal(bs_fmt_bytes(buf, 18446744073709551615.0), "16.0 EiB");
	assert_string_equal(bs_fmt_ns(buf, 0), "0 ns");
	assert_string_equal(bs_fmt_ns(buf, 812), "812 ns");
	assert_string_equal(bs_fmt_ns(buf, 999.7), "1 µs");
	assert_string_equal(bs_fmt_ns(buf, 1.24e6), "1.2 ms");
	assert_string_equal(bs_fmt_ns(buf, 3e9), "3 s");
	assert_string_equal(bs_fmt_ns(buf, 90e9), "90 s");
	assert_string_equal(bs_fmt_ns(buf, 240e9), "4 min");
	assert_string_equal(bs_fmt_ns(buf, 9000e9), "2.5 h");
	assert_string_equal(bs_fmt_ns(buf, 86400e9 * 3), "3 d");
	assert_string_equal(bs_fmt_ns(buf, INFINITY), "?");
	assert_string_equal(bs_fmt_ns(buf, -1), "?");
	assert_string_equal(bs_fmt_percent(buf, 0), "0 %");
	assert_string_equal(bs_fmt_percent(buf, 1e-6), "under 0.01 %");
	assert_string_equal(bs_fmt_percent(buf, 0.42), "0.42 %");
	assert_string_equal(bs_fmt_percent(buf, 3.14), "3.1 %");
	assert_string_equal(bs_fmt_percent(buf, 100), "100.0 %");
	assert_string_equal(bs_fmt_percent(buf, NAN), "? %");
	assert_string_equal(bs_fmt_bytes_rate(buf, 1044.48, 30.72), "1.02 ± 0.03 KiB/s");
	assert_string_equal(bs_fmt_bytes_rate(buf, 1024, 0.25), "1.0000 ± 0.0002 KiB/s");
	assert_string_equal(bs_fmt_bytes_rate(buf, -512, 1048576), "-0.00 ± 1.00 MiB/s");
	assert_string_equal(bs_fmt_bytes_rate(buf, NAN, 1), "? /s");
	assert_string_equal(bs_fmt_objects_rate(buf, 0.5, 0.0625), "0.50 ± 0.06 objects/s");
	assert_string_equal(bs_fmt_objects_rate(buf, 3100, 200), "3.10 ± 0.20 k objects/s");
}

static void extreme_numbers_fit(void **state)
{
	static const double values[] = {0,     1,      -1,     1e18, 1e23,     1e24,
					1e300, 5e-324, -1e300, NAN,  INFINITY, -INFINITY};
	char *buf = test_malloc(BS_FMT); /* cmocka notices what is written behind it */

	(void)state;
	for (size_t i = 0; i < N(values); i++) {
		bs_fmt_si(buf, values[i]);
		bs_fmt_bytes(buf, values[i]);
		bs_fmt_ns(buf, values[i]);
		bs_fmt_percent(buf, values[i]);
		for (size_t k = 0; k < N(values); k++) {
			bs_fmt_bytes_rate(buf, values[i], values[k]);
			bs_fmt_objects_rate(buf, values[i], values[k]);
			assert_true(strlen(buf) < BS_FMT);
		}
	}
	test_free(buf);
}

static void losses_are_loud(void **state)
{
	struct bs_report r = sample_leak;
	struct bs_report_reason reason = {"ring_full", "ring buffer full: raise --buffer", 3};
	struct capture c;

	(void)state;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 400, false), 0);
	assert_non_null(strstr(capture_end(&c), "nothing lost"));
	assert_null(strstr(c.s, "LOST"));
	free(c.s);

	r.written += 3;
	r.lost = 3;
	r.reasons = &reason;
	r.nreasons = 1;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 400, false), 0);
	capture_end(&c);
	assert_null(strstr(c.s, "nothing lost"));
	assert_non_null(strstr(c.s, "LOST     3 of 1,234,570 events (under 0.01 %)\n"));
	assert_non_null(strstr(c.s, "3 ring buffer full: raise --buffer\n"));
	assert_non_null(strstr(c.s, "What grows  upper bounds"));
	free(c.s);
}

static void growth_is_said_plainly(void **state)
{
	static const struct bs_report_process gone = {7, "sh", "/bin/sh", true};
	static const struct bs_report_exit left = {
		.pid = 7, .klass = "x", .site = "a.c:1", .count = 1};
	struct bs_report_growth rows[3];
	struct bs_report r = sample_leak;
	struct capture c;

	(void)state;
	/* Only what is within its error: said so, and marked. */
	rows[0] = leak_growth[1];
	r.growth = rows;
	r.ngrowth = 1;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	assert_non_null(strstr(capture_end(&c), "nothing grows for sure; these may"));
	assert_non_null(strstr(c.s, "~ 0.21 ± 5.18 KiB/s"));
	free(c.s);

	/* What shrinks is no candidate. */
	rows[0].bytes_per_s = -210.5;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	assert_non_null(strstr(capture_end(&c), "  nothing grows for sure\n"));
	assert_null(strstr(c.s, "~"));
	free(c.s);

	/* Objects without sizes leak all the same. */
	rows[0] = hostile_growth[1];
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	assert_null(strstr(capture_end(&c), "nothing grows"));
	assert_non_null(strstr(c.s, "0.50 ± 0.06 objects/s"));
	free(c.s);
	rows[0].objects_error = 0.5;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	assert_non_null(strstr(capture_end(&c), "nothing grows for sure; these may"));
	free(c.s);

	/* Whether it grew until it exited, the slopes cannot say. */
	r.processes = &gone;
	r.nprocesses = 1;
	r.ngrowth = 0;
	r.at_exit = &left;
	r.nat_exit = 1;
	r.unknown = 1;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	assert_null(strstr(capture_end(&c), "nothing grows"));
	assert_non_null(strstr(c.s, "no process is left to grow"));
	assert_non_null(strstr(c.s, "; 1 mark on objects"));
	free(c.s);
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *s = text; (s = strstr(s, word)); s += strlen(word))
		n++;
	return n;
}

static void ten_rows_unless_verbose(void **state)
{
	struct bs_report_origin rows[23];
	struct bs_report r = sample_leak;
	struct capture c;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		rows[i] = leak_origins[0];
		rows[i].function = "many_of_them";
	}
	r.origins = rows;
	r.norigins = N(rows);
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	capture_end(&c);
	assert_int_equal(count(c.s, "many_of_them"), 10);
	assert_int_equal(count(c.s, "and 13 more; use -v or --format=json for all"), 1);
	free(c.s);
	r.verbose = true;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	capture_end(&c);
	assert_int_equal(count(c.s, "many_of_them"), 23);
	assert_int_equal(count(c.s, " more; use"), 0);
	free(c.s);
}

static void all_verdicts_or_ten(void **state)
{
	struct bs_report_verdict rows[23];
	struct bs_report r = sample_wrong;
	struct capture c;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		rows[i] = wrong_verdicts[i % 2];
		rows[i].count = 1000;
		rows[i].at.function = "many_of_them";
	}
	r.verdicts = rows;
	r.nverdicts = N(rows);
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	capture_end(&c);
	assert_int_equal(count(c.s, "many_of_them"), 10);
	assert_int_equal(count(c.s, "and 13 more; use -v or --format=json for all"), 1);
	/* The head counts what is not shown, too, and each verdict once. */
	assert_non_null(strstr(c.s, "  verdicts 12,000 double-drop, 11,000 use-after-drop\n"));
	free(c.s);
	r.verbose = true;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	capture_end(&c);
	assert_int_equal(count(c.s, "many_of_them"), 23);
	assert_int_equal(count(c.s, " more; use"), 0);
	free(c.s);
}

/* "none" is said where something could have been found, and not else. */
static void verdicts_none(void **state)
{
	static const struct {
		const char *kinds[3];
		bool provable;
	} cases[] = {
		{{"new"}, false},
		{{"new", "resize_begin", "resize_end"}, false},
		{{"move", "new"}, false},
		{{"use", "borrow", "unborrow"}, false},
		{{"region_enter", "region_exit"}, false},
		{{"drop", "use"}, false}, /* two drops without a new between: who would see it? */
		{{"new", "drop"}, true},
		{{"drop", "borrow"}, true},
		{{"use", "move"}, true},
		{{"borrow_mut"}, true},
		{{"new", "region_exit"}, true},
		{{"no such kind"}, false},
	};
	struct bs_report r = sample_empty;
	struct bs_report_site sites[3];
	struct capture c;

	(void)state;
	r.sites = sites;
	for (size_t i = 0; i < N(cases); i++) {
		memset(sites, 0, sizeof(sites));
		for (r.nsites = 0; r.nsites < 3 && cases[i].kinds[r.nsites]; r.nsites++) {
			sites[r.nsites].kind = cases[i].kinds[r.nsites];
			sites[r.nsites].lit = true;
		}
		for (int lit = 1; lit >= 0; lit--) {
			bool said;

			assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
			said = strstr(capture_end(&c), "  verdicts none\n") != NULL;
			if (said != (cases[i].provable && lit) ||
			    said != (strstr(c.s, "verdict") != NULL))
				fail_msg("case %zu:\n%s", i, c.s);
			free(c.s);
			for (size_t k = 0; k < N(sites); k++)
				sites[k].lit = false;
		}
	}
	/* What could not be decided is said in any case, and that it is not a finding. */
	r.nsites = 0;
	r.undecided = 1;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 200, false), 0);
	capture_end(&c);
	assert_non_null(
		strstr(c.s, "  verdicts none\n           1 mark looks wrong but is undecided"));
	assert_null(strstr(c.s, "\nVerdicts"));
	free(c.s);
	r.undecided = 1234;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 200, false), 0);
	assert_non_null(strstr(capture_end(&c), "1,234 marks look wrong but are undecided"));
	free(c.s);
}

/* What the words of one finding depend on. */
static void verdict_words(void **state)
{
	struct bs_report_verdict row = wrong_verdicts[5]; /* unbalanced-count */
	struct bs_report r = sample_wrong;
	struct bs_report_process two[2] = {wrong_processes[0], wrong_processes[0]};
	struct capture c;

	(void)state;
	r.verdicts = &row;
	r.nverdicts = 1;
	row.count = 1;
	row.balance = 1;
	row.since.ns = row.at.ns + 3; /* two clocks */
	row.since.thread = 0;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	capture_end(&c);
	assert_non_null(strstr(c.s, "  unbalanced-count  obj 0x2a, 1 reference left\n"));
	assert_non_null(strstr(c.s, "    made     obj_new at src/obj.c:17\n"));
	free(c.s);

	row.balance = -2;
	row.at.ns = r.start_monotonic_ns - 1;
	row.since.kind = "no such kind";
	r.processes = two;
	r.nprocesses = 2;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 100, false), 0);
	capture_end(&c);
	assert_non_null(strstr(c.s, "obj 0x2a, 2 releases too many, pid 4711\n"));
	assert_non_null(strstr(c.s, "    dropped  src/obj.c:61, thread 4711\n"));
	assert_non_null(strstr(c.s, "    marked   obj_new at"));
	free(c.s);

	/* A class that is too long leaves the id whole. */
	row.klass =
		"a_class_whose_name_is_longer_than_a_line_of_eighty_columns_can_ever_be_in_a_report";
	row.id = 0x7f12a3c04010;
	assert_int_equal(bs_render_text(capture_begin(&c), &r, 80, false), 0);
	assert_non_null(
		strstr(capture_end(&c), " 0x7f12a3c04010, 2 releases too many, pid 4711\n"));
	free(c.s);
}

static void live_line(void **state)
{
	static const struct bs_live usual = {12.34, 1.23e6, 4512, 3355443, 0};
	static const struct bs_live worst = {INFINITY, NAN, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	char buf[256];

	(void)state;
	bs_render_live(buf, sizeof(buf), &usual, 80);
	assert_string_equal(buf, "  12.3 s   1.23 M events/s   4,512 live (3.20 MiB)   0 lost");
	/* 59 columns are just enough for it; with one less the next form comes whole. */
	bs_render_live(buf, sizeof(buf), &usual, 59);
	assert_int_equal(strlen(buf), 59);
	bs_render_live(buf, sizeof(buf), &usual, 58);
	assert_string_equal(buf, "  12.3 s  1.23 M events/s  4,512 live  0 lost");
	bs_render_live(buf, sizeof(buf), &usual, 30);
	assert_string_equal(buf, "  12.3 s  4,512 live  0 lost");
	bs_render_live(buf, sizeof(buf), &usual, 20);
	assert_string_equal(buf, "  12.3 s  0 lost");
	bs_render_live(buf, sizeof(buf), &usual, 4);
	assert_string_equal(buf, "0 lo");
	bs_render_live(buf, sizeof(buf), &(struct bs_live){1, 0, 0, 0, 1234}, 0);
	assert_string_equal(buf, "   1.0 s   0 events/s   0 live (0 B)   1,234 LOST");

	for (unsigned width = 1; width < 200; width++) {
		for (size_t size = 1; size < 200; size++) {
			char *exact = test_malloc(size);

			bs_render_live(exact, size, &worst, width);
			assert_true(strlen(exact) <= width);
			assert_true(strlen(exact) < size);
			assert_harmless(exact);
			assert_null(strchr(exact, '\n'));
			test_free(exact);
		}
	}
	bs_render_live(buf, 0, &worst, 80);
}

static void stream_errors(void **state)
{
	static const struct bs_report *const reports[] = {&sample_leak, &sample_empty,
							  &sample_wrong};

	(void)state;
	for (size_t i = 0; i < N(reports); i++) {
		for (int buffered = 0; buffered < 2; buffered++) {
			FILE *full = fopen("/dev/full", "w");

			assert_non_null(full);
			if (!buffered)
				setvbuf(full, NULL, _IONBF, 0);
			assert_int_equal(bs_render_text(full, reports[i], 80, true), -ENOSPC);
			assert_int_equal(bs_render_list(full, leak_sites, 8, false), -ENOSPC);
			fclose(full);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(color_says_nothing),
		cmocka_unit_test(fits_every_width),
		cmocka_unit_test(long_hostile_names),
		cmocka_unit_test(shortens_in_the_middle),
		cmocka_unit_test(numbers),
		cmocka_unit_test(extreme_numbers_fit),
		cmocka_unit_test(losses_are_loud),
		cmocka_unit_test(growth_is_said_plainly),
		cmocka_unit_test(ten_rows_unless_verbose),
		cmocka_unit_test(all_verdicts_or_ten),
		cmocka_unit_test(verdicts_none),
		cmocka_unit_test(verdict_words),
		cmocka_unit_test(live_line),
		cmocka_unit_test(stream_errors),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
