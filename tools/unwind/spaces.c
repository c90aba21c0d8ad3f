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
#include "target/elf.h"
#include "target/proc.h"
#include "target/process.h"
#include "unwind/spaces.h"

#define NSEC_PER_MSEC 1000000ull
#define REFRESH_NS    (1000 * NSEC_PER_MSEC)
/* Unknown addresses may cause this many readings at once, and one more each REFILL_NS. */
#define ALLOWANCE 8u
#define REFILL_NS (200 * NSEC_PER_MSEC)

/* With those of symbol.c it stays below the usual limit of 1,024. */
#define MAX_OPEN      400u
#define MAX_PROCESSES 4096u
/* The entry code of a program or of the dynamic loader, written by hand, has no more. */
#define ENTRY_BYTES 64u
#define VDSO	    1u /* its number as a file */

struct file {
	int fd; /* -1: could not be opened or is no ELF file */
	int debug_fd;
	struct bs_elf elf;
	uint64_t entry;
};

struct space {
	size_t users;
	uint32_t id;
	struct bs_maps maps;
	uint32_t *files; /* by mapping; 0: is not executable, or out of memory */
	uint64_t vdso;	 /* 0: it has none */
};

struct process {
	uint32_t pid;
	struct space *space; /* NULL: could not be read so far */
	uint64_t read_ns;    /* when it was last tried; 0: never */
	uint64_t refill_ns;
	unsigned allowance;
};

struct bs_spaces {
	struct file **files; /* from 1 */
	size_t nfiles, nopen;
	struct process **processes;
	size_t nprocesses;
	struct process *last;
	struct bs_index by_file; /* (dev, ino) -> file */
	struct bs_index by_pid;	 /* pid -> place in processes + 1 */
	uint32_t next_space;
	int host; /* our root directory; -1: cannot be opened */
	uint64_t vdso_size;
	uint64_t now_ns;
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
 * The file of a mapping, 0 when out of memory.  One that could not be opened through one process
 * is tried again through the next, as a new file: by then the inode may be another's.  An open one
 * keeps its inode.
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

void bs_spaces_fds(struct bs_spaces *s, uint32_t file, int *fd, int *debug_fd)
{
	*fd = s->files[file]->fd;
	*debug_fd = s->files[file]->debug_fd;
}

/* --- processes ----------------------------------------------------------------------------------
 */

struct bs_spaces *bs_spaces_new(uint64_t now_ns)
{
	struct bs_spaces *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->now_ns = now_ns;
	s->host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	vdso_add(s);
	if (s->nfiles == VDSO)
		return s;
	bs_spaces_free(s);
	return NULL;
}

static void space_put(struct space *space)
{
	if (!space || --space->users)
		return;
	bs_maps_fini(&space->maps);
	free(space->files);
	free(space);
}

static void forget_processes(struct bs_spaces *s)
{
	for (size_t i = 0; i < s->nprocesses; i++) {
		space_put(s->processes[i]->space);
		free(s->processes[i]);
	}
	s->nprocesses = 0;
	s->last = NULL;
	bs_index_fini(&s->by_pid);
}

void bs_spaces_free(struct bs_spaces *s)
{
	if (!s)
		return;
	forget_processes(s);
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
	free(s->processes);
	bs_index_fini(&s->by_file);
	free(s);
}

void bs_spaces_tick(struct bs_spaces *s, uint64_t now_ns)
{
	s->now_ns = now_ns;
}

static struct process *process_get(struct bs_spaces *s, uint32_t pid)
{
	struct process *p;
	uint32_t at;

	if (s->last && s->last->pid == pid)
		return s->last;
	at = bs_index_find(&s->by_pid, pid, 0);
	if (at) {
		s->last = s->processes[at - 1];
		return s->last;
	}
	if (s->nprocesses == MAX_PROCESSES)
		forget_processes(s);
	if (!s->processes) {
		s->processes = malloc(MAX_PROCESSES * sizeof(*s->processes));
		if (!s->processes)
			return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	p->allowance = ALLOWANCE;
	if (bs_index_set(&s->by_pid, pid, 0, (uint32_t)s->nprocesses + 1)) {
		free(p);
		return NULL;
	}
	s->processes[s->nprocesses++] = p;
	s->last = p;
	return p;
}

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

static bool same_maps(const struct bs_maps *a, const struct bs_maps *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct bs_mapping *x = &a->v[i], *y = &b->v[i];

		if (x->start != y->start || x->end != y->end || x->offset != y->offset ||
		    x->dev != y->dev || x->ino != y->ino || x->exec != y->exec)
			return false;
	}
	return true;
}

/* Reads the maps of p and opens its files.  What was known stays when that is not possible. */
static void process_read(struct bs_spaces *s, struct process *p)
{
	struct bs_maps maps;
	struct space *space;

	p->read_ns = s->now_ns;
	if (bs_maps_read((pid_t)p->pid, &maps, NULL))
		return;
	if (p->space && same_maps(&p->space->maps, &maps)) {
		bs_maps_fini(&maps);
		return;
	}
	space = calloc(1, sizeof(*space));
	if (space)
		space->files = calloc(maps.n + 1, sizeof(*space->files));
	if (!space || !space->files) {
		free(space);
		bs_maps_fini(&maps);
		return;
	}
	for (size_t i = 0; i < maps.n; i++)
		if (maps.v[i].exec)
			space->files[i] = file_of(s, p->pid, &maps.v[i]);
	space->users = 1;
	space->id = ++s->next_space;
	space->maps = maps;
	space->vdso = vdso_of(p->pid);
	space_put(p->space);
	p->space = space;
}

/* May an address that was not found cause one more reading? */
static bool may_read(struct bs_spaces *s, struct process *p)
{
	if (!p->refill_ns)
		p->refill_ns = s->now_ns;
	while (p->allowance < ALLOWANCE && s->now_ns - p->refill_ns >= REFILL_NS) {
		p->allowance++;
		p->refill_ns += REFILL_NS;
	}
	if (p->allowance == ALLOWANCE)
		p->refill_ns = s->now_ns;
	if (!p->allowance)
		return false;
	p->allowance--;
	return true;
}

/* Its space, read if it is time to. */
static struct space *current(struct bs_spaces *s, struct process *p)
{
	if (!p->read_ns || s->now_ns - p->read_ns >= REFRESH_NS)
		process_read(s, p);
	return p->space;
}

uint32_t bs_spaces_current(struct bs_spaces *s, uint32_t pid)
{
	struct process *p = process_get(s, pid);
	const struct space *space = p ? current(s, p) : NULL;

	return space ? space->id : 0;
}

static bool is_mapped(const struct bs_spaces *s, const struct space *space, uint64_t addr)
{
	return space && (bs_maps_find(&space->maps, addr) ||
			 (space->vdso && addr - space->vdso < s->vdso_size));
}

bool bs_spaces_find(struct bs_spaces *s, uint32_t pid, uint64_t addr, struct bs_place *out)
{
	struct process *p = process_get(s, pid);
	const struct bs_mapping *map;
	const struct space *space;
	const struct file *f;
	uint64_t offset;

	if (!p)
		return false;
	space = current(s, p);
	if (!is_mapped(s, space, addr) && may_read(s, p)) {
		process_read(s, p);
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

/* A process of which nothing is known yet. */
static struct process *process_fresh(struct bs_spaces *s, uint32_t pid)
{
	struct process *p = process_get(s, pid);

	if (!p)
		return NULL;
	space_put(p->space);
	p->space = NULL;
	p->read_ns = 0;
	p->allowance = ALLOWANCE;
	return p;
}

void bs_spaces_invalidate(struct bs_spaces *s, uint32_t pid)
{
	struct process *p = process_fresh(s, pid);

	if (p)
		process_read(s, p);
}

void bs_spaces_fork(struct bs_spaces *s, uint32_t parent, uint32_t child)
{
	struct process *p = process_get(s, parent);
	struct space *space = p ? current(s, p) : NULL;

	if (space)
		space->users++; /* the parent's entry may be dropped for the child's */
	p = process_fresh(s, child);
	if (!p) {
		space_put(space);
		return;
	}
	p->space = space;
	p->read_ns = space ? s->now_ns : 0;
}
