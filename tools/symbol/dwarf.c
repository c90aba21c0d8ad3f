// SPDX-License-Identifier: GPL-2.0-only
/*
 * dwarf.c - functions and lines of many addresses of one file.
 *
 * First which compilation unit each address belongs to; then unit by unit, for those that have
 * addresses: one walk over its tree of functions, one reading of its lines.  Both are then there
 * for all addresses of the unit, and forgotten after it when they have become much.
 */
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/dwarf.h"
#include "target/elf.h"

/* What libdw has read is given back when it has become so much. */
#define MAX_KEPT (192u << 20)
/* Far above what compilers make; lists of ranges that are used again and again can make more. */
#define MAX_RANGES (8u << 20)
#define MAX_DEPTH  512u
#define NOBODY	   UINT32_MAX
/* Units, tree nodes and addresses between two reports of progress. */
#define PROGRESS 1024u

struct range {
	uint64_t low, high;
	uint32_t what;	/* unit, or function */
	uint32_t depth; /* of the function in the tree */
};

struct ranges {
	struct range *v;
	size_t n, room;
};

struct function {
	Dwarf_Off die;
	uint32_t parent; /* function or NOBODY */
	uint32_t call_line;
	Dwarf_Word call_file;
	const char *name; /* borrowed from libdw */
	bool named, inlined;
};

struct look {
	Dwarf *dwarf, *alt;
	size_t before; /* memory when they were opened */
	int fd, alt_fd;
	const struct bs_elf *program;
	const uint64_t *addrs;
	size_t n;
	const struct bs_dwarf_ops *ops;
	Dwarf_Off *units; /* their first DIE */
	size_t nunits, units_room;
	struct ranges unit_ranges;
	/* Of one unit: */
	Dwarf_Die unit;
	const char *directory;
	Dwarf_Files *files;
	size_t nfiles;
	struct function *functions;
	size_t nfunctions, functions_room;
	struct ranges ranges;
	uint32_t *stack; /* of ranges, innermost last */
	size_t stack_room;
	const uint32_t *own; /* addresses of the unit, ascending */
	size_t nown;
	uint64_t removed_end; /* of functions that the linker removed */
	size_t work;
};

static void work(struct look *l)
{
	if (++l->work % PROGRESS == 0)
		l->ops->progress(l->ops->ctx);
}

/* Room for one more element of size bytes. */
static void *room_for(void *v, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 256;
	void *grown;

	if (n < *room)
		return v;
	grown = reallocarray(v, more, size);
	if (grown)
		*room = more;
	return grown;
}

static int ranges_add(struct ranges *r, uint64_t low, uint64_t high, uint32_t what, uint32_t depth)
{
	struct range *v;

	if (r->n == MAX_RANGES)
		return -ENOMEM;
	v = room_for(r->v, r->n, &r->room, sizeof(*v));
	if (!v)
		return -ENOMEM;
	r->v = v;
	v[r->n++] = (struct range){low, high, what, depth};
	return 0;
}

/* By start; of those with the same one the outer function first, then the longer one. */
static int range_order(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->high != y->high)
		return x->high > y->high ? -1 : 1;
	return x->what < y->what ? -1 : x->what > y->what;
}

/*
 * Does code begin there?  Linkers leave functions that they removed in DWARF, at 0 or at another
 * address that is nobody's.
 */
static bool is_code(const struct bs_elf *e, uint64_t addr)
{
	for (size_t i = 0; addr && i < e->nsegments; i++)
		if ((e->segments[i].flags & PF_X) && addr >= e->segments[i].vaddr &&
		    addr - e->segments[i].vaddr < e->segments[i].memsz)
			return true;
	return false;
}

/* The first of the unit's addresses that is not below addr. */
static size_t first_from(const struct look *l, uint64_t addr)
{
	size_t low = 0, high = l->nown;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->addrs[l->own[mid]] < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool is_asked(const struct look *l, uint64_t from, uint64_t to)
{
	size_t at = first_from(l, from);

	return at < l->nown && l->addrs[l->own[at]] < to;
}

/*
 * Adds the ranges of a DIE; of a unit all, of a function those that hold addresses.  *any: whether
 * there were some.
 */
static int die_ranges(struct look *l, Dwarf_Die *die, struct ranges *r, uint32_t what,
		      uint32_t depth, bool *any)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;
	int ret;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
		work(l);
		if (low < high && !is_code(l->program, low)) {
			if (r == &l->ranges && high > l->removed_end)
				l->removed_end = high;
			continue;
		}
		if (low >= high || (r == &l->ranges && !is_asked(l, low, high)))
			continue;
		*any = true;
		ret = ranges_add(r, low, high, what, depth);
		if (ret)
			return ret;
	}
	return 0;
}

static int read_units(struct look *l)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	uint8_t type;
	bool any;
	int ret;

	while (!dwarf_get_units(l->dwarf, unit, &unit, NULL, &type, &die, NULL)) {
		Dwarf_Off *units;

		work(l);
		if (dwarf_tag(&die) != DW_TAG_compile_unit &&
		    dwarf_tag(&die) != DW_TAG_skeleton_unit)
			continue;
		if (l->nunits == NOBODY)
			return -ENOMEM;
		units = room_for(l->units, l->nunits, &l->units_room, sizeof(*units));
		if (!units)
			return -ENOMEM;
		l->units = units;
		units[l->nunits] = dwarf_dieoffset(&die);
		ret = die_ranges(l, &die, &l->unit_ranges, (uint32_t)l->nunits, 0, &any);
		if (ret)
			return ret;
		l->nunits++;
	}
	/* Damage ends the list early: what was read before it counts. */
	qsort(l->unit_ranges.v, l->unit_ranges.n, sizeof(*l->unit_ranges.v), range_order);
	return 0;
}

static size_t memory(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static int open_dwarf(struct look *l)
{
	const void *want, *have;
	const char *name;
	ssize_t size;

	l->before = memory();
	l->dwarf = dwarf_begin(l->fd, DWARF_C_READ);
	if (!l->dwarf)
		return -ENOEXEC;
	if (l->alt_fd < 0)
		return 0;
	l->alt = dwarf_begin(l->alt_fd, DWARF_C_READ);
	size = dwelf_dwarf_gnu_debugaltlink(l->dwarf, &name, &want);
	if (l->alt && size > 0 && dwelf_elf_gnu_build_id(dwarf_getelf(l->alt), &have) == size &&
	    !memcmp(want, have, (size_t)size))
		dwarf_setalt(l->dwarf, l->alt);
	return 0;
}

static void close_dwarf(struct look *l)
{
	dwarf_end(l->dwarf);
	dwarf_end(l->alt);
	l->dwarf = l->alt = NULL;
}

/* --- the tree of a unit ----------------------------------------------------------------------- */

static bool attr_number(Dwarf_Die *die, unsigned name, Dwarf_Word *out)
{
	Dwarf_Attribute attr;

	return dwarf_attr(die, name, &attr) && !dwarf_formudata(&attr, out);
}

/* Adds a function if it has code that is asked for.  Its number, NOBODY if not; or -ENOMEM. */
static int function_add(struct look *l, Dwarf_Die *die, uint32_t parent, uint32_t depth,
			uint32_t *number)
{
	struct function *f;
	Dwarf_Word line = 0;
	bool any = false;
	int ret;

	*number = NOBODY;
	f = room_for(l->functions, l->nfunctions, &l->functions_room, sizeof(*f));
	if (!f)
		return -ENOMEM;
	l->functions = f;
	ret = die_ranges(l, die, &l->ranges, (uint32_t)l->nfunctions, depth, &any);
	if (ret || !any)
		return ret;
	f += l->nfunctions;
	memset(f, 0, sizeof(*f));
	f->die = dwarf_dieoffset(die);
	f->parent = parent;
	f->inlined = dwarf_tag(die) == DW_TAG_inlined_subroutine;
	if (f->inlined) {
		if (attr_number(die, DW_AT_call_line, &line) && line <= UINT32_MAX)
			f->call_line = (uint32_t)line;
		if (!attr_number(die, DW_AT_call_file, &f->call_file))
			f->call_line = 0;
	}
	*number = (uint32_t)l->nfunctions++;
	return 0;
}

/*
 * May functions with code stand below this DIE?  Sets the function that they are in.  Below an
 * inlined one stands only what is inlined into it, and that has code where it has.
 */
static int descend(struct look *l, Dwarf_Die *die, uint32_t depth, uint32_t *in, bool *into)
{
	uint32_t number;
	int ret;

	*into = true;
	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		ret = function_add(l, die, NOBODY, depth, &number);
		*in = number;
		return ret;
	case DW_TAG_inlined_subroutine:
		ret = function_add(l, die, *in, depth, &number);
		*into = number != NOBODY;
		*in = number;
		return ret;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_with_stmt:
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
		return 0;
	}
	*into = false;
	return 0;
}

static int walk(struct look *l)
{
	struct {
		Dwarf_Die die;
		uint32_t in;
	} stack[MAX_DEPTH];
	uint32_t depth = 0;
	int ret;

	if (dwarf_child(&l->unit, &stack[0].die))
		return 0;
	stack[0].in = NOBODY;
	for (;;) {
		uint32_t in = stack[depth].in;
		bool into;

		work(l);
		ret = descend(l, &stack[depth].die, depth, &in, &into);
		if (ret)
			return ret;
		if (into && depth + 1 < MAX_DEPTH &&
		    !dwarf_child(&stack[depth].die, &stack[depth + 1].die)) {
			stack[++depth].in = in;
			continue;
		}
		while (dwarf_siblingof(&stack[depth].die, &stack[depth].die)) {
			if (!depth--)
				return 0;
		}
	}
}

static const char *string_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	const char *s = dwarf_attr_integrate(die, name, &attr) ? dwarf_formstring(&attr) : NULL;

	return s && *s ? s : NULL;
}

static const char *function_name(struct look *l, struct function *f)
{
	Dwarf_Die die;

	if (f->named)
		return f->name;
	f->named = true;
	if (!dwarf_offdie(l->dwarf, f->die, &die))
		return NULL;
	f->name = string_of(&die, DW_AT_linkage_name);
	if (!f->name)
		f->name = string_of(&die, DW_AT_MIPS_linkage_name);
	if (!f->name)
		f->name = string_of(&die, DW_AT_name);
	return f->name;
}

/* A path below the directory of compilation is given from there, as the compiler was given it. */
static const char *file_name(const struct look *l, const char *path)
{
	size_t n = l->directory ? strlen(l->directory) : 0;

	if (path && n > 1 && !strncmp(path, l->directory, n) && path[n] == '/' && path[n + 1])
		return path + n + 1;
	return path;
}

/* --- addresses -------------------------------------------------------------------------------- */

static void frames_of(struct look *l, uint32_t at, uint32_t in)
{
	struct bs_dwarf_frame frames[BS_DWARF_FRAMES];
	Dwarf_Line *line = NULL;
	const char *file = NULL;
	size_t n = 0;
	int number = 0;
	bool whole = false;

	/* The lines of removed functions lie among those of others, if these are at so low
	 * addresses. */
	if (l->addrs[at] >= l->removed_end)
		line = dwarf_getsrc_die(&l->unit, l->addrs[at]);
	if (line && !dwarf_lineno(line, &number) && number > 0)
		file = file_name(l, dwarf_linesrc(line, NULL, NULL));
	if (!file)
		number = 0;
	while (in != NOBODY && n < BS_DWARF_FRAMES - 1 && !whole) {
		struct function *f = &l->functions[in];

		frames[n++] = (struct bs_dwarf_frame){function_name(l, f), file, (uint32_t)number,
						      f->inlined};
		whole = !f->inlined;
		number = (int)f->call_line;
		file = number && f->call_file < l->nfiles
			       ? file_name(l, dwarf_filesrc(l->files, f->call_file, NULL, NULL))
			       : NULL;
		if (!file)
			number = 0;
		in = f->parent;
	}
	/* Not known here is the function that all this is inlined into, or all there is. */
	if (!whole)
		frames[n++] = (struct bs_dwarf_frame){NULL, file, (uint32_t)number, false};
	l->ops->frames(l->ops->ctx, at, frames, n);
}

/*
 * Functions begin and end as they like.  On the stack are those that have begun; the one that began
 * last, and has not ended, holds the address.
 */
static int sweep(struct look *l)
{
	size_t next = 0, depth = 0;

	for (size_t i = 0; i < l->nown; i++) {
		uint64_t addr = l->addrs[l->own[i]];

		while (next < l->ranges.n && l->ranges.v[next].low <= addr) {
			uint32_t *stack = room_for(l->stack, depth, &l->stack_room, sizeof(*stack));

			if (!stack)
				return -ENOMEM;
			l->stack = stack;
			while (depth && l->ranges.v[stack[depth - 1]].high <= addr)
				depth--;
			stack[depth++] = (uint32_t)next++;
		}
		while (depth && l->ranges.v[l->stack[depth - 1]].high <= addr)
			depth--;
		frames_of(l, l->own[i], depth ? l->ranges.v[l->stack[depth - 1]].what : NOBODY);
		work(l);
	}
	return 0;
}

static int look_unit(struct look *l, uint32_t unit)
{
	int ret;

	if (memory() > l->before + MAX_KEPT) {
		close_dwarf(l);
		ret = open_dwarf(l);
		if (ret)
			return ret;
	}
	if (!dwarf_offdie(l->dwarf, l->units[unit], &l->unit))
		return 0;
	l->nfunctions = l->ranges.n = l->nfiles = 0;
	l->removed_end = 0;
	l->directory = string_of(&l->unit, DW_AT_comp_dir);
	if (dwarf_getsrcfiles(&l->unit, &l->files, &l->nfiles))
		l->nfiles = 0;
	ret = walk(l);
	if (ret)
		return ret;
	qsort(l->ranges.v, l->ranges.n, sizeof(*l->ranges.v), range_order);
	ret = sweep(l);
	l->ops->progress(l->ops->ctx);
	return ret;
}

struct place {
	uint32_t unit, at;
};

static int place_order(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* The addresses by unit; *n of them, for free().  NULL when out of memory. */
static struct place *places_of(const struct look *l, size_t *n)
{
	struct place *places = calloc(l->n + 1, sizeof(*places));
	size_t next = 0;

	*n = 0;
	for (size_t i = 0; places && i < l->n; i++) {
		const struct ranges *r = &l->unit_ranges;

		while (next < r->n && r->v[next].low <= l->addrs[i])
			next++;
		if (next && l->addrs[i] < r->v[next - 1].high)
			places[(*n)++] = (struct place){r->v[next - 1].what, (uint32_t)i};
	}
	if (places)
		qsort(places, *n, sizeof(*places), place_order);
	return places;
}

static int look_all(struct look *l)
{
	uint32_t *own = calloc(l->n + 1, sizeof(*own));
	struct place *places;
	size_t n, end;
	int ret = 0;

	places = places_of(l, &n);
	if (!own || !places)
		ret = -ENOMEM;
	l->own = own;
	for (size_t i = 0; !ret && i < n; i = end) {
		for (end = i; end < n && places[end].unit == places[i].unit; end++)
			own[end - i] = places[end].at;
		l->nown = end - i;
		ret = look_unit(l, places[i].unit);
	}
	free(own);
	free(places);
	return ret;
}

int bs_dwarf_look(int fd, int alt_fd, const struct bs_elf *program, const uint64_t *addrs, size_t n,
		  const struct bs_dwarf_ops *ops)
{
	struct look l = {
		.fd = fd,
		.alt_fd = alt_fd,
		.program = program,
		.addrs = addrs,
		.n = n,
		.ops = ops,
	};
	int ret;

	if (n >= NOBODY)
		return -ENOMEM;
	ret = open_dwarf(&l);
	if (!ret)
		ret = read_units(&l);
	if (!ret)
		ret = look_all(&l);
	close_dwarf(&l);
	free(l.units);
	free(l.unit_ranges.v);
	free(l.functions);
	free(l.ranges.v);
	free(l.stack);
	return ret;
}
