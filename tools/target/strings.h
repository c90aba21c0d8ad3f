/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * strings.h - many strings of one file, read once each: for records of a file that nobody
 * vouches for.
 */
#ifndef BS_TARGET_STRINGS_H
#define BS_TARGET_STRINGS_H

#include <stddef.h>
#include <stdint.h>

struct bs_elf;
struct bs_string_block;

/* Longest string of a site, without its terminator. */
#define BS_STRING_MAX 4096u

struct bs_string {
	uint64_t offset; /* in the file */
	uint64_t room;	 /* bytes that may belong to it */
	const char *text;
};

/* Life: init (zeros) -> add ... -> read -> find ... -> fini. */
struct bs_strings {
	struct bs_string *v;
	size_t n, room;
	struct bs_string_block *blocks; /* that hold the text */
};

/* Wants the string at offset, which may take up to room bytes.  0 or -ENOMEM. */
int bs_strings_add(struct bs_strings *s, uint64_t offset, uint64_t room);
/*
 * Reads all of them in one pass through the file, each place once.  All together may not be
 * longer than the file (many that overlap could turn a small file into gigabytes): those past
 * that are left out.  0, -EIO or -ENOMEM.
 */
int bs_strings_read(struct bs_strings *s, const struct bs_elf *e);
/*
 * Borrowed until fini; NULL if it was not added, does not end within its room and
 * BS_STRING_MAX, or was left out.
 */
const char *bs_strings_find(const struct bs_strings *s, uint64_t offset);
void bs_strings_fini(struct bs_strings *s);

#endif
