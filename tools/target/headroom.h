/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * headroom.h - is there room in a process's memory cgroup for what lighting its sites takes?
 *
 * Patched pages of text, and the buffers that are then written to, become private memory of the
 * process, charged to its cgroup.  Past the limit the kernel kills, and not us.
 */
#ifndef BS_TARGET_HEADROOM_H
#define BS_TARGET_HEADROOM_H

#include <stdint.h>
#include <sys/types.h>

struct bs_error;

/*
 * 0 if the memory cgroup of the process, and each one above it that can be seen, has room for
 * need_bytes and a margin, or no limit, or if there is no memory cgroup.  Else -ENOMEM, with what
 * is free, what is needed and what to do.  -ESRCH.
 */
int bs_headroom_check(pid_t pid, uint64_t need_bytes, struct bs_error *err);

/*
 * The same with every path (of /proc and of the mounts it names) below root; tid: the thread whose
 * cgroup it is.  For bs_headroom_check() and tests.
 */
int bs_headroom_check_at(const char *root, pid_t pid, pid_t tid, uint64_t need_bytes,
			 struct bs_error *err);

#endif
