// SPDX-License-Identifier: GPL-2.0-only
/*
 * flame_svg.c - a flamegraph as SVG.
 *
 * Each frame is a group with its tooltip, rectangle and label.  flame.js places them anew when
 * somebody zooms; it reads value and start from the group, because pixels are rounded.  What is too
 * narrow to be drawn comes as text, of which flame.js draws what a zoom makes wide enough.
 */
#include "flame/flame_svg.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flame/flame.h"
#include "flame/layout.h"
#include "render/human.h"
#include "render/text.h"
#include "render/utf8.h"

/* Made from flame.css, sides.css and flame.js: string literals. */
static const char style[] =
#include "tools/flame/flame.css.h"
	;
static const char sides_style[] =
#include "tools/flame/sides.css.h"
	;
static const char script[] =
#include "tools/flame/flame.js.h"
	;

#define ROW	   17	/* from frame to frame; each is a pixel lower */
#define MARGIN	   10	/* on all sides */
#define LINE	   18	/* from line to line of text */
#define COLUMN	   7.25 /* of a label's font, 12 pixels, monospaced: 0.6 em and a little */
#define BUTTONS	   130	/* pixels that Search and Reset take */
#define LABEL_PAD  3
#define KEY	   18	 /* from a square of the legend to its text */
#define COLORS	   12	 /* .w0 to .w11 and .m0 to .m11 in flame.css */
#define MIN_COLUMN 3	 /* a shorter label says nothing */
#define THIN	   3	 /* pixels; narrower frames have no line around them */
#define ROWS	   5000	 /* what a browser shows in two seconds */
#define NARROW	   20000 /* half a megabyte, and names */

struct svg {
	const struct bs_flame_svg *how;
	const struct bs_flame_node *nodes;
	struct bs_flame_layout layout;
	FILE *out;
	const char *unit, *sides[2]; /* as people can see them; sides: of a comparison, or NULL */
	double inner;		     /* pixels that the root takes */
	unsigned top;		     /* where frames begin */
	unsigned height;
	struct bs_str clean, label; /* of the name at hand */
};

/* Text between tags or in an attribute. */
static void put_escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			putc(*s, out);
		}
	}
}

static void str_reset(struct bs_str *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

/* The name of a node (or any string) as people can see it, in v->clean. */
static const char *clean(struct svg *v, const char *name)
{
	str_reset(&v->clean);
	bs_str_add_clean(&v->clean, name);
	return v->clean.s && !v->clean.err ? v->clean.s : "";
}

/* As much of s as fits, in v->label; the end of a name is what is cut. */
static const char *cut(struct svg *v, const char *s, double pixels)
{
	double fits = pixels / COLUMN;
	size_t columns = fits > 0 ? (size_t)fits : 0, used = 0, end = 0, at = 0;

	/* end: where it is cut if it does not fit; that leaves a column for the ellipsis. */
	while (s[at] && used <= columns) {
		uint32_t cp;
		size_t len = bs_utf8_next(s + at, &cp);

		used += bs_utf8_width(cp);
		at += len;
		if (used < columns)
			end = at;
	}
	if (!s[at] && used <= columns)
		return s;
	str_reset(&v->label);
	bs_str_addf(&v->label, "%.*s…", (int)end, s);
	return v->label.err ? "" : v->label.s;
}

/* A line of text, cut to so many pixels; live: what the script says instead, or NULL. */
static void put_text(struct svg *v, const char *class, int x, unsigned y, const char *s,
		     const char *live, double pixels)
{
	const char *fits = cut(v, s, pixels);

	fprintf(v->out, "<text class=\"%s\" x=\"%d\" y=\"%u\"", class, x, y);
	if (live) {
		fputs(" data-live=\"", v->out);
		put_escaped(v->out, live);
		putc('"', v->out);
	}
	putc('>', v->out);
	if (fits != s) {
		fputs("<title>", v->out);
		put_escaped(v->out, s);
		fputs("</title>", v->out);
	}
	put_escaped(v->out, fits);
	fputs("</text>\n", v->out);
}

static double percent(const struct svg *v, uint64_t value)
{
	return v->nodes[0].total ? 100.0 * (double)value / (double)v->nodes[0].total : 0;
}

/* Of a comparison marked frames have no colours of their own. */
static bool has_marked(const struct svg *v)
{
	return v->layout.marked && !v->sides[0];
}

/* The colours of a comparison, by how far the parts are apart. */
struct step {
	double points;
	const char *grew, *shrank;
};
static const struct step steps[] = {
	{5, "g4", "s4"}, {2, "g3", "s3"}, {1, "g2", "s2"}, {0, "g1", "s1"}};

/* In percent points: the part of the second side less that of the first. */
static double difference(const struct svg *v, const struct bs_flame_node *node)
{
	const uint64_t *all = v->nodes[0].side;

	return (all[1] ? 100.0 * (double)node->side[1] / (double)all[1] : 0) -
	       (all[0] ? 100.0 * (double)node->side[0] / (double)all[0] : 0);
}

static const char *difference_color(const struct svg *v, const struct bs_flame_node *node)
{
	const uint64_t *all = v->nodes[0].side;
	double points = difference(v, node);
	size_t i = 0;

	if (points == 0 ||
	    (v->how->noise && v->how->noise(node->side[0], all[0], node->side[1], all[1])))
		return "g0";
	while (fabs(points) < steps[i].points)
		i++;
	return points > 0 ? steps[i].grew : steps[i].shrank;
}

/* One square of the legend, and what it means in so many pixels. */
static void put_key(struct svg *v, int x, unsigned y, const char *color, const char *text)
{
	fprintf(v->out, "<rect class=\"%s\" x=\"%d\" y=\"%u\" width=\"12\" height=\"12\"/>", color,
		x, y - 10);
	put_text(v, "note", x + KEY, y, text, NULL, v->inner + MARGIN - (x + KEY));
}

/* The same in a row of them: *x moves on. */
static void put_next_key(struct svg *v, int *x, unsigned y, const char *color, const char *text)
{
	put_key(v, *x, y, color, text);
	*x += KEY + (int)(COLUMN * (double)(strlen(text) + 2));
}

static void key_text(char *buf, size_t size, size_t step, const char *which)
{
	if (!step)
		snprintf(buf, size, "over %g points %s", steps[0].points, which);
	else if (steps[step].points > 0)
		snprintf(buf, size, "over %g", steps[step].points);
	else
		snprintf(buf, size, "under %g", steps[step - 1].points);
}

static void put_difference_legend(struct svg *v, unsigned y)
{
	char text[64];
	int x = MARGIN;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		key_text(text, sizeof(text), i, "more");
		put_next_key(v, &x, y, steps[i].grew, text);
	}
	put_next_key(v, &x, y, "g0", "no difference that is sure");
	for (size_t i = sizeof(steps) / sizeof(steps[0]); i-- > 0;) {
		key_text(text, sizeof(text), i, "less");
		put_next_key(v, &x, y, steps[i].shrank, text);
	}
}

/* How much of what. */
static void add_sum(const struct svg *v, struct bs_str *to)
{
	char count[BS_FMT];

	if (!v->sides[0]) {
		bs_str_addf(to, "%s %s", bs_fmt_count(count, v->nodes[0].total), v->unit);
		return;
	}
	for (int i = 0; i < 2; i++)
		bs_str_addf(to, "%s%s %s %s", i ? ", " : "",
			    bs_fmt_count(count, v->nodes[0].side[i]), v->unit, v->sides[i]);
	bs_str_add(to, "; widths are the mean of both parts");
}

/* The sum of all, and what the picture does not show of it. */
static void put_sum(struct svg *v, unsigned y)
{
	const struct bs_flame_layout *l = &v->layout;
	char count[BS_FMT], share[BS_FMT];
	struct bs_str live = {0};

	str_reset(&v->clean);
	add_sum(v, &v->clean);
	add_sum(v, &live);
	if (!v->nodes[0].total)
		bs_str_add(&v->clean, ": nothing to draw");
	else if (l->left_out)
		bs_str_addf(&v->clean,
			    "; left out: %s frame%s narrower than %g pixel%s%s, %s of all",
			    bs_fmt_count(count, l->left_out), l->left_out == 1 ? "" : "s",
			    v->how->min_width, v->how->min_width == 1 ? "" : "s",
			    l->too_deep ? " or too deep" : "",
			    bs_fmt_percent(share, percent(v, l->left_out_value)));
	if (l->narrow)
		bs_str_addf(&live, "; zooming shows %s frame%s narrower than %g pixel%s",
			    bs_fmt_count(count, l->narrow), l->narrow == 1 ? "" : "s",
			    v->how->min_width, v->how->min_width == 1 ? "" : "s");
	if (l->missing)
		bs_str_addf(&live, "; not in this file: %s frame%s, the largest %s of all",
			    bs_fmt_count(count, l->missing), l->missing == 1 ? "" : "s",
			    bs_fmt_percent(share, percent(v, l->missing_most)));
	if (live.err)
		v->clean.err = live.err;
	put_text(v, "note", MARGIN, y, v->clean.s ? v->clean.s : "",
		 l->left_out && live.s ? live.s : NULL, v->inner);
	bs_str_fini(&live);
}

static void put_notes(struct svg *v)
{
	const struct bs_flame_layout *l = &v->layout;
	unsigned y = MARGIN + LINE;
	char share[BS_FMT];

	/* In a larger font; the script's buttons stand at its right. */
	put_text(v, "title", MARGIN, y, clean(v, v->how->title ? v->how->title : "Flamegraph"),
		 NULL, (v->inner - BUTTONS) * 12 / 15);
	for (size_t i = 0; i < v->how->nnotes; i++)
		put_text(v, "note", MARGIN, y += LINE, clean(v, v->how->notes[i]), NULL, v->inner);
	put_sum(v, y += LINE);
	if (v->sides[0])
		put_difference_legend(v, y += LINE);
	if (!has_marked(v))
		return;
	str_reset(&v->clean);
	bs_str_add_clean(&v->clean, v->how->marked ? v->how->marked : "marked");
	bs_str_addf(&v->clean, ": %s of all", bs_fmt_percent(share, percent(v, l->marked_value)));
	put_key(v, MARGIN, y + LINE, "m4", v->clean.s ? v->clean.s : "");
}

/* The same name has the same colour in every picture; name: as it is shown. */
static unsigned color_of(const char *name)
{
	uint32_t h = 0x811c9dc5u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x01000193u;
	return (h >> 16 ^ h) % COLORS;
}

/* How much a frame has; amount() in flame.js says the same of those that it draws. */
static void put_amount(struct svg *v, const struct bs_flame_node *node)
{
	const uint64_t *all = v->nodes[0].side;
	char count[BS_FMT], share[BS_FMT];

	if (!v->sides[0]) {
		fprintf(v->out, "%s ", bs_fmt_count(count, node->total));
		put_escaped(v->out, v->unit);
		fprintf(v->out, ", %s of all", bs_fmt_percent(share, percent(v, node->total)));
		return;
	}
	for (int i = 0; i < 2; i++) {
		double part = all[i] ? 100.0 * (double)node->side[i] / (double)all[i] : 0;

		fprintf(v->out, "%s ", bs_fmt_percent(share, part));
		put_escaped(v->out, v->sides[i]);
		fputs(", ", v->out);
	}
	fprintf(v->out, "%+.2f points", difference(v, node));
}

static void put_frame(struct svg *v, const struct bs_flame_box *b)
{
	const struct bs_flame_node *node = &v->nodes[b->node];
	const char *name = node->name ? clean(v, node->name) : "all";
	unsigned row = v->how->icicle ? b->depth : v->layout.deepest - b->depth;
	unsigned y = v->top + row * ROW;

	fprintf(v->out,
		"<g class=\"f%s\" role=\"button\" tabindex=\"%d\" data-s=\"%" PRIu64
		"\" data-v=\"%" PRIu64 "\" data-d=\"%" PRIu32 "\"><title>",
		b->width < THIN ? " thin" : "", b->node ? -1 : 0, b->start, node->total, b->depth);
	put_escaped(v->out, name);
	putc('\n', v->out);
	put_amount(v, node);
	fputs("</title><rect class=\"", v->out);
	if (v->sides[0])
		fputs(difference_color(v, node), v->out);
	else
		fprintf(v->out, "%c%u", node->marked ? 'm' : 'w', color_of(name));
	fprintf(v->out, "\" x=\"%.2f\" y=\"%u\"", MARGIN + b->x, y);
	fprintf(v->out, " width=\"%.2f\" height=\"%d\"/>", b->width, ROW - 1);
	if (b->width - 2 * LABEL_PAD >= MIN_COLUMN * COLUMN) {
		fprintf(v->out, "<text x=\"%.2f\" y=\"%u\">", MARGIN + b->x + LABEL_PAD, y + 12);
		put_escaped(v->out, cut(v, name, b->width - 2 * LABEL_PAD));
		fputs("</text>", v->out);
	}
	fputs("</g>\n", v->out);
}

/*
 * The narrow frames, for the script; all frames have an order, parents first, then from left to
 * right.  A line says
 *   =COLOUR NAME               the next name, from 0
 *   @N                         the next N frames are drawn
 *   wNAME START VALUE DEPTH    a frame, its name by number; m for w: a marked one
 *   dNAME START VALUE DEPTH CLASS BEFORE AFTER     one of a comparison
 */
static int put_narrow(struct svg *v)
{
	const struct bs_flame_layout *l = &v->layout;
	uint32_t names = 0, next = 0, *number;
	const char *name;
	size_t drawn = 0;

	for (size_t i = 0; i < l->n; i++)
		if (v->nodes[l->boxes[i].node].id > names)
			names = v->nodes[l->boxes[i].node].id;
	/* By id: the number of a name that has been said, and 1. */
	number = calloc((size_t)names + 1, sizeof(*number));
	if (!number)
		return -ENOMEM;
	fputs("<metadata id=\"narrow\">\n", v->out);
	for (size_t i = 0; i < l->n; i++) {
		const struct bs_flame_box *b = &l->boxes[i];
		const struct bs_flame_node *node = &v->nodes[b->node];
		char kind = v->sides[0] ? 'd' : node->marked ? 'm' : 'w';

		drawn += !b->narrow;
		if (!b->narrow)
			continue;
		if (drawn)
			fprintf(v->out, "@%zu\n", drawn);
		drawn = 0;
		if (!number[node->id]) {
			number[node->id] = ++next;
			name = clean(v, node->name);
			fprintf(v->out, "=%u ", color_of(name));
			put_escaped(v->out, name);
			putc('\n', v->out);
		}
		fprintf(v->out, "%c%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu32, kind,
			number[node->id] - 1, b->start, node->total, b->depth);
		if (v->sides[0])
			fprintf(v->out, " %s %" PRIu64 " %" PRIu64, difference_color(v, node),
				node->side[0], node->side[1]);
		putc('\n', v->out);
	}
	fputs("</metadata>\n", v->out);
	free(number);
	return 0;
}

/* Text above, frames, a line for details and room to breathe. */
static void heights_set(struct svg *v)
{
	unsigned lines = 2 + (unsigned)v->how->nnotes + (has_marked(v) || v->sides[0] ? 1 : 0);

	v->top = MARGIN + lines * LINE + LINE / 2 + (v->how->icicle ? LINE : 0);
	v->height = v->top + (v->layout.deepest + 1) * ROW + MARGIN + (v->how->icicle ? 0 : LINE);
}

static int put_all(struct svg *v)
{
	const struct bs_flame_svg *how = v->how;
	unsigned details = how->icicle ? v->top - LINE / 2 : v->height - MARGIN;
	int ret;

	fprintf(v->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bscope-flame\" width=\"%u\" "
		"height=\"%u\" viewBox=\"0 0 %u %u\" data-total=\"%" PRIu64 "\" data-margin=\"%d\" "
		"data-row=\"%d\" data-root=\"%s\" data-min=\"%g\" data-missing=\"%zu\" data-unit=\"",
		how->width, v->height, how->width, v->height, v->nodes[0].total, MARGIN, ROW,
		how->icicle ? "top" : "bottom", how->min_width, v->layout.missing);
	put_escaped(v->out, v->unit);
	putc('"', v->out);
	for (int i = 0; i < 2 && v->sides[0]; i++) {
		fprintf(v->out, " data-all%d=\"%" PRIu64 "\" data-side%d=\"", i,
			v->nodes[0].side[i], i);
		put_escaped(v->out, v->sides[i]);
		putc('"', v->out);
	}
	fputs(">\n<title>", v->out);
	put_escaped(v->out, clean(v, how->title ? how->title : "Flamegraph"));
	/* A search finds what it finds, however that is coloured: last. */
	fprintf(v->out, "</title>\n<style>\n%s%s</style>\n", v->sides[0] ? sides_style : "", style);
	fputs("<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n", v->out);
	put_notes(v);
	fprintf(v->out,
		"<text id=\"details\" class=\"note\" aria-live=\"polite\" x=\"%d\" y=\"%u\"></text>\n"
		"<g id=\"frames\" role=\"group\" aria-label=\"frames\">\n",
		MARGIN, details);
	for (size_t i = 0; i < v->layout.n && v->nodes[0].total; i++)
		if (!v->layout.boxes[i].narrow)
			put_frame(v, &v->layout.boxes[i]);
	fputs("</g>\n", v->out);
	ret = put_narrow(v);
	fprintf(v->out, "<script><![CDATA[\n%s]]></script>\n</svg>\n", script);
	return ret;
}

int bs_flame_svg_write(struct bs_flame *f, const struct bs_flame_svg *how, FILE *out)
{
	struct svg v = {.how = how, .out = out, .inner = (double)how->width - 2 * MARGIN};
	const struct bs_flame_room room = {v.inner, how->min_width, ROWS, NARROW};
	struct bs_str unit = {0}, sides[2] = {{0}};
	size_t n;
	int ret;

	ret = bs_flame_layout(f, &room, &v.layout);
	if (ret)
		return ret;
	v.nodes = bs_flame_nodes(f, &n);
	bs_str_add_clean(&unit, how->unit ? how->unit : "samples");
	v.unit = unit.s ? unit.s : "";
	for (int i = 0; i < 2 && how->sides[0]; i++) {
		bs_str_add_clean(&sides[i], how->sides[i]);
		v.sides[i] = sides[i].s ? sides[i].s : "";
	}
	heights_set(&v);
	errno = 0;
	ret = put_all(&v);
	if (!ret)
		ret = v.clean.err ? v.clean.err : v.label.err ? v.label.err : unit.err;
	for (int i = 0; i < 2; i++) {
		if (!ret)
			ret = sides[i].err;
		bs_str_fini(&sides[i]);
	}
	if (!ret && ferror(out))
		ret = errno ? -errno : -EIO;
	bs_str_fini(&v.clean);
	bs_str_fini(&v.label);
	bs_str_fini(&unit);
	bs_flame_layout_fini(&v.layout);
	return ret;
}
