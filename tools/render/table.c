// SPDX-License-Identifier: GPL-2.0-only
/* table.c - aligned columns that fit into the terminal. */
#include "render/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "render/utf8.h"

#define INDENT 2
#define GAP    2

void bs_table_init(struct bs_table *t, const struct bs_column *columns, size_t n)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns;
	t->ncolumns = n;
}

void bs_table_fini(struct bs_table *t)
{
	for (size_t i = 0; i < t->ncells; i++)
		bs_str_fini(&t->cells[i]);
	free(t->cells);
	bs_str_fini(&t->spare);
	memset(t, 0, sizeof(*t));
}

struct bs_str *bs_table_cell(struct bs_table *t)
{
	struct bs_str *cell;

	if (t->ncells == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 128;
		struct bs_str *cells = reallocarray(t->cells, cap, sizeof(*cells));

		if (!cells) {
			t->err = -ENOMEM;
			bs_str_fini(&t->spare);
			return &t->spare;
		}
		t->cells = cells;
		t->cap = cap;
	}
	cell = &t->cells[t->ncells++];
	memset(cell, 0, sizeof(*cell));
	return cell;
}

static const char *text_of(const struct bs_str *s)
{
	return s->s ? s->s : "";
}

static size_t total(const struct bs_table *t, const size_t *width)
{
	size_t sum = 0;

	for (size_t i = 0; i < t->ncolumns; i++)
		if (width[i])
			sum += width[i] + (sum ? GAP : INDENT);
	return sum;
}

/* Takes columns off the widest ones above their limit until the table fits or none is left. */
static void shrink(const struct bs_table *t, size_t *width, size_t limit, bool to_min)
{
	while (total(t, width) > limit) {
		size_t widest = t->ncolumns;

		for (size_t i = 0; i < t->ncolumns; i++) {
			const struct bs_column *c = &t->columns[i];

			if (!c->want || width[i] <= (to_min ? c->min : c->want))
				continue;
			if (widest == t->ncolumns || width[i] > width[widest])
				widest = i;
		}
		if (widest == t->ncolumns)
			return;
		width[widest]--;
	}
}

/* Drops the column with the highest `drop`; false if there is none. */
static bool drop(const struct bs_table *t, size_t *width)
{
	size_t victim = t->ncolumns;

	for (size_t i = 0; i < t->ncolumns; i++)
		if (width[i] && t->columns[i].drop &&
		    (victim == t->ncolumns || t->columns[i].drop > t->columns[victim].drop))
			victim = i;
	if (victim == t->ncolumns)
		return false;
	width[victim] = 0;
	return true;
}

/* The width of each column, 0 for those not shown. */
static void layout(const struct bs_table *t, size_t *width, size_t limit)
{
	size_t natural[BS_TABLE_COLUMNS] = {0};

	for (size_t i = 0; i < t->ncells; i++) {
		size_t w = bs_utf8_columns(text_of(&t->cells[i]));

		/* What is wider than the terminal will be shortened anyway. */
		if (w > limit)
			w = limit;
		if (w > natural[i % t->ncolumns])
			natural[i % t->ncolumns] = w;
	}
	for (size_t i = 0; i < t->ncolumns; i++) {
		size_t title = bs_utf8_columns(t->columns[i].title);

		if (natural[i] && natural[i] < title)
			natural[i] = title;
	}
	memcpy(width, natural, sizeof(natural));
	for (;;) {
		shrink(t, width, limit, false);
		if (total(t, width) <= limit || !drop(t, width))
			break;
		/* The room that this column left goes to the others. */
		for (size_t i = 0; i < t->ncolumns; i++)
			if (width[i])
				width[i] = natural[i];
	}
	shrink(t, width, limit, true);
}

static void cell_line(const struct bs_table *t, const size_t *width, size_t column,
		      const char *text, bool last, struct bs_str *line)
{
	struct bs_str cell = {0};
	size_t pad;

	bs_str_add_short(&cell, text, width[column]);
	pad = width[column] - bs_utf8_columns(text_of(&cell));
	if (t->columns[column].align == BS_RIGHT)
		bs_str_addf(line, "%*s", (int)pad, "");
	bs_str_add(line, text_of(&cell));
	if (t->columns[column].align == BS_LEFT && !last)
		bs_str_addf(line, "%*s", (int)pad, "");
	if (cell.err)
		line->err = cell.err;
	bs_str_fini(&cell);
}

/* row < 0: the titles. */
static int print_row(const struct bs_table *t, const size_t *width, struct bs_out *o, long row,
		     enum bs_style style)
{
	struct bs_str line = {0};
	size_t last = 0;
	bool first = true;
	int err;

	for (size_t i = 0; i < t->ncolumns; i++)
		if (width[i])
			last = i;
	for (size_t i = 0; i < t->ncolumns; i++) {
		if (!width[i])
			continue;
		if (!first)
			bs_str_addf(&line, "%*s", GAP, "");
		first = false;
		cell_line(t, width, i,
			  row < 0 ? t->columns[i].title
				  : text_of(&t->cells[(size_t)row * t->ncolumns + i]),
			  i == last, &line);
	}
	bs_out_spaces(o, INDENT);
	/* No blanks at the end of a line: a report is kept in files and compared. */
	while (line.len && line.s[line.len - 1] == ' ')
		line.s[--line.len] = '\0';
	bs_out_styled(o, style, text_of(&line));
	bs_out_str(o, "\n");
	err = line.err;
	bs_str_fini(&line);
	return err;
}

int bs_table_print(struct bs_table *t, struct bs_out *o, enum bs_style style)
{
	size_t width[BS_TABLE_COLUMNS] = {0};
	size_t rows = t->ncells / t->ncolumns;
	int err = t->err;

	for (size_t i = 0; i < t->ncells && !err; i++)
		err = t->cells[i].err;
	if (err)
		return err;
	layout(t, width, o->width);
	err = print_row(t, width, o, -1, BS_DIM);
	for (size_t i = 0; i < rows && !err; i++)
		err = print_row(t, width, o, (long)i, style);
	return err;
}
