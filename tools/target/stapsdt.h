/* SPDX-License-Identifier: GPL-2.0-only */
/* stapsdt.h - the USDT probes that an ELF file describes in its notes. */
#ifndef BS_TARGET_STAPSDT_H
#define BS_TARGET_STAPSDT_H

#include <stdint.h>

struct bs_elf;

struct bs_stapsdt_note {
	uint64_t pc;	    /* link-time address, prelink taken into account */
	uint64_t semaphore; /* likewise; 0: none */
	const char *provider, *name, *args;
};

/*
 * Calls fn for each note of .note.stapsdt; the strings live as long as the call.  fn returns 0
 * to go on; another value ends the walk and is returned.
 * *bad: notes that could not be understood; a walk ends at the first one whose length makes no
 * sense.  Returns 0, what fn returned, -EIO or -ENOMEM.
 */
typedef int (*bs_stapsdt_fn)(void *ctx, const struct bs_stapsdt_note *note);
int bs_stapsdt_walk(const struct bs_elf *e, bs_stapsdt_fn fn, void *ctx, uint64_t *bad);

#endif
