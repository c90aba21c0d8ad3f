/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * process.h - what the kernel says about a process: does it exist, may we trace it, what has
 * it mapped.
 */
#ifndef BS_TARGET_PROCESS_H
#define BS_TARGET_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>

struct bs_error;
struct bs_module;

struct bs_mapping {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* in the file */
	dev_t dev;
	ino_t ino; /* 0: anonymous */
	bool exec, write;
	const char *
		path; /* as the kernel prints it, " (deleted)" removed; lives as long as the list */
};

struct bs_maps {
	struct bs_mapping *v; /* file mappings only, by address */
	size_t n;
	char *strings;
};

/*
 * Reads the mappings of a process through one of its live threads (the maps of a dead main
 * thread are empty).  Errors: -ESRCH, -EACCES, -EPERM, -ENOMEM, -EIO.
 */
int bs_maps_read(pid_t pid, struct bs_maps *out, struct bs_error *err);
void bs_maps_fini(struct bs_maps *maps);
/* The mapping that holds addr, borrowed, or NULL. */
const struct bs_mapping *bs_maps_find(const struct bs_maps *maps, uint64_t addr);

/*
 * Opens the file behind a mapping as the process sees it: through map_files, else through the
 * process's root, with device and inode compared.  Containers, deleted and replaced files work.
 * Returns a descriptor or -errno; -ENXIO: it is not mapped any more.
 */
int bs_mapping_open(pid_t pid, const struct bs_mapping *map, struct bs_error *err);

/*
 * Is that descriptor (O_PATH will do) of the regular file that maps show with this device and
 * inode? 0, -ESTALE if not, -ENOTSUP (no regular file) or -errno.
 */
int bs_file_is(int fd, dev_t dev, ino_t ino);

/* The root directory that a process has, O_PATH: good after it has exited.  Or -errno. */
int bs_process_root(pid_t pid);

/*
 * Opens a regular file for reading by its path inside a directory that is taken for the root:
 * symbolic links do not lead out of it.  A descriptor or -errno; -ENOTSUP: no regular file.
 */
int bs_root_open(int root, const char *path);

/*
 * Can this process be traced at all?  Checks that it exists, is no zombie or kernel thread, is of
 * our architecture and that we share the initial pid namespace.  Errors name the pid and the
 * remedy: -ESRCH, -EPERM, -EXDEV (another architecture), -ENOTSUP.
 */
int bs_process_check(pid_t pid, struct bs_error *err);

/* Short name (comm) and executable, "?" where unknown; each always terminated. */
void bs_process_name(pid_t pid, char *comm, size_t comm_size, char *exe, size_t exe_size);

/* User and system time the process has used so far, ns; 0 and -errno when it has gone. */
int bs_process_cpu_ns(pid_t pid, uint64_t *ns);

/*
 * Is a thread of it under strict seccomp (seccomp(2))?  The kernel then lets it make no system call
 * but four, and read no time stamp counter.
 */
bool bs_process_strict(pid_t pid);

/* When it began, as proc(5) has it: with the pid, an identity.  0 when it has gone. */
uint64_t bs_process_started(pid_t pid);

/* True while at least one thread of it has not exited. */
bool bs_process_alive(pid_t pid);

/*
 * All modules with sites or a runtime that the process has mapped executable now, each file once.
 * Files that modules[] already holds (same device and inode) are not read again. *added, *nadded:
 * the new ones, to be freed by the caller (bs_module_free each, free the array). A file that cannot
 * be read is skipped and described in err (code stays 0) unless it is the only one.
 */
int bs_process_modules(pid_t pid, struct bs_module *const *known, size_t nknown,
		       struct bs_module ***added, size_t *nadded, struct bs_error *err);

/* Device and inode of a module as maps show them, which is not always what stat(2) says. */
void bs_module_identity(const struct bs_module *m, dev_t *dev, ino_t *ino);

/* True if the process has the module's file mapped executable. */
bool bs_module_mapped(const struct bs_module *m, pid_t pid);

/* How many other processes (not in pids[]) have the module's file mapped: they are slowed too. */
size_t bs_module_bystanders(const struct bs_module *m, const pid_t *pids, size_t npids);

#endif
