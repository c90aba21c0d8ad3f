// SPDX-License-Identifier: GPL-2.0-only
/* jump.c - from the sites of a process to the switches that can be lit in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bscope/abi.h>
#include <bscope/buffer.h>
#include <bscope/control.h>

#include "base/error.h"
#include "target/jump.h"
#include "target/memory.h"
#include "target/module.h"
#include "target/process.h"

#define SWITCH_BYTES 6
#define STUB_MAX     128
#define PAGE	     4096u
#define POOL_MAX     1024u /* buffers; the runtime takes no more */

const char *bs_jump_why(enum bs_jump_why why)
{
	switch (why) {
	case BS_JUMP_OK:
	case BS_JUMP_WHYS:
		break;
	case BS_JUMP_NO_STUB:
		return "built with BSCOPE_NO_RUNTIME";
	case BS_JUMP_PAGE:
		return "the switch crosses a page";
	case BS_JUMP_ODD:
		return "the code is not as the macros make it";
	}
	return "";
}

/* --- stubs ------------------------------------------------------------------------------------ */

static int32_t int32_at(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * The end of a stub, from where it loads the address of its record (include/bscope/site.h):
 *
 *   lea record(%rip),%rdi; call; pops; lea 128(%rsp),%rsp; jmp switch+6
 *
 * The linker may have turned the call through the GOT into a direct one, with a prefix to fill.
 * False if it is anything else.
 */
static bool parse_end(const uint8_t *code, size_t n, uint64_t addr, uint64_t back,
		      struct bs_stub *out)
{
	static const uint8_t release[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};
	size_t i = 7;

	if (n < i + 6)
		return false;
	out->indirect = code[i] == 0xff && code[i + 1] == 0x15;
	if (!out->indirect && (code[i] != 0x67 || code[i + 1] != 0xe8))
		return false;
	i += 6;
	out->target = addr + i + (uint64_t)(int64_t)int32_at(&code[i - 4]);
	while (i < n && (code[i] == 0x59 || code[i] == 0x5a || code[i] == 0x5e || code[i] == 0x5f))
		i++;
	if (n < i + sizeof(release) + 5 || memcmp(&code[i], release, sizeof(release)))
		return false;
	i += sizeof(release);
	out->bytes = (uint8_t)(i + 5);
	return code[i] == 0xe9 && addr + i + 5 + (uint64_t)(int64_t)int32_at(&code[i + 1]) == back;
}

static bool parse_stub(const uint8_t *code, size_t n, const struct bs_site *site,
		       struct bs_stub *out)
{
	static const uint8_t start[] = {0x48, 0x8d, 0x64, 0x24, 0x80, 0x57, 0x56};
	uint64_t back = site->probe_vaddr + 1 + SWITCH_BYTES;

	if (n < sizeof(start) || memcmp(code, start, sizeof(start)))
		return false;
	for (size_t i = sizeof(start); i + 7 <= n; i++) {
		uint64_t addr = site->stub_vaddr + i;

		if (code[i] == 0x48 && code[i + 1] == 0x8d && code[i + 2] == 0x3d &&
		    addr + 7 + (uint64_t)(int64_t)int32_at(&code[i + 3]) == site->record_vaddr) {
			bool whole = parse_end(&code[i], n - i, addr, back, out);

			out->bytes = whole ? (uint8_t)(out->bytes + i) : 0;
			return whole;
		}
	}
	return false;
}

static enum bs_jump_why look(const struct bs_module *m, const struct bs_site *site,
			     struct bs_stub *out)
{
	static const uint8_t nop[SWITCH_BYTES] = {0x66, 0x0f, 0x1f, 0x44, 0, 0};
	uint64_t at = site->probe_vaddr + 1;
	uint8_t code[STUB_MAX];
	int64_t distance;
	size_t n = sizeof(code);

	if (!site->stub_vaddr)
		return BS_JUMP_NO_STUB;
	if (bs_module_read_at(m, at, code, sizeof(nop)) || memcmp(code, nop, sizeof(nop)))
		return BS_JUMP_ODD;
	/* It may lie at the very end of the section. */
	while (n && bs_module_read_at(m, site->stub_vaddr, code, n))
		n--;
	distance = (int64_t)(site->stub_vaddr - (at + 5));
	if (!parse_stub(code, n, site, out) || distance != (int32_t)distance)
		return BS_JUMP_ODD;
	return at % PAGE > PAGE - SWITCH_BYTES ? BS_JUMP_PAGE : BS_JUMP_OK;
}

struct bs_stub *bs_stubs_read(const struct bs_module *m)
{
	struct bs_stub *stubs = calloc(m->nsites ? m->nsites : 1, sizeof(*stubs));

	for (size_t i = 0; stubs && i < m->nsites; i++)
		stubs[i].why = (uint8_t)look(m, &m->sites[i], &stubs[i]);
	return stubs;
}

/* --- a process -------------------------------------------------------------------------------- */

/* An offset of the file that is sure to be mapped where the module is, and its address there. */
static bool anchor(const struct bs_module *m, uint64_t *offset, uint64_t *vaddr)
{
	*offset = m->nsites ? m->sites[0].probe_offset : m->runtime.batch_offset;
	if (m->nsites) {
		*vaddr = m->sites[0].probe_vaddr;
		return true;
	}
	return m->runtime.batch_offset && bs_module_vaddr_find(m, *offset, vaddr);
}

/* What a walk over all places where modules are mapped calls; bias: address - link-time address. */
typedef int (*mapped_fn)(void *ctx, const struct bs_jump_module *jm, uint64_t bias);

static int each_mapped(const struct bs_maps *maps, const struct bs_jump_module *modules, size_t n,
		       mapped_fn fn, void *ctx)
{
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		uint64_t offset, vaddr;
		dev_t dev;
		ino_t ino;

		if (!anchor(modules[i].m, &offset, &vaddr))
			continue;
		bs_module_identity(modules[i].m, &dev, &ino);
		for (size_t k = 0; k < maps->n && !ret; k++) {
			const struct bs_mapping *map = &maps->v[k];

			if (map->exec && map->ino == ino && map->dev == dev &&
			    offset >= map->offset && offset - map->offset < map->end - map->start)
				ret = fn(ctx, &modules[i],
					 map->start + (offset - map->offset) - vaddr);
		}
	}
	return ret;
}

struct search {
	pid_t pid;
	const struct bs_maps *maps;
	struct bs_jumps *out;
	uint64_t (*entries)[3]; /* of the runtimes that can be used */
	size_t nentries;
	bool starting, unusable, no_memory;
	bool linking; /* a library with sites is not relocated yet */
	size_t room;
};

static int runtime_add(void *ctx, const struct bs_jump_module *jm, uint64_t bias)
{
	struct search *s = ctx;
	struct bscope_control control;
	uint64_t at = bias + jm->m->runtime.control_vaddr;
	const struct bs_mapping *map = bs_maps_find(s->maps, at);
	struct bs_jump_pool *pools;
	uint64_t(*entries)[3];
	int ret;

	if (!jm->m->runtime.batch_offset)
		return 0;
	ret = bs_memory_read(s->pid, at, &control, sizeof(control));
	/*
	 * First the dynamic linker maps a library as if it were all text; until its data has been
	 * mapped over that, other bytes of the file are there.
	 */
	if (!ret && map && !map->write) {
		s->starting = true;
		return 0;
	}
	/*
	 * Not mapped: its dynamic linker is at work, or it is just ending, of which nothing is to
	 * be concluded.
	 */
	s->starting |= ret != 0;
	if (ret)
		return ret == -ESRCH ? ret : 0;
	if (control.abi != BSCOPE_CONTROL_ABI || control.size < sizeof(control)) {
		s->unusable = true;
		return 0;
	}
	if (!control.started) {
		s->starting = true;
		return 0;
	}
	if (!control.pool || !control.buffers || control.buffers > POOL_MAX) {
		s->no_memory = true;
		return 0;
	}
	pools = reallocarray(s->out->pools, s->out->npools + 1, sizeof(*pools));
	if (!pools)
		return -ENOMEM;
	s->out->pools = pools;
	pools[s->out->npools++] = (struct bs_jump_pool){
		.addr = control.pool,
		.buffers = control.buffers,
		.control = bias + jm->m->runtime.control_vaddr,
		.table = control.table,
		.stacks = jm->m->runtime.stack_offset != 0,
	};
	entries = reallocarray(s->entries, s->nentries + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	s->entries = entries;
	memcpy(entries[s->nentries++], control.entries, sizeof(control.entries));
	return 0;
}

static bool is_entry(const struct search *s, uint64_t target, unsigned nargs)
{
	for (size_t i = 0; i < s->nentries; i++)
		if (s->entries[i][nargs - 1] == target)
			return true;
	return false;
}

static int sites_count(void *ctx, const struct bs_jump_module *jm, uint64_t bias)
{
	struct search *s = ctx;

	(void)bias;
	for (size_t i = 0; i < jm->m->nsites; i++)
		s->out->sites += jm->chosen[i];
	return 0;
}

static int room_for(struct search *s, size_t more)
{
	struct bs_jumps *j = s->out;
	struct bs_patch *v;
	uint32_t *index;
	uint64_t *record;

	if (j->n + more <= s->room)
		return 0;
	s->room = j->n + more;
	v = reallocarray(j->v, s->room, sizeof(*v));
	if (v)
		j->v = v;
	index = reallocarray(j->index, s->room, sizeof(*index));
	if (index)
		j->index = index;
	record = reallocarray(j->record, s->room, sizeof(*record));
	if (record)
		j->record = record;
	return v && index && record ? 0 : -ENOMEM;
}

/* Pages of text and of records: each once, since both are in order of address. */
static void count_page(uint64_t addr, uint64_t *last, uint64_t *pages)
{
	if (addr / PAGE == *last)
		return;
	*last = addr / PAGE;
	++*pages;
}

/*
 * Records can be written to, once the dynamic linker has mapped them: see runtime_add.  The slots
 * of the GOT through which stubs call are 0 until it has filled them.
 */
static bool is_mapped_whole(const struct search *s, const struct bs_jump_module *jm, uint64_t bias)
{
	const struct bs_mapping *map =
		jm->m->nsites ? bs_maps_find(s->maps, bias + jm->m->sites[0].record_vaddr) : NULL;

	return !jm->m->nsites || (map && map->write);
}

static int sites_add(void *ctx, const struct bs_jump_module *jm, uint64_t bias)
{
	struct search *s = ctx;
	struct bs_jumps *j = s->out;
	uint64_t slot = 0, called = 0, text = UINT64_MAX, data = UINT64_MAX;
	int ret = room_for(s, jm->m->nsites);

	if (!is_mapped_whole(s, jm, bias)) {
		s->linking = true;
		for (size_t i = 0; i < jm->m->nsites; i++)
			j->foreign += jm->chosen[i] && jm->stubs[i].why == BS_JUMP_OK;
		return ret;
	}
	for (size_t i = 0; i < jm->m->nsites && !ret; i++) {
		const struct bs_site *site = &jm->m->sites[i];
		const struct bs_stub *stub = &jm->stubs[i];
		uint64_t target = bias + stub->target, at = bias + site->probe_vaddr + 1;

		/* A slot has no room for more numbers than these. */
		if (!jm->chosen[i] || stub->why != BS_JUMP_OK ||
		    jm->first + i > BSCOPE_SLOT_INDEX_MASK)
			continue;
		/* Sites with as many operands share one slot of the GOT. */
		if (stub->indirect && target != slot) {
			slot = target;
			if (bs_memory_read(s->pid, slot, &called, sizeof(called)))
				called = 0;
		}
		if (!is_entry(s, stub->indirect ? called : target, site->nargs)) {
			s->linking |= stub->indirect && !called;
			j->foreign++;
			continue;
		}
		j->index[j->n] = BSCOPE_INDEX(jm->first + (uint32_t)i, jm->klass[i], site->kind);
		j->record[j->n] = bias + site->record_vaddr;
		j->v[j->n] = (struct bs_patch){
			.addr = at,
			.rel = (int32_t)(site->stub_vaddr - (site->probe_vaddr + 6)),
			.number_at = j->record[j->n] + offsetof(struct bscope_site, index),
			.number = j->index[j->n],
		};
		count_page(at, &text, &j->pages);
		count_page(j->record[j->n], &data, &j->pages);
		j->n++;
	}
	return ret;
}

struct entry {
	struct bs_patch patch;
	uint64_t record;
	uint32_t index;
};

static int by_address(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->patch.addr < y->patch.addr ? -1 : x->patch.addr > y->patch.addr;
}

/* Modules come in no order of addresses. */
static int sort(struct bs_jumps *j)
{
	struct entry *all;
	bool sorted = true;

	for (size_t i = 1; i < j->n && sorted; i++)
		sorted = j->v[i - 1].addr < j->v[i].addr;
	if (sorted)
		return 0;
	all = calloc(j->n, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < j->n; i++)
		all[i] = (struct entry){j->v[i], j->record[i], j->index[i]};
	qsort(all, j->n, sizeof(*all), by_address);
	for (size_t i = 0; i < j->n; i++) {
		j->v[i] = all[i].patch;
		j->record[i] = all[i].record;
		j->index[i] = all[i].index;
	}
	free(all);
	return 0;
}

static int find(pid_t pid, const struct bs_jump_module *modules, size_t n, bool linked,
		struct bs_jumps *out, struct bs_error *err)
{
	struct bs_maps maps;
	struct search s = {.pid = pid, .maps = &maps, .out = out};
	int ret;

	memset(out, 0, sizeof(*out));
	ret = bs_maps_read(pid, &maps, err);
	if (ret)
		return ret;
	ret = each_mapped(&maps, modules, n, sites_count, &s);
	if (!ret && out->sites)
		ret = each_mapped(&maps, modules, n, runtime_add, &s);
	if (!ret && s.nentries)
		ret = each_mapped(&maps, modules, n, sites_add, &s);
	if (!ret)
		ret = sort(out);
	if (ret)
		bs_error_set(err, ret, "pid %d: out of memory", (int)pid);
	else if (!out->sites)
		ret = 0;
	else if (!s.nentries && s.starting)
		ret = bs_error_set(err, -EAGAIN,
				   "pid %d: its libbscope is not set up yet: it is starting",
				   (int)pid);
	else if (!s.nentries && s.no_memory)
		ret = bs_error_set(err, -ENOTSUP,
				   "pid %d: its libbscope got no address space for buffers "
				   "(ulimit -v?)",
				   (int)pid);
	else if (!s.nentries && s.unusable)
		ret = bs_error_set(err, -ENOTSUP, "pid %d: its libbscope is of another version",
				   (int)pid);
	else if (!s.nentries)
		ret = bs_error_set(err, -ENOENT,
				   "pid %d: no libbscope in it (built with BSCOPE_NO_RUNTIME?)",
				   (int)pid);
	else if (s.linking && linked)
		ret = bs_error_set(err, -EAGAIN, "pid %d: it is just loading a library", (int)pid);
	free(s.entries);
	bs_maps_fini(&maps);
	if (ret)
		bs_jumps_fini(out);
	return ret;
}

int bs_jumps_find(pid_t pid, const struct bs_jump_module *modules, size_t n, struct bs_jumps *out,
		  struct bs_error *err)
{
	return find(pid, modules, n, true, out, err);
}

int bs_jumps_find_linked(pid_t pid, const struct bs_jump_module *modules, size_t n,
			 struct bs_jumps *out, struct bs_error *err)
{
	return find(pid, modules, n, false, out, err);
}

void bs_jumps_fini(struct bs_jumps *j)
{
	free(j->v);
	free(j->index);
	free(j->record);
	free(j->pools);
	memset(j, 0, sizeof(*j));
}

/*
 * Do the records from the first on still say that they are of these switches?  A library may have
 * been unloaded since, and what is mapped there now is nothing for us to write to.
 */
static int records_check(pid_t pid, const struct bs_jumps *j, size_t first, size_t n)
{
	struct iovec local[BS_MEMORY_PIECES], remote[BS_MEMORY_PIECES];
	struct bscope_site records[BS_MEMORY_PIECES];
	int ret;

	for (size_t i = 0; i < n; i++) {
		local[i] = (struct iovec){&records[i], sizeof(records[i])};
		remote[i] =
			(struct iovec){(void *)(uintptr_t)j->record[first + i], sizeof(records[i])};
	}
	ret = bs_memory_readv(pid, local, remote, n);
	for (size_t i = 0; i < n && !ret; i++) {
		const struct bs_patch *p = &j->v[first + i];
		uint64_t at = j->record[first + i];
		uint64_t probe = at + (uint64_t)(int64_t)records[i].probe;
		uint64_t stub = at + offsetof(struct bscope_site, stub) +
				(uint64_t)(int64_t)records[i].stub;

		if (probe + 1 != p->addr || stub != p->addr + 5 + (uint64_t)(int64_t)p->rel)
			ret = -EFAULT;
	}
	return ret;
}

int bs_jumps_number(pid_t pid, const struct bs_jumps *j)
{
	struct iovec local[BS_MEMORY_PIECES], remote[BS_MEMORY_PIECES];

	for (size_t i = 0; i < j->n;) {
		size_t n = j->n - i < BS_MEMORY_PIECES ? j->n - i : BS_MEMORY_PIECES;
		int ret = records_check(pid, j, i, n);

		if (ret)
			return ret;
		for (size_t k = 0; k < n; k++, i++) {
			uint64_t at = j->record[i] + offsetof(struct bscope_site, index);

			local[k] = (struct iovec){&j->index[i], sizeof(j->index[i])};
			remote[k] = (struct iovec){(void *)(uintptr_t)at, sizeof(j->index[i])};
		}
		ret = bs_memory_writev(pid, local, remote, n);
		if (ret)
			return ret;
	}
	return 0;
}
