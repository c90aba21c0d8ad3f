// SPDX-License-Identifier: GPL-2.0-only
/* overhead_draw.c - the stacks of --overhead get names, and become a picture. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bscope-trace/asks.h"
#include "bscope-trace/options.h"
#include "bscope-trace/overhead.h"
#include "bscope-trace/report_fill.h"
#include "bscope-trace/session.h"
#include "flame/flame.h"
#include "flame/flame_svg.h"
#include "overhead/profile.h"
#include "overhead/share.h"
#include "render/human.h"
#include "render/report.h"
#include "symbol/kernel.h"
#include "symbol/symbol.h"
#include "target/module.h"

#define NOTES_MAX   8
#define NAME_BYTES  512
#define INLINED_MAX 64
#define DEPTH_MAX   (BS_SAMPLE_USER + BS_SAMPLE_KERNEL + 3)

struct draw {
	struct bs_session *s;
	struct bs_kernel_symbols *kernel;
	bool kernel_tried;
	const struct bs_fill_wait *wait;
	struct bs_asks asks;
	size_t ndrawn;
	struct bs_flame *flame;
	bool compare; /* both phases */
	char names[DEPTH_MAX][NAME_BYTES];
	char notes[NOTES_MAX][NAME_BYTES];
	size_t nnotes;
};

/*
 * False if it is in no file.  The function that is not inlined alone: a picture of all addresses in
 * it would be unreadable.  What has no name is its file's.
 */
static bool code_name(struct bs_code *c, char *to, size_t size, uint32_t code, bool is_return)
{
	struct bs_frame frames[INLINED_MAX];
	size_t n = bs_code_frames(c, code, is_return, frames, INLINED_MAX);
	const char *name, *end, *plus;

	if (n) {
		snprintf(to, size, "%s", frames[n - 1].function);
		return true;
	}
	name = bs_code_name(c, code, is_return);
	end = name ? strrchr(name, '(') : NULL;
	if (!name) {
		snprintf(to, size, "[unknown]");
		return true;
	}
	if (!strncmp(name, "0x", 2)) {
		snprintf(to, size, "[no file]");
		return false;
	}
	end = end && end > name && end[-1] == ' ' ? end - 1 : name + strlen(name);
	/* "name+0x1f (file)", "[file+0x4711]" */
	for (plus = end; plus > name && strncmp(plus, "+0x", 3);)
		plus--;
	if (plus > name)
		end = plus;
	snprintf(to, size, "%.*s%s", (int)(end - name), name, *name == '[' && *end ? "]" : "");
	return true;
}

static void kernel_name(struct draw *d, char *to, size_t size, uint64_t addr, bool is_return)
{
	const char *name;

	if (!d->kernel_tried)
		d->kernel = bs_kernel_symbols_new(NULL);
	d->kernel_tried = true;
	name = bs_kernel_symbols_find(d->kernel, addr - is_return);
	snprintf(to, size, "%s_[k]", name ? name : "[kernel]");
}

static const char *tracking_name(enum bs_where where, bool traps)
{
	if (where == BS_WHERE_SITE)
		return traps ? "[trap]" : "[jump to stub]";
	return "[stub]";
}

static void function_name(const struct bs_session *s, char *to, size_t size, uint64_t value)
{
	const struct bs_lit_module *lm = &s->lighting.modules[value >> 32];
	const struct bs_site *site = &lm->m->sites[value & UINT32_MAX];
	const char *base = strrchr(lm->m->path, '/');

	if (site->function)
		snprintf(to, size, "%s", site->function);
	else
		snprintf(to, size, "[%s]", base ? base + 1 : lm->m->path);
}

/* False for a caller that is none. */
static bool frame_name(struct draw *d, char *to, uint64_t frame)
{
	const struct bs_followed *all = &d->s->followed;
	uint64_t value = frame & BS_FRAME_VALUE;
	enum bs_frame_kind kind = (frame & ~BS_FRAME_MARKED) >> BS_FRAME_SHIFT;

	switch (kind) {
	case BS_FRAME_PROCESS:
		snprintf(to, NAME_BYTES, "%s", value < all->n ? all->v[value]->comm : "[process]");
		break;
	case BS_FRAME_CODE:
		code_name(d->s->code, to, NAME_BYTES, (uint32_t)value, false);
		break;
	case BS_FRAME_CALLER:
		return code_name(d->s->code, to, NAME_BYTES, (uint32_t)value, true);
	case BS_FRAME_FUNCTION:
		function_name(d->s, to, NAME_BYTES, value);
		break;
	case BS_FRAME_TRACKING:
		snprintf(to, NAME_BYTES, "%s",
			 tracking_name((enum bs_where)(value & 0xff), value >> 8));
		break;
	case BS_FRAME_KERNEL:
	case BS_FRAME_RETURN:
		kernel_name(d, to, NAME_BYTES, value | ~BS_FRAME_VALUE, kind == BS_FRAME_RETURN);
		break;
	}
	return true;
}

static int stack_ask(void *ctx, const uint64_t *frames, size_t n,
		     const uint64_t count[BS_PROFILE_PHASES])
{
	struct draw *d = ctx;
	int ret = 0;

	(void)count;
	for (size_t i = 0; i < n && !ret; i++) {
		enum bs_frame_kind kind = (frames[i] & ~BS_FRAME_MARKED) >> BS_FRAME_SHIFT;

		if (kind == BS_FRAME_CODE || kind == BS_FRAME_CALLER)
			ret = bs_asks_add(&d->asks, (uint32_t)(frames[i] & BS_FRAME_VALUE),
					  kind == BS_FRAME_CALLER);
	}
	return ret;
}

/* All names at once.  What is not found is not an error. */
static int names_find(struct draw *d)
{
	int ret = bs_profile_each(d->s->overhead->profile, stack_ask, d);

	if (!ret && bs_code_resolve(d->s->code, d->asks.v, d->asks.n, d->wait->more,
				    d->wait->ctx) == -ECANCELED)
		ret = -ECANCELED;
	return ret;
}

static int stack_add(void *ctx, const uint64_t *frames, size_t n,
		     const uint64_t count[BS_PROFILE_PHASES])
{
	struct bs_flame_frame stack[DEPTH_MAX];
	struct draw *d = ctx;
	size_t depth = 0;

	if (d->wait->more && !(d->ndrawn++ % 1024) &&
	    !d->wait->more(d->wait->ctx, d->asks.n, d->asks.n))
		return -ECANCELED;
	for (size_t i = 0; i < n; i++) {
		/* Without frame pointers a caller may be any number. */
		if (!frame_name(d, d->names[depth], frames[i]))
			continue;
		stack[depth] =
			(struct bs_flame_frame){d->names[depth], frames[i] & BS_FRAME_MARKED};
		depth++;
	}
	if (d->compare)
		return bs_flame_add_sides(d->flame, stack, depth, count[BS_PHASE_WITHOUT - 1],
					  count[BS_PHASE_WITH - 1]);
	return bs_flame_add(d->flame, stack, depth, count[BS_PHASE_WITH - 1]);
}

static bool noise(uint64_t before, uint64_t all_before, uint64_t after, uint64_t all_after)
{
	const struct bs_share d = bs_share_difference(after, all_after, before, all_before);

	return fabs(d.percent) <= d.error;
}

static char *note(struct draw *d)
{
	return d->notes[d->nnotes++];
}

/* How much CPU time there was in each phase. */
static void compare_note(struct draw *d, const struct bs_report *r)
{
	const struct bs_overhead *o = d->s->overhead;
	uint64_t n[2] = {bs_profile_samples(o->profile, BS_PHASE_WITHOUT - 1),
			 bs_profile_samples(o->profile, BS_PHASE_WITH - 1)};
	double hz = (double)r->profiled->hz, without = (double)o->without_ns / 1e9;
	double with = (double)r->duration_ns / 1e9;
	char count[2][BS_FMT];

	snprintf(
		note(d), NAME_BYTES,
		"Without sites lit: %s samples in %.3g s, %.3g s of CPU time a second; with: %s in "
		"%.3g s, %.3g s a second.",
		bs_fmt_count(count[0], n[0]), without,
		without > 0 ? (double)n[0] / hz / without : 0, bs_fmt_count(count[1], n[1]), with,
		with > 0 ? (double)n[1] / hz / with : 0);
}

static void notes_make(struct draw *d, const struct bs_report *r)
{
	const struct bs_report_sampled *p = r->profiled;
	char text[BS_FMT], ns[BS_FMT];

	bs_report_sampled_say(r, note(d), NAME_BYTES);
	if (d->compare)
		compare_note(d, r);
	if (p->sampling_percent >= 0)
		snprintf(note(d), NAME_BYTES,
			 "Sampling itself took %s of it (%s for each sample), which is in neither.",
			 bs_fmt_percent(text, p->sampling_percent),
			 bs_fmt_ns(ns, p->ns_per_sample));
	for (size_t i = 0; i < r->nnotes && d->nnotes < NOTES_MAX; i++)
		if (!strncmp(r->notes[i], "--overhead: ", 12))
			snprintf(note(d), NAME_BYTES, "%s", r->notes[i] + 12);
}

int bs_overhead_draw(struct bs_session *s, const struct bs_report *r,
		     const struct bs_fill_wait *wait, FILE *out)
{
	struct draw *d = calloc(1, sizeof(*d));
	const char *notes[NOTES_MAX];
	struct bs_flame_svg how = {
		.title = "CPU time, with what tracking costs",
		.notes = notes,
		.unit = "samples",
		.marked = "tracking",
		.width = BS_FLAME_WIDTH,
		.min_width = BS_FLAME_MIN_WIDTH,
	};
	int ret = -ENOMEM;

	if (!d)
		return ret;
	d->s = s;
	d->wait = wait;
	d->compare = s->options->compare_ns > 0;
	if (d->compare) {
		how.title = "CPU time with sites lit, against without";
		how.sides[0] = "without";
		how.sides[1] = "with";
		how.noise = noise;
	}
	d->flame = bs_flame_new();
	if (d->flame)
		ret = names_find(d);
	if (!ret)
		ret = bs_profile_each(s->overhead->profile, stack_add, d);
	notes_make(d, r);
	for (size_t i = 0; i < d->nnotes; i++)
		notes[i] = d->notes[i];
	how.nnotes = d->nnotes;
	if (!ret)
		ret = bs_flame_svg_write(d->flame, &how, out);
	bs_flame_free(d->flame);
	bs_kernel_symbols_free(d->kernel);
	bs_asks_fini(&d->asks);
	free(d);
	return ret;
}
