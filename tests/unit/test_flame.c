// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_flame.c - folded stacks: what is read, merged, written, and where frames are drawn.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/error.h"
#include "flame/flame.h"
#include "flame/flame_svg.h"
#include "flame/folded.h"
#include "flame/layout.h"

#include "render_check.h"

static const char sample[] = "main;work;malloc 300\n"
			     "main;idle 500\r\n"
			     "\n"
			     "# a comment\n"
			     "main;work 200\n"
			     "main;work;malloc 100\n"
			     "main;work;\"<&>\" 20\n"
			     "init 100";

static int read_text(struct bs_flame *f, const char *text, size_t n, struct bs_error *err)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, n, "r");
	int ret;

	assert_non_null(in);
	ret = bs_folded_read(f, in, "in.folded", err);
	fclose(in);
	return ret;
}

static struct bs_flame *flame_of(const char *text)
{
	struct bs_flame *f = bs_flame_new();
	struct bs_error err = {0};

	assert_non_null(f);
	if (read_text(f, text, strlen(text), &err))
		fail_msg("%s", err.text);
	return f;
}

static void assert_folded(struct bs_flame *f, const char *want)
{
	struct capture c;

	assert_int_equal(bs_flame_write_folded(f, capture_begin(&c)), 0);
	assert_string_equal(capture_end(&c), want);
	free(c.s);
}

static bool is_malloc(void *ctx, const char *name)
{
	(void)ctx;
	return !strcmp(name, "malloc");
}

static void golden(void **state)
{
	static const char *const notes[] = {"10 s of daemon (pid 812)"};
	const struct bs_flame_svg how = {.title = "Sample",
					 .notes = notes,
					 .nnotes = 1,
					 .unit = "events",
					 .marked = "tracking",
					 .width = 600,
					 .min_width = 20};
	struct bs_flame *f = flame_of(sample);
	struct capture c;
	char *script;

	(void)state;
	bs_flame_mark(f, is_malloc, NULL);
	assert_int_equal(bs_flame_write_folded(f, capture_begin(&c)), 0);
	assert_golden("flame.folded", capture_end(&c));
	free(c.s);
	assert_int_equal(bs_flame_svg_write(f, &how, capture_begin(&c)), 0);
	capture_end(&c);
	/* The script is a file of its own. */
	script = strstr(c.s, "<script>");
	assert_non_null(script);
	*script = '\0';
	assert_golden("flame.svg", c.s);
	free(c.s);
	bs_flame_free(f);
}

static void merges_and_sorts(void **state)
{
	struct bs_flame *f = flame_of("b;x 1\na;y 2\nb;x 3\na 4\nb 0\na;y;z 0\n");
	const struct bs_flame_node *nodes;
	size_t n;

	(void)state;
	nodes = bs_flame_nodes(f, &n);
	assert_int_equal(n, 6);
	assert_int_equal(nodes[0].total, 10);
	assert_string_equal(nodes[nodes[0].first].name, "a");
	assert_int_equal(nodes[nodes[0].first].self, 4);
	assert_int_equal(nodes[nodes[0].first].total, 6);
	assert_int_equal(nodes[nodes[nodes[0].first].next].total, 4);
	assert_folded(f, "a 4\na;y 2\nb;x 4\n");
	bs_flame_free(f);
}

/* Whatever the order of lines, the same bytes. */
static void order_is_no_matter(void **state)
{
	struct bs_flame *f = bs_flame_new(), *g = bs_flame_new();
	struct capture a, b;
	struct bs_flame_frame s[3] = {{"r", false}, {NULL, false}, {NULL, false}};
	char x[16], y[16];

	(void)state;
	s[1].name = x;
	s[2].name = y;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(x, sizeof(x), "%u", i * 7919 % 100);
		snprintf(y, sizeof(y), "%u", i * 104729 % 977);
		assert_int_equal(bs_flame_add(f, s, 3, i), 0);
	}
	for (unsigned i = 5000; i-- > 0;) {
		snprintf(x, sizeof(x), "%u", i * 7919 % 100);
		snprintf(y, sizeof(y), "%u", i * 104729 % 977);
		assert_int_equal(bs_flame_add(g, s, 3, i), 0);
	}
	assert_int_equal(bs_flame_write_folded(f, capture_begin(&a)), 0);
	assert_int_equal(bs_flame_write_folded(g, capture_begin(&b)), 0);
	assert_string_equal(capture_end(&a), capture_end(&b));
	free(a.s);
	free(b.s);
	bs_flame_free(f);
	bs_flame_free(g);
}

static void escapes(void **state)
{
	static const struct bs_flame_frame odd[] = {
		{"#first", false},	 {"a;b\nc\r", false}, {"\x1b[m\x7f\xc2\x9b", false},
		{"\xff\xe2\x82", false}, {"", false},	      {" \xc3\xa9 9", false},
	};
	static const char want[] = "\\x23first;a\\x3bb\\x0ac\\x0d;\\x1b[m\\x7f\\xc2\\x9b;"
				   "\\xff\\xe2\\x82;[empty]; \xc3\xa9 9 3\n";
	static const char nul[] = "a\0b;c 1\n";
	struct bs_flame *f = bs_flame_new();

	(void)state;
	assert_int_equal(bs_flame_add(f, odd, 6, 3), 0);
	assert_folded(f, want);
	bs_flame_free(f);
	f = flame_of(want);
	assert_folded(f, want);
	bs_flame_free(f);
	f = bs_flame_new();
	assert_int_equal(read_text(f, nul, sizeof(nul) - 1, NULL), 0);
	assert_folded(f, "a\\x00b;c 1\n");
	bs_flame_free(f);
}

/* What is written sorts and merges as what is read of it: 0x16 < '<' < '\\'. */
static void escapes_sort(void **state)
{
	static const struct bs_flame_frame control = {"a\x16", false}, same = {"a\\x16", false},
					   less = {"a<", false}, number = {"#", false};
	struct bs_flame *f = bs_flame_new();

	(void)state;
	assert_int_equal(bs_flame_add(f, &control, 1, 1), 0);
	assert_int_equal(bs_flame_add(f, &less, 1, 2), 0);
	assert_int_equal(bs_flame_add(f, &same, 1, 4), 0);
	assert_int_equal(bs_flame_add(f, &number, 1, 8), 0);
	assert_folded(f, "\\x23 8\na< 2\na\\x16 5\n");
	/* The tree itself is as it was. */
	assert_folded(f, "\\x23 8\na< 2\na\\x16 5\n");
	bs_flame_free(f);
}

static void refused(void **state)
{
	static const struct {
		const char *text, *want;
		int code;
	} cases[] = {
		{"a 1\nb", "in.folded: line 2: no count", -EINVAL},
		{"a 1\n\n#\nb \n", "in.folded: line 4: no count", -EINVAL},
		{"a 1.0\n", "without sign or fraction", -EINVAL},
		{"a +1\n", "without sign or fraction", -EINVAL},
		{"a\t1\n", "line 1: no count", -EINVAL},
		{" 1\n", "line 1: a count without a stack", -EINVAL},
		{"a 18446744073709551616\n", "line 1: the count is past 64 bits", -EINVAL},
		{"a 18446744073709551615\nb 0\nb 1\n", "line 3: the sum of all", -EOVERFLOW},
		{"\x1b]0;x\a y\n", "line 1: what follows", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bs_flame *f = bs_flame_new();
		struct bs_error err = {0};

		assert_int_equal(read_text(f, cases[i].text, strlen(cases[i].text), &err),
				 cases[i].code);
		if (!strstr(err.text, cases[i].want))
			fail_msg("case %zu: %s", i, err.text);
		bs_flame_free(f);
	}
}

static void sums(void **state)
{
	static const struct bs_flame_frame s = {"a", false};
	struct bs_flame *f = bs_flame_new();
	const struct bs_flame_node *nodes;
	size_t n;

	(void)state;
	assert_int_equal(bs_flame_add(f, &s, 0, 1), -EINVAL);
	assert_int_equal(bs_flame_add(f, &s, BS_FLAME_DEPTH + 1ul, 1), -E2BIG);
	assert_int_equal(bs_flame_add(f, &s, 1, UINT64_MAX - 1), 0);
	assert_int_equal(bs_flame_add(f, &s, 1, 2), -EOVERFLOW);
	assert_int_equal(bs_flame_add(f, &s, 1, 1), 0);
	nodes = bs_flame_nodes(f, &n);
	assert_true(nodes[0].total == UINT64_MAX);
	assert_int_equal(bs_flame_add(f, &s, 1, 0), -EINVAL);
	bs_flame_free(f);
}

/* Nothing recurses. */
static void deep(void **state)
{
	enum { DEPTH = 100000 };
	const struct bs_flame_svg how = {.width = 1200, .min_width = 0.1};
	struct bs_flame_room room = {.width = 1000, .min_width = 0.1, .rows = DEPTH};
	struct bs_flame_frame *s = calloc(DEPTH, sizeof(*s));
	struct bs_flame *f = bs_flame_new();
	struct bs_flame_layout l;
	struct capture c;

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < DEPTH; i++)
		s[i].name = i % 2 ? "odd" : "even";
	assert_int_equal(bs_flame_add(f, s, DEPTH, 1), 0);
	assert_int_equal(bs_flame_add(f, s, DEPTH / 2, 1), 0);
	assert_int_equal(bs_flame_layout(f, &room, &l), 0);
	assert_int_equal(l.n, DEPTH + 1);
	assert_int_equal(l.deepest, DEPTH);
	assert_int_equal(l.left_out, 0);
	bs_flame_layout_fini(&l);
	room.rows = DEPTH - 2;
	assert_int_equal(bs_flame_layout(f, &room, &l), 0);
	assert_int_equal(l.deepest, DEPTH - 2);
	assert_int_equal(l.left_out, 2);
	assert_int_equal(l.left_out_value, 1);
	assert_int_equal(l.too_deep, 2);
	assert_int_equal(l.missing, 2);
	bs_flame_layout_fini(&l);
	assert_int_equal(bs_flame_svg_write(f, &how, capture_begin(&c)), 0);
	capture_end(&c);
	free(c.s);
	assert_int_equal(bs_flame_write_folded(f, capture_begin(&c)), 0);
	assert_true(strlen(capture_end(&c)) > DEPTH);
	free(c.s);
	free(s);
	bs_flame_free(f);
}

/* Stacks by chance: frames are as wide as their share, within their parents, beside each other. */
static void layout(void **state)
{
	static const struct bs_flame_room room = {1180, 0.1, 20, 0};
	struct bs_flame *f = bs_flame_new();
	const struct bs_flame_node *nodes;
	struct bs_flame_layout l;
	uint64_t seed = 88172645463325252u;
	double *used;
	const struct bs_flame_box **box;
	size_t n;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
		struct bs_flame_frame s[12];
		unsigned depth;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		depth = 1 + (unsigned)(seed % 12);
		for (unsigned k = 0; k < depth; k++)
			s[k] = (struct bs_flame_frame){names[(seed >> (4 * k + 8)) % 7], false};
		assert_int_equal(bs_flame_add(f, s, depth, seed >> 50), 0);
	}
	assert_int_equal(bs_flame_layout(f, &room, &l), 0);
	nodes = bs_flame_nodes(f, &n);
	used = calloc(n, sizeof(*used));
	box = calloc(n, sizeof(*box));
	assert_true(used && box);
	assert_int_equal(l.n + l.left_out, n);
	assert_true(l.left_out > 0 && l.left_out_value < nodes[0].total);
	for (size_t i = 0; i < l.n; i++) {
		const struct bs_flame_box *b = &l.boxes[i], *up;
		const struct bs_flame_node *node = &nodes[b->node];

		box[b->node] = b;
		assert_true(fabs(b->width - 1180.0 * (double)node->total / (double)nodes[0].total) <
			    1e-6);
		if (!b->node)
			continue;
		up = box[node->parent];
		assert_non_null(up);
		assert_int_equal(b->depth, up->depth + 1);
		assert_true(b->width >= 0.1);
		/* Beside the one before, not over it. */
		assert_true(b->x >= up->x + used[node->parent] - 1e-6);
		assert_true(b->x + b->width <= up->x + up->width + 1e-6);
		used[node->parent] = b->x + b->width - up->x;
	}
	free(used);
	free(box);
	bs_flame_layout_fini(&l);
	bs_flame_free(f);
}

/*
 * 100 pixels for 100: only what has 10 is drawn.  Of the narrow ones below, those that are laid out
 * are the largest, with what they stand on; of equals all or none.
 */
static void narrow(void **state)
{
	static const char text[] = "a;b 3\na;c 2\na;d 2\nf;g;h 8\nx 85\nz 0\n";
	static const struct {
		size_t room, n, missing;
		uint64_t most;
	} cases[] = {{0, 2, 7, 8}, {3, 5, 4, 7}, {4, 6, 3, 3}, {5, 7, 2, 2},
		     {6, 7, 2, 2}, {7, 9, 0, 0}, {8, 9, 0, 0}};
	struct bs_flame *f = flame_of(text);
	struct bs_flame_layout l;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct bs_flame_room room = {100, 10, 20, cases[i].room};

		assert_int_equal(bs_flame_layout(f, &room, &l), 0);
		assert_int_equal(l.n, cases[i].n);
		assert_int_equal(l.narrow, cases[i].n - 2);
		assert_int_equal(l.missing, cases[i].missing);
		assert_int_equal(l.missing_most, cases[i].most);
		/* All but the root and x, z with them. */
		assert_int_equal(l.left_out, 8);
		assert_int_equal(l.left_out_value, 15);
		assert_int_equal(l.deepest, 1);
		assert_int_equal(l.boxes[l.n - 1].start, 15);
		assert_false(l.boxes[l.n - 1].narrow);
		bs_flame_layout_fini(&l);
	}
	bs_flame_free(f);
}

static bool is_m(void *ctx, const char *name)
{
	(void)ctx;
	return *name == 'm';
}

static void marked_columns(void **state)
{
	static const struct bs_flame_room room = {100, 0.1, 20, 20};
	struct bs_flame *f = flame_of("a;m1;m2 5\na;m1 3\nb;m2 1\nc 10\n");
	struct bs_flame_layout l;

	(void)state;
	bs_flame_mark(f, is_m, NULL);
	assert_int_equal(bs_flame_layout(f, &room, &l), 0);
	assert_int_equal(l.marked, 3);
	assert_int_equal(l.marked_value, 9);
	bs_flame_layout_fini(&l);
	bs_flame_free(f);
}

static void nothing(void **state)
{
	const struct bs_flame_svg how = {.width = 1200, .min_width = 0.1};
	struct bs_flame *f = flame_of("a;b 0\n");
	struct capture c;

	(void)state;
	assert_folded(f, "");
	assert_int_equal(bs_flame_svg_write(f, &how, capture_begin(&c)), 0);
	assert_non_null(strstr(capture_end(&c), "0 samples: nothing to draw"));
	assert_null(strstr(c.s, "class=\"f\""));
	free(c.s);
	bs_flame_free(f);
}

static bool few(uint64_t before, uint64_t all_before, uint64_t after, uint64_t all_after)
{
	assert_int_equal(all_before, 200);
	assert_int_equal(all_after, 1000);
	return before + after < 25;
}

static void add_sides(struct bs_flame *f, const char *leaf, uint64_t before, uint64_t after)
{
	const struct bs_flame_frame stack[] = {{"main", false}, {leaf, false}};

	assert_int_equal(bs_flame_add_sides(f, stack, 2, before, after), 0);
}

/*
 * Two sides: 200 samples before, 1,000 after.  same: half of both; new: 3 of ten after; less: from
 * half to a fifth, in two pieces; one that is noise.
 */
static void sides(void **state)
{
	static const struct {
		const char *frame, *rect;
	} want[] = {
		{"all\n100.0 % old, 100.0 % now, +0.00 points", "g0"},
		{"main\n100.0 % old, 100.0 % now, +0.00 points", "g0"},
		{"same\n50.0 % old, 50.0 % now, +0.00 points", "g0"},
		{"new\n0 % old, 28.6 % now, +28.60 points", "g4"},
		{"less\n47.5 % old, 20.0 % now, -27.50 points", "s4"},
		{"noise\n2.5 % old, 1.4 % now, -1.10 points", "g0"},
	};
	const struct bs_flame_svg how = {
		.sides = {"old", "now"}, .noise = few, .width = 1020, .min_width = 0.1};
	struct bs_flame *f = bs_flame_new();
	const struct bs_flame_frame alone = {"x", false};
	const struct bs_flame_node *nodes;
	struct capture c;
	size_t n;

	(void)state;
	add_sides(f, "same", 100, 500);
	add_sides(f, "less", 90, 100);
	add_sides(f, "new", 0, 286);
	add_sides(f, "noise", 5, 14);
	add_sides(f, "less", 5, 100);
	assert_int_equal(bs_flame_add(f, &alone, 1, 1), -EINVAL);
	nodes = bs_flame_nodes(f, &n);
	assert_int_equal(n, 6);
	assert_int_equal(nodes[0].side[0], 200);
	assert_int_equal(nodes[1].side[1], 1000);
	/* Half of 0.5 + 0.5, of 0.475 + 0.2, of 0 + 0.286, of 0.025 + 0.014, in parts. */
	assert_int_equal(nodes[2].total, BS_FLAME_PARTS / 2);
	assert_int_equal(nodes[3].total, BS_FLAME_PARTS * 3375 / 10000);
	assert_int_equal(nodes[4].total, BS_FLAME_PARTS * 143 / 1000);
	assert_int_equal(nodes[5].total, BS_FLAME_PARTS * 195 / 10000);
	assert_int_equal(bs_flame_svg_write(f, &how, capture_begin(&c)), 0);
	capture_end(&c);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		char text[256];
		const char *at;

		snprintf(text, sizeof(text), "<title>%s</title>", want[i].frame);
		at = strstr(c.s, text);
		if (!at)
			fail_msg("%s is not in %s", text, strstr(c.s, "<g id="));
		snprintf(text, sizeof(text), "<rect class=\"%s\"", want[i].rect);
		at = strstr(at, "<rect ");
		if (strncmp(at, text, strlen(text)))
			fail_msg("%s has %.20s", want[i].frame, at);
	}
	assert_non_null(strstr(c.s, "200 samples old, 1,000 samples now; widths are the mean"));
	/* 1,000 pixels: half of them. */
	assert_non_null(strstr(c.s, "width=\"500.00\""));
	free(c.s);
	bs_flame_free(f);
}

/* What the script draws of a comparison: the class of its colour, and how much each side has. */
static void narrow_sides(void **state)
{
	const struct bs_flame_svg how = {
		.sides = {"\"old\"", "now"}, .width = 220, .min_width = 10};
	struct bs_flame *f = bs_flame_new();
	struct capture c;
	char *narrow;

	(void)state;
	add_sides(f, "a", 1000, 300);
	add_sides(f, "b", 0, 8);
	add_sides(f, "c", 20, 2);
	add_sides(f, "d", 20, 10);
	assert_int_equal(bs_flame_svg_write(f, &how, capture_begin(&c)), 0);
	capture_end(&c);
	assert_non_null(strstr(c.s, " data-all0=\"1040\" data-side0=\"&quot;old&quot;\" "
				    "data-all1=\"320\" data-side1=\"now\">"));
	assert_non_null(
		strstr(c.s, "\n100.0 % &quot;old&quot;, 100.0 % now, +0.00 points</title>"));
	narrow = strstr(c.s, "<metadata id=\"narrow\">\n@3\n=");
	assert_non_null(narrow);
	/* In parts of 10^9: half of 8 of 320; half of 20 of 1,040 and 2 of 320; and 10 of 320. */
	assert_non_null(strstr(narrow, " b\nd0 949519231 12500000 2 g3 0 8\n"));
	assert_non_null(strstr(narrow, " c\nd1 962019231 12740385 2 s2 20 2\n"));
	assert_non_null(strstr(narrow, " d\nd2 974759616 25240385 2 g2 20 10\n"));
	free(c.s);
	bs_flame_free(f);
}

/* Nothing on one side: the other has all of the width.  And what can be added to what. */
static void one_side(void **state)
{
	const struct bs_flame_frame alone = {"x", false};
	struct bs_flame *f = bs_flame_new();
	const struct bs_flame_node *nodes;
	size_t n;

	(void)state;
	assert_int_equal(bs_flame_add_sides(f, &alone, 1, 0, 7), 0);
	nodes = bs_flame_nodes(f, &n);
	assert_int_equal(nodes[1].total, BS_FLAME_PARTS);
	bs_flame_free(f);
	f = bs_flame_new();
	assert_int_equal(bs_flame_add_sides(f, &alone, 1, UINT64_MAX, 1), 0);
	assert_int_equal(bs_flame_add_sides(f, &alone, 1, 1, 1), -EOVERFLOW);
	bs_flame_free(f);
	f = bs_flame_new();
	assert_int_equal(bs_flame_add(f, &alone, 1, 1), 0);
	assert_int_equal(bs_flame_add_sides(f, &alone, 1, 1, 1), -EINVAL);
	bs_flame_free(f);
}

/* Each piece of a hostile name is harmless in the picture. */
static void harmless(void **state)
{
	const struct bs_flame_svg how = {.title = "<t>\x1b\xff", .width = 1200, .min_width = 0.1};
	struct bs_flame *f = flame_of("<b>\"'&;\x1b[2J;\xff\xfe;\xe2\x80\xae;\xef\xbf\xbf;]]> 1\n");
	struct capture c;
	char *end;

	(void)state;
	assert_int_equal(bs_flame_svg_write(f, &how, capture_begin(&c)), 0);
	capture_end(&c);
	end = strstr(c.s, "<script>");
	assert_non_null(end);
	*end = '\0';
	assert_harmless(c.s);
	assert_null(strstr(c.s, "<b>"));
	assert_null(strstr(c.s, "<t>"));
	assert_null(strstr(c.s, "]]>"));
	free(c.s);
	bs_flame_free(f);
}

/* A stream that takes nothing is an error. */
static void full(void **state)
{
	const struct bs_flame_svg how = {.width = 1200, .min_width = 0.1};
	struct bs_flame *f = flame_of(sample);
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(out);
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(bs_flame_write_folded(f, out), -ENOSPC);
	assert_true(bs_flame_svg_write(f, &how, out) < 0);
	fclose(out);
	bs_flame_free(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(merges_and_sorts),
		cmocka_unit_test(order_is_no_matter),
		cmocka_unit_test(escapes),
		cmocka_unit_test(escapes_sort),
		cmocka_unit_test(refused),
		cmocka_unit_test(sums),
		cmocka_unit_test(deep),
		cmocka_unit_test(layout),
		cmocka_unit_test(narrow),
		cmocka_unit_test(marked_columns),
		cmocka_unit_test(nothing),
		cmocka_unit_test(sides),
		cmocka_unit_test(narrow_sides),
		cmocka_unit_test(one_side),
		cmocka_unit_test(harmless),
		cmocka_unit_test(full),
	};

	return cmocka_run_group_tests_name("flame", tests, NULL, NULL);
}
