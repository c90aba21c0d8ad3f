// SPDX-License-Identifier: GPL-2.0-only
/* names.c - names of codes: what is asked for, found and remembered. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "symbol/debugfile.h"
#include "symbol/dwarf.h"
#include "symbol/look.h"
#include "symbol/state.h"
#include "symbol/symbol.h"

#define NSEC_PER_SEC 1000000000ull
/* A process that looks up says something after each piece of work. */
#define STALL_NS (10 * NSEC_PER_SEC)
#define ALL_NS	 (120 * NSEC_PER_SEC)
/* Files that are looked at together: each has up to two more of its own open. */
#define FILES 64u

_Static_assert(BS_DWARF_FRAMES <= BS_CODE_FRAMES, "all that is found of an address fits");

struct text {
	UT_hash_handle hh;
	char s[];
};

struct job {
	uint64_t vaddr; /* of the call, where it is a return address */
	uint32_t file, code;
	bool is_return, done;
};

struct resolve {
	struct bs_code *c;
	struct job *jobs;
	size_t n, done;
	bool (*more)(void *ctx, size_t done, size_t total);
	void *ctx;
	uint64_t until_ns;
	/* Of the files that are looked at together: */
	struct job *first;
	struct bs_look_file files[FILES];
	struct file *whose[FILES];
	size_t nfiles;
	uint64_t *addrs;
};

void bs_code_names_fini(struct bs_code *c)
{
	struct text *t, *next;

	HASH_ITER (hh, c->texts, t, next) {
		HASH_DEL(c->texts, t);
		free(t);
	}
	free(c->found);
	free(c->frames);
	bs_index_fini(&c->by_ask);
}

/* The one copy of a string that is kept, NULL where there is no room. */
static const char *text_keep(struct bs_code *c, const char *s)
{
	size_t n = s ? strlen(s) : 0;
	struct text *t;

	if (!n)
		return NULL;
	HASH_FIND(hh, c->texts, s, n, t);
	if (t)
		return t->s;
	if (c->text_bytes + n > MAX_TEXT)
		return NULL;
	t = malloc(sizeof(*t) + n + 1);
	if (!t)
		return NULL;
	memcpy(t->s, s, n + 1);
	HASH_ADD_KEYPTR(hh, c->texts, t->s, n, t);
	c->text_bytes += n;
	return t->s;
}

/* Room for n more elements of size bytes; false when there is none. */
static bool room_for(void *v, size_t have, size_t n, size_t *room, size_t size)
{
	void **array = v, *grown;
	size_t more = *room ? *room : 256;

	if (have + n <= *room)
		return true;
	while (more < have + n)
		more *= 2;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return false;
	*array = grown;
	*room = more;
	return true;
}

/* A new entry, of nothing, for a code; NULL when out of memory. */
static struct found *found_new(struct bs_code *c, uint32_t code, bool is_return)
{
	uint32_t number = (uint32_t)c->nfound + 1;

	if (!room_for(&c->found, c->nfound + 1, 1, &c->found_room, sizeof(*c->found)) ||
	    bs_index_set(&c->by_ask, code, is_return, number))
		return NULL;
	c->nfound++;
	c->found[number] = (struct found){0};
	return &c->found[number];
}

static int on_found(void *ctx, size_t at, const struct bs_wire_found *w)
{
	struct resolve *r = ctx;
	struct bs_code *c = r->c;
	struct job *j = &r->first[at];
	struct found *found;

	/* An address comes once. */
	if (j->done)
		return -EPROTO;
	if (c->nframes + w->n > MAX_FRAMES)
		return 0;
	if (!room_for(&c->frames, c->nframes, w->n, &c->frames_room, sizeof(*c->frames)))
		return -ENOMEM;
	for (size_t i = 0; i < w->n; i++) {
		struct bs_frame *f = &c->frames[c->nframes + i];

		f->function = text_keep(c, w->frames[i].function);
		f->file = text_keep(c, w->frames[i].file);
		f->line = f->file ? w->frames[i].line : 0;
		f->inlined = w->frames[i].inlined;
		if (!f->function)
			return 0;
	}
	found = found_new(c, j->code, j->is_return);
	if (!found)
		return -ENOMEM;
	*found = (struct found){(uint32_t)c->nframes, (uint32_t)w->n, w->offset, w->has_offset};
	c->nframes += w->n;
	j->done = true;
	r->done++;
	return 0;
}

static bool on_more(void *ctx)
{
	struct resolve *r = ctx;

	return !r->more || r->more(r->ctx, r->done, r->n);
}

static int job_order(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->vaddr != y->vaddr)
		return x->vaddr < y->vaddr ? -1 : 1;
	if (x->code != y->code)
		return x->code < y->code ? -1 : 1;
	return x->is_return < y->is_return ? -1 : x->is_return > y->is_return;
}

/* Where the code, or the call before it, is in its file as linked, if that can be looked at. */
static bool place(struct bs_code *c, uint32_t code, bool is_return, uint64_t *vaddr)
{
	const struct code *k = &c->codes[code];
	struct file *f;

	if (!k->file)
		return false;
	f = c->files[k->file];
	if (f->failed)
		return false;
	bs_code_file_elf(f);
	/* The call may be the last instruction of its function, or of the segment. */
	return bs_elf_vaddr_find(&f->elf, k->addr - (is_return && k->addr), 0, vaddr);
}

/* What is to be looked up, by file and address; each once, and not what was looked up before. */
static int jobs_make(struct resolve *r, const struct bs_code_ask *asks, size_t n)
{
	struct bs_code *c = r->c;
	size_t kept = 0;

	r->jobs = calloc(n + 1, sizeof(*r->jobs));
	if (!r->jobs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct job *j = &r->jobs[r->n];

		if (!asks[i].code || asks[i].code > c->ncodes ||
		    bs_index_find(&c->by_ask, asks[i].code, asks[i].is_return) ||
		    !place(c, asks[i].code, asks[i].is_return, &j->vaddr))
			continue;
		j->code = asks[i].code;
		j->is_return = asks[i].is_return;
		j->file = c->codes[j->code].file;
		r->n++;
	}
	qsort(r->jobs, r->n, sizeof(*r->jobs), job_order);
	for (size_t i = 0; i < r->n; i++)
		if (!kept || job_order(&r->jobs[kept - 1], &r->jobs[i]))
			r->jobs[kept++] = r->jobs[i];
	r->n = kept;
	return 0;
}

/* The next file, with those that know more about it; jobs from..to are its. */
static void file_add(struct resolve *r, size_t from, size_t to)
{
	struct bs_code *c = r->c;
	struct file *f = c->files[r->jobs[from].file];
	struct bs_debug_roots roots = {
		{c->sysroot, f->root >= 0 ? c->roots[f->root].fd : -1, c->host}};
	struct bs_look_file *l = &r->files[r->nfiles];
	struct bs_elf debug;

	*l = (struct bs_look_file){
		.elf = &f->elf,
		.debug_fd = -1,
		.alt_fd = -1,
		.first = (size_t)(&r->jobs[from] - r->first),
		.n = to - from,
	};
	r->whose[r->nfiles++] = f;
	if (bs_elf_has_dwarf(&f->elf)) {
		l->alt_fd = bs_debug_alt_open(&f->elf, &roots);
		return;
	}
	l->debug_fd = bs_debug_open(&f->elf, f->path, &roots);
	if (l->debug_fd >= 0 && !bs_elf_init(&debug, l->debug_fd, f->path, NULL)) {
		l->alt_fd = bs_debug_alt_open(&debug, &roots);
		bs_elf_fini(&debug);
	}
}

static void files_close(struct resolve *r)
{
	for (size_t i = 0; i < r->nfiles; i++) {
		if (r->files[i].debug_fd >= 0)
			close(r->files[i].debug_fd);
		if (r->files[i].alt_fd >= 0)
			close(r->files[i].alt_fd);
		if (!r->files[i].failed)
			continue;
		r->whose[i]->failed = true;
		r->c->nfailed++;
		r->c->failed = r->whose[i];
	}
	r->nfiles = 0;
}

/* Looks up the jobs of some files from `from` on; *to: the first one of those that are left. */
static int some(struct resolve *r, size_t from, size_t *to)
{
	struct bs_look look = {
		.files = r->files,
		.addrs = r->addrs,
		.found = on_found,
		.more = on_more,
		.ctx = r,
		.stall_ns = STALL_NS,
		.until_ns = r->until_ns,
		.work = bs_look_work,
	};
	size_t end = from, next;
	int ret;

	r->first = &r->jobs[from];
	for (; end < r->n && r->nfiles < FILES; end = next) {
		for (next = end; next < r->n && r->jobs[next].file == r->jobs[end].file; next++)
			r->addrs[next - from] = r->jobs[next].vaddr;
		file_add(r, end, next);
	}
	look.nfiles = r->nfiles;
	ret = bs_look_run(&look);
	files_close(r);
	*to = end;
	return ret;
}

int bs_code_resolve(struct bs_code *c, const struct bs_code_ask *asks, size_t n,
		    bool (*more)(void *ctx, size_t done, size_t total), void *ctx)
{
	struct resolve r = {
		.c = c,
		.more = more,
		.ctx = ctx,
		.until_ns = bs_now_ns() + ALL_NS,
	};
	int ret = jobs_make(&r, asks, n);

	if (!ret && r.n) {
		r.addrs = calloc(r.n, sizeof(*r.addrs));
		if (!r.addrs)
			ret = -ENOMEM;
	}
	for (size_t i = 0; !ret && i < r.n;)
		ret = some(&r, i, &i);
	/* Of the others nothing is known, which is not asked for again. */
	for (size_t i = 0; i < r.n; i++)
		if (!r.jobs[i].done && !found_new(c, r.jobs[i].code, r.jobs[i].is_return))
			ret = -ENOMEM;
	free(r.addrs);
	free(r.jobs);
	return ret;
}

static const struct found *find(struct bs_code *c, uint32_t code, bool is_return)
{
	const struct bs_code_ask ask = {code, is_return};
	uint32_t number = bs_index_find(&c->by_ask, code, is_return);

	if (!number && !bs_code_resolve(c, &ask, 1, NULL, NULL))
		number = bs_index_find(&c->by_ask, code, is_return);
	return number && c->found[number].n ? &c->found[number] : NULL;
}

size_t bs_code_frames(struct bs_code *c, uint32_t code, bool is_return, struct bs_frame *out,
		      size_t max)
{
	const struct found *found;
	size_t n;

	if (!code || code > c->ncodes)
		return 0;
	found = find(c, code, is_return);
	if (!found)
		return 0;
	n = found->n < max ? found->n : max;
	memcpy(out, &c->frames[found->first], n * sizeof(*out));
	return n;
}

/* What could not be looked up has the name that its symbol table has, as it is. */
static const char *plain_name(struct bs_code *c, const struct code *k, bool is_return)
{
	struct file *f = c->files[k->file];
	const char *name, *base = bs_code_file_base(f);
	uint64_t vaddr, start;

	bs_code_file_symbols(f);
	is_return = is_return && k->addr;
	if (!bs_elf_vaddr_find(&f->elf, k->addr - is_return, 0, &vaddr)) {
		/* No ELF file, or one that cannot be read: an offset is all we have. */
		snprintf(c->name, sizeof(c->name), "[%s+0x%llx]", base,
			 (unsigned long long)k->addr);
		return c->name;
	}
	name = f->symbols ? bs_elf_symbols_find(f->symbols, vaddr, &start) : NULL;
	vaddr += is_return;
	if (name)
		snprintf(c->name, sizeof(c->name), "%s+0x%llx (%s)", name,
			 (unsigned long long)(vaddr - start), base);
	else
		snprintf(c->name, sizeof(c->name), "[%s+0x%llx]", base, (unsigned long long)vaddr);
	return c->name;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

const char *bs_code_name(struct bs_code *c, uint32_t code, bool is_return)
{
	const struct found *found;
	const struct bs_frame *f;
	const struct code *k;

	if (!code || code > c->ncodes)
		return NULL;
	k = &c->codes[code];
	if (!k->file && !k->pid)
		return "[process gone]";
	if (!k->file) {
		snprintf(c->name, sizeof(c->name), "0x%llx", (unsigned long long)k->addr);
		return c->name;
	}
	found = find(c, code, is_return);
	if (!found)
		return plain_name(c, k, is_return);
	f = &c->frames[found->first + found->n - 1];
	if (f->line)
		snprintf(c->name, sizeof(c->name), "%s at %s:%u", f->function, last_part(f->file),
			 f->line);
	else if (found->has_offset)
		snprintf(c->name, sizeof(c->name), "%s+0x%llx (%s)", f->function,
			 (unsigned long long)found->offset + (is_return && k->addr),
			 bs_code_file_base(c->files[k->file]));
	else
		snprintf(c->name, sizeof(c->name), "%s (%s)", f->function,
			 bs_code_file_base(c->files[k->file]));
	return c->name;
}

size_t bs_code_failed(const struct bs_code *c, const char **one)
{
	*one = c->failed ? bs_code_file_base(c->failed) : NULL;
	return c->nfailed;
}
