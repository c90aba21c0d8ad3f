// SPDX-License-Identifier: GPL-2.0-only
/*
 * symbol.c - names for addresses of code in traced processes.
 *
 * Two tables besides what processes have mapped (mapped.h).  A file is one mapped file, kept open
 * because it may be deleted before somebody asks for names.  A code is (file, offset in it), or (no
 * file, pid, address) where no mapping was found; all of processes that went before their mappings
 * could be read are one.
 */
#define _GNU_SOURCE /* O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "symbol/state.h"
#include "symbol/symbol.h"

/* Both bound what a program can do that makes up addresses. */
#define MAX_CODES (1u << 22)
#define MAX_CACHE (1u << 20)

struct bs_code *bs_code_new(uint64_t now_ns)
{
	struct bs_code *c = calloc(1, sizeof(struct bs_code));

	if (!c)
		return NULL;
	c->mapped.now_ns = now_ns;
	c->sysroot = -1;
	c->host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return c;
}

void bs_code_free(struct bs_code *c)
{
	if (!c)
		return;
	bs_mapped_fini(&c->mapped);
	for (size_t i = 1; i <= c->nfiles; i++) {
		struct file *f = c->files[i];

		bs_elf_symbols_free(f->symbols);
		bs_elf_fini(&f->elf);
		if (f->fd >= 0)
			close(f->fd);
		free(f->path);
		free(f);
	}
	for (size_t i = 0; i < c->nroots; i++)
		close(c->roots[i].fd);
	if (c->sysroot >= 0)
		close(c->sysroot);
	if (c->host >= 0)
		close(c->host);
	bs_code_names_fini(c);
	free(c->files);
	free(c->codes);
	bs_index_fini(&c->by_file);
	bs_index_fini(&c->cache);
	bs_index_fini(&c->by_code);
	free(c);
}

/*
 * The root directory of a process, where its debug files are: kept once, because most have the same
 * one.  -1: none.
 */
static int root_of(struct bs_code *c, uint32_t pid)
{
	int fd = bs_process_root((pid_t)pid);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st)) {
		close(fd);
		return -1;
	}
	for (size_t i = 0; i < c->nroots; i++) {
		if (c->roots[i].dev == st.st_dev && c->roots[i].ino == st.st_ino) {
			close(fd);
			return (int)i;
		}
	}
	if (c->nroots == MAX_ROOTS) {
		close(fd);
		return -1;
	}
	c->roots[c->nroots] = (struct root){st.st_dev, st.st_ino, fd};
	return (int)c->nroots++;
}

static uint32_t file_new(struct bs_code *c, uint32_t pid, const struct bs_mapping *map, int fd)
{
	struct file *f, **files;

	if (c->nfiles == MAX_FILES) {
		c->full = true;
		return 0;
	}
	files = realloc(c->files, (c->nfiles + 2) * sizeof(*files));
	if (!files)
		return 0;
	c->files = files;
	f = calloc(1, sizeof(*f));
	if (!f)
		return 0;
	f->dev = map->dev;
	f->ino = map->ino;
	f->fd = fd;
	f->path = strdup(map->path);
	if (!f->path) {
		free(f);
		return 0;
	}
	f->root = fd >= 0 ? root_of(c, pid) : -1;
	c->files[++c->nfiles] = f;
	return (uint32_t)c->nfiles;
}

/*
 * The file of a mapping, 0 when out of memory or full.  One that could not be opened through one
 * process is tried again through the next, as a new file: by then the inode may be another's,
 * and a name must not be wrong.  An open one keeps its inode.
 */
static uint32_t file_of(struct bs_code *c, uint32_t pid, const struct bs_mapping *map)
{
	uint32_t known = bs_index_find(&c->by_file, map->dev, map->ino), number;
	int fd = -1;

	if (known && c->files[known]->fd >= 0)
		return known;
	if (c->nopen < MAX_OPEN)
		fd = bs_mapping_open((pid_t)pid, map, NULL);
	if (fd < 0 && known)
		return known;
	number = file_new(c, pid, map, fd);
	if (!number) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	c->nopen += fd >= 0;
	if (bs_index_set(&c->by_file, map->dev, map->ino, number))
		return 0;
	return number;
}

static uint32_t code_of(struct bs_code *c, uint32_t file, uint32_t pid, uint64_t addr)
{
	/* Pids and files share the space of the first key. */
	uint64_t key = file ? (uint64_t)file << 32 : pid;
	uint32_t number = bs_index_find(&c->by_code, key, addr);

	if (number)
		return number;
	if (c->ncodes == MAX_CODES)
		return 0;
	if (c->ncodes + 1 >= c->codes_room) {
		size_t room = c->codes_room ? c->codes_room * 2 : 256;
		struct code *codes = realloc(c->codes, room * sizeof(*codes));

		if (!codes)
			return 0;
		c->codes = codes;
		c->codes_room = room;
	}
	number = (uint32_t)c->ncodes + 1;
	if (bs_index_set(&c->by_code, key, addr, number))
		return 0;
	c->codes[number] = (struct code){.file = file, .pid = file ? 0 : pid, .addr = addr};
	c->ncodes++;
	return number;
}

void bs_code_tick(struct bs_code *c, uint64_t now_ns)
{
	c->mapped.now_ns = now_ns;
}

/* Where nothing is known yet: the maps, the file, and a number. */
static uint32_t intern(struct bs_code *c, struct bs_mapped_process *p, uint64_t addr)
{
	const struct bs_mapping *map = NULL;
	uint32_t number, *file;

	if (p->space) {
		number = bs_index_find(&c->cache, p->space->id, addr);
		if (number)
			return number;
		map = bs_maps_find(&p->space->maps, addr);
	}
	if (!map && bs_mapped_may_read(&c->mapped, p)) {
		bs_mapped_read(&c->mapped, p);
		map = p->space ? bs_maps_find(&p->space->maps, addr) : NULL;
	}
	/* Where the library was that it called from, nobody can tell any more. */
	if (!map && p->gone)
		return code_of(c, 0, 0, 0);
	if (!map)
		return code_of(c, 0, p->pid, addr);
	file = &p->space->files[map - p->space->maps.v];
	if (!*file)
		*file = file_of(c, p->pid, map);
	if (!*file)
		return c->full ? code_of(c, 0, p->pid, addr) : 0;
	number = code_of(c, *file, 0, map->offset + (addr - map->start));
	if (c->cache.used >= MAX_CACHE)
		bs_index_fini(&c->cache);
	/* Without its entry it is only slower. */
	if (number)
		bs_index_set(&c->cache, p->space->id, addr, number);
	return number;
}

static struct hot *hot_of(struct bs_code *c, uint64_t addr)
{
	return &c->hot[(addr * 0x9e3779b97f4a7c15ull) >> (64 - HOT_BITS)];
}

uint32_t bs_code_known(struct bs_code *c, uint32_t pid, uint64_t addr)
{
	const struct bs_mapped_process *p = bs_mapped_find(&c->mapped, pid);
	const struct hot *hot = hot_of(c, addr);

	if (!p || !p->space || bs_mapped_due(&c->mapped, p) || hot->space != p->space->id ||
	    hot->addr != addr)
		return 0;
	return hot->number;
}

uint32_t bs_code_intern(void *code, uint32_t pid, uint64_t addr)
{
	struct bs_code *c = code;
	uint32_t number = bs_code_known(c, pid, addr);
	struct bs_mapped_process *p;

	if (number)
		return number;
	p = bs_mapped_get(&c->mapped, pid);
	if (!p)
		return 0;
	if (bs_mapped_due(&c->mapped, p))
		bs_mapped_read(&c->mapped, p);
	number = intern(c, p, addr);
	/* What is not in a file may be, after the next look. */
	if (p->space && number && c->codes[number].file)
		*hot_of(c, addr) = (struct hot){addr, p->space->id, number};
	return number;
}

const char *bs_code_file_base(const struct file *f)
{
	const char *slash = strrchr(f->path, '/');

	return slash ? slash + 1 : f->path;
}

void bs_code_file_elf(struct file *f)
{
	if (f->elf_tried)
		return;
	f->elf_tried = true;
	if (f->fd >= 0)
		bs_elf_init(&f->elf, f->fd, f->path, NULL);
}

void bs_code_file_symbols(struct file *f)
{
	bs_code_file_elf(f);
	if (f->symbols_tried)
		return;
	f->symbols_tried = true;
	if (f->elf.nsections && bs_elf_symbols_new(&f->elf, &f->symbols))
		f->symbols = NULL;
}

/* Does a segment of the file, as it was mapped there, hold addr?  Its end need be in no mapping. */
static bool segment_holds(const struct bs_elf *e, const struct bs_mapping *map, uint64_t addr)
{
	for (size_t i = 0; i < e->nsegments; i++) {
		const struct bs_elf_segment *g = &e->segments[i];
		uint64_t bias;

		/* The mapping begins with the page of the segment, or later in it. */
		if (map->offset + 4096 <= g->offset || map->offset >= g->offset + g->filesz)
			continue;
		bias = map->start - map->offset + g->offset - g->vaddr;
		if (addr - bias >= g->vaddr && addr - bias - g->vaddr < g->memsz)
			return true;
	}
	return false;
}

bool bs_code_static(struct bs_code *c, uint32_t pid, uint64_t addr)
{
	struct bs_mapped_process *p = bs_mapped_get(&c->mapped, pid);
	const struct bs_maps *maps;
	uint32_t *number;
	size_t at = 0;

	if (p && bs_mapped_due(&c->mapped, p))
		bs_mapped_read(&c->mapped, p);
	if (!p || !p->space)
		return false;
	maps = &p->space->maps;
	while (at < maps->n && maps->v[at].start <= addr)
		at++;
	if (!at)
		return false;
	at--;
	number = &p->space->files[at];
	if (!*number)
		*number = file_of(c, pid, &maps->v[at]);
	if (!*number)
		return false;
	bs_code_file_elf(c->files[*number]);
	return segment_holds(&c->files[*number]->elf, &maps->v[at], addr);
}

bool bs_code_text(struct bs_code *c, uint32_t pid, uint64_t addr)
{
	const struct bs_mapped_process *p = bs_mapped_find(&c->mapped, pid);
	const struct bs_mapping *map = p && p->space ? bs_maps_find(&p->space->maps, addr) : NULL;

	return map ? map->exec : p && p->gone;
}

void bs_code_invalidate(struct bs_code *c, uint32_t pid)
{
	struct bs_mapped_process *p = bs_mapped_invalidate(&c->mapped, pid);

	/* Its program too, or where its static data ends could not be read any more. */
	for (size_t i = 0; p && p->space && i < p->space->maps.n; i++)
		if (!p->space->files[i])
			p->space->files[i] = file_of(c, pid, &p->space->maps.v[i]);
}

void bs_code_fork(struct bs_code *c, uint32_t parent, uint32_t child)
{
	bs_mapped_fork(&c->mapped, parent, child);
}

bool bs_code_full(const struct bs_code *c)
{
	return c->full;
}

int bs_code_sysroot(struct bs_code *c, const char *dir, struct bs_error *err)
{
	c->sysroot = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->sysroot < 0)
		return bs_error_set(err, -errno, "--sysroot=%s: %s: name a directory", dir,
				    strerror(errno));
	return 0;
}
