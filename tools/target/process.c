// SPDX-License-Identifier: GPL-2.0-only
/* process.c - what the kernel says about a process. */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/num.h"
#include "target/elf.h"
#include "target/module.h"
#include "target/proc.h"
#include "target/process.h"

/* The inode of the first pid namespace: PROC_PID_INIT_INO, include/linux/proc_ns.h. */
#define INIT_PID_NS 0xEFFFFFFCu
/* include/linux/sched.h */
#define PF_KTHREAD    0x00200000u
#define MAX_PROC_TEXT (256u << 20)

int bs_proc_read(const char *path, char **text, size_t *size)
{
	size_t room = 16384, n = 0;
	char *p = NULL;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	p = malloc(room);
	if (!p) {
		ret = -ENOMEM;
		goto fail;
	}
	for (;;) {
		ssize_t got = read(fd, p + n, room - n - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ret = -errno;
			goto fail;
		}
		if (!got)
			break;
		n += (size_t)got;
		if (n == room - 1) {
			char *more;

			ret = -E2BIG;
			if (room >= MAX_PROC_TEXT)
				goto fail;
			more = realloc(p, room * 2);
			ret = -ENOMEM;
			if (!more)
				goto fail;
			p = more;
			room *= 2;
		}
	}
	close(fd);
	p[n] = '\0';
	*text = p;
	*size = n;
	return 0;
fail:
	close(fd);
	free(p);
	return ret;
}

int bs_proc_stat(pid_t pid, struct bs_proc_stat *out)
{
	char path[64], *text, *s;
	unsigned flags = 0;
	size_t size;
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	ret = bs_proc_read(path, &text, &size);
	if (ret)
		return ret == -ENOENT ? -ESRCH : ret;
	/* The name is anything, parentheses and newlines too, but the last ')' is the end of it. */
	s = strrchr(text, ')');
	ret = -EIO;
	if (s && sscanf(s + 1, " %c %*d %*d %*d %*d %*d %u", &out->state, &flags) == 2) {
		out->kernel_thread = flags & PF_KTHREAD;
		ret = 0;
	}
	free(text);
	return ret;
}

static bool is_dead(char state)
{
	return state == 'Z' || state == 'X' || state == 'x';
}

pid_t bs_proc_live_thread(pid_t pid)
{
	struct bs_proc_stat st;
	char path[64];
	pid_t found = -ESRCH;
	struct dirent *d;
	DIR *dir;

	if (pid <= 0)
		return -ESRCH;
	if (!bs_proc_stat(pid, &st) && !is_dead(st.state))
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return -ESRCH;
	while (found < 0 && (d = readdir(dir))) {
		uint64_t tid;

		if (!bs_num_u64(d->d_name, 1, INT_MAX, &tid) && !bs_proc_stat((pid_t)tid, &st) &&
		    !is_dead(st.state))
			found = (pid_t)tid;
	}
	closedir(dir);
	return found;
}

uint64_t bs_process_started(pid_t pid)
{
	char path[64], *text, *s;
	unsigned long long started = 0;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (bs_proc_read(path, &text, &size))
		return 0;
	s = strrchr(text, ')');
	/* The 22nd field; the name is the second. */
	for (int field = 2; s && field < 22; field++)
		s = strchr(s + 1, ' ');
	if (s)
		sscanf(s, " %llu", &started);
	free(text);
	return started;
}

bool bs_process_alive(pid_t pid)
{
	/* While a thread executes another program it takes the number of the first: ask again. */
	for (int tries = 0; tries < 3; tries++) {
		if (bs_proc_live_thread(pid) > 0)
			return true;
		usleep(500);
	}
	return false;
}

/* "Seccomp:\t1" in the status of a thread (proc(5)). */
static bool thread_strict(pid_t pid, pid_t tid)
{
	char path[64], *text, *line;
	bool strict;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	if (bs_proc_read(path, &text, &size))
		return false;
	line = strstr(text, "\nSeccomp:\t");
	strict = line && line[strlen("\nSeccomp:\t")] == '1';
	free(text);
	return strict;
}

bool bs_process_strict(pid_t pid)
{
	bool strict = false;
	struct dirent *d;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && !strict && (d = readdir(dir))) {
		uint64_t tid;

		if (!bs_num_u64(d->d_name, 1, INT_MAX, &tid))
			strict = thread_strict(pid, (pid_t)tid);
	}
	if (dir)
		closedir(dir);
	return strict;
}

/* Another number than pid if pid is only one of a process's threads; 0 if it cannot be told. */
static pid_t process_of(pid_t pid)
{
	char path[64], *text, *line;
	pid_t tgid = 0;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (bs_proc_read(path, &text, &size))
		return 0;
	line = strstr(text, "\nTgid:");
	if (line)
		sscanf(line, " Tgid: %d", &tgid);
	free(text);
	return tgid;
}

static int no_such(pid_t pid, struct bs_error *err)
{
	return bs_error_set(err, -ESRCH, "pid %d: no such process", pid);
}

static int not_permitted(pid_t pid, struct bs_error *err)
{
	return bs_error_set(err, -EPERM,
			    "pid %d: not permitted to look into it: run as root, or with "
			    "CAP_SYS_PTRACE",
			    pid);
}

static int check_program(pid_t pid, pid_t tid, struct bs_error *err)
{
	unsigned char h[20] = {0};
	char path[64];
	uint16_t machine;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		switch (errno) {
		case ENOENT:
			return bs_process_alive(pid)
				       ? bs_error_set(err, -ENOTSUP,
						      "pid %d: runs no program (a kernel thread?)",
						      pid)
				       : no_such(pid, err);
		case ESRCH:
			return no_such(pid, err);
		case EACCES:
		case EPERM:
			return not_permitted(pid, err);
		}
		return bs_error_set(err, -EPERM, "pid %d: cannot open its program: %s", pid,
				    strerror(errno));
	}
	got = pread(fd, h, sizeof(h), 0);
	close(fd);
	if (got != sizeof(h) || memcmp(h, ELFMAG, SELFMAG))
		return bs_error_set(err, -EXDEV, "pid %d: its program is not an ELF file", pid);
	memcpy(&machine, h + 18, sizeof(machine));
	if (h[EI_DATA] == ELFDATA2LSB && h[EI_CLASS] == ELFCLASS64 &&
	    machine == bs_elf_machine_native())
		return 0;
	if (h[EI_DATA] == ELFDATA2LSB && machine == bs_elf_machine_native())
		return bs_error_set(err, -EXDEV,
				    "pid %d: a 32-bit program; bscope-trace traces 64-bit ones",
				    pid);
	return bs_error_set(err, -EXDEV, "pid %d: a program for %s; this bscope-trace is for %s",
			    pid, bs_elf_machine_name(machine),
			    bs_elf_machine_name(bs_elf_machine_native()));
}

int bs_process_check(pid_t pid, struct bs_error *err)
{
	struct bs_proc_stat st;
	struct stat ns;
	char path[64];
	pid_t tid, tgid;
	int fd, ret;

	/* Pids in events are those of the first namespace; in another one they mean others. */
	if (stat("/proc/self/ns/pid", &ns))
		return bs_error_set(err, -ENOTSUP,
				    "/proc is not mounted: mount -t proc proc /proc");
	if (ns.st_ino != INIT_PID_NS)
		return bs_error_set(
			err, -ENOTSUP,
			"bscope-trace runs inside a container (its own pid namespace): run "
			"it on the host, or start the container with --pid=host");
	if (pid <= 0)
		return no_such(pid, err);
	ret = bs_proc_stat(pid, &st);
	if (ret == -ESRCH)
		return no_such(pid, err);
	if (ret)
		return bs_error_set(err, -EPERM, "pid %d: cannot be looked at: %s", pid,
				    strerror(-ret));
	tgid = process_of(pid);
	if (tgid && tgid != pid)
		return bs_error_set(err, -ESRCH, "pid %d: only a thread of process %d: give that",
				    pid, tgid);
	if (st.kernel_thread)
		return bs_error_set(err, -ENOTSUP, "pid %d: a kernel thread has no sites", pid);
	tid = bs_proc_live_thread(pid);
	if (tid < 0)
		return bs_error_set(err, -ESRCH,
				    "pid %d: has exited already (a zombie that its parent has not "
				    "waited for)",
				    pid);
	ret = check_program(pid, tid, err);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES || errno == EPERM ? not_permitted(pid, err)
							 : no_such(pid, err);
	close(fd);
	return 0;
}

void bs_process_name(pid_t pid, char *comm, size_t comm_size, char *exe, size_t exe_size)
{
	static const char deleted[] = " (deleted)";
	char path[64], link[PATH_MAX + sizeof(deleted)], *text;
	pid_t tid = bs_proc_live_thread(pid);
	ssize_t len;
	size_t size;

	snprintf(comm, comm_size, "?");
	snprintf(exe, exe_size, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (!bs_proc_read(path, &text, &size)) {
		if (size && text[size - 1] == '\n')
			text[size - 1] = '\0';
		if (text[0])
			snprintf(comm, comm_size, "%s", text);
		free(text);
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", tid > 0 ? tid : pid);
	len = readlink(path, link, sizeof(link) - 1);
	if (len <= 0)
		return;
	link[len] = '\0';
	if ((size_t)len >= sizeof(deleted) && !strcmp(link + len - (sizeof(deleted) - 1), deleted))
		link[(size_t)len - (sizeof(deleted) - 1)] = '\0';
	snprintf(exe, exe_size, "%s", link);
}

int bs_process_cpu_ns(pid_t pid, uint64_t *ns)
{
	struct timespec ts;
	clockid_t clock;

	/* All threads, those that have exited too, to the nanosecond; stat has hundredths. */
	*ns = 0;
	if (pid <= 0 || clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		return -ESRCH;
	*ns = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
	return 0;
}

static int mapping_order(const void *a, const void *b)
{
	const struct bs_mapping *x = *(const struct bs_mapping *const *)a;
	const struct bs_mapping *y = *(const struct bs_mapping *const *)b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static bool holds(struct bs_module *const *v, size_t n, const struct stat *st)
{
	for (size_t i = 0; i < n; i++)
		if (v[i]->dev == st->st_dev && v[i]->ino == st->st_ino)
			return true;
	return false;
}

/* Programs map other things executable too: caches of a JIT, libraries of Windows. */
static bool is_elf(int fd)
{
	char magic[SELFMAG];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       !memcmp(magic, ELFMAG, SELFMAG);
}

/*
 * One mapped file.  *m: NULL if it is known or has nothing to show.  0 or -errno with err.
 */
static int read_mapped(pid_t pid, const struct bs_mapping *map, struct bs_module *const *known,
		       size_t nknown, struct bs_module *const *added, size_t nadded,
		       struct bs_module **m, struct bs_error *err)
{
	struct stat st;
	int fd, ret;

	*m = NULL;
	fd = bs_mapping_open(pid, map, err);
	if (fd == -ENOTSUP) /* a device */
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || holds(known, nknown, &st) || holds(added, nadded, &st) ||
	    !is_elf(fd)) {
		close(fd);
		return 0;
	}
	ret = bs_module_read(fd, map->path, m, err);
	if (ret) {
		close(fd);
		return ret;
	}
	if ((*m)->nsites || (*m)->runtime.batch_offset)
		return 0;
	ret = 0;
	if ((*m)->nskipped)
		ret = bs_error_set(err, -ENOEXEC, "%s: none of its %zu sites is usable: %s",
				   (*m)->path, (*m)->nskipped, (*m)->skipped);
	bs_module_free(*m);
	*m = NULL;
	return ret;
}

int bs_process_modules(pid_t pid, struct bs_module *const *known, size_t nknown,
		       struct bs_module ***added, size_t *nadded, struct bs_error *err)
{
	const struct bs_mapping **exec = NULL;
	struct bs_module **v = NULL;
	struct bs_error first = {0};
	size_t n = 0, nexec = 0, read_ok = 0;
	struct bs_maps maps;
	int ret;

	*added = NULL;
	*nadded = 0;
	ret = bs_maps_read(pid, &maps, err);
	if (ret)
		return ret;
	exec = malloc((maps.n + 1) * sizeof(*exec));
	v = malloc((maps.n + 1) * sizeof(struct bs_module *));
	if (!exec || !v) {
		ret = bs_error_set(err, -ENOMEM, "pid %d: out of memory", pid);
		goto out;
	}
	for (size_t i = 0; i < maps.n; i++)
		if (maps.v[i].exec)
			exec[nexec++] = &maps.v[i];
	qsort(exec, nexec, sizeof(*exec), mapping_order);
	for (size_t i = 0; i < nexec; i++) {
		struct bs_error why = {0};

		if (i && exec[i]->dev == exec[i - 1]->dev && exec[i]->ino == exec[i - 1]->ino)
			continue;
		ret = read_mapped(pid, exec[i], known, nknown, v, n, &v[n], &why);
		/* It executes another program, say: what it has mapped now is for the next look. */
		if (ret == -ENXIO) {
			ret = 0;
			continue;
		}
		if (ret == -ENOMEM || ret == -ESRCH) {
			if (err)
				*err = why;
			goto out;
		}
		if (!ret)
			read_ok++;
		else if (!first.code)
			first = why;
		if (!ret && v[n])
			n++;
	}
	ret = read_ok ? 0 : first.code;
	if (err && first.code) {
		*err = first;
		err->code = ret;
	}
out:
	if (ret || !n) {
		for (size_t i = 0; i < n; i++)
			bs_module_free(v[i]);
		free(v);
	} else {
		*added = v;
		*nadded = n;
	}
	free(exec);
	bs_maps_fini(&maps);
	return ret;
}

/* One page of the file is mapped, not touched, and looked up in our own maps. */
void bs_module_identity(const struct bs_module *m, dev_t *dev, ino_t *ino)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const struct bs_mapping *map;
	struct bs_maps maps;
	void *p;

	*dev = m->dev;
	*ino = m->ino;
	p = mmap(NULL, page, PROT_NONE, MAP_PRIVATE, m->fd, 0);
	if (p == MAP_FAILED)
		return;
	if (!bs_maps_read(getpid(), &maps, NULL)) {
		map = bs_maps_find(&maps, (uint64_t)(uintptr_t)p);
		if (map) {
			*dev = map->dev;
			*ino = map->ino;
		}
		bs_maps_fini(&maps);
	}
	munmap(p, page);
}

static bool maps_it(pid_t pid, dev_t dev, ino_t ino)
{
	struct bs_maps maps;
	bool found = false;

	if (bs_maps_read(pid, &maps, NULL))
		return false;
	for (size_t i = 0; i < maps.n && !found; i++)
		found = maps.v[i].exec && maps.v[i].ino == ino && maps.v[i].dev == dev;
	bs_maps_fini(&maps);
	return found;
}

bool bs_module_mapped(const struct bs_module *m, pid_t pid)
{
	dev_t dev;
	ino_t ino;

	bs_module_identity(m, &dev, &ino);
	return maps_it(pid, dev, ino);
}

size_t bs_module_bystanders(const struct bs_module *m, const pid_t *pids, size_t npids)
{
	struct dirent *d;
	dev_t dev;
	ino_t ino;
	size_t n = 0;
	DIR *dir;

	bs_module_identity(m, &dev, &ino);
	dir = opendir("/proc");
	if (!dir)
		return 0;
	while ((d = readdir(dir))) {
		uint64_t pid;
		bool ours;

		if (bs_num_u64(d->d_name, 1, INT_MAX, &pid))
			continue;
		ours = (pid_t)pid == getpid();
		for (size_t i = 0; i < npids && !ours; i++)
			ours = pids[i] == (pid_t)pid;
		n += !ours && maps_it((pid_t)pid, dev, ino);
	}
	closedir(dir);
	return n;
}
