// SPDX-License-Identifier: GPL-2.0-only
/* lighting.c - which sites are lit, in which process, how, and why not otherwise. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "bpf/event.h"
#include "bscope/abi.h"
#include "bscope-trace/budget.h"
#include "bscope-trace/followed.h"
#include "bscope-trace/lighting.h"
#include "bscope-trace/lighting_state.h"
#include "bscope-trace/options.h"
#include "collect/buffers.h"
#include "collect/collect.h"
#include "decode/tsc.h"
#include "target/guardian.h"
#include "target/headroom.h"
#include "target/module.h"
#include "target/sampling.h"
#include "target/sites.h"

/* So long the dynamic linker of a program may take until it has mapped our library. */
#define LINKING_NS   500000000ull
#define DARK_POLL_MS 20
/*
 * A COMMAND is lit by traps before it runs, so that nothing of its start is missed, and by jumps
 * when it turns out to make many events: so many cost it some 15 ms.  A program that makes few
 * may execute others, whose start is then seen as well.
 */
#define TRAP_EVENTS 20000u
/* Stops that come too late, when sites are to go dark: the next period is another try. */
#define CHOICE_TRIES 3

/* --- what the guardian asks, in its own process ------------------------------------------------
 */

_Static_assert(sizeof(struct bs_guarded) == sizeof(struct bs_traced) &&
		       offsetof(struct bs_guarded, plan) == offsetof(struct bs_traced, plan),
	       "the guardian's list is collect's");

static size_t guard_traced(void *ctx, struct bs_guarded *out, size_t max)
{
	return bs_collect_traced(ctx, (struct bs_traced *)out, max);
}

static uint64_t guard_shares(void *ctx)
{
	return bs_collect_shares(ctx);
}

static void guard_lit(void *ctx, pid_t pid, uint32_t plan)
{
	/* A process that has gone needs no plan. */
	bs_collect_set_plan(ctx, pid, plan);
	bs_collect_sample_move(ctx, pid);
}

static uint32_t guard_execs(void *ctx, pid_t pid)
{
	return bs_collect_execs(ctx, pid);
}

/* Its sites that only a trap can light would go on, and say half of what happens. */
static void guard_dark(void *ctx, pid_t pid)
{
	bs_collect_set_plan(ctx, pid, BS_TRACED_DARK);
}

int bs_lighting_init(struct bs_lighting *l, const struct bs_options *o, struct bs_sites *sites,
		     struct bs_collect *collect, struct bs_buffers *buffers, struct bs_error *err)
{
	const struct bs_guard_ops ops = {guard_traced, guard_shares, guard_lit,
					 guard_execs,  guard_dark,   collect};
	int ret;

	memset(l, 0, sizeof(*l));
	l->options = o;
	l->sites = sites;
	l->collect = collect;
	l->buffers = buffers;
	l->sample = o->sample;
	if (o->max_overhead > 0)
		l->sample = (struct bs_sample){BS_SAMPLE_OBJECTS, BS_BUDGET_FIRST, 0};
	bs_collect_sample(collect, &l->sample);
	if (o->mode == BS_MODE_TRAP)
		return 0;
	if (!bs_tsc_usable(&l->no_jumps)) {
		if (o->mode == BS_MODE_JUMP)
			return bs_error_set(err, -ENOTSUP, "-m jump: %s: use -m trap", l->no_jumps);
		return 0;
	}
	l->cost = bs_calibrate_jump(collect, l->sample.by != BS_SAMPLE_NOT);
	ret = bs_guard_new(&ops, &l->guard, err);
	if (ret && o->mode == BS_MODE_AUTO) {
		l->no_jumps = "the guardian process could not be started";
		memset(err, 0, sizeof(*err));
		ret = 0;
	}
	bs_collect_exec_dark(collect, l->guard);
	return ret;
}

void bs_lighting_fini(struct bs_lighting *l)
{
	bs_guard_free(l->guard);
	for (size_t i = 0; i < l->nmodules; i++) {
		free(l->modules[i].stubs);
		free(l->modules[i].chosen);
		free(l->modules[i].klass);
		free(l->modules[i].dark);
	}
	free(l->modules);
	memset(l, 0, sizeof(*l));
}

/* --- sampling --------------------------------------------------------------------------------- */

int bs_lighting_sample(struct bs_lighting *l, const struct bs_followed *processes,
		       const struct bs_sample *sample, struct bs_error *err)
{
	int ret = 0;

	l->sample = *sample;
	bs_collect_sample(l->collect, sample);
	for (size_t i = 0; i < processes->n; i++) {
		const struct bs_process *p = processes->v[i];
		int told;

		if (!p->alive || p->how != BS_LIT_JUMP)
			continue;
		told = bs_sampling_change(p->pid, p->pools, p->npools, sample);
		if (told && told != -ESRCH && !ret)
			ret = bs_error_set(err, told, "pid %d: cannot change what it follows: %s",
					   (int)p->pid, strerror(-told));
	}
	return ret;
}

uint64_t bs_lighting_sample_full(const struct bs_lighting *l, const struct bs_followed *processes)
{
	uint64_t full = bs_collect_sample_full(l->collect);

	if (l->sample.by == BS_SAMPLE_NOT)
		return 0;
	for (size_t i = 0; i < processes->n; i++) {
		const struct bs_process *p = processes->v[i];

		if (p->alive && p->how == BS_LIT_JUMP)
			full += bs_sampling_full(p->pid, p->pools, p->npools);
	}
	return full;
}

/* --- modules ---------------------------------------------------------------------------------- */

int bs_lighting_add(struct bs_lighting *l, struct bs_module *m, struct bs_error *err)
{
	struct bs_lit_module *grown =
		reallocarray(l->modules, l->nmodules + 1, sizeof(*l->modules));
	struct bs_lit_module *lm;
	uint32_t n;
	int ret;

	if (!grown)
		goto no_memory;
	l->modules = grown;
	lm = &grown[l->nmodules];
	memset(lm, 0, sizeof(*lm));
	lm->m = m;
	lm->stubs = bs_stubs_read(m);
	lm->chosen = calloc(m->nsites ? m->nsites : 1, sizeof(*lm->chosen));
	lm->klass = calloc(m->nsites ? m->nsites : 1, sizeof(*lm->klass));
	lm->dark = calloc(m->nsites ? m->nsites : 1, sizeof(*lm->dark));
	ret = lm->stubs && lm->chosen && lm->klass && lm->dark
		      ? bs_sites_add(l->sites, m, l->options->filter, &lm->first, &n)
		      : -ENOMEM;
	if (ret) {
		free(lm->stubs);
		free(lm->chosen);
		free(lm->klass);
		free(lm->dark);
		goto no_memory;
	}
	l->nmodules++;
	for (uint32_t i = 0; i < n; i++) {
		lm->chosen[i] = bs_sites_get(l->sites, lm->first + i)->chosen;
		lm->klass[i] = bs_sites_get(l->sites, lm->first + i)->klass_id;
		if (lm->chosen[i])
			lm->why[lm->stubs[i].why]++;
	}
	return 0;
no_memory:
	return bs_error_set(err, -ENOMEM, "out of memory for the sites of %s", m->path);
}

/* Lights the sites of a module that belong to one set of traps. */
static int set_light(struct bs_lighting *l, const struct bs_lit_module *lm, enum bs_traps set,
		     struct bs_error *err)
{
	struct bs_light *light = calloc(lm->m->nsites ? lm->m->nsites : 1, sizeof(*light));
	uint32_t n = 0;
	int ret = 0;

	if (!light)
		return bs_error_set(err, -ENOMEM, "out of memory for the sites of %s", lm->m->path);
	for (uint32_t i = 0; i < lm->m->nsites; i++) {
		const struct bs_site *site = &lm->m->sites[i];
		bool always = lm->stubs[i].why != BS_JUMP_OK;

		if (!lm->chosen[i] || always != (set == BS_TRAPS_ALWAYS))
			continue;
		light[n] = (struct bs_light){
			.index = lm->first + i,
			.probe_offset = site->probe_offset,
			.semaphore_offset = site->semaphore_offset,
			.spec = site->spec,
		};
		light[n].spec.kind = site->kind;
		light[n++].spec.klass = lm->klass[i];
	}
	if (n)
		ret = bs_collect_light(l->collect, lm->m->fd, lm->m->path, set, light, n, err);
	free(light);
	if (!ret && n && l->options->verbose)
		fprintf(stderr, "bscope-trace: %s: %u sites lit by traps (%s)\n", lm->m->path, n,
			bs_collect_method(l->collect));
	return ret;
}

int bs_lighting_always(struct bs_lighting *l, struct bs_lit_module *lm, struct bs_error *err)
{
	int ret = lm->always ? 0 : set_light(l, lm, BS_TRAPS_ALWAYS, err);

	lm->always |= !ret;
	return ret;
}

/* For whoever executes our files. */
static void traps_keep(struct bs_lighting *l)
{
	bs_collect_exec_dark(l->collect, false);
	l->release_ns = 0;
}

int bs_lighting_traps(struct bs_lighting *l, struct bs_error *err)
{
	for (size_t i = 0; i < l->nmodules; i++) {
		struct bs_lit_module *lm = &l->modules[i];
		int ret = bs_lighting_always(l, lm, err);

		if (!ret && !lm->all) {
			ret = set_light(l, lm, BS_TRAPS_ALL, err);
			lm->all = !ret;
		}
		if (ret)
			return ret;
	}
	traps_keep(l);
	return 0;
}

bool bs_lighting_lacks_traps(const struct bs_lighting *l, const struct bs_module *m)
{
	for (size_t i = 0; i < l->nmodules; i++)
		if ((!m || l->modules[i].m == m) && l->modules[i].m->nsites && !l->modules[i].all)
			return true;
	return false;
}

static bool traps_lit(const struct bs_lighting *l)
{
	for (size_t i = 0; i < l->nmodules; i++)
		if (l->modules[i].all)
			return true;
	return false;
}

/*
 * Nobody needs them any more, as far as is known.  But some process may have executed a program, or
 * been forked, of which nobody has told us yet, and its hits count.  Were it dark from now on, what
 * it does until it is lit by jumps would be missing in the middle of what is known of it.  So first
 * those that execute from now on are made to begin in the dark, then all of the others are heard
 * of.
 */
static void traps_release(struct bs_lighting *l)
{
	if (l->trapped)
		return;
	bs_collect_exec_dark(l->collect, true);
	if (!traps_lit(l))
		return;
	l->release_ns = bs_now_ns();
	l->release_written = bs_collect_written(l->collect);
}

void bs_lighting_settle(struct bs_lighting *l, uint64_t before_ns)
{
	if (!l->release_ns || before_ns <= l->release_ns || l->trapped ||
	    !bs_collect_passed(l->collect, l->release_written))
		return;
	l->release_ns = 0;
	for (size_t i = 0; i < l->nmodules; i++)
		l->modules[i].all = false;
	bs_collect_dark_traps(l->collect, BS_TRAPS_ALL);
}

/* --- processes -------------------------------------------------------------------------------- */

/* Breakpoints make private copies of the pages that they stand in, too. */
static int trap_room_check(const struct bs_lighting *l, pid_t pid, struct bs_error *err)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < l->nmodules; i++) {
		const struct bs_module *m = l->modules[i].m;
		uint64_t last = UINT64_MAX;

		for (size_t k = 0; k < m->nsites; k++) {
			if (!l->modules[i].chosen[k] || m->sites[k].probe_vaddr / PAGE == last)
				continue;
			last = m->sites[k].probe_vaddr / PAGE;
			pages++;
		}
	}
	return bs_headroom_check(pid, pages * PAGE, err);
}

static int process_traps(struct bs_lighting *l, struct bs_process *p, struct bs_error *err)
{
	struct bs_error why = {0};
	int ret;

	if (p->how != BS_LIT_TRAP) {
		ret = trap_room_check(l, p->pid, err);
		if (ret)
			return ret;
	}
	bs_lighting_how(l, p, BS_LIT_TRAP);
	ret = bs_lighting_traps(l, &why);
	if (bs_collect_is_dark(l->collect, p->pid))
		bs_collect_set_plan(l->collect, p->pid, BS_TRACED_TRAP);
	if (ret)
		*err = why;
	return ret;
}

/* All that is known of it, and of its buffers, is forgotten when the record comes. */
bool bs_lighting_executes(const struct bs_lighting *l, const struct bs_process *p)
{
	return (int32_t)(bs_collect_execs(l->collect, p->pid) - p->execs) > 0;
}

/* Of those that are recorded: with sampling they stand for more. */
static uint64_t trap_events(const struct bs_lighting *l)
{
	double events = TRAP_EVENTS;

	if (l->sample.by == BS_SAMPLE_OBJECTS || l->sample.by == BS_SAMPLE_EITHER)
		events /= l->sample.mean;
	else if (l->sample.by == BS_SAMPLE_BYTES)
		events /= 100;
	return events > TRAP_EVENTS / 1000 ? (uint64_t)events : TRAP_EVENTS / 1000;
}

int bs_lighting_process(struct bs_lighting *l, struct bs_process *p, bool wait,
			struct bs_error *err)
{
	int ret;

	if (p->how == BS_LIT_SHARES)
		return 0;
	if (!l->guard || p->no_jumps)
		return p->how == BS_LIT_TRAP ? bs_lighting_traps(l, err) : process_traps(l, p, err);
	if (p->how == BS_LIT_TRAP && l->events < trap_events(l))
		return bs_lighting_traps(l, err);
	if (!wait && bs_now_ns() < p->next_try_ns)
		return 0;
	/* A program that is lit before its record comes would be heard, then not, then again. */
	if (bs_lighting_executes(l, p))
		return p->how == BS_LIT_TRAP ? bs_lighting_traps(l, err) : 0;
	ret = bs_lighting_jumps(l, p, wait, err);
	if (ret && bs_lighting_executes(l, p)) {
		memset(err, 0, sizeof(*err));
		return 0;
	}
	if (!ret) {
		p->tries = 0;
		traps_release(l);
		return 0;
	}
	if (ret == -ENOENT && bs_now_ns() < p->begun_ns + LINKING_NS) {
		p->tries++;
		ret = -EAGAIN;
	}
	p->next_try_ns = bs_now_ns() + TRY_NS;
	snprintf(p->why, sizeof(p->why), "%s", err->text);
	if (ret == -ESRCH || (bs_lighting_again(ret) && p->tries < TRIES_MAX && !wait))
		return ret == -ESRCH ? ret : 0;
	p->tries = 0;
	/* It is lit but for what it has loaded since; or it would not survive any lighting. */
	if (p->how == BS_LIT_JUMP || ret == -ENOMEM || l->options->mode == BS_MODE_JUMP) {
		p->next_try_ns = bs_now_ns() + 1000000000u;
		return ret;
	}
	p->no_jumps = true;
	memset(err, 0, sizeof(*err));
	return process_traps(l, p, err);
}

void bs_lighting_choose(struct bs_lighting *l, uint32_t site, bool on)
{
	for (size_t i = 0; i < l->nmodules; i++) {
		struct bs_lit_module *lm = &l->modules[i];

		if (site < lm->first || site - lm->first >= lm->m->nsites)
			continue;
		lm->chosen[site - lm->first] = on;
		lm->dark[site - lm->first] = !on;
	}
}

bool bs_lighting_trap_only(const struct bs_lighting *l, uint32_t site)
{
	for (size_t i = 0; i < l->nmodules; i++) {
		const struct bs_lit_module *lm = &l->modules[i];

		if (site >= lm->first && site - lm->first < lm->m->nsites)
			return lm->chosen[site - lm->first] &&
			       lm->stubs[site - lm->first].why != BS_JUMP_OK;
	}
	return false;
}

bool bs_lighting_unfollowed(const struct bs_lighting *l, uint32_t site)
{
	return l->sample.by != BS_SAMPLE_NOT && l->jumped &&
	       bs_sites_get(l->sites, site)->kind == BSCOPE_KIND_NEW &&
	       bs_lighting_trap_only(l, site);
}

bool bs_lighting_as_chosen(const struct bs_lighting *l, const struct bs_followed *processes)
{
	for (size_t i = 0; i < processes->n; i++) {
		const struct bs_process *p = processes->v[i];

		if (p->alive && p->how == BS_LIT_JUMP && !bs_lighting_all_lit(l, p))
			return false;
	}
	return true;
}

int bs_lighting_follow_choice(struct bs_lighting *l, const struct bs_followed *processes,
			      struct bs_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < processes->n; i++) {
		struct bs_process *p = processes->v[i];
		struct bs_error why = {0};
		int one = 0;

		if (!p->alive || p->how != BS_LIT_JUMP)
			continue;
		for (int try = 0; try < CHOICE_TRIES; try++) {
			one = bs_lighting_darken(l, p, &why);
			if (!bs_lighting_again(one))
				break;
		}
		p->next_try_ns = 0;
		if (!one)
			one = bs_lighting_process(l, p, false, &why);
		if (one && one != -ESRCH && !ret) {
			ret = one;
			*err = why;
		}
	}
	return ret;
}

int bs_lighting_check(struct bs_lighting *l, struct bs_error *err)
{
	struct pollfd fd = {.events = POLLIN};
	int ret;

	if (!l->guard)
		return 0;
	fd.fd = bs_guard_fd(l->guard);
	if (poll(&fd, 1, 0) <= 0)
		return 0;
	ret = bs_guard_check(l->guard);
	return ret ? bs_error_set(err, ret,
				  "the guardian process was killed and cannot be started again: %s",
				  strerror(-ret))
		   : 0;
}

void bs_lighting_fork(struct bs_lighting *l, const struct bs_process *parent,
		      struct bs_process *child, bool shares, uint32_t plan)
{
	const struct bs_process *owner = parent->shares ? parent->shares : parent;

	child->how = BS_LIT_NONE;
	if (shares) {
		child->how = BS_LIT_SHARES;
		child->shares = owner;
		bs_buffers_share(l->buffers, owner->pid, child->pid);
		return;
	}
	if (plan == BS_TRACED_DARK)
		return;
	child->no_jumps = owner->no_jumps;
	memcpy(child->why, owner->why, sizeof(child->why));
	if (!plan) {
		/* Its text is dark, or lit by traps as that of all. */
		bs_lighting_how(l, child, traps_lit(l) ? BS_LIT_TRAP : BS_LIT_NONE);
		return;
	}
	bs_lighting_how(l, child, BS_LIT_JUMP);
	child->plan = plan;
	child->unlinked = owner->unlinked;
	child->lit_ns = owner->lit_ns;
	bs_lighting_pools(child, owner->pools, owner->npools); /* else its mean stays what it is */
	bs_buffers_fork(l->buffers, owner->pid, child->pid);
}

bool bs_lighting_unlit(const struct bs_lighting *l, const struct bs_process *p)
{
	return l->options->mode == BS_MODE_JUMP && p->how == BS_LIT_NONE && p->tries;
}

/* Of a program that nobody could look at; comm: as the kernel cuts it, of /proc/self/exe. */
static bool may_be_called(const char *comm, const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strncmp(slash ? slash + 1 : path, comm, 15) || !strcmp(comm, "exe");
}

/*
 * Can the program that it executes (as its names say) be one whose sites are to be lit?  Any may
 * have been linked with a library that has some.
 */
static bool may_have_sites(const struct bs_lighting *l, const struct bs_process *p)
{
	for (size_t i = 0; i < l->nmodules; i++) {
		const struct bs_module *m = l->modules[i].m;
		bool known = strcmp(p->exe, "?");

		if (m->nsites &&
		    (strstr(m->path, ".so") ||
		     (known ? !strcmp(m->path, p->exe) : may_be_called(p->comm, m->path))))
			return true;
	}
	return false;
}

static void how_ends(struct bs_lighting *l, struct bs_process *p)
{
	if (bs_lighting_unlit(l, p) && !l->unlit++)
		memcpy(l->unlit_why, p->why, sizeof(l->unlit_why));
	if (p->how == BS_LIT_NONE) {
		l->unlooked += l->jumped && p->executed_ns && !bs_lighting_unlit(l, p) &&
			       (p->tries || p->looked_ns < p->begun_ns) && may_have_sites(l, p);
		return;
	}
	p->how_last = p->how;
	p->how_last_ns = bs_now_ns();
}

void bs_lighting_exec(struct bs_lighting *l, struct bs_process *p, uint64_t ts_ns)
{
	how_ends(l, p);
	bs_buffers_gone(l->buffers, p->pid);
	p->shares = NULL;
	/* Traps are lit in the files, for whoever executes them; unless they are about to go. */
	bs_lighting_how(l, p,
			traps_lit(l) && !bs_collect_is_dark(l->collect, p->pid) ? BS_LIT_TRAP
										: BS_LIT_NONE);
	p->plan = 0;
	p->npools = 0;
	p->elsewhere = 0;
	p->unlinked = false;
	p->no_jumps = false;
	p->begun_ns = bs_now_ns();
	p->executed_ns = ts_ns;
	p->tries = 0;
	p->next_try_ns = 0;
}

void bs_lighting_exit(struct bs_lighting *l, struct bs_process *p)
{
	bs_buffers_gone(l->buffers, p->pid);
	how_ends(l, p);
	bs_lighting_how(l, p, BS_LIT_NONE);
	/* Others would hit them, though they are lit by jumps. */
	if (l->jumped)
		traps_release(l);
}

int bs_lighting_dark(struct bs_lighting *l, int (*meanwhile)(void *ctx), void *ctx,
		     struct bs_error *err)
{
	struct bs_dark_result result = {0};
	int ret;

	if (!l->guard || l->dark_ns)
		return 0;
	ret = bs_guard_dark(l->guard);
	while (!ret) {
		struct pollfd fd = {.fd = bs_guard_fd(l->guard), .events = POLLIN};

		if (poll(&fd, 1, DARK_POLL_MS) > 0)
			break;
		ret = meanwhile(ctx);
	}
	if (ret >= 0)
		ret = bs_guard_dark_wait(l->guard, &result);
	l->dark_ns = result.at_ns ? result.at_ns : bs_now_ns();
	if (result.pause_ns > l->pause_ns)
		l->pause_ns = result.pause_ns;
	if (!ret && result.stuck)
		return bs_error_set(err, -ETIMEDOUT,
				    "pid %d cannot be stopped now, so its sites stay lit a little "
				    "longer (%s); bscope-guardian goes on trying until they are "
				    "no-ops again",
				    (int)result.stuck_pid, result.why);
	return ret < 0 ? bs_error_set(err, ret, "cannot darken the sites: %s", strerror(-ret)) : 0;
}
