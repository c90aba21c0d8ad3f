// SPDX-License-Identifier: GPL-2.0-only
/*
 * strings.c - allocations that the C library makes on the program's behalf (strdup, asprintf,
 * getdelim), a table that doubles, and a known part left at the end.
 *
 * Usage: strings ROUNDS; see family.c.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tally.h"

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	struct tally t = {0};
	size_t cap = 0, n = 0;
	unsigned long i;
	char **table = NULL;

	for (i = 0; i < rounds; i++) {
		char number[32];
		char *s;

		snprintf(number, sizeof(number), "%lu", i * 2654435761u);
		if (n == cap) {
			cap = cap ? cap * 2 : 4;
			if (table)
				t.resizes++;
			else
				t.made++;
			table = reallocarray(table, cap, sizeof(*table));
			if (!table)
				abort();
		}
		s = strdup(number);
		t.made++;
		if (!s)
			abort();
		table[n++] = s;
		/* The older half goes, now and then; the others stay. */
		if (i % 2) {
			free(table[i / 2]);
			t.dropped++;
			table[i / 2] = NULL;
		}
	}
	for (i = 0; i < n; i++) {
		if (!table[i])
			continue;
		t.left++;
		t.left_bytes += strlen(table[i]) + 1;
	}
	if (table) {
		t.left++;
		t.left_bytes += cap * sizeof(*table);
	}
	/* strndup allocates by itself what it copies, not what it was allowed to. */
	for (i = 0; i < rounds; i++) {
		free(strndup("a string", i % 12));
		t.made++;
		t.dropped++;
	}
	tally_print(&t);
	return table == NULL && rounds > 0;
}
