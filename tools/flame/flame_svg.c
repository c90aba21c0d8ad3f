// SPDX-License-Identifier: GPL-2.0-only
/*
 * flame_svg.c - a flamegraph as SVG.
 *
 * Each frame is a group with its tooltip, rectangle and label.  flame.js places them anew when
 * somebody zooms; it reads value and start from the group, because pixels are rounded.
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
#define COLORS	   12 /* .w0 to .w11 and .m0 to .m11 in flame.css */
#define MIN_COLUMN 3  /* a shorter label says nothing */

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

static void put_note(struct svg *v, unsigned y, const char *s)
{
	fprintf(v->out, "<text class=\"note\" x=\"%d\" y=\"%u\">", MARGIN, y);
	put_escaped(v->out, cut(v, s, v->inner));
	fputs("</text>\n", v->out);
}

static double percent(const struct svg *v, uint64_t value)
{
	return v->nodes[0].total ? 100.0 * (double)value / (double)v->nodes[0].total : 0;
}

/* In a larger font; the script's buttons stand at its right. */
static void put_title(struct svg *v, unsigned y)
{
	const char *s = clean(v, v->how->title ? v->how->title : "Flamegraph");

	fprintf(v->out, "<text class=\"title\" x=\"%d\" y=\"%u\">", MARGIN, y);
	put_escaped(v->out, cut(v, s, (v->inner - BUTTONS) * 12 / 15));
	fputs("</text>\n", v->out);
}

static void put_notes(struct svg *v)
{
	const struct bs_flame_layout *l = &v->layout;
	char count[BS_FMT], share[BS_FMT], text[512];
	unsigned y = MARGIN + LINE;

	put_title(v, y);
	for (size_t i = 0; i < v->how->nnotes; i++)
		put_note(v, y += LINE, clean(v, v->how->notes[i]));
	snprintf(text, sizeof(text), "%s ", bs_fmt_count(count, v->nodes[0].total));
	str_reset(&v->clean);
	bs_str_add(&v->clean, text);
	bs_str_add_clean(&v->clean, v->unit);
	if (!v->nodes[0].total)
		bs_str_add(&v->clean, ": nothing to draw");
	else if (l->left_out)
		bs_str_addf(&v->clean, "; left out: %s frame%s narrower than %g pixels, %s of all",
			    bs_fmt_count(count, l->left_out), l->left_out == 1 ? "" : "s",
			    v->how->min_width,
			    bs_fmt_percent(share, percent(v, l->left_out_value)));
	put_note(v, y += LINE, v->clean.s ? v->clean.s : "");
	if (!l->marked)
		return;
	y += LINE;
	fprintf(v->out,
		"<rect class=\"m4\" x=\"%d\" y=\"%u\" width=\"12\" height=\"12\"/>"
		"<text class=\"note\" x=\"%d\" y=\"%u\">",
		MARGIN, y - 10, MARGIN + 18, y);
	str_reset(&v->clean);
	bs_str_add_clean(&v->clean, v->how->marked ? v->how->marked : "marked");
	bs_str_addf(&v->clean, ": %s of all", bs_fmt_percent(share, percent(v, l->marked_value)));
	put_escaped(v->out, cut(v, v->clean.s ? v->clean.s : "", v->inner - 18));
	fputs("</text>\n", v->out);
}

/* The same name has the same colour in every picture. */
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
		"<g class=\"f\" role=\"button\" tabindex=\"%d\" data-s=\"%" PRIu64
		"\" data-v=\"%" PRIu64 "\" data-d=\"%" PRIu32 "\" aria-label=\"",
		b->node ? -1 : 0, b->start, node->total, b->depth);
	put_escaped(v->out, name);
	fprintf(v->out, ": %s ", count);
	put_escaped(v->out, v->unit);
	fprintf(v->out, ", %s\"><title>", share);
	put_escaped(v->out, name);
	fprintf(v->out, "\n%s ", count);
	put_escaped(v->out, v->unit);
	fprintf(v->out, ", %s of all</title><rect class=\"%c%u\" x=\"%.2f\" y=\"%u\"", share,
		node->marked ? 'm' : 'w', color_of(node->name ? node->name : "all"), MARGIN + b->x,
		y);
	fprintf(v->out, " width=\"%.2f\" height=\"%d\"/>", b->width, ROW - 1);
	if (b->width - 2 * LABEL_PAD >= MIN_COLUMN * COLUMN) {
		fprintf(v->out, "<text x=\"%.2f\" y=\"%u\">", MARGIN + b->x + LABEL_PAD, y + 12);
		put_escaped(v->out, cut(v, name, b->width - 2 * LABEL_PAD));
		fputs("</text>", v->out);
	}
	fputs("</g>\n", v->out);
}

/* Text above, frames, a line for details and room to breathe. */
static void heights_set(struct svg *v)
{
	unsigned lines = 2 + (unsigned)v->how->nnotes + (v->layout.marked ? 1 : 0);

	v->top = MARGIN + lines * LINE + LINE / 2 + (v->how->icicle ? LINE : 0);
	v->height = v->top + (v->layout.deepest + 1) * ROW + MARGIN + (v->how->icicle ? 0 : LINE);
}

static void put_all(struct svg *v)
{
	const struct bs_flame_svg *how = v->how;
	unsigned details = how->icicle ? v->top - LINE / 2 : v->height - MARGIN;

	fprintf(v->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bscope-flame\" width=\"%u\" "
		"height=\"%u\" viewBox=\"0 0 %u %u\" data-total=\"%" PRIu64 "\" data-margin=\"%d\" "
		"data-root=\"%s\" data-min=\"%g\">\n<title>",
		how->width, v->height, how->width, v->height, v->nodes[0].total, MARGIN,
		how->icicle ? "top" : "bottom", how->min_width);
	put_escaped(v->out, clean(v, how->title ? how->title : "Flamegraph"));
	fprintf(v->out, "</title>\n<style>\n%s</style>\n", style);
	fputs("<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n", v->out);
	put_notes(v);
	fprintf(v->out,
		"<text id=\"details\" class=\"note\" aria-live=\"polite\" x=\"%d\" y=\"%u\"></text>\n"
		"<g id=\"frames\" role=\"group\" aria-label=\"frames\">\n",
		MARGIN, details);
	for (size_t i = 0; i < v->layout.n && v->nodes[0].total; i++)
		put_frame(v, &v->layout.boxes[i]);
	fprintf(v->out, "</g>\n<script><![CDATA[\n%s]]></script>\n</svg>\n", script);
}

int bs_flame_svg_write(struct bs_flame *f, const struct bs_flame_svg *how, FILE *out)
{
	struct svg v = {.how = how, .out = out, .inner = (double)how->width - 2 * MARGIN};
	struct bs_str unit = {0};
	size_t n;
	int ret;

	ret = bs_flame_layout(f, v.inner, how->min_width, &v.layout);
	if (ret)
		return ret;
	v.nodes = bs_flame_nodes(f, &n);
	bs_str_add_clean(&unit, how->unit ? how->unit : "samples");
	v.unit = unit.s ? unit.s : "";
	heights_set(&v);
	errno = 0;
	put_all(&v);
	ret = v.clean.err ? v.clean.err : v.label.err ? v.label.err : unit.err;
	if (!ret && ferror(out))
		ret = errno ? -errno : -EIO;
	bs_str_fini(&v.clean);
	bs_str_fini(&v.label);
	bs_str_fini(&unit);
	bs_flame_layout_fini(&v.layout);
	return ret;
}
