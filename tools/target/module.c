// SPDX-License-Identifier: GPL-2.0-only
/*
 * module.c - the sites of one ELF file: records joined with notes by the probe's address.
 *
 * A record says what a mark means, the note of the same address where its operands are.  Both
 * must be there and agree; whatever does not is left out and counted, because an uprobe on an
 * address that is no probe would break the program.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bscope/abi.h"
#include "bscope/control.h"
#include "target/args.h"
#include "target/elf.h"
#include "target/module.h"
#include "target/sites.h"
#include "target/stapsdt.h"
#include "target/strings.h"

#define MAX_SITES 1000000u

/* A note of provider bscope whose name is a kind. */
struct note {
	uint64_t pc, semaphore;
	struct bs_site_spec spec;
	const char *why; /* constant; NULL: its arguments are understood */
	int nargs;
	uint8_t kind;
	bool used;
};

/* A record, checked as far as it can be alone. */
struct record {
	uint64_t vaddr, probe, probe_offset, stub;
	uint64_t klass, name, file; /* offsets in the file */
	uint32_t line;
	uint8_t kind, nargs, flags;
};

struct priv {
	struct bs_elf elf;
	struct bs_elf_symbols *symbols; /* NULL if the file has no sites */
	struct bs_strings strings;
};

/* What is under way. */
struct reader {
	struct bs_module *m;
	struct priv *priv;
	struct note *notes;
	size_t nnotes, notes_room;
	/* The runtime's own probes: link-time addresses, 0 where there is none. */
	uint64_t batch, buffer, stack, semaphore;
	bool odd; /* twice: two copies of the runtime, or a compiler that copied the probe */
	struct record *records;
	size_t nrecords, records_room;
};

__attribute__((format(printf, 3, 4))) static void skip(struct bs_module *m, uint64_t n,
						       const char *fmt, ...)
{
	va_list ap;

	if (!m->nskipped) {
		char raw[sizeof(m->skipped)];

		va_start(ap, fmt);
		vsnprintf(raw, sizeof(raw), fmt, ap);
		va_end(ap);
		bs_text_clean(m->skipped, sizeof(m->skipped), raw);
	}
	m->nskipped += n;
}

/* Room for one more element; 0 or -ENOMEM. */
static int grow(void **v, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *p;

	if (n < *room)
		return 0;
	p = realloc(*v, more * size);
	if (!p)
		return -ENOMEM;
	*v = p;
	*room = more;
	return 0;
}

static int take_note(void *ctx, const struct bs_stapsdt_note *n)
{
	struct reader *r = ctx;
	struct note *to;
	unsigned kind;
	int ret;

	if (strcmp(n->provider, BSCOPE_PROVIDER))
		return 0;
	/* The runtime's own probes have the same provider. */
	if (!strcmp(n->name, "batch")) {
		r->odd |= r->batch != 0;
		r->batch = n->pc;
		r->semaphore = n->semaphore;
	} else if (!strcmp(n->name, "buffer")) {
		r->odd |= r->buffer != 0;
		r->buffer = n->pc;
	} else if (!strcmp(n->name, "stack")) {
		r->odd |= r->stack != 0;
		r->stack = n->pc;
	}
	kind = bs_kind_find(n->name);
	if (!kind)
		return 0;
	if (r->nnotes == MAX_SITES) {
		skip(r->m, 1, "more than %u probes", MAX_SITES);
		return 0;
	}
	ret = grow((void **)&r->notes, r->nnotes, &r->notes_room, sizeof(*r->notes));
	if (ret)
		return ret;
	to = &r->notes[r->nnotes++];
	memset(to, 0, sizeof(*to));
	to->pc = n->pc;
	to->semaphore = n->semaphore;
	to->kind = (uint8_t)kind;
	to->nargs = bs_args_parse(n->args, r->priv->elf.machine, &to->spec, &to->why);
	return 0;
}

/* Resolves the self-relative offset in the member at vaddr to an offset in the file. */
static bool resolve(const struct bs_elf *e, uint64_t vaddr, int32_t rel, uint32_t flags,
		    uint64_t *target, uint64_t *offset, uint64_t *room)
{
	*target = vaddr + (uint64_t)(int64_t)rel;
	return bs_elf_offset_find(e, *target, flags, offset, room);
}

/* What the kind needs; NULL if the record is as abi.h says. */
static const char *check_shape(const struct bscope_site *s)
{
	unsigned least = 1;

	if (s->nargs < 1 || s->nargs > BSCOPE_MAX_ARGS)
		return "a wrong number of operands";
	switch (s->kind) {
	case BSCOPE_KIND_NEW:
		least = s->flags & BSCOPE_SITE_CALLER ? 3 : s->flags & BSCOPE_SITE_SIZED ? 2 : 1;
		break;
	case BSCOPE_KIND_DROP:
		least = s->flags & BSCOPE_SITE_CALLER ? 3 : s->flags & BSCOPE_SITE_TRIES ? 2 : 1;
		break;
	case BSCOPE_KIND_RESIZE_END:
	case BSCOPE_KIND_BORROW:
	case BSCOPE_KIND_BORROW_MUT:
		least = s->flags & BSCOPE_SITE_CALLER ? 3 : 2;
		break;
	case BSCOPE_KIND_MOVE:
	case BSCOPE_KIND_UNBORROW:
	case BSCOPE_KIND_USE:
		least = 2;
		break;
	}
	return s->nargs < least ? "too few operands for its kind" : NULL;
}

static int take_record(struct reader *r, const struct bscope_site *s, uint64_t vaddr)
{
	const struct bs_elf *e = &r->priv->elf;
	struct record rec = {
		.vaddr = vaddr,
		.line = s->line,
		.kind = s->kind,
		.nargs = s->nargs,
		.flags = s->flags & (BSCOPE_SITE_SIZED | BSCOPE_SITE_CALLER | BSCOPE_SITE_TRIES |
				     BSCOPE_SITE_WAITS),
	};
	uint64_t room[3], at, stub_offset;
	const char *why;
	int ret;

	if (s->abi > BSCOPE_ABI_VERSION) {
		skip(r->m, 1, "record at 0x%llx is of version %u: a newer bscope-trace is needed",
		     (unsigned long long)vaddr, s->abi);
		return 0;
	}
	if (!s->abi || !bs_kind_name(s->kind)) {
		skip(r->m, 1, "record at 0x%llx is damaged (%s)", (unsigned long long)vaddr,
		     s->abi ? "no such kind" : "no version");
		return 0;
	}
	why = check_shape(s);
	if (why) {
		skip(r->m, 1, "record at 0x%llx has %s", (unsigned long long)vaddr, why);
		return 0;
	}
	if (!resolve(e, vaddr + offsetof(struct bscope_site, probe), s->probe, PF_X, &rec.probe,
		     &rec.probe_offset, NULL) ||
	    (s->stub && !resolve(e, vaddr + offsetof(struct bscope_site, stub), s->stub, PF_X,
				 &rec.stub, &stub_offset, NULL))) {
		skip(r->m, 1, "record at 0x%llx points to no code", (unsigned long long)vaddr);
		return 0;
	}
	if (!resolve(e, vaddr + offsetof(struct bscope_site, klass), s->klass, 0, &at, &rec.klass,
		     &room[0]) ||
	    !resolve(e, vaddr + offsetof(struct bscope_site, name), s->name, 0, &at, &rec.name,
		     &room[1]) ||
	    !resolve(e, vaddr + offsetof(struct bscope_site, file), s->file, 0, &at, &rec.file,
		     &room[2])) {
		skip(r->m, 1, "record at 0x%llx has a string outside of the file",
		     (unsigned long long)vaddr);
		return 0;
	}
	if ((ret = grow((void **)&r->records, r->nrecords, &r->records_room,
			sizeof(*r->records))) ||
	    (ret = bs_strings_add(&r->priv->strings, rec.klass, room[0])) ||
	    (ret = bs_strings_add(&r->priv->strings, rec.name, room[1])) ||
	    (ret = bs_strings_add(&r->priv->strings, rec.file, room[2])))
		return ret;
	r->records[r->nrecords++] = rec;
	return 0;
}

static int read_records(struct reader *r, const struct bs_elf_section *s)
{
	struct bscope_site chunk[512];
	uint64_t left = s->size / sizeof(chunk[0]), at = 0, end;
	int ret;

	if (s->type == SHT_NOBITS || !(s->flags & SHF_ALLOC) || (s->flags & SHF_COMPRESSED) ||
	    s->offset > r->priv->elf.size || s->size > r->priv->elf.size - s->offset ||
	    __builtin_add_overflow(s->addr, s->size, &end)) {
		skip(r->m, 1, "section %s has no contents in the file", BSCOPE_SITE_SECTION);
		return 0;
	}
	if (s->size % sizeof(chunk[0]))
		skip(r->m, 1, "section %s ends with a part of a record", BSCOPE_SITE_SECTION);
	while (left) {
		size_t n = left < 512 ? (size_t)left : 512;

		ret = bs_elf_read(&r->priv->elf, s->offset + at, chunk, n * sizeof(chunk[0]));
		if (ret)
			return ret;
		for (size_t i = 0; i < n; i++) {
			if (r->nrecords == MAX_SITES) {
				skip(r->m, left - i, "more than %u sites", MAX_SITES);
				return 0;
			}
			ret = take_record(r, &chunk[i], s->addr + at + i * sizeof(chunk[0]));
			if (ret)
				return ret;
		}
		at += n * sizeof(chunk[0]);
		left -= n;
	}
	return 0;
}

static int note_order(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	return x->pc < y->pc ? -1 : x->pc > y->pc;
}

static int record_order(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->probe != y->probe)
		return x->probe < y->probe ? -1 : 1;
	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

/*
 * Is there really a nop?  An uprobe in the middle of an instruction, or on one that the kernel
 * must single-step, is not what anybody asked for.
 */
static bool is_probe(const struct bs_elf *e, uint64_t offset)
{
	static const unsigned char nop_x86[] = {0x90};
	static const unsigned char nop_arm64[] = {0x1f, 0x20, 0x03, 0xd5};
	bool arm = e->machine == EM_AARCH64;
	size_t n = arm ? sizeof(nop_arm64) : sizeof(nop_x86);
	unsigned char code[sizeof(nop_arm64)];

	return (!arm || !(offset & 3)) && !bs_elf_read(e, offset, code, n) &&
	       !memcmp(code, arm ? nop_arm64 : nop_x86, n);
}

/* A record with its note becomes a site, or is left out. */
static void join(struct reader *r, const struct record *rec, const struct note *note)
{
	const struct bs_elf *e = &r->priv->elf;
	const struct bs_strings *strings = &r->priv->strings;
	struct bs_module *m = r->m;
	unsigned long long at = rec->vaddr;
	struct bs_site *site = &m->sites[m->nsites];

	memset(site, 0, sizeof(*site));
	if (note->kind != rec->kind) {
		skip(m, 1, "record at 0x%llx says %s, its note says %s", at,
		     bs_kind_name(rec->kind), bs_kind_name(note->kind));
		return;
	}
	if (note->why) {
		skip(m, 1, "record at 0x%llx: %s", at, note->why);
		return;
	}
	if (note->nargs < rec->nargs) {
		skip(m, 1, "record at 0x%llx has more operands than its note", at);
		return;
	}
	if (note->semaphore &&
	    !bs_elf_offset_find(e, note->semaphore, PF_W, &site->semaphore_offset, NULL)) {
		skip(m, 1, "record at 0x%llx: its semaphore is outside of the file", at);
		return;
	}
	site->klass = bs_strings_find(strings, rec->klass);
	site->name = bs_strings_find(strings, rec->name);
	site->file = bs_strings_find(strings, rec->file);
	if (!site->klass || !site->name || !site->file) {
		skip(m, 1, "record at 0x%llx has a string that does not end", at);
		return;
	}
	if (!site->klass[0]) {
		skip(m, 1, "record at 0x%llx has no class", at);
		return;
	}
	if (!is_probe(e, rec->probe_offset)) {
		skip(m, 1, "record at 0x%llx: no nop at its probe", at);
		return;
	}
	site->probe_vaddr = rec->probe;
	site->probe_offset = rec->probe_offset;
	site->stub_vaddr = rec->stub;
	site->record_vaddr = rec->vaddr;
	site->line = rec->line;
	site->kind = rec->kind;
	site->nargs = rec->nargs;
	site->flags = rec->flags;
	for (unsigned i = 0; i < rec->nargs; i++) {
		site->spec.where[i] = note->spec.where[i];
		site->spec.value[i] = note->spec.value[i];
		site->spec.reg[i] = note->spec.reg[i];
	}
	m->nsites++;
}

static int join_all(struct reader *r)
{
	size_t k = 0;

	if (r->nnotes)
		qsort(r->notes, r->nnotes, sizeof(*r->notes), note_order);
	if (r->nrecords) {
		qsort(r->records, r->nrecords, sizeof(*r->records), record_order);
		r->m->sites = calloc(r->nrecords, sizeof(*r->m->sites));
		if (!r->m->sites)
			return -ENOMEM;
	}
	for (size_t i = 0; i < r->nrecords; i++) {
		const struct record *rec = &r->records[i];

		if (i && rec->probe == r->records[i - 1].probe) {
			skip(r->m, 1, "record at 0x%llx shares its probe with another",
			     (unsigned long long)rec->vaddr);
			continue;
		}
		while (k < r->nnotes && r->notes[k].pc < rec->probe)
			k++;
		if (k == r->nnotes || r->notes[k].pc != rec->probe) {
			skip(r->m, 1, "record at 0x%llx has no note",
			     (unsigned long long)rec->vaddr);
			continue;
		}
		r->notes[k].used = true;
		join(r, rec, &r->notes[k]);
	}
	/* Last, so that the first reason is one about our own records. */
	for (size_t i = 0; i < r->nnotes; i++)
		if (!r->notes[i].used)
			skip(r->m, 1, "probe %s:%s at 0x%llx has no record", BSCOPE_PROVIDER,
			     bs_kind_name(r->notes[i].kind), (unsigned long long)r->notes[i].pc);
	return 0;
}

/* Strippers keep the headers of sections that are loaded. */
static void code_set(const struct bs_elf *e, uint64_t batch, struct bs_runtime *found)
{
	for (size_t i = 0; i < e->nsections; i++) {
		const struct bs_elf_section *s = &e->sections[i];

		if (!bs_elf_section_is(e, s, BSCOPE_RECORD_SECTION) || batch < s->addr ||
		    batch - s->addr >= s->size)
			continue;
		found->code_vaddr = s->addr;
		found->code_bytes = s->size;
	}
}

/* Only one that is complete, and as we know it, is of any use. */
static void runtime_set(struct reader *r)
{
	const struct bs_elf *e = &r->priv->elf;
	struct bs_runtime found = {.control_vaddr = r->semaphore};

	if (r->batch && r->buffer && r->semaphore && !r->odd &&
	    bs_elf_offset_find(e, r->batch, PF_X, &found.batch_offset, NULL) &&
	    bs_elf_offset_find(e, r->buffer, PF_X, &found.buffer_offset, NULL) &&
	    bs_elf_offset_find(e, r->semaphore, PF_W, &found.semaphore_offset, NULL) &&
	    is_probe(e, found.batch_offset) && is_probe(e, found.buffer_offset)) {
		code_set(e, r->batch, &found);
		r->m->runtime = found;
		/* A library of before has none. */
		if (r->stack && bs_elf_offset_find(e, r->stack, PF_X, &found.stack_offset, NULL) &&
		    is_probe(e, found.stack_offset))
			r->m->runtime.stack_offset = found.stack_offset;
	}
}

static int read_sites(struct reader *r)
{
	const struct bs_elf *e = &r->priv->elf;
	uint64_t bad, budget = e->size;
	bool any = false;
	int ret;

	for (size_t i = 0; i < e->nsections; i++) {
		const struct bs_elf_section *s = &e->sections[i];

		if (!bs_elf_section_is(e, s, BSCOPE_SITE_SECTION))
			continue;
		any = true;
		/* One is normal; many that share their bytes would be endless work. */
		if (s->type != SHT_NOBITS && s->size > budget) {
			skip(r->m, 1, "sections %s overlap", BSCOPE_SITE_SECTION);
			continue;
		}
		budget -= s->type != SHT_NOBITS ? s->size : 0;
		ret = read_records(r, s);
		if (ret)
			return ret;
	}
	ret = bs_stapsdt_walk(e, take_note, r, &bad);
	if (ret)
		return ret;
	runtime_set(r);
	/* Damage in notes that have nothing to do with us is not ours to report. */
	if (bad && (any || r->nnotes))
		skip(r->m, bad, "damaged .note.stapsdt");
	if (!any && !r->nnotes)
		return 0;
	ret = bs_strings_read(&r->priv->strings, e);
	if (ret)
		return ret;
	ret = join_all(r);
	if (ret || !r->m->nsites)
		return ret;
	ret = bs_elf_symbols_new(e, &r->priv->symbols);
	if (ret)
		return ret;
	for (size_t i = 0; i < r->m->nsites; i++)
		r->m->sites[i].function =
			bs_elf_symbols_find(r->priv->symbols, r->m->sites[i].probe_vaddr, NULL);
	return 0;
}

int bs_module_read(int fd, const char *path, struct bs_module **out, struct bs_error *err)
{
	struct reader r = {0};
	int ret;

	r.m = calloc(1, sizeof(*r.m));
	r.priv = calloc(1, sizeof(*r.priv));
	if (!r.m || !r.priv) {
		free(r.priv);
		ret = bs_error_set(err, -ENOMEM, "%s: out of memory", path);
		goto fail;
	}
	r.m->fd = -1; /* the caller's until we succeed */
	r.m->priv = r.priv;
	ret = bs_elf_init(&r.priv->elf, fd, path, err);
	if (ret)
		goto fail;
	r.m->path = strdup(path);
	r.m->dev = r.priv->elf.dev;
	r.m->ino = r.priv->elf.ino;
	r.m->program = bs_elf_section_find(&r.priv->elf, ".interp") != NULL;
	ret = r.m->path ? read_sites(&r) : -ENOMEM;
	switch (ret) {
	case 0:
		break;
	case -ENOMEM:
		bs_error_set(err, ret, "%s: out of memory", path);
		goto fail;
	case -ENOEXEC:
		bs_error_set(err, ret, "%s: changed while it was read; try again", path);
		goto fail;
	default:
		bs_error_set(err, ret, "%s: cannot be read (input/output error)", path);
		goto fail;
	}
	free(r.notes);
	free(r.records);
	r.m->fd = fd;
	*out = r.m;
	return 0;
fail:
	free(r.notes);
	free(r.records);
	bs_module_free(r.m);
	return ret;
}

void bs_module_free(struct bs_module *m)
{
	struct priv *priv;

	if (!m)
		return;
	priv = m->priv;
	if (priv) {
		bs_elf_symbols_free(priv->symbols);
		bs_strings_fini(&priv->strings);
		bs_elf_fini(&priv->elf);
		free(priv);
	}
	if (m->fd >= 0)
		close(m->fd);
	free(m->sites);
	free(m->path);
	free(m);
}

const char *bs_module_function_find(const struct bs_module *m, uint64_t offset, uint64_t *start)
{
	struct priv *priv = m->priv;
	uint64_t vaddr, begin, unused;
	const char *name;

	if (!priv->symbols || !bs_elf_vaddr_find(&priv->elf, offset, PF_X, &vaddr))
		return NULL;
	name = bs_elf_symbols_find(priv->symbols, vaddr, &begin);
	if (name && !bs_elf_offset_find(&priv->elf, begin, PF_X, start ? start : &unused, NULL))
		return NULL;
	return name;
}

bool bs_module_vaddr_find(const struct bs_module *m, uint64_t offset, uint64_t *vaddr)
{
	struct priv *priv = m->priv;

	return bs_elf_vaddr_find(&priv->elf, offset, PF_X, vaddr);
}

int bs_module_read_at(const struct bs_module *m, uint64_t vaddr, void *buf, size_t n)
{
	struct priv *priv = m->priv;
	uint64_t offset, room;

	if (!bs_elf_offset_find(&priv->elf, vaddr, 0, &offset, &room) || room < n)
		return -ENOEXEC;
	return bs_elf_read(&priv->elf, offset, buf, n);
}
