// SPDX-License-Identifier: GPL-2.0-only
/*
 * stapsdt.c - the USDT probes that an ELF file describes in its notes.
 *
 * Format: <sys/sdt.h>; owner "stapsdt", type 3, then three addresses (probe, base at link time,
 * semaphore) and three strings.  The base is the address of .stapsdt.base: prelink moves that
 * section but does not rewrite notes, so the difference is added.
 */
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf.h"
#include "target/stapsdt.h"

#define STAPSDT_TYPE 3u

/* Takes one terminated string of [*at, end); NULL if it does not end. */
static const char *take_string(const char **at, const char *end)
{
	const char *s = *at;
	const char *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

	if (!nul)
		return NULL;
	*at = nul + 1;
	return s;
}

/* 0: parsed; 1: not one of ours to read; -EBADMSG. */
static int parse(const char *desc, size_t size, const uint64_t *base, struct bs_stapsdt_note *n)
{
	const char *at = desc + 3 * sizeof(uint64_t), *end = desc + size;
	uint64_t raw[3];

	if (size < sizeof(raw))
		return -EBADMSG;
	memcpy(raw, desc, sizeof(raw));
	n->pc = raw[0];
	n->semaphore = raw[2];
	if (base) {
		/* Modulo 2^64 on purpose: the file may have moved either way. */
		n->pc += *base - raw[1];
		if (n->semaphore)
			n->semaphore += *base - raw[1];
	}
	n->provider = take_string(&at, end);
	n->name = n->provider ? take_string(&at, end) : NULL;
	n->args = n->name ? take_string(&at, end) : NULL;
	return n->args ? 0 : -EBADMSG;
}

static int walk_section(const char *data, uint64_t size, const uint64_t *base, bs_stapsdt_fn fn,
			void *ctx, uint64_t *bad)
{
	uint64_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		struct bs_stapsdt_note note;
		Elf64_Nhdr h;
		uint64_t name, desc, next;
		int ret;

		memcpy(&h, data + at, sizeof(h));
		name = at + sizeof(h);
		/* 32-bit lengths in 64-bit sums: nothing overflows. */
		desc = name + (((uint64_t)h.n_namesz + 3) & ~3ull);
		next = desc + (((uint64_t)h.n_descsz + 3) & ~3ull);
		if (desc > size || h.n_descsz > size - desc) {
			(*bad)++;
			return 0;
		}
		if (h.n_type == STAPSDT_TYPE && h.n_namesz == sizeof("stapsdt") &&
		    !memcmp(data + name, "stapsdt", sizeof("stapsdt"))) {
			if (parse(data + desc, h.n_descsz, base, &note)) {
				(*bad)++;
			} else {
				ret = fn(ctx, &note);
				if (ret)
					return ret;
			}
		}
		if (next >= size)
			return 0;
		at = next;
	}
	if (at != size)
		(*bad)++;
	return 0;
}

int bs_stapsdt_walk(const struct bs_elf *e, bs_stapsdt_fn fn, void *ctx, uint64_t *bad)
{
	const uint64_t *base = NULL;
	uint64_t budget = e->size;
	int ret;

	*bad = 0;
	for (size_t i = 0; i < e->nsections; i++)
		if (bs_elf_section_is(e, &e->sections[i], ".stapsdt.base")) {
			base = &e->sections[i].addr;
			break;
		}
	for (size_t i = 0; i < e->nsections; i++) {
		const struct bs_elf_section *s = &e->sections[i];
		char *data;

		if (s->type != SHT_NOTE || !bs_elf_section_is(e, s, ".note.stapsdt"))
			continue;
		/*
		 * Linkers make one such section.  Many that share their bytes could turn a small
		 * file into endless work: all together may not be larger than the file.
		 */
		if (s->size > budget) {
			(*bad)++;
			continue;
		}
		budget -= s->size;
		ret = bs_elf_section_load(e, s, &data);
		if (ret == -ENOEXEC) {
			(*bad)++;
			continue;
		}
		if (ret)
			return ret;
		ret = walk_section(data, s->size, base, fn, ctx, bad);
		free(data);
		if (ret)
			return ret;
	}
	return 0;
}
