/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * spaces.h - which file, and where in it, the code at an address of a process is; for unwind.c.
 *
 * Files are opened when a space (mapped.h) is read, and kept open, because they may be deleted, and
 * their process be gone, before somebody asks.
 */
#ifndef BS_UNWIND_SPACES_H
#define BS_UNWIND_SPACES_H

#include <stdbool.h>
#include <stdint.h>

struct bs_spaces;

struct bs_spaces *bs_spaces_new(uint64_t now_ns);
void bs_spaces_free(struct bs_spaces *s);

void bs_spaces_tick(struct bs_spaces *s, uint64_t now_ns);
void bs_spaces_invalidate(struct bs_spaces *s, uint32_t pid);
void bs_spaces_fork(struct bs_spaces *s, uint32_t parent, uint32_t child);

/*
 * The space of pid now: a number that is never used for another, from 1; 0: its maps could not be
 * read so far.
 */
uint32_t bs_spaces_current(struct bs_spaces *s, uint32_t pid);

struct bs_place {
	uint64_t vaddr; /* link-time address */
	uint32_t space; /* in which it was found */
	uint32_t file;	/* from 1, dense */
	bool entry;	/* within the first instructions of the program, which nobody called */
};

/* False if addr is in no file that could be opened, or in none of its segments. */
bool bs_spaces_find(struct bs_spaces *s, uint32_t pid, uint64_t addr, struct bs_place *out);

/* Were there more files than are kept?  In the others nothing is found. */
bool bs_spaces_full(const struct bs_spaces *s);

/* The file of a place, and its separate debug file or -1; borrowed. */
void bs_spaces_fds(struct bs_spaces *s, uint32_t file, int *fd, int *debug_fd);

#endif
