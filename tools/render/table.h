/* SPDX-License-Identifier: GPL-2.0-only */
/* table.h - aligned columns that fit into the terminal. */
#ifndef BS_RENDER_TABLE_H
#define BS_RENDER_TABLE_H

#include <stddef.h>

#include "render/text.h"

#define BS_TABLE_COLUMNS 12

struct bs_column {
	const char *title;
	enum { BS_LEFT, BS_RIGHT } align;
	/*
	 * What happens where the table is too wide, in this order: columns shrink to `want`,
	 * columns with the highest `drop` go, columns shrink to `min`.  want 0: never shrunk;
	 * drop 0: never dropped.
	 */
	unsigned char want, min, drop;
};

/* Columns all of whose cells are empty are not shown. */
struct bs_table {
	const struct bs_column *columns;
	size_t ncolumns;
	struct bs_str *cells; /* row by row */
	size_t ncells, cap;
	struct bs_str spare; /* takes what is written once memory is short */
	int err;
};

/* The table borrows columns. */
void bs_table_init(struct bs_table *t, const struct bs_column *columns, size_t n);
void bs_table_fini(struct bs_table *t);

/* The next cell, left to right, row by row, to be filled before the next call; never NULL. */
struct bs_str *bs_table_cell(struct bs_table *t);

/* Title and rows in a style, indented by two.  0 or -ENOMEM; errors of the stream are in o. */
int bs_table_print(struct bs_table *t, struct bs_out *o, enum bs_style style);

#endif
