// SPDX-License-Identifier: GPL-2.0-only
/* switches.c - the switches of a process, from what its modules and its maps say. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "target/module.h"
#include "target/process.h"
#include "tests/cycles/switches.h"

#define PAGE 4096u

const unsigned char switches_nop[6] = {0x66, 0x0f, 0x1f, 0x44, 0, 0};

void switches_jump(const struct bs_patch *p, unsigned char *five)
{
	five[0] = 0xe9;
	memcpy(five + 1, &p->rel, 4);
}

static int by_addr(const void *a, const void *b)
{
	const struct bs_patch *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* What must be added to a link-time address of the module. */
static bool load_bias(const struct bs_module *m, const struct bs_maps *maps, uint64_t *bias)
{
	uint64_t vaddr;
	dev_t dev;
	ino_t ino;

	bs_module_identity(m, &dev, &ino);
	for (size_t i = 0; i < maps->n; i++) {
		const struct bs_mapping *map = &maps->v[i];

		if (!map->exec || map->dev != dev || map->ino != ino)
			continue;
		/* A mapping begins with the page of its segment, the segment perhaps within it. */
		for (uint64_t in = 0; in < PAGE; in++) {
			if (!bs_module_vaddr_find(m, map->offset + in, &vaddr))
				continue;
			*bias = map->start + in - vaddr;
			return true;
		}
	}
	return false;
}

static int add(struct switches *s, const struct bs_module *m, uint64_t bias)
{
	struct bs_patch *more = realloc(s->v, (s->n + m->nsites) * sizeof(*s->v));

	if (!more)
		return -ENOMEM;
	s->v = more;
	for (size_t i = 0; i < m->nsites; i++) {
		uint64_t vaddr = m->sites[i].probe_vaddr + 1;
		struct bs_patch *p = &s->v[s->n];

		if (!m->sites[i].stub_vaddr)
			continue;
		p->addr = bias + vaddr;
		p->rel = (int32_t)(m->sites[i].stub_vaddr - (vaddr + 5));
		p->state = BS_PATCH_DARK;
		if (p->addr / PAGE == (p->addr + 4) / PAGE)
			s->n++;
		else
			s->crossing++;
	}
	if (m->runtime.batch_offset)
		s->semaphore = bias + m->runtime.control_vaddr;
	return 0;
}

int switches_find(pid_t pid, struct switches *out, struct bs_error *err)
{
	struct bs_module **modules;
	struct bs_maps maps = {0};
	size_t nmodules;
	int ret;

	memset(out, 0, sizeof(*out));
	out->where = switches_where(pid);
	ret = bs_process_modules(pid, NULL, 0, &modules, &nmodules, err);
	if (ret)
		return ret;
	ret = bs_maps_read(pid, &maps, err);
	for (size_t i = 0; i < nmodules; i++) {
		uint64_t bias;

		if (!ret && load_bias(modules[i], &maps, &bias))
			ret = add(out, modules[i], bias);
		bs_module_free(modules[i]);
	}
	free(modules);
	bs_maps_fini(&maps);
	if (ret) {
		switches_fini(out);
		return ret;
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_addr);
	return out->n ? 0 : bs_error_set(err, -ENOENT, "pid %d: no switches", pid);
}

void switches_fini(struct switches *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

uint64_t switches_where(pid_t pid)
{
	struct bs_maps maps;
	uint64_t where = 0;

	if (bs_maps_read(pid, &maps, NULL))
		return 0;
	if (maps.n)
		where = maps.v[0].start;
	bs_maps_fini(&maps);
	return where;
}

static int open_mem(pid_t pid, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

long switches_lit(pid_t pid, const struct switches *s)
{
	int fd = open_mem(pid, O_RDONLY);
	long lit = 0;

	for (size_t i = 0; fd >= 0 && i < s->n; i++) {
		unsigned char bytes[6];

		if (pread(fd, bytes, 6, (off_t)s->v[i].addr) != 6) {
			lit = -EIO;
			break;
		}
		lit += memcmp(bytes, switches_nop, 6) != 0;
	}
	if (fd < 0)
		return fd;
	close(fd);
	return lit;
}

int switches_listen(pid_t pid, const struct switches *s, bool listen)
{
	uint16_t semaphore = listen;
	int fd, ret = 0;

	if (!s->semaphore)
		return -ENOENT;
	fd = open_mem(pid, O_RDWR);
	if (fd < 0)
		return fd;
	if (pwrite(fd, &semaphore, sizeof(semaphore), (off_t)s->semaphore) != sizeof(semaphore))
		ret = -EIO;
	close(fd);
	return ret;
}

/* Children of a thread, which the kernel lists where it is built to. */
static size_t children(pid_t pid, const char *tid, pid_t *out, size_t n, size_t max)
{
	char path[320];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid, tid);
	f = fopen(path, "re");
	while (f && n < max && fscanf(f, "%d", &child) == 1)
		out[n++] = child;
	if (f)
		fclose(f);
	return n;
}

size_t switches_family(pid_t pid, pid_t *out, size_t max)
{
	size_t n = 0;

	if (!max)
		return 0;
	out[n++] = pid;
	for (size_t i = 0; i < n; i++) {
		char path[64];
		struct dirent *d;
		DIR *dir;

		snprintf(path, sizeof(path), "/proc/%d/task", out[i]);
		dir = opendir(path);
		while (dir && (d = readdir(dir)))
			if (d->d_name[0] != '.')
				n = children(out[i], d->d_name, out, n, max);
		if (dir)
			closedir(dir);
	}
	return n;
}
