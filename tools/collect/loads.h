/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loads.h - the files that processes map to execute code from, told by the kernel as they do it:
 * programs that are executed, libraries that are loaded.
 *
 * perf_event_open(2): records of mmap of an event that counts nothing, of all processes, since
 * only per CPU do threads and children that come later belong to it.  They are in a buffer before
 * mmap returns, so that whoever has read what a program said, and then these, has read of each file
 * from which it can have been said.
 *
 * Not thread-safe.
 */
#ifndef BS_COLLECT_LOADS_H
#define BS_COLLECT_LOADS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bs_loads;

struct bs_load {
	pid_t pid;
	/* As the maps of the process show it (bs_mapping): device, inode and path. */
	dev_t dev;
	ino_t ino;
	uint64_t generation; /* another one when an inode's number is given to another file */
	const char *path;    /* lives as long as the call that it is given to */
};

/*
 * From now on.  0 or -errno: -EACCES or -EPERM (CAP_PERFMON is missing), -ENOSYS (no perf events),
 * -ENOMEM, or what else perf_event_open or mmap gave.
 */
int bs_loads_new(struct bs_loads **out);
void bs_loads_free(struct bs_loads *l);

/*
 * Hands over all that was told since the last call.  *lost: some did not fit into a buffer.
 * 0, or the first that fn returned and that is not 0: the rest is for the next call.
 */
int bs_loads_read(struct bs_loads *l, int (*fn)(void *ctx, const struct bs_load *load), void *ctx,
		  bool *lost);

#endif
