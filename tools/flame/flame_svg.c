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
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flame/flame.h"
#include "flame/layout.h"
#include "render/human.h"
#include "render/text.h"
#include "render/utf8.h"

/* Made from flame.css and flame.js: string literals. */
static const char style[] =
#include "tools/flame/flame.css.h"
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
	const char *unit;
	double inner; /* pixels that the root takes */
	unsigned top; /* where frames begin */
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

/* The sum of all, and what the picture does not show of it. */
static void put_sum(struct svg *v, unsigned y)
{
	const struct bs_flame_layout *l = &v->layout;
	char count[BS_FMT], share[BS_FMT];
	struct bs_str live = {0};

	str_reset(&v->clean);
	bs_str_addf(&v->clean, "%s %s", bs_fmt_count(count, v->nodes[0].total), v->unit);
	bs_str_addf(&live, "%s", v->clean.s ? v->clean.s : "");
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
	if (!l->marked)
		return;
	y += LINE;
	fprintf(v->out, "<rect class=\"m4\" x=\"%d\" y=\"%u\" width=\"12\" height=\"12\"/>", MARGIN,
		y - 10);
	str_reset(&v->clean);
	bs_str_add_clean(&v->clean, v->how->marked ? v->how->marked : "marked");
	bs_str_addf(&v->clean, ": %s of all", bs_fmt_percent(share, percent(v, l->marked_value)));
	put_text(v, "note", MARGIN + 18, y, v->clean.s ? v->clean.s : "", NULL, v->inner - 18);
}

/* The same name has the same colour in every picture; name: as it is shown. */
static unsigned color_of(const char *name)
{
	uint32_t h = 0x811c9dc5u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x01000193u;
	return (h >> 16 ^ h) % COLORS;
}

static void put_frame(struct svg *v, const struct bs_flame_box *b)
{
	const struct bs_flame_node *node = &v->nodes[b->node];
	const char *name = node->name ? clean(v, node->name) : "all";
	unsigned row = v->how->icicle ? b->depth : v->layout.deepest - b->depth;
	unsigned y = v->top + row * ROW;
	char count[BS_FMT], share[BS_FMT];

	bs_fmt_count(count, node->total);
	bs_fmt_percent(share, percent(v, node->total));
	fprintf(v->out,
		"<g class=\"f%s\" role=\"button\" tabindex=\"%d\" data-s=\"%" PRIu64
		"\" data-v=\"%" PRIu64 "\" data-d=\"%" PRIu32 "\"><title>",
		b->width < THIN ? " thin" : "", b->node ? -1 : 0, b->start, node->total, b->depth);
	put_escaped(v->out, name);
	fprintf(v->out, "\n%s ", count);
	put_escaped(v->out, v->unit);
	fprintf(v->out, ", %s of all</title><rect class=\"%c%u\" x=\"%.2f\" y=\"%u\"", share,
		node->marked ? 'm' : 'w', color_of(name), MARGIN + b->x, y);
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
		fprintf(v->out, "%c%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu32 "\n",
			node->marked ? 'm' : 'w', number[node->id] - 1, b->start, node->total,
			b->depth);
	}
	fputs("</metadata>\n", v->out);
	free(number);
	return 0;
}

/* Text above, frames, a line for details and room to breathe. */
static void heights_set(struct svg *v)
{
	unsigned lines = 2 + (unsigned)v->how->nnotes + (v->layout.marked ? 1 : 0);

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
	fputs("\">\n<title>", v->out);
	put_escaped(v->out, clean(v, how->title ? how->title : "Flamegraph"));
	fprintf(v->out, "</title>\n<style>\n%s</style>\n", style);
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
	struct bs_str unit = {0};
	size_t n;
	int ret;

	ret = bs_flame_layout(f, &room, &v.layout);
	if (ret)
		return ret;
	v.nodes = bs_flame_nodes(f, &n);
	bs_str_add_clean(&unit, how->unit ? how->unit : "samples");
	v.unit = unit.s ? unit.s : "";
	heights_set(&v);
	errno = 0;
	ret = put_all(&v);
	if (!ret)
		ret = v.clean.err ? v.clean.err : v.label.err ? v.label.err : unit.err;
	if (!ret && ferror(out))
		ret = errno ? -errno : -EIO;
	bs_str_fini(&v.clean);
	bs_str_fini(&v.label);
	bs_str_fini(&unit);
	bs_flame_layout_fini(&v.layout);
	return ret;
}
