// SPDX-License-Identifier: GPL-2.0-only
/*
 * elf_symbols.c - which function an address belongs to.
 *
 * Symbols may nest and overlap as they like (aliases, hand-written assembly, hostile files).
 * They are sorted once and flattened into spans that do not overlap, each owned by the symbol
 * that began last: for nested symbols that is the tightest one.  A sweep with a stack makes at
 * most two spans per symbol, so a lookup is one binary search whatever the file says.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf.h"

/* How many aliases of one function are looked at for the nicest name. */
#define MAX_ALIASES 8u
#define NOBODY	    UINT32_MAX

struct symbol {
	uint64_t start, end;
	char *text; /* NULL until asked for */
	uint32_t name;
	uint8_t rank; /* global before weak before local */
};

struct span {
	uint64_t start; /* up to the start of the next one */
	uint32_t owner; /* symbol or NOBODY */
};

struct bs_elf_symbols {
	struct bs_elf file; /* fd and size alone */
	uint64_t strings, strings_size;
	struct symbol *v;
	size_t n;
	struct span *spans;
	size_t nspans;
};

static int symbol_order(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

static uint8_t bind_rank(unsigned char info)
{
	switch (ELF64_ST_BIND(info)) {
	case STB_GLOBAL:
		return 0;
	case STB_WEAK:
		return 1;
	}
	return 2;
}

static int append(struct bs_elf_symbols *s, size_t *room, const Elf64_Sym *sym)
{
	uint64_t end;

	/*
	 * Without a size nobody knows where the function ends, and a stripped one may follow: a
	 * guess could name the wrong function.
	 */
	if (ELF64_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_shndx == SHN_UNDEF ||
	    !sym->st_size || !sym->st_name || sym->st_name >= s->strings_size ||
	    __builtin_add_overflow(sym->st_value, sym->st_size, &end))
		return 0;
	if (s->n == *room) {
		size_t more = *room ? *room * 2 : 256;
		struct symbol *v = realloc(s->v, more * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		*room = more;
	}
	s->v[s->n++] = (struct symbol){
		.start = sym->st_value,
		.end = end,
		.name = sym->st_name,
		.rank = bind_rank(sym->st_info),
	};
	return 0;
}

static int read_table(const struct bs_elf *e, const struct bs_elf_section *t,
		      struct bs_elf_symbols *s)
{
	const struct bs_elf_section *strings;
	Elf64_Sym chunk[1024];
	uint64_t left, at = t->offset;
	size_t room = 0;
	int ret;

	if (t->entsize != sizeof(Elf64_Sym) || t->link >= e->nsections || t->offset > e->size ||
	    t->size > e->size - t->offset)
		return -ENOEXEC;
	strings = &e->sections[t->link];
	if (strings->type != SHT_STRTAB || strings->offset > e->size ||
	    strings->size > e->size - strings->offset)
		return -ENOEXEC;
	s->strings = strings->offset;
	s->strings_size = strings->size;
	left = t->size / sizeof(Elf64_Sym);
	if (left > BS_ELF_MAX_SYMBOLS)
		left = BS_ELF_MAX_SYMBOLS;
	while (left) {
		size_t n = left < 1024 ? (size_t)left : 1024;

		ret = bs_elf_read(e, at, chunk, n * sizeof(chunk[0]));
		if (ret)
			return ret;
		for (size_t i = 0; i < n; i++) {
			ret = append(s, &room, &chunk[i]);
			if (ret)
				return ret;
		}
		at += n * sizeof(chunk[0]);
		left -= n;
	}
	return 0;
}

static void emit(struct bs_elf_symbols *s, uint64_t start, uint32_t owner)
{
	if (s->nspans && s->spans[s->nspans - 1].start == start)
		s->nspans--;
	s->spans[s->nspans++] = (struct span){start, owner};
}

static int flatten(struct bs_elf_symbols *s)
{
	uint32_t *stack;
	size_t depth = 0;

	if (!s->n)
		return 0;
	stack = malloc(s->n * sizeof(*stack));
	s->spans = malloc(2 * s->n * sizeof(*s->spans));
	if (!stack || !s->spans) {
		free(stack);
		return -ENOMEM;
	}
	qsort(s->v, s->n, sizeof(*s->v), symbol_order);
	for (size_t i = 0; i <= s->n; i++) {
		uint64_t limit = i < s->n ? s->v[i].start : UINT64_MAX;

		/* An alias of the one before: the first of its kind stands for all. */
		if (i && i < s->n && s->v[i].start == s->v[i - 1].start &&
		    s->v[i].end == s->v[i - 1].end)
			continue;
		while (depth && s->v[stack[depth - 1]].end <= limit) {
			uint64_t at = s->v[stack[--depth]].end;

			while (depth && s->v[stack[depth - 1]].end <= at)
				depth--;
			emit(s, at, depth ? stack[depth - 1] : NOBODY);
		}
		if (i < s->n) {
			emit(s, limit, (uint32_t)i);
			stack[depth++] = (uint32_t)i;
		}
	}
	free(stack);
	return 0;
}

static const struct bs_elf_section *section_of_type(const struct bs_elf *e, uint32_t type)
{
	for (size_t i = 0; i < e->nsections; i++)
		if (e->sections[i].type == type)
			return &e->sections[i];
	return NULL;
}

int bs_elf_symbols_new(const struct bs_elf *e, struct bs_elf_symbols **out)
{
	static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
	struct bs_elf_symbols *s = calloc(1, sizeof(*s));
	int ret = 0;

	if (!s)
		return -ENOMEM;
	s->file.fd = e->fd;
	s->file.size = e->size;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !s->n; i++) {
		const struct bs_elf_section *t = section_of_type(e, types[i]);

		/* A damaged table is one without names; the sites do not depend on it. */
		if (t && read_table(e, t, s) == -ENOMEM) {
			ret = -ENOMEM;
			goto fail;
		}
	}
	ret = flatten(s);
	if (ret)
		goto fail;
	*out = s;
	return 0;
fail:
	bs_elf_symbols_free(s);
	return ret;
}

void bs_elf_symbols_free(struct bs_elf_symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].text);
	free(s->v);
	free(s->spans);
	free(s);
}

size_t bs_elf_symbols_count(const struct bs_elf_symbols *s)
{
	return s->n;
}

/* The name of one symbol into buf; false if the file does not hold it. */
static bool read_name(const struct bs_elf_symbols *s, uint32_t name, char *buf)
{
	uint64_t left = s->strings_size - name;
	size_t n = left < BS_ELF_MAX_NAME ? (size_t)left : BS_ELF_MAX_NAME;

	if (bs_elf_read(&s->file, s->strings + name, buf, n))
		return false;
	/* One that runs to the end of its table without a terminator is not a name. */
	if (n < BS_ELF_MAX_NAME && !memchr(buf, '\0', n))
		return false;
	buf[n] = '\0';
	return buf[0] != '\0';
}

static const char *name_of(struct bs_elf_symbols *s, uint32_t owner)
{
	struct symbol *first = &s->v[owner];
	char best[BS_ELF_MAX_NAME + 1], buf[BS_ELF_MAX_NAME + 1];
	size_t best_bars = SIZE_MAX;

	if (first->text)
		return first->text;
	for (size_t i = owner; i < s->n && i - owner < MAX_ALIASES; i++) {
		size_t bars;

		if (s->v[i].start != first->start || s->v[i].end != first->end)
			break;
		if (!read_name(s, s->v[i].name, buf))
			continue;
		bars = strspn(buf, "_");
		if (bars < best_bars) {
			best_bars = bars;
			memcpy(best, buf, sizeof(best));
		}
	}
	if (best_bars != SIZE_MAX)
		first->text = strdup(best);
	return first->text;
}

const char *bs_elf_symbols_find(struct bs_elf_symbols *s, uint64_t vaddr, uint64_t *start)
{
	size_t low = 0, high = s->nspans;
	uint32_t owner;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->spans[mid].start <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	owner = s->spans[low - 1].owner;
	if (owner == NOBODY)
		return NULL;
	if (start)
		*start = s->v[owner].start;
	return name_of(s, owner);
}
