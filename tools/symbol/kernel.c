// SPDX-License-Identifier: GPL-2.0-only
/* kernel.c - names for addresses of code in the kernel. */
#define _GNU_SOURCE
#include "symbol/kernel.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOLS_MAX (4u << 20)

struct symbol {
	uint64_t addr;
	char *name;
};

struct bs_kernel_symbols {
	struct symbol *v; /* by address */
	size_t n, room;
};

/* "ffffffff81000000 T name[\t[module]]"; t and w, in either case, are code. */
static int line_add(struct bs_kernel_symbols *k, const char *line)
{
	char name[512], type;
	unsigned long long addr;

	if (sscanf(line, "%llx %c %511s", &addr, &type, name) != 3 || !addr ||
	    !strchr("tw", tolower((unsigned char)type)) || k->n == SYMBOLS_MAX)
		return 0;
	if (k->n == k->room) {
		size_t room = k->room ? k->room * 2 : 65536;
		struct symbol *grown = reallocarray(k->v, room, sizeof(*grown));

		if (!grown)
			return -1;
		k->v = grown;
		k->room = room;
	}
	k->v[k->n] = (struct symbol){addr, strdup(name)};
	return k->v[k->n].name ? (k->n++, 0) : -1;
}

static int by_addr(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct bs_kernel_symbols *bs_kernel_symbols_new(FILE *kallsyms)
{
	FILE *file = kallsyms ? kallsyms : fopen("/proc/kallsyms", "re");
	struct bs_kernel_symbols *k = calloc(1, sizeof(*k));
	char line[1024];
	int ret = file && k ? 0 : -1;

	while (!ret && fgets(line, sizeof(line), file))
		ret = line_add(k, line);
	if (file && !kallsyms)
		fclose(file);
	if (ret) {
		bs_kernel_symbols_free(k);
		return NULL;
	}
	if (k->n)
		qsort(k->v, k->n, sizeof(*k->v), by_addr);
	return k;
}

void bs_kernel_symbols_free(struct bs_kernel_symbols *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++)
		free(k->v[i].name);
	free(k->v);
	free(k);
}

const char *bs_kernel_symbols_find(const struct bs_kernel_symbols *k, uint64_t addr)
{
	size_t low = 0, high = k ? k->n : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (k->v[middle].addr <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? k->v[low - 1].name : NULL;
}
