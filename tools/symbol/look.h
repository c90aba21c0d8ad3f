/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * look.h - names of addresses in files, looked up in a process of its own.
 *
 * The libraries that know DWARF (libdw) and mangled names (libiberty) trust what they read, and
 * files of traced programs are anybody's.  A child reads them: it has the files and a pipe and
 * nothing else that is open, may make no system call but reading, writing and getting memory, and
 * no more of that than BS_LOOK_MEMORY; it is killed when it does nothing for a while.  What it
 * wrote until then is good, the file that it died of has no more names, and another child goes on
 * with the next one.  What comes out of the pipe is checked like the files themselves (wire.h).
 */
#ifndef BS_SYMBOL_LOOK_H
#define BS_SYMBOL_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/wire.h"

struct bs_elf;

/* Memory that a child may get on top of what it was born with, bytes. */
#define BS_LOOK_MEMORY (512ull << 20)

struct bs_look_file {
	const struct bs_elf *elf; /* the file that runs, open */
	int debug_fd, alt_fd;	  /* its separate debug file, what dwz moved out of that; or -1 */
	size_t first, n;	  /* of the addresses, ascending */
	bool failed;		  /* set: the child died of it, or took too long */
};

/* In the child: writes messages, buffered; does not return when nobody reads them. */
struct bs_look_out;
void bs_look_write(struct bs_look_out *o, const struct bs_wire_msg *m, const char *text);

struct bs_look {
	struct bs_look_file *files;
	size_t nfiles;
	const uint64_t *addrs; /* as linked, of all files */

	/* What addrs[at] is; borrowed.  0 or -errno, which ends it. */
	int (*found)(void *ctx, size_t at, const struct bs_wire_found *found);
	/* Called several times a second; false: it is to end.  NULL: never asked. */
	bool (*more)(void *ctx);
	void *ctx;

	uint64_t stall_ns; /* a child that says nothing for so long is killed */
	uint64_t until_ns; /* CLOCK_MONOTONIC: what is not found until then is not found */
	/* What the child does with a file: bs_look_work, or a test's. */
	void (*work)(struct bs_look_out *o, const struct bs_look *look,
		     const struct bs_look_file *file);
};

/*
 * Looks all of them up.  0 also where names are missing; -ECANCELED (more() said so), -ETIME
 * (until_ns has come), -ENOMEM, or -errno where no child can be made.
 */
int bs_look_run(struct bs_look *look);

/* In the child: the names of one file. */
void bs_look_work(struct bs_look_out *o, const struct bs_look *look,
		  const struct bs_look_file *file);

/*
 * Leaves this process with nothing but these descriptors, at most so much memory more, and the
 * system calls that looking up takes, or answering questions that come through a socket
 * (unwind/cfi.h). 0 or -errno.
 */
int bs_look_shut_in(const int *fds, size_t nfds);

#endif
