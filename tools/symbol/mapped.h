/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mapped.h - what processes have mapped, as it is needed to say what is at an address: for the
 * names of code, and for unwinding.
 *
 * A space is what a process had mapped at one time; a fork shares it.  The maps of a process are
 * read when first needed, once a second after that (a library may have been replaced by another at
 * the same address), and when an address is not found.  The last is paid from an allowance, so
 * that a flood of addresses that are nowhere, or of a process that has gone, does not read /proc
 * each time.
 */
#ifndef BS_SYMBOL_MAPPED_H
#define BS_SYMBOL_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/index.h"
#include "target/process.h"

struct bs_space {
	size_t users;
	uint32_t id; /* from 1, never used again: key of caches */
	struct bs_maps maps;
	/* The user's own. */
	uint32_t *files; /* by mapping, all 0 at first */
	uint64_t vdso;	 /* where the kernel put it; 0 at first */
};

struct bs_mapped_process {
	uint32_t pid;
	struct bs_space *space; /* NULL: could not be read so far */
	uint64_t read_ns;	/* when it was last tried; 0: never */
	uint64_t refill_ns;
	unsigned allowance;
	bool gone; /* its maps could not be read the last time */
};

/* All zeros is an empty table, but for seen and ctx. */
struct bs_mapped {
	struct bs_mapped_process **processes;
	size_t nprocesses;
	struct bs_mapped_process *last;
	struct bs_index by_pid; /* pid -> place in processes + 1 */
	uint32_t next_space;
	size_t nmappings;   /* of all spaces */
	uint64_t forgot_ns; /* when they were too many the last time */
	uint64_t now_ns;    /* CLOCK_MONOTONIC, never 0, kept by the user */
	/* Called for each space that was read, while its process may still live; may be NULL. */
	void (*seen)(void *ctx, uint32_t pid, struct bs_space *space);
	void *ctx;
};

/* Leaves an empty table. */
void bs_mapped_fini(struct bs_mapped *m);

/*
 * The process; get makes one of which nothing is known, and is NULL when out of memory.  With too
 * many processes or mappings all are forgotten, spaces too: pointers are valid until the next get,
 * fork or invalidate.
 */
struct bs_mapped_process *bs_mapped_find(struct bs_mapped *m, uint32_t pid);
struct bs_mapped_process *bs_mapped_get(struct bs_mapped *m, uint32_t pid);

/* Were its maps never read, or too long ago to be trusted? */
bool bs_mapped_due(const struct bs_mapped *m, const struct bs_mapped_process *p);
/* Reads them.  What was known stays when that is not possible. */
void bs_mapped_read(struct bs_mapped *m, struct bs_mapped_process *p);
/* May an address that was not found cause one more reading? */
bool bs_mapped_may_read(struct bs_mapped *m, struct bs_mapped_process *p);

/* It has executed another program, or loaded a library: its maps are read now, because it may have
 * gone when its first address comes.  NULL when out of memory. */
struct bs_mapped_process *bs_mapped_invalidate(struct bs_mapped *m, uint32_t pid);
/* A child starts with the space of its parent. */
void bs_mapped_fork(struct bs_mapped *m, uint32_t parent, uint32_t child);

#endif
