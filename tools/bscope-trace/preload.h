/* SPDX-License-Identifier: GPL-2.0-only */
/* preload.h - the preload libraries: which is asked for, and where it is. */
#ifndef BS_TRACE_PRELOAD_H
#define BS_TRACE_PRELOAD_H

#include <stddef.h>

struct bs_error;

/* Sets of functions; each choice of them is a library of its own. */
#define BS_PRELOAD_MALLOC 0x01u
#define BS_PRELOAD_LOCK	  0x02u
#define BS_PRELOAD_FD	  0x04u
#define BS_PRELOAD_SETS	  3

/* Adds the sets that a list names, "malloc,fd"; -EINVAL with err. */
int bs_preload_add(unsigned *sets, const char *list, struct bs_error *err);

/*
 * Path of the library of these sets: in the folder of $BSCOPE_PRELOAD, which names that of malloc,
 * else beside the tool or installed.  0, -ENOENT, -EINVAL or -ENAMETOOLONG with err.
 */
int bs_preload_find(unsigned sets, char *path, size_t size, struct bs_error *err);

/*
 * The tool itself never runs under a preload library: when LD_PRELOAD names one, starts the
 * tool again without; a COMMAND gets the variable back.  Returns when nothing is to be done.
 */
void bs_preload_leave(char **argv);

/* Where bs_preload_leave keeps the user's LD_PRELOAD for the COMMAND. */
#define BS_PRELOAD_KEPT "BSCOPE_KEPT_LD_PRELOAD"

#endif
