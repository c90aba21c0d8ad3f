// SPDX-License-Identifier: GPL-2.0-only
/* list.c - the sites of a program, for --list. */
#include "render/report.h"

#include <errno.h>
#include <string.h>

#include "render/human.h"
#include "render/text.h"
#include "render/utf8.h"

enum column { KIND, CLASS, NAME, FUNCTION, PLACE, COPIES, BINARY, NCOLUMNS };

/* A cell wider than this sticks out instead of pushing every other row. */
#define MAX_PAD 40

static void cell_set(struct bs_str *cell, const struct bs_report_site *s, enum column column)
{
	char buf[BS_FMT];

	cell->len = 0;
	if (cell->s)
		cell->s[0] = '\0';
	switch (column) {
	case KIND:
		bs_str_add_clean(cell, s->kind);
		break;
	case CLASS:
		bs_str_add_clean(cell, s->klass);
		break;
	case NAME:
		bs_str_add_clean(cell, s->name);
		break;
	case FUNCTION:
		bs_str_add_clean(cell, s->function ? s->function : "-");
		break;
	case PLACE:
		bs_str_add_clean(cell, s->file);
		bs_str_addf(cell, ":%u", s->line);
		break;
	case COPIES:
		bs_str_add(cell, bs_fmt_count(buf, s->naddresses));
		break;
	case BINARY:
	default:
		bs_str_add_clean(cell, s->binary);
		break;
	}
}

static void put_cell(struct bs_out *o, const char *text, size_t width, enum column column)
{
	size_t used = bs_utf8_columns(text), pad = used < width ? width - used : 0;

	if (column == COPIES)
		bs_out_spaces(o, pad);
	bs_out_str(o, text);
	if (column == BINARY) {
		bs_out_str(o, "\n");
		return;
	}
	bs_out_spaces(o, column == COPIES ? 2 : pad + 2);
}

static int list_text(FILE *out, const struct bs_report_site *sites, size_t n)
{
	static const char *const titles[NCOLUMNS] = {
		[KIND] = "KIND",	 [CLASS] = "CLASS", [NAME] = "NAME",
		[FUNCTION] = "FUNCTION", [PLACE] = "PLACE", [COPIES] = "COPIES",
		[BINARY] = "BINARY",
	};
	struct bs_out o = {.file = out};
	struct bs_str cell = {0};
	size_t width[NCOLUMNS];
	int err;

	for (enum column c = 0; c < NCOLUMNS; c++) {
		width[c] = strlen(titles[c]);
		for (size_t i = 0; i < n; i++) {
			size_t w;

			cell_set(&cell, &sites[i], c);
			w = cell.s ? bs_utf8_columns(cell.s) : 0;
			if (w > width[c])
				width[c] = w < MAX_PAD ? w : MAX_PAD;
		}
	}
	for (enum column c = 0; c < NCOLUMNS; c++)
		put_cell(&o, titles[c], width[c], c);
	for (size_t i = 0; i < n; i++) {
		for (enum column c = 0; c < NCOLUMNS; c++) {
			cell_set(&cell, &sites[i], c);
			put_cell(&o, cell.s ? cell.s : "", width[c], c);
		}
	}
	err = cell.err;
	bs_str_fini(&cell);
	return err ? err : bs_out_finish(&o);
}

int bs_render_list(FILE *out, const struct bs_report_site *sites, size_t n, bool json)
{
	return json ? bs_render_list_json(out, sites, n) : list_text(out, sites, n);
}
