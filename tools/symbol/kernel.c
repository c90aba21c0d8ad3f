// SPDX-License-Identifier: GPL-2.0-only
/* kernel.c - names for addresses of code in the kernel. */
#define _GNU_SOURCE
#include "symbol/kernel.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOLS_MAX (4u << 20)

/* What is in memory of its own begins a page, and ends one. */
#define PAGE_BYTES 4096u

struct symbol {
	uint64_t addr;
	char *name;	/* NULL: not code, only the end of what is before it */
	uint32_t owner; /* 0: the kernel proper; else a module, or what was made at run time */
	bool alone;	/* nothing of its owner follows for sure */
};

struct bs_kernel_symbols {
	struct symbol *v; /* by address */
	size_t n, room;
	char owner[64]; /* of the last line */
	uint32_t owners;
};

/* Lines of one owner follow each other. */
static uint32_t owner_of(struct bs_kernel_symbols *k, const char *owner)
{
	if (strcmp(k->owner, owner)) {
		snprintf(k->owner, sizeof(k->owner), "%s", owner);
		k->owners++;
	}
	return *owner ? k->owners : 0;
}

/* t and w, in either case, are code, but for where all of it ends. */
static bool is_code(char type, const char *name)
{
	return strchr("tw", tolower((unsigned char)type)) && strcmp(name, "_etext") &&
	       strcmp(name, "_einittext");
}

/* "ffffffff81000000 T name[\t[module]]" */
static int line_add(struct bs_kernel_symbols *k, const char *line)
{
	char name[512], owner[sizeof(k->owner)] = "", type;
	unsigned long long addr;
	struct symbol *s;

	if (sscanf(line, "%llx %c %511s [%63[^]]", &addr, &type, name, owner) < 3 || !addr ||
	    k->n == SYMBOLS_MAX)
		return 0;
	if (k->n == k->room) {
		size_t room = k->room ? k->room * 2 : 65536;
		struct symbol *grown = reallocarray(k->v, room, sizeof(*grown));

		if (!grown)
			return -1;
		k->v = grown;
		k->room = room;
	}
	s = &k->v[k->n];
	*s = (struct symbol){.addr = addr, .owner = owner_of(k, owner)};
	/* BPF programs, trampolines. */
	s->alone = !strcmp(owner, "bpf") || !strncmp(owner, "__builtin__", 11);
	if (is_code(type, name)) {
		s->name = strdup(name);
		if (!s->name)
			return -1;
	}
	k->n++;
	return 0;
}

/* Of those at one address that which is code comes last. */
static int by_addr(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (!x->name || !y->name)
		return !y->name - !x->name;
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

/*
 * Nothing says how long a function is.  In one text it ends where the next one begins; what comes
 * last of its owner ends with its page at the latest.
 */
static uint64_t end_of(const struct bs_kernel_symbols *k, size_t at)
{
	const struct symbol *s = &k->v[at];
	const struct symbol *next = at + 1 < k->n ? s + 1 : NULL;
	uint64_t page = (s->addr | (PAGE_BYTES - 1)) + 1;

	if (next && next->owner == s->owner && !s->alone)
		return next->addr;
	return next && next->addr < page ? next->addr : page;
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
	return low && addr < end_of(k, low - 1) ? k->v[low - 1].name : NULL;
}
