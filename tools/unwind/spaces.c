// SPDX-License-Identifier: GPL-2.0-only
/* spaces.c - processes, what they have mapped, and the files of that: see spaces.h. */
#define _GNU_SOURCE /* memfd_create, O_PATH */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/debugfile.h"
#include "symbol/index.h"
#include "symbol/mapped.h"
#include "target/elf.h"
#include "target/proc.h"
#include "target/process.h"
#include "unwind/spaces.h"

/* With those of symbol.c it stays below the usual limit of 1,024. */
#define MAX_OPEN 400u
/* Nor are more kept than so many, open or not: a process can map new ones for ever. */
#define MAX_FILES 16384u
/* The entry code of a program or of the dynamic loader, written by hand, has no more. */
#define ENTRY_BYTES 64u
#define VDSO	    1u /* its number as a file */

struct file {
	int fd; /* -1: could not be opened or is no ELF file */
	int debug_fd;
	struct bs_elf elf;
	uint64_t entry;
};

struct bs_spaces {
	struct file **files; /* from 1 */
	size_t nfiles, nopen;
	bool full; /* there were more than MAX_FILES */
	/* Files of its spaces: in files; 0: not executable, out of memory or full. */
	struct bs_mapped mapped;
	struct bs_index by_file; /* (dev, ino) -> file */
	int host;		 /* our root directory; -1: cannot be opened */
	uint64_t vdso_size;
};

/* --- files -------------------------------------------------------------------------------------
 */

/* Where there is no .eh_frame there may be a .debug_frame, in a separate file. */
static int debug_open(const struct bs_spaces *s, uint32_t pid, const struct bs_elf *e,
		      const char *path)
{
	int root = bs_process_root((pid_t)pid), fd;

	fd = bs_debug_open(e, path, &(struct bs_debug_roots){{root, s->host, -1}});
	if (root >= 0)
		close(root);
	return fd;
}

/* map: NULL for the vdso. */
static uint32_t file_add(struct bs_spaces *s, uint32_t pid, const struct bs_mapping *map, int fd)
{
	struct file *f = calloc(1, sizeof(*f)), **files;
	Elf64_Ehdr head;

	files = f ? realloc(s->files, (s->nfiles + 2) * sizeof(*files)) : NULL;
	if (!files) {
		free(f);
		if (fd >= 0)
			close(fd);
		return 0;
	}
	s->files = files;
	f->fd = fd;
	f->debug_fd = -1;
	if (fd >= 0 && bs_elf_init(&f->elf, fd, "", NULL)) {
		memset(&f->elf, 0, sizeof(f->elf));
		close(fd);
		f->fd = -1;
	}
	if (f->fd >= 0 && !bs_elf_read(&f->elf, 0, &head, sizeof(head)))
		f->entry = head.e_entry;
	if (f->fd >= 0 && map)
		f->debug_fd = debug_open(s, pid, &f->elf, map->path);
	s->nopen += (f->fd >= 0) + (f->debug_fd >= 0);
	s->files[++s->nfiles] = f;
	return (uint32_t)s->nfiles;
}

/*
 * The file of a mapping, 0 when out of memory or full.  One that could not be opened through one
 * process is tried again through the next, as a new file: by then the inode may be another's.  An
 * open one keeps its inode.
 */
static uint32_t file_of(struct bs_spaces *s, uint32_t pid, const struct bs_mapping *map)
{
	uint32_t known = bs_index_find(&s->by_file, map->dev, map->ino), number;
	int fd = -1;

	if (known && s->files[known]->fd >= 0)
		return known;
	if (s->nopen < MAX_OPEN)
		fd = bs_mapping_open((pid_t)pid, map, NULL);
	if (fd < 0 && known)
		return known;
	if (s->nfiles == MAX_FILES) {
		s->full = true;
		if (fd >= 0)
			close(fd);
		return 0;
	}
	number = file_add(s, pid, map, fd);
	/* Without its entry it is opened again by the next process. */
	if (number)
		bs_index_set(&s->by_file, map->dev, map->ino, number);
	return number;
}

/*
 * Every process has the same one from the kernel, at an address of its own: ours is copied into a
 * file.  Its image is an ELF file as a whole; vdso(7).
 */
static void vdso_add(struct bs_spaces *s)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)image;
	int fd = -1;

	if (image) {
		s->vdso_size = head->e_shoff + (uint64_t)head->e_shnum * head->e_shentsize;
		fd = memfd_create("vdso", MFD_CLOEXEC);
	}
	if (fd >= 0 && write(fd, image, s->vdso_size) != (ssize_t)s->vdso_size) {
		close(fd);
		fd = -1;
	}
	file_add(s, 0, NULL, fd);
}

bool bs_spaces_full(const struct bs_spaces *s)
{
	return s->full;
}

void bs_spaces_fds(struct bs_spaces *s, uint32_t file, int *fd, int *debug_fd)
{
	*fd = s->files[file]->fd;
	*debug_fd = s->files[file]->debug_fd;
}

/* --- processes ----------------------------------------------------------------------------------
 */

/* Where the kernel put the vdso; 0: nowhere, or it cannot be read. */
static uint64_t vdso_of(uint32_t pid)
{
	char path[64], *text;
	uint64_t vdso = 0;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%u/auxv", pid);
	if (bs_proc_read(path, &text, &size))
		return 0;
	for (size_t at = 0; size - at >= sizeof(Elf64_auxv_t); at += sizeof(Elf64_auxv_t)) {
		Elf64_auxv_t v;

		memcpy(&v, text + at, sizeof(v));
		if (v.a_type == AT_SYSINFO_EHDR)
			vdso = v.a_un.a_val;
	}
	free(text);
	return vdso;
}

/* Opens its files. */
static void space_seen(void *ctx, uint32_t pid, struct bs_space *space)
{
	for (size_t i = 0; i < space->maps.n; i++)
		if (space->maps.v[i].exec)
			space->files[i] = file_of(ctx, pid, &space->maps.v[i]);
	space->vdso = vdso_of(pid);
}

struct bs_spaces *bs_spaces_new(uint64_t now_ns)
{
	struct bs_spaces *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->mapped = (struct bs_mapped){.now_ns = now_ns, .seen = space_seen, .ctx = s};
	s->host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	vdso_add(s);
	if (s->nfiles == VDSO)
		return s;
	bs_spaces_free(s);
	return NULL;
}

void bs_spaces_free(struct bs_spaces *s)
{
	if (!s)
		return;
	bs_mapped_fini(&s->mapped);
	for (size_t i = 1; i <= s->nfiles; i++) {
		struct file *f = s->files[i];

		bs_elf_fini(&f->elf);
		if (f->fd >= 0)
			close(f->fd);
		if (f->debug_fd >= 0)
			close(f->debug_fd);
		free(f);
	}
	if (s->host >= 0)
		close(s->host);
	free(s->files);
	bs_index_fini(&s->by_file);
	free(s);
}

void bs_spaces_tick(struct bs_spaces *s, uint64_t now_ns)
{
	s->mapped.now_ns = now_ns;
}

/* Its space, read if it is time to. */
static struct bs_space *current(struct bs_spaces *s, struct bs_mapped_process *p)
{
	if (bs_mapped_due(&s->mapped, p))
		bs_mapped_read(&s->mapped, p);
	return p->space;
}

uint32_t bs_spaces_current(struct bs_spaces *s, uint32_t pid)
{
	struct bs_mapped_process *p = bs_mapped_get(&s->mapped, pid);
	const struct bs_space *space = p ? current(s, p) : NULL;

	return space ? space->id : 0;
}

static bool is_mapped(const struct bs_spaces *s, const struct bs_space *space, uint64_t addr)
{
	return space && (bs_maps_find(&space->maps, addr) ||
			 (space->vdso && addr - space->vdso < s->vdso_size));
}

bool bs_spaces_find(struct bs_spaces *s, uint32_t pid, uint64_t addr, struct bs_place *out)
{
	struct bs_mapped_process *p = bs_mapped_get(&s->mapped, pid);
	const struct bs_mapping *map;
	const struct bs_space *space;
	const struct file *f;
	uint64_t offset;

	if (!p)
		return false;
	space = current(s, p);
	if (!is_mapped(s, space, addr) && bs_mapped_may_read(&s->mapped, p)) {
		bs_mapped_read(&s->mapped, p);
		space = p->space;
	}
	if (!is_mapped(s, space, addr))
		return false;
	map = bs_maps_find(&space->maps, addr);
	out->space = space->id;
	out->file = map ? space->files[map - space->maps.v] : VDSO;
	offset = map ? map->offset + (addr - map->start) : addr - space->vdso;
	if (!out->file)
		return false;
	f = s->files[out->file];
	if (f->fd < 0 || !bs_elf_vaddr_find(&f->elf, offset, PF_X, &out->vaddr))
		return false;
	out->entry = out->vaddr - f->entry < ENTRY_BYTES;
	return true;
}

void bs_spaces_invalidate(struct bs_spaces *s, uint32_t pid)
{
	bs_mapped_invalidate(&s->mapped, pid);
}

void bs_spaces_fork(struct bs_spaces *s, uint32_t parent, uint32_t child)
{
	bs_mapped_fork(&s->mapped, parent, child);
}
