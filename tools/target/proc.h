/* SPDX-License-Identifier: GPL-2.0-only */
/* proc.h - reading /proc, for the files of this folder and tests. */
#ifndef BS_TARGET_PROC_H
#define BS_TARGET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bs_maps;

/* A file of /proc as a whole, terminated, for free().  0, -E2BIG (past 256 MiB) or -errno. */
int bs_proc_read(const char *path, char **text, size_t *size);

/* What is used of /proc/PID/stat (proc(5)). */
struct bs_proc_stat {
	char state;
	bool kernel_thread;
};
int bs_proc_stat(pid_t pid, struct bs_proc_stat *out);

/*
 * A thread of the process that has not exited: pid itself where it lives, so that its memory can
 * be reached by that number.  Can die any moment.  -ESRCH.
 */
pid_t bs_proc_live_thread(pid_t pid);

/*
 * The text of a maps file as a list; text (terminated, size bytes) is changed and then belongs
 * to the list, on failure it is freed.  Lines that make no sense are left out.  0 or -ENOMEM.
 */
int bs_maps_parse(char *text, size_t size, struct bs_maps *out);

#endif
