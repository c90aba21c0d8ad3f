// SPDX-License-Identifier: GPL-2.0-only
/* overhead_draw.c - the stacks of --overhead get names, and become a picture. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdarg.h>
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

#define NOTES_MAX  8
#define NAME_BYTES 512
#define DEPTH_MAX  (BS_SAMPLE_USER * BS_CODE_FRAMES + BS_SAMPLE_KERNEL + 3)

struct draw {
	struct bs_session *s;
	struct bs_kernel_symbols *kernel;
	bool kernel_tried;
	const struct bs_fill_wait *wait;
	struct bs_asks asks;
	size_t ndrawn;
	struct bs_flame *flame;
	bool compare; /* both phases */
	/* The stack that is being made, the root first. */
	struct bs_flame_frame stack[DEPTH_MAX];
	char names[DEPTH_MAX][NAME_BYTES];
	size_t depth;
	char notes[NOTES_MAX][NAME_BYTES];
	size_t nnotes;
};

/* The next frame; what is longer than its name may be is cut. */
static void push(struct draw *d, bool marked, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void push(struct draw *d, bool marked, const char *fmt, ...)
{
	char *to;
	va_list ap;

	if (d->depth == DEPTH_MAX)
		return;
	to = d->names[d->depth];
	va_start(ap, fmt);
	vsnprintf(to, NAME_BYTES, fmt, ap);
	va_end(ap);
	d->stack[d->depth++] = (struct bs_flame_frame){to, marked};
}

/* What has no name is its file's: a picture of all addresses in it would be unreadable. */
static void push_nameless(struct draw *d, bool marked, const char *name)
{
	const char *end = strrchr(name, '('), *plus;

	end = end && end > name && end[-1] == ' ' ? end - 1 : name + strlen(name);
	/* "name+0x1f (file)", "[file+0x4711]" */
	for (plus = end; plus > name && strncmp(plus, "+0x", 3);)
		plus--;
	if (plus > name)
		end = plus;
	push(d, marked, "%.*s%s", (int)(end - name), name, *name == '[' && *end ? "]" : "");
}

/* The functions there, the inlined ones on the one that they are inlined into. */
static void push_code(struct draw *d, bool marked, uint32_t code, bool is_return)
{
	struct bs_frame frames[BS_CODE_FRAMES];
	size_t n = bs_code_frames(d->s->code, code, is_return, frames, BS_CODE_FRAMES);
	const char *name;

	for (size_t i = n; i-- > 0;)
		push(d, marked, "%.*s%s", NAME_BYTES - (int)sizeof("_[i]"), frames[i].function,
		     frames[i].inlined ? "_[i]" : "");
	if (n)
		return;
	name = bs_code_name(d->s->code, code, is_return);
	if (!name)
		push(d, marked, "[unknown]");
	else if (strncmp(name, "0x", 2))
		push_nameless(d, marked, name);
	else if (!is_return)
		push(d, marked, "[no file]");
	/* Without frame pointers a caller may be any number. */
}

static const char *kernel_name(struct draw *d, uint64_t addr)
{
	const char *name;

	if (!d->kernel_tried)
		d->kernel = bs_kernel_symbols_new(NULL);
	d->kernel_tried = true;
	name = bs_kernel_symbols_find(d->kernel, addr);
	return name ? name : "[kernel]";
}

static const char *tracking_name(enum bs_where where, bool traps)
{
	if (where == BS_WHERE_SITE)
		return traps ? "[trap]" : "[jump to stub]";
	return "[stub]";
}

static void push_frame(struct draw *d, uint64_t frame)
{
	const struct bs_followed *all = &d->s->followed;
	uint64_t value = frame & BS_FRAME_VALUE;
	enum bs_frame_kind kind = (frame & ~BS_FRAME_MARKED) >> BS_FRAME_SHIFT;
	bool marked = frame & BS_FRAME_MARKED;

	switch (kind) {
	case BS_FRAME_PROCESS:
		push(d, marked, "%s", value < all->n ? all->v[value]->comm : "[process]");
		break;
	case BS_FRAME_CODE:
	case BS_FRAME_CALLER:
		push_code(d, marked, (uint32_t)value, kind == BS_FRAME_CALLER);
		break;
	case BS_FRAME_TRACKING:
		push(d, marked, "%s", tracking_name((enum bs_where)(value & 0xff), value >> 8));
		break;
	case BS_FRAME_KERNEL:
	case BS_FRAME_RETURN:
		/* The bits that did not fit are set. */
		value |= ~BS_FRAME_VALUE;
		push(d, marked, "%s_[k]", kernel_name(d, value - (kind == BS_FRAME_RETURN)));
		break;
	}
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
	struct draw *d = ctx;

	if (d->wait->more && !(d->ndrawn++ % 1024) &&
	    !d->wait->more(d->wait->ctx, d->asks.n, d->asks.n))
		return -ECANCELED;
	d->depth = 0;
	for (size_t i = 0; i < n; i++)
		push_frame(d, frames[i]);
	if (d->compare)
		return bs_flame_add_sides(d->flame, d->stack, d->depth, count[BS_PHASE_WITHOUT - 1],
					  count[BS_PHASE_WITH - 1]);
	return bs_flame_add(d->flame, d->stack, d->depth, count[BS_PHASE_WITH - 1]);
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
