// SPDX-License-Identifier: GPL-2.0-only
/* maps.c - what a process has mapped, and how to get at those very files. */
#define _GNU_SOURCE /* O_PATH */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "target/proc.h"
#include "target/process.h"

#ifndef BTRFS_SUPER_MAGIC
#define BTRFS_SUPER_MAGIC 0x9123683E
#endif
#ifndef OVERLAYFS_SUPER_MAGIC
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#endif
#define BCACHEFS_SUPER_MAGIC 0xca451a4e

#define DELETED " (deleted)"

/* A number in the given base that ends at stop; *s is left behind stop.  False if there is none. */
static bool number(const char **s, int base, char stop, uint64_t *out)
{
	char *end;

	if (!isxdigit((unsigned char)**s))
		return false;
	errno = 0;
	*out = strtoull(*s, &end, base);
	if (errno || *end != stop)
		return false;
	*s = end + 1;
	return true;
}

/*
 * One line, terminated where its newline was: "start-end perms offset major:minor inode  path"
 * (proc(5)).  False if it is not a mapping of a file.
 */
static bool parse_line(char *line, struct bs_mapping *m)
{
	const char *s = line;
	uint64_t dev_major, dev_minor, ino;
	size_t len;
	char *path, *end;

	if (!number(&s, 16, '-', &m->start) || !number(&s, 16, ' ', &m->end) ||
	    m->start >= m->end || strlen(s) < 5 || s[4] != ' ')
		return false;
	m->exec = s[2] == 'x';
	m->write = s[1] == 'w';
	s += 5;
	if (!number(&s, 16, ' ', &m->offset) || !number(&s, 16, ':', &dev_major) ||
	    !number(&s, 16, ' ', &dev_minor))
		return false;
	errno = 0;
	if (!isdigit((unsigned char)*s))
		return false;
	ino = strtoull(s, &end, 10);
	if (errno || (*end && *end != ' ') || !ino)
		return false;
	path = end;
	while (*path == ' ')
		path++;
	len = strlen(path);
	/* A file whose name ends like that is shown shortened; its identity is the inode. */
	if (len > strlen(DELETED) && !strcmp(path + len - strlen(DELETED), DELETED))
		path[len - strlen(DELETED)] = '\0';
	m->dev = makedev((unsigned)dev_major, (unsigned)dev_minor);
	m->ino = (ino_t)ino;
	m->path = path;
	return true;
}

int bs_maps_parse(char *text, size_t size, struct bs_maps *out)
{
	size_t room = 0, n = 0;
	struct bs_mapping *v = NULL;

	for (char *line = text, *next; line < text + size; line = next) {
		char *nl = memchr(line, '\n', (size_t)(text + size - line));
		struct bs_mapping m;

		next = nl ? nl + 1 : text + size;
		if (nl)
			*nl = '\0';
		if (!parse_line(line, &m))
			continue;
		/* The kernel hands it out page by page; what moved in between comes twice. */
		if (n && m.start < v[n - 1].end)
			continue;
		if (n == room) {
			struct bs_mapping *more;

			room = room ? room * 2 : 64;
			more = realloc(v, room * sizeof(*v));
			if (!more) {
				free(v);
				free(text);
				return -ENOMEM;
			}
			v = more;
		}
		v[n++] = m;
	}
	out->v = v;
	out->n = n;
	out->strings = text;
	return 0;
}

int bs_maps_read(pid_t pid, struct bs_maps *out, struct bs_error *err)
{
	char path[64], *text = NULL;
	size_t size = 0;
	int ret = -ESRCH;

	memset(out, 0, sizeof(*out));
	/* The thread that was alive a moment ago may have gone: look for another one. */
	for (int tries = 0; tries < 5; tries++) {
		pid_t tid = bs_proc_live_thread(pid);

		if (tid < 0) {
			ret = -ESRCH;
			break;
		}
		snprintf(path, sizeof(path), "/proc/%d/maps", tid);
		ret = bs_proc_read(path, &text, &size);
		if (ret == -ENOENT)
			ret = -ESRCH;
		if (ret == -ESRCH)
			continue;
		if (ret || size)
			break;
		/* Empty: a thread on its way out, or a kernel thread. */
		free(text);
		text = NULL;
		ret = -ESRCH;
	}
	switch (ret) {
	case 0:
		ret = bs_maps_parse(text, size, out);
		if (ret)
			return bs_error_set(err, ret, "pid %d: out of memory", pid);
		return 0;
	case -ESRCH:
		return bs_error_set(err, ret, "pid %d: no such process, or it has just exited",
				    pid);
	case -EACCES:
	case -EPERM:
		return bs_error_set(err, ret,
				    "pid %d: its memory map may not be read: run as root, or with "
				    "CAP_SYS_PTRACE",
				    pid);
	case -ENOMEM:
		return bs_error_set(err, ret, "pid %d: out of memory", pid);
	}
	return bs_error_set(err, -EIO, "pid %d: cannot read its memory map: %s", pid,
			    strerror(-ret));
}

void bs_maps_fini(struct bs_maps *maps)
{
	if (!maps)
		return;
	free(maps->v);
	free(maps->strings);
	memset(maps, 0, sizeof(*maps));
}

const struct bs_mapping *bs_maps_find(const struct bs_maps *maps, uint64_t addr)
{
	size_t low = 0, high = maps->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->v[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < maps->n && maps->v[low].start <= addr ? &maps->v[low] : NULL;
}

/* Is the very same mapping still there? */
static bool still_mapped(pid_t pid, const struct bs_mapping *map)
{
	struct bs_maps maps;
	bool same = false;

	if (bs_maps_read(pid, &maps, NULL))
		return false;
	for (size_t i = 0; i < maps.n && !same; i++) {
		const struct bs_mapping *m = &maps.v[i];

		same = m->start == map->start && m->end == map->end && m->ino == map->ino &&
		       m->dev == map->dev && m->offset == map->offset;
	}
	bs_maps_fini(&maps);
	return same;
}

/*
 * These file systems give stat(2) another device than the maps show, or several of them: then
 * the inode, which they pass through, has to do.
 */
static bool has_two_devices(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	return fs.f_type == (__typeof__(fs.f_type))BTRFS_SUPER_MAGIC ||
	       fs.f_type == (__typeof__(fs.f_type))BCACHEFS_SUPER_MAGIC ||
	       fs.f_type == (__typeof__(fs.f_type))OVERLAYFS_SUPER_MAGIC;
}

int bs_file_is(int fd, dev_t dev, ino_t ino)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	/* Reading a device can do things: never opened for real. */
	if (!S_ISREG(st.st_mode))
		return -ENOTSUP;
	if (st.st_ino != ino || (st.st_dev != dev && !has_two_devices(fd)))
		return -ESTALE;
	return 0;
}

/* Opens for reading what an O_PATH descriptor stands for, and closes that. */
static int open_for_real(int path_fd)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		fd = -errno;
	close(path_fd);
	return fd;
}

/*
 * The kernel's own link to the file of this range.  Nothing can be mistaken but the range
 * itself, which may have been mapped anew: where the inode differs (overlayfs of some kernels
 * shows the lower one on one side only) the maps are asked again.
 */
static int open_map_file(pid_t pid, pid_t tid, const struct bs_mapping *map)
{
	char path[96];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", tid,
		 (unsigned long long)map->start, (unsigned long long)map->end);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -ESTALE;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOTSUP;
	}
	if (st.st_ino != map->ino && !still_mapped(pid, map)) {
		close(fd);
		return -ESTALE;
	}
	return open_for_real(fd);
}

/* The program itself needs no path and fewer rights. */
static int open_exe(pid_t tid, const struct bs_mapping *map)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = bs_file_is(fd, map->dev, map->ino);
	if (ret) {
		close(fd);
		return ret;
	}
	return open_for_real(fd);
}

/*
 * The path as the process knows it: maps give the one from the top of its mount namespace, which
 * after chroot begins with its root.
 */
static const char *path_in_root(const char *root, const char *path)
{
	char link[PATH_MAX];
	ssize_t len = readlink(root, link, sizeof(link));

	if (len > 1 && (size_t)len < sizeof(link) && !strncmp(path, link, (size_t)len) &&
	    path[len] == '/')
		return path + len;
	return path;
}

/* The path inside a root directory, O_PATH; symbolic links do not lead out of it.  Or -errno. */
static int open_in_root(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd < 0 && errno == ENOSYS) {
		while (*path == '/')
			path++;
		fd = openat(root, path, O_PATH | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

int bs_root_open(int root, const char *path)
{
	int fd = open_in_root(root, path);
	struct stat st;

	if (fd < 0)
		return fd;
	/* As in bs_file_is. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOTSUP;
	}
	return open_for_real(fd);
}

int bs_process_root(pid_t pid)
{
	pid_t tid = bs_proc_live_thread(pid);
	char root[64];
	int fd;

	if (tid < 0)
		return -ESRCH;
	snprintf(root, sizeof(root), "/proc/%d/root", tid);
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * By its name, inside the process's root: symbolic links of a container must not lead out into
 * our own tree.  The name may belong to another file by now, hence the comparison.
 */
static int open_by_path(pid_t tid, const struct bs_mapping *map)
{
	char root[64];
	int dir, fd, ret;

	if (map->path[0] != '/')
		return -ENOENT;
	snprintf(root, sizeof(root), "/proc/%d/root", tid);
	dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = open_in_root(dir, path_in_root(root, map->path));
	close(dir);
	if (fd < 0)
		return fd;
	ret = bs_file_is(fd, map->dev, map->ino);
	if (ret) {
		close(fd);
		return ret;
	}
	return open_for_real(fd);
}

int bs_mapping_open(pid_t pid, const struct bs_mapping *map, struct bs_error *err)
{
	pid_t tid = bs_proc_live_thread(pid);
	int first, fd;

	if (tid < 0)
		return bs_error_set(err, -ESRCH, "pid %d: no such process, or it has just exited",
				    pid);
	first = fd = open_map_file(pid, tid, map);
	/* map_files wants CAP_CHECKPOINT_RESTORE (before Linux 5.9: CAP_SYS_ADMIN). */
	if (fd < 0 && fd != -ENOTSUP)
		fd = open_exe(tid, map);
	if (fd < 0 && first != -ENOTSUP)
		fd = open_by_path(tid, map);
	if (fd >= 0)
		return fd;
	if (first == -ENOTSUP)
		return bs_error_set(err, first, "pid %d: %s is not a regular file", pid, map->path);
	/* Of one that is just going the kernel may say anything, such as -ESRCH. */
	if ((first == -ENOENT || first == -ESTALE || fd == -ENOENT || fd == -ESTALE) &&
	    !still_mapped(pid, map))
		return bs_error_set(err, -ENXIO, "pid %d: %s is not mapped any more", pid,
				    map->path);
	if (fd == -ENOENT || fd == -ESTALE)
		return bs_error_set(
			err, fd,
			"pid %d: %s was deleted or replaced since it was mapped: run as "
			"root, or with CAP_CHECKPOINT_RESTORE, to read the old one",
			pid, map->path);
	if (fd == -EACCES || fd == -EPERM)
		return bs_error_set(err, fd,
				    "pid %d: %s may not be read: run as root, or with "
				    "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
				    pid, map->path);
	return bs_error_set(err, fd, "pid %d: %s cannot be opened: %s", pid, map->path,
			    strerror(-fd));
}
