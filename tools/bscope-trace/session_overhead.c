// SPDX-License-Identifier: GPL-2.0-only
/* session_overhead.c - samples of the CPU clock become stacks, and what tracking costs is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "bscope-trace/command.h"
#include "bscope-trace/options.h"
#include "bscope-trace/overhead.h"
#include "bscope-trace/session_state.h"
#include "overhead/profile.h"
#include "symbol/symbol.h"
#include "target/module.h"
#include "target/process.h"

/* Mappings are read anew after so long: libraries come and go. */
#define SPANS_NS  NS_PER_S
#define SPANS_MAX 8192u
#define POLL_MS	  50

_Static_assert(BS_PHASE_WITHOUT == 1 && BS_PHASE_WITH == BS_PROFILE_PHASES,
	       "phases of the profile are those of collect, from 0 on");

static void spans_clear(struct bs_overhead *o)
{
	struct bs_spans *spans, *next;

	HASH_ITER (hh, o->spans, spans, next) {
		HASH_DEL(o->spans, spans);
		free(spans->v);
		free(spans);
	}
}

int bs_session_overhead_new(struct bs_session *s, struct bs_error *err)
{
	if (!s->options->overhead)
		return 0;
	s->overhead = calloc(1, sizeof(*s->overhead));
	if (s->overhead)
		s->overhead->profile = bs_profile_new();
	if (!s->overhead || !s->overhead->profile)
		return bs_error_set(err, -ENOMEM, "out of memory");
	s->overhead->nprograms =
		bs_collect_programs(s->collect, s->overhead->programs, BS_PROGRAMS_MAX);
	/* What takes its time comes before anything is lit. */
	return bs_collect_profile(s->collect, BS_PHASE_NONE, err);
}

void bs_session_overhead_free(struct bs_session *s)
{
	struct bs_overhead *o = s->overhead;

	if (!o)
		return;
	spans_clear(o);
	for (size_t i = 0; i < o->nmodules; i++)
		bs_wheres_fini(&o->modules[i].where);
	free(o->modules);
	bs_index_fini(&o->by_file);
	bs_profile_free(o->profile);
	free(o);
}

/* --- where addresses are ---------------------------------------------------------------------- */

/* Modules that have come since. */
static int modules_extend(struct bs_session *s)
{
	struct bs_overhead *o = s->overhead;
	struct bs_overhead_module *grown;

	if (o->nmodules == s->lighting.nmodules)
		return 0;
	grown = reallocarray(o->modules, s->lighting.nmodules, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	o->modules = grown;
	for (; o->nmodules < s->lighting.nmodules; o->nmodules++) {
		const struct bs_lit_module *lm = &s->lighting.modules[o->nmodules];
		struct bs_overhead_module *om = &o->modules[o->nmodules];

		if (bs_wheres_init(&om->where, lm->m, lm->stubs))
			return -ENOMEM;
		bs_module_identity(lm->m, &om->dev, &om->ino);
		if (!bs_index_find(&o->by_file, om->dev, om->ino) &&
		    bs_index_set(&o->by_file, om->dev, om->ino, (uint32_t)o->nmodules + 1))
			return -ENOMEM;
	}
	return 0;
}

/* What was known stays where the process has gone. */
static int spans_read(const struct bs_overhead *o, struct bs_spans *spans)
{
	struct bs_maps maps;
	int ret;

	if (bs_maps_read((pid_t)spans->pid, &maps, NULL))
		return 0;
	spans->known = true;
	ret = bs_spans_make(&maps, &o->by_file, &spans->v, &spans->n);
	bs_maps_fini(&maps);
	return ret;
}

static struct bs_spans *spans_get(struct bs_session *s, uint32_t pid)
{
	struct bs_spans *spans;
	uint64_t now = bs_now_ns();

	HASH_FIND_INT(s->overhead->spans, &pid, spans);
	if (!spans) {
		/* Of so many most have gone. */
		if (HASH_COUNT(s->overhead->spans) >= SPANS_MAX)
			spans_clear(s->overhead);
		spans = calloc(1, sizeof(*spans));
		if (!spans)
			return NULL;
		spans->pid = pid;
		HASH_ADD_INT(s->overhead->spans, pid, spans);
	}
	if (!spans->read_ns || now - spans->read_ns > SPANS_NS) {
		spans->read_ns = now;
		if (spans_read(s->overhead, spans))
			return NULL;
	}
	return spans;
}

void bs_session_overhead_forget(struct bs_session *s, uint32_t pid)
{
	struct bs_spans *spans;

	if (!s->overhead)
		return;
	HASH_FIND_INT(s->overhead->spans, &pid, spans);
	if (!spans)
		return;
	spans->read_ns = 0;
	spans->n = 0;
	spans->known = false;
}

/* The module, and the link-time address in it; false if it is in none. */
static bool place_find(const struct bs_session *s, const struct bs_spans *spans, uint64_t addr,
		       size_t *module, uint64_t *vaddr)
{
	const struct bs_span *span = bs_spans_find(spans->v, spans->n, addr);

	if (!span)
		return false;
	*module = span->file;
	return bs_module_vaddr_find(s->lighting.modules[span->file].m,
				    span->offset + (addr - span->start), vaddr);
}

/* --- a sample --------------------------------------------------------------------------------- */

struct stack {
	uint64_t frames[1 + BS_SAMPLE_USER + BS_SAMPLE_KERNEL + 2];
	size_t n;
	uint64_t marked; /* BS_FRAME_MARKED from where it is tracking */
};

static void frame_add(struct stack *st, enum bs_frame_kind kind, uint64_t value)
{
	st->frames[st->n++] =
		(uint64_t)kind << BS_FRAME_SHIFT | (value & BS_FRAME_VALUE) | st->marked;
}

/* Its sites are hit by traps, if at all. */
static bool by_traps(const struct bs_sample_head *h)
{
	return h->plan == BS_TRACED_TRAP || h->plan == BS_TRACED_DARK;
}

/* By whatever way, are the sites of the process lit just then? */
static bool is_lit(const struct bs_session *s, const struct bs_sample_head *h)
{
	return !by_traps(h) || s->overhead->traps_lit;
}

/*
 * The place of a site, from which the stub was entered: frame pointers pass it over.  addr, vaddr:
 * any other place in its module, which is mapped as it is linked.
 */
static void site_add(struct bs_session *s, struct stack *st, uint32_t pid, size_t module,
		     size_t site, uint64_t addr, uint64_t vaddr)
{
	addr += s->lighting.modules[module].m->sites[site].probe_vaddr - vaddr;
	frame_add(st, BS_FRAME_CODE, bs_session_code(s, pid, addr));
}

/* Who called the runtime: the innermost address on its stack that leads back into a stub. */
static void caller_add(struct bs_session *s, const struct bs_spans *spans,
		       const struct bs_sample_room *r, struct stack *st)
{
	const uint64_t *near = (const uint64_t *)r->at + r->head.user + r->head.kernel;

	for (size_t i = 0; i < r->head.near; i++) {
		uint64_t vaddr;
		size_t module, site;

		if (!place_find(s, spans, near[i], &module, &vaddr) ||
		    !bs_where_returns(&s->overhead->modules[module].where, vaddr, &site))
			continue;
		site_add(s, st, r->head.pid, module, site, near[i], vaddr);
		return;
	}
}

static enum bs_where where_of(const struct bs_session *s, const struct bs_spans *spans,
			      const struct bs_sample_room *r, size_t *module, size_t *site,
			      uint64_t *vaddr)
{
	const bool *chosen = NULL;

	if (!r->head.user || !place_find(s, spans, r->at[0], module, vaddr))
		return BS_WHERE_PROGRAM;
	if (r->head.phase == BS_PHASE_WITH)
		chosen = s->lighting.modules[*module].chosen;
	return bs_where(&s->overhead->modules[*module].where, chosen, by_traps(&r->head), *vaddr,
			site);
}

/* What a traced process does in the kernel because of our programs, without any site. */
static bool in_programs(const struct bs_overhead *o, uint64_t addr)
{
	for (size_t i = 0; i < o->nprograms; i++)
		if (addr >= o->programs[i].start && addr < o->programs[i].end)
			return true;
	return false;
}

static void kernel_add(const struct bs_overhead *o, const struct bs_sample_room *r,
		       struct stack *st)
{
	for (size_t i = r->head.kernel; i-- > 0;) {
		uint64_t addr = r->at[r->head.user + i];

		if (in_programs(o, addr))
			st->marked = BS_FRAME_MARKED;
		frame_add(st, i ? BS_FRAME_RETURN : BS_FRAME_KERNEL, addr);
	}
}

static void user_add(struct bs_session *s, const struct bs_spans *spans,
		     const struct bs_sample_room *r, struct stack *st)
{
	size_t module = 0, site = 0;
	uint64_t vaddr = 0;
	enum bs_where where = where_of(s, spans, r, &module, &site, &vaddr);

	for (size_t i = r->head.user; i-- > 1;)
		frame_add(st, BS_FRAME_CALLER, bs_session_code(s, r->head.pid, r->at[i]));
	switch (where) {
	case BS_WHERE_PROGRAM:
	case BS_WHERE_SITE:
		if (r->head.user)
			frame_add(st, BS_FRAME_CODE, bs_session_code(s, r->head.pid, r->at[0]));
		break;
	case BS_WHERE_STUB:
		site_add(s, st, r->head.pid, module, site, r->at[0], vaddr);
		break;
	case BS_WHERE_RECORD:
		caller_add(s, spans, r, st);
		break;
	}
	if (where == BS_WHERE_PROGRAM)
		return;
	st->marked = BS_FRAME_MARKED;
	if (where == BS_WHERE_RECORD)
		frame_add(st, BS_FRAME_CODE, bs_session_code(s, r->head.pid, r->at[0]));
	else
		frame_add(st, BS_FRAME_TRACKING, (uint64_t)by_traps(&r->head) << 8 | where);
}

static int on_sample(void *ctx, const struct bs_sample_room *r)
{
	struct bs_session *s = ctx;
	struct bs_overhead *o = s->overhead;
	const struct bs_process *p;
	struct stack st = {.n = 0};
	struct bs_spans *spans;

	if (r->head.phase != BS_PHASE_WITHOUT && r->head.phase != BS_PHASE_WITH)
		return 0;
	if (r->head.phase == BS_PHASE_WITH && !is_lit(s, &r->head)) {
		o->unlit++;
		return 0;
	}
	spans = spans_get(s, r->head.pid);
	if (!spans)
		return -ENOMEM;
	/* Nobody can tell what it was at: neither tracking nor the program. */
	if (!spans->known) {
		o->gone++;
		return 0;
	}
	p = bs_followed_find(&s->followed, (pid_t)r->head.pid);
	frame_add(&st, BS_FRAME_PROCESS, p ? p->number : BS_FRAME_VALUE);
	user_add(s, spans, r, &st);
	kernel_add(o, r, &st);
	return bs_profile_add(o->profile, st.frames, st.n, r->head.phase - 1, st.marked != 0);
}

int bs_session_overhead_read(struct bs_session *s)
{
	int ret;

	if (!s->overhead)
		return 0;
	ret = modules_extend(s);
	s->overhead->traps_lit = false;
	for (size_t i = 0; i < s->lighting.nmodules; i++)
		s->overhead->traps_lit |= s->lighting.modules[i].all;
	return ret ? ret : bs_collect_profile_read(s->collect, on_sample, s);
}

/* --- phases ----------------------------------------------------------------------------------- */

int bs_session_overhead_begin(struct bs_session *s, struct bs_error *err)
{
	return s->overhead ? bs_collect_profile(s->collect, BS_PHASE_WITH, err) : 0;
}

int bs_session_overhead_end(struct bs_session *s)
{
	int ret;

	if (!s->overhead)
		return 0;
	ret = bs_collect_profile(s->collect, BS_PHASE_NONE, NULL);
	return ret ? ret : bs_session_overhead_read(s);
}

static int compare_run(struct bs_session *s, const volatile sig_atomic_t *stop)
{
	uint64_t began = bs_now_ns(), now = began;
	int ret = 0;

	while (!*stop && s->followed.nalive && now - began < s->options->compare_ns) {
		uint64_t left = s->options->compare_ns - (now - began);
		int timeout = left / NS_PER_MS < POLL_MS ? (int)(left / NS_PER_MS) + 1 : POLL_MS;

		ret = bs_collect_poll(s->collect, timeout, bs_session_record, s, NULL);
		if (ret < 0 && ret != -EINTR)
			return ret;
		now = bs_now_ns();
		bs_code_tick(s->code, now);
		ret = bs_session_overhead_read(s);
		if (ret)
			return ret;
		if (s->command)
			bs_command_poll(s->command);
	}
	s->overhead->without_ns = now - began;
	return 0;
}

int bs_session_compare(struct bs_session *s, const volatile sig_atomic_t *stop,
		       struct bs_error *err)
{
	double seconds = (double)s->options->compare_ns / 1e9;
	int ret = bs_collect_profile(s->collect, BS_PHASE_WITHOUT, err);

	if (ret)
		return ret;
	if (s->command) {
		ret = bs_command_release(s->command, s->command->path, err);
		if (ret)
			return ret;
	}
	ret = compare_run(s, stop);
	if (!ret)
		ret = bs_collect_profile(s->collect, BS_PHASE_NONE, err);
	if (!ret)
		ret = bs_session_overhead_read(s);
	if (ret)
		return bs_error_set(err, ret, "--overhead-compare: cannot take samples: %s",
				    strerror(-ret));
	if (*stop)
		return bs_error_set(
			err, -EINTR,
			"--overhead-compare=%g: stopped before sites were lit: there is "
			"nothing to compare",
			seconds);
	if (!s->followed.nalive)
		return bs_error_set(err, -ESRCH,
				    "--overhead-compare=%g: all processes ended before sites were "
				    "lit: compare for fewer seconds",
				    seconds);
	return 0;
}
