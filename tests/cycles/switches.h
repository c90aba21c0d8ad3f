/* SPDX-License-Identifier: GPL-2.0-only */
/* switches.h - the switches of a process, for the test tools cycle and careless. */
#ifndef SWITCHES_H
#define SWITCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "target/patch.h"

struct switches {
	struct bs_patch *v; /* by address; those that cross a page are left out */
	size_t n;
	size_t crossing;
	uint64_t where;	    /* a number that another layout of memory does not have */
	uint64_t semaphore; /* address of the runtime's semaphore; 0 if there is none */
};

/* Reads the modules of the process.  0 or -errno with err. */
int switches_find(pid_t pid, struct switches *out, struct bs_error *err);
void switches_fini(struct switches *s);

/* Where the program of the process begins in memory; 0 if it has gone. */
uint64_t switches_where(pid_t pid);

/* How many are not the no-op, read from the process's memory; -errno if that cannot be read. */
long switches_lit(pid_t pid, const struct switches *s);

/* Says in the process that somebody listens, as the kernel does for a probe, or that nobody does.
 */
int switches_listen(pid_t pid, const struct switches *s, bool listen);

/* pid and its descendants: at most max; how many. */
size_t switches_family(pid_t pid, pid_t *out, size_t max);

/* The nop, and the jump that takes the place of its first five bytes. */
extern const unsigned char switches_nop[6];
void switches_jump(const struct bs_patch *p, unsigned char *five);

#endif
