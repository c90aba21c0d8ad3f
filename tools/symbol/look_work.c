// SPDX-License-Identifier: GPL-2.0-only
/* look_work.c - in a process of its own: the names of one file, from DWARF and symbol tables. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "symbol/debugfile.h"
#include "symbol/demangle.h"
#include "symbol/dwarf.h"
#include "symbol/look.h"
#include "target/elf.h"

/* A string that was sent, by what it was made of.  Memory that is short ends the process. */
struct sent {
	UT_hash_handle hh;
	uint32_t number;
	char raw[];
};

struct names {
	struct bs_look_out *out;
	const uint64_t *addrs;
	size_t first; /* number of addrs[0] */
	struct sent *functions, *files;
	uint32_t *nstrings;
	struct bs_elf debug;
	struct bs_elf_symbols *symbols[2]; /* of the debug file, of the file itself */
	bool *done;			   /* by address: DWARF had something */
};

static uint32_t send(struct names *s, const char *text)
{
	size_t n = strnlen(text, BS_WIRE_MAX_STRING);
	struct bs_wire_msg m = {.kind = BS_WIRE_STRING, .a = (uint32_t)n};

	if (!n)
		return 0;
	bs_look_write(s->out, &m, text);
	return ++*s->nstrings;
}

/* The number of a string, 0 for none. */
static uint32_t number_of(struct names *s, struct sent **table, const char *raw)
{
	size_t n = raw ? strlen(raw) : 0;
	struct sent *found;
	char *nice;

	if (!n)
		return 0;
	HASH_FIND(hh, *table, raw, n, found);
	if (found)
		return found->number;
	found = malloc(sizeof(*found) + n + 1);
	if (!found)
		_exit(1);
	memcpy(found->raw, raw, n + 1);
	nice = table == &s->functions ? bs_demangle(raw) : NULL;
	found->number = send(s, nice ? nice : raw);
	free(nice);
	HASH_ADD_KEYPTR(hh, *table, found->raw, n, found);
	return found->number;
}

static void forget(struct sent **table)
{
	struct sent *s, *next;

	HASH_ITER (hh, *table, s, next) {
		HASH_DEL(*table, s);
		free(s);
	}
}

static const char *symbol_at(struct names *s, uint64_t addr, uint64_t *start)
{
	const char *name = NULL;

	for (size_t i = 0; i < 2 && !name; i++)
		if (s->symbols[i])
			name = bs_elf_symbols_find(s->symbols[i], addr, start);
	return name;
}

/*
 * The end of an address; outer: the function that it is in.  A part of it that lies elsewhere
 * (".cold") has a symbol of its own: there is no offset then.
 */
static void send_address(struct names *s, size_t at, const char *outer)
{
	struct bs_wire_msg m = {.kind = BS_WIRE_ADDRESS, .a = (uint32_t)(s->first + at)};
	uint64_t start, offset;
	const char *symbol = symbol_at(s, s->addrs[at], &start);

	if (symbol && outer && !strcmp(symbol, outer)) {
		offset = s->addrs[at] - start;
		m.b = (uint32_t)offset;
		m.c = (uint32_t)(offset >> 32);
		m.d = 1;
	}
	bs_look_write(s->out, &m, NULL);
	s->done[at] = true;
}

/*
 * DWARF says what a function of C++ is called without its namespace where nobody else can link to
 * it: there the symbol says more.  Where DWARF says nothing it is all.
 */
static const char *outer_name(struct names *s, uint64_t addr, const char *name)
{
	uint64_t start;
	const char *symbol = !name || name[0] != '_' ? symbol_at(s, addr, &start) : NULL;

	if (!name || (symbol && bs_is_mangled(symbol)))
		return symbol;
	return name;
}

static void frames(void *ctx, size_t at, const struct bs_dwarf_frame *f, size_t n)
{
	struct names *s = ctx;
	const char *outer = NULL;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		const char *name = f[i].function;
		struct bs_wire_msg frame = {.kind = BS_WIRE_FRAME, .c = f[i].line};

		if (!f[i].inlined)
			outer = name = outer_name(s, s->addrs[at], name);
		frame.a = number_of(s, &s->functions, name);
		if (!frame.a)
			continue;
		frame.b = number_of(s, &s->files, f[i].file);
		if (!frame.b)
			frame.c = 0;
		frame.d = f[i].inlined;
		bs_look_write(s->out, &frame, NULL);
		any = true;
	}
	if (any)
		send_address(s, at, outer);
}

static void progress(void *ctx)
{
	struct names *s = ctx;
	struct bs_wire_msg m = {.kind = BS_WIRE_WORK};

	bs_look_write(s->out, &m, NULL);
}

void bs_look_work(struct bs_look_out *o, const struct bs_look *look,
		  const struct bs_look_file *file)
{
	static uint32_t nstrings; /* of all files: numbers go on */
	struct names s = {
		.out = o,
		.addrs = look->addrs + file->first,
		.first = file->first,
		.nstrings = &nstrings,
		.done = calloc(file->n + 1, sizeof(bool)),
	};
	const struct bs_dwarf_ops ops = {frames, progress, &s};
	bool debug;

	if (!s.done)
		_exit(1);
	debug = file->debug_fd >= 0 && !bs_elf_init(&s.debug, file->debug_fd, "", NULL);
	if (debug)
		bs_elf_symbols_new(&s.debug, &s.symbols[0]);
	progress(&s);
	bs_elf_symbols_new(file->elf, &s.symbols[1]);
	progress(&s);
	if (debug && bs_elf_has_dwarf(&s.debug))
		bs_dwarf_look(file->debug_fd, file->alt_fd, file->elf, s.addrs, file->n, &ops);
	else if (bs_elf_has_dwarf(file->elf))
		bs_dwarf_look(file->elf->fd, file->alt_fd, file->elf, s.addrs, file->n, &ops);
	for (size_t i = 0; i < file->n; i++) {
		const struct bs_dwarf_frame f = {NULL, NULL, 0, false};

		if (!s.done[i])
			frames(&s, i, &f, 1);
	}
	forget(&s.functions);
	forget(&s.files);
	bs_elf_symbols_free(s.symbols[0]);
	bs_elf_symbols_free(s.symbols[1]);
	if (debug)
		bs_elf_fini(&s.debug);
	free(s.done);
}
