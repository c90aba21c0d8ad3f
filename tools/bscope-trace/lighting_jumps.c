// SPDX-License-Identifier: GPL-2.0-only
/* lighting_jumps.c - one process is lit by jumps, or some of its sites go dark: all that it takes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bscope/buffer.h"
#include "bscope/follow.h"
#include "bscope-trace/followed.h"
#include "bscope-trace/lighting.h"
#include "bscope-trace/lighting_state.h"
#include "bscope-trace/options.h"
#include "collect/buffers.h"
#include "collect/collect.h"
#include "target/guardian.h"
#include "target/headroom.h"
#include "target/module.h"
#include "target/process.h"
#include "target/sampling.h"

static uint64_t threads_count(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	uint64_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* Text and records become private memory of the process, and each thread gets a buffer. */
static int room_check(const struct bs_lighting *l, pid_t pid, const struct bs_jumps *j,
		      struct bs_error *err)
{
	uint64_t buffers = threads_count(pid), most = 0, table = 0;

	for (size_t i = 0; i < j->npools; i++)
		most += j->pools[i].buffers;
	if (buffers > most)
		buffers = most;
	if (l->sample.by != BS_SAMPLE_NOT)
		table = sizeof(struct bscope_follow) + PAGE;
	return bs_headroom_check(
		pid, j->pages * PAGE + buffers * (sizeof(struct bscope_buffer) + PAGE) + table,
		err);
}

static int listen_all(struct bs_lighting *l, struct bs_error *err)
{
	for (size_t i = 0; i < l->nmodules; i++) {
		struct bs_lit_module *lm = &l->modules[i];
		const struct bs_runtime *r = &lm->m->runtime;
		const struct bs_listen listen = {r->batch_offset, r->buffer_offset,
						 r->semaphore_offset, r->stack_offset};
		int ret;

		if (lm->listening || !r->batch_offset)
			continue;
		ret = bs_collect_listen(l->collect, lm->m->fd, lm->m->path, &listen, err);
		if (ret)
			return ret;
		lm->listening = true;
	}
	return 0;
}

/* Its runtimes are remembered: what they are to follow may change. */
int bs_lighting_pools(struct bs_process *p, const struct bs_jump_pool *pools, size_t n)
{
	struct bs_jump_pool *copy = reallocarray(p->pools, n ? n : 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, pools, n * sizeof(*copy));
	p->pools = copy;
	p->npools = n;
	return 0;
}

/* The table of a runtime knows classes by the low bits of their numbers alone. */
static bool classes_fit(const struct bs_lighting *l)
{
	for (size_t i = 0; i < l->nmodules; i++)
		for (uint32_t k = 0; k < l->modules[i].m->nsites; k++)
			if (l->modules[i].chosen[k] &&
			    l->modules[i].klass[k] >= BSCOPE_INDEX_KLASSES)
				return false;
	return true;
}

static int sampling_begin(struct bs_lighting *l, struct bs_process *p, const struct bs_jumps *j,
			  struct bs_error *err)
{
	bool stackless = false;

	for (size_t i = 0; i < j->npools; i++)
		stackless |= !j->pools[i].stacks;
	if (l->options->stack_kinds && stackless && p->how != BS_LIT_JUMP)
		l->stackless++;
	if (l->sample.by != BS_SAMPLE_NOT && !classes_fit(l))
		return bs_error_set(
			err, -ENOTSUP,
			"pid %d: it has more than %u classes: so many cannot be told apart "
			"when sampling by jumps: use -f class=..., or -m trap",
			(int)p->pid, BSCOPE_INDEX_KLASSES - 1);
	if (bs_lighting_pools(p, j->pools, j->npools))
		return bs_error_set(err, -ENOMEM, "out of memory");
	if (l->sample.by != BS_SAMPLE_NOT &&
	    bs_collect_sample_table(l->collect, p->pid, bs_sampling_table(p->pools, p->npools)))
		return bs_error_set(err, -ENOMEM, "out of memory");
	l->sampled_again |= p->sampled && p->how != BS_LIT_JUMP;
	p->sampled = true;
	return bs_sampling_begin(p->pid, p->pools, p->npools, &l->sample, l->options->coarse,
				 l->options->stack_kinds, p->how != BS_LIT_JUMP, err);
}

/* All that comes before the stop. */
static int prepare(struct bs_lighting *l, struct bs_process *p, const struct bs_jumps *j,
		   struct bs_error *err)
{
	int ret = 0;

	if (bs_process_strict(p->pid))
		return bs_error_set(err, -ENOTSUP,
				    "pid %d: a thread is under strict seccomp, which forbids it to "
				    "read the clock of jump mode",
				    (int)p->pid);
	ret = room_check(l, p->pid, j, err);
	if (!ret)
		ret = listen_all(l, err);
	for (size_t i = 0; i < l->nmodules && !ret; i++)
		ret = bs_lighting_always(l, &l->modules[i], err);
	for (size_t i = 0; i < j->npools && !ret; i++) {
		ret = bs_buffers_add(l->buffers, p->pid, j->pools[i].addr, j->pools[i].buffers);
		if (ret == -EBUSY)
			return bs_error_set(err, ret,
					    "pid %d: another bscope-trace has lit it by jumps: "
					    "wait for that, or use -m trap",
					    (int)p->pid);
		if (ret)
			return bs_error_set(err, ret, "pid %d: cannot read its buffers: %s",
					    (int)p->pid, strerror(-ret));
	}
	if (!ret)
		ret = sampling_begin(l, p, j, err);
	if (!ret) {
		ret = bs_jumps_number(p->pid, j);
		if (ret)
			return bs_error_set(err, ret, "pid %d: cannot number its sites: %s",
					    (int)p->pid, strerror(-ret));
	}
	return ret;
}

static void result_note(struct bs_lighting *l, struct bs_process *p, const struct bs_jumps *j,
			const struct bs_patch_result *result)
{
	/* Not the start of a COMMAND with -m jump, which asks for that. */
	if (l->jumped && p->how == BS_LIT_NONE && p->executed_ns) {
		uint64_t late_ns =
			result->at_ns > p->executed_ns ? result->at_ns - p->executed_ns : 0;

		l->lit_late++;
		l->lit_late_ns = late_ns > l->lit_late_ns ? late_ns : l->lit_late_ns;
	}
	if (p->how != BS_LIT_JUMP) {
		l->jumped++;
		p->lit_ns = result->at_ns;
	}
	for (size_t i = 0; i < j->n; i++)
		l->foreign += j->v[i].state == BS_PATCH_FOREIGN;
	/* They are found again each time that something else is lit. */
	if (j->foreign > p->elsewhere) {
		l->elsewhere += j->foreign - p->elsewhere;
		p->elsewhere = j->foreign;
	}
	if (l->options->verbose)
		fprintf(stderr,
			"bscope-trace: pid %d: %u of %zu switches lit, %u threads stopped for "
			"%.0f us\n",
			(int)p->pid, result->written, j->n, result->threads,
			(double)result->pause_ns / 1e3);
}

/* One try.  -EAGAIN and -ETIMEDOUT: not now. */
static int try_jumps(struct bs_lighting *l, struct bs_process *p, struct bs_jumps *j,
		     struct bs_error *err)
{
	struct bs_patch_result result = {0};
	int ret;

	if (!p->plan)
		p->plan = ++l->plans;
	ret = bs_guard_light(l->guard, p->plan, p->pid, p->execs, j->v, j->n, p->how == BS_LIT_TRAP,
			     &result);
	l->stops += result.pause_ns > 0;
	if (result.pause_ns > l->pause_ns)
		l->pause_ns = result.pause_ns;
	if (ret)
		return bs_error_set(err, ret, "pid %d: %s", (int)p->pid, result.why);
	result_note(l, p, j, &result);
	bs_lighting_how(l, p, BS_LIT_JUMP);
	return 0;
}

/* What a search for switches needs of all modules; dark: for the sites that are to go dark. */
static struct bs_jump_module *jump_modules(const struct bs_lighting *l, bool dark)
{
	struct bs_jump_module *v = calloc(l->nmodules + 1, sizeof(*v));

	for (size_t i = 0; v && i < l->nmodules; i++) {
		const struct bs_lit_module *lm = &l->modules[i];

		v[i] = (struct bs_jump_module){lm->m, lm->stubs, dark ? lm->dark : lm->chosen,
					       lm->klass, lm->first};
	}
	return v;
}

static int jumps_find(const struct bs_process *p, const struct bs_jump_module *modules, size_t n,
		      struct bs_jumps *j, struct bs_error *err)
{
	return p->unlinked ? bs_jumps_find_linked(p->pid, modules, n, j, err)
			   : bs_jumps_find(p->pid, modules, n, j, err);
}

int bs_lighting_jumps(struct bs_lighting *l, struct bs_process *p, bool wait, struct bs_error *err)
{
	struct bs_jump_module *modules = jump_modules(l, false);
	struct bs_jumps j = {0};
	int ret = -ENOMEM;

	if (!modules)
		return bs_error_set(err, ret, "out of memory");
	do {
		memset(err, 0, sizeof(*err));
		bs_jumps_fini(&j);
		p->unlinked |= p->tries + 1 >= TRIES_MAX;
		ret = jumps_find(p, modules, l->nmodules, &j, err);
		/* Nothing was loaded since, nor loaded anew, that is not lit. */
		if (!ret && p->how == BS_LIT_JUMP && bs_patch_look(p->pid, true, j.v, j.n) == 0)
			break;
		if (!ret && j.sites)
			ret = prepare(l, p, &j, err);
		if (!ret && j.n)
			ret = try_jumps(l, p, &j, err);
		if (!bs_lighting_again(ret))
			break;
		p->tries++;
		if (wait && p->tries < TRIES_MAX)
			usleep(TRY_NS / 1000);
	} while (wait && p->tries < TRIES_MAX);
	bs_jumps_fini(&j);
	free(modules);
	return ret;
}

int bs_lighting_darken(struct bs_lighting *l, const struct bs_process *p, struct bs_error *err)
{
	struct bs_jump_module *modules = jump_modules(l, true);
	struct bs_patch_result result = {0};
	struct bs_jumps j = {0};
	int ret = -ENOMEM;

	if (!modules)
		return bs_error_set(err, ret, "out of memory");
	ret = jumps_find(p, modules, l->nmodules, &j, err);
	if (!ret && j.n && bs_patch_look(p->pid, false, j.v, j.n) > 0) {
		ret = bs_guard_darken(l->guard, p->plan, p->pid, j.v, j.n, &result);
		if (ret)
			bs_error_set(err, ret, "pid %d: %s", (int)p->pid, result.why);
	}
	if (result.pause_ns > l->pause_ns)
		l->pause_ns = result.pause_ns;
	bs_jumps_fini(&j);
	free(modules);
	return ret;
}

bool bs_lighting_all_lit(const struct bs_lighting *l, const struct bs_process *p)
{
	struct bs_jump_module *modules = jump_modules(l, false);
	struct bs_error err = {0};
	struct bs_jumps j = {0};
	bool all = modules && !jumps_find(p, modules, l->nmodules, &j, &err) &&
		   (!j.n || bs_patch_look(p->pid, true, j.v, j.n) == 0);

	bs_jumps_fini(&j);
	free(modules);
	return all;
}
