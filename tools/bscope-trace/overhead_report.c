// SPDX-License-Identifier: GPL-2.0-only
/* overhead_report.c - what the samples of --overhead say, as numbers and notes of the report. */
#include <math.h>
#include <stdio.h>

#include "bscope-trace/options.h"
#include "bscope-trace/overhead.h"
#include "bscope-trace/session.h"
#include "collect/collect.h"
#include "overhead/profile.h"
#include "overhead/share.h"
#include "render/report.h"
#include "target/module.h"

/* The CPU time of processes is told in ticks of this many ns (proc(5): USER_HZ). */
#define TICK_NS 1e7

#define WITH (BS_PHASE_WITH - 1) /* of a profile */

/*
 * How far the share that was counted may be off: what measurements of the cost of an event lie
 * apart, and the ticks in which CPU time is told.  < 0: not known.
 */
static double counted_error(const struct bs_session *s, const struct bs_report *r)
{
	double cpu = (double)bs_followed_cpu_ns(&s->followed), spread;

	if (r->cpu_percent < 0 || cpu <= 0)
		return -1;
	spread = s->lighting.jumped ? s->lighting.cost.spread
				    : bs_collect_spread_per_hit(s->collect) /
					      bs_collect_ns_per_hit(s->collect);
	/* Each process is off by up to a tick, either way. */
	return r->cpu_percent * (spread + TICK_NS * sqrt((double)s->followed.n) / cpu);
}

/* The first file whose libbscope does not say which of its code records; NULL if there is none. */
static const char *untold(const struct bs_session *s)
{
	for (size_t i = 0; s->lighting.jumped && i < s->lighting.nmodules; i++) {
		const struct bs_module *m = s->lighting.modules[i].m;

		if (m->runtime.batch_offset && !m->runtime.code_bytes)
			return m->path;
	}
	return NULL;
}

void bs_overhead_report(const struct bs_session *s, const struct bs_report *r,
			struct bs_report_sampled *out)
{
	const struct bs_profile *profile = s->overhead->profile;
	uint64_t samples = bs_profile_samples(profile, WITH);
	struct bs_share share = bs_share_tracking(bs_profile_marked(profile, WITH), samples);
	struct bs_profile_counts c;

	bs_collect_profile_counts(s->collect, &c);
	*out = (struct bs_report_sampled){
		.percent = share.percent,
		.error = share.error,
		.samples = samples,
		.lost = c.lost,
		.hz = s->options->profile_hz,
		.counted_error = counted_error(s, r),
		.ns_per_sample = c.ns_per_sample,
		.sampling_percent = c.ns_per_sample > 0
					    ? (double)s->options->profile_hz * c.ns_per_sample / 1e7
					    : -1,
	};
	if (untold(s))
		snprintf(out->unknown, sizeof(out->unknown),
			 "the libbscope in %.256s does not say which of its code records: rebuild "
			 "with the one of this version, or use -m trap",
			 untold(s));
}

static bool disagree(const struct bs_report *r)
{
	const struct bs_report_sampled *p = r->profiled;
	const struct bs_share sampled = {p->percent, p->error};
	const struct bs_share counted = {r->cpu_percent, p->counted_error};

	if (!p->samples || p->counted_error < 0 || !bs_share_disagree(&sampled, &counted))
		return false;
	/* What is not followed is counted as dear as it can be. */
	return !r->sampled || sampled.percent > counted.percent;
}

void bs_overhead_notes(const struct bs_session *s, const struct bs_report *r,
		       void (*say)(void *ctx, const char *text), void *ctx)
{
	const struct bs_overhead *o = s->overhead;
	const struct bs_report_sampled *p = r->profiled;
	struct bs_profile_counts c;
	char text[640];

	bs_collect_profile_counts(s->collect, &c);
	if (p->unknown[0]) {
		snprintf(text, sizeof(text), "--overhead: what is marked is too little: %s",
			 p->unknown);
		say(ctx, text);
	} else if (disagree(r)) {
		snprintf(text, sizeof(text),
			 "--overhead: samples say %.3g +- %.2g %%, counted events and what each "
			 "costs %.3g +- %.2g %%: they disagree by more than their errors: in this "
			 "program an event costs %s than what was measured at the start",
			 p->percent, p->error, r->cpu_percent, p->counted_error,
			 p->percent > r->cpu_percent ? "more" : "less");
		say(ctx, text);
	}
	if (c.lost) {
		snprintf(text, sizeof(text),
			 "--overhead: %llu of %llu samples were lost, since they did not fit: what "
			 "they would have said is not in its share; use fewer (-F)",
			 (unsigned long long)c.lost, (unsigned long long)c.taken);
		say(ctx, text);
	}
	if (o->unlit) {
		snprintf(text, sizeof(text),
			 "--overhead: %llu samples found processes whose sites were not lit just "
			 "then: they are not counted",
			 (unsigned long long)o->unlit);
		say(ctx, text);
	}
	if (o->gone) {
		snprintf(text, sizeof(text),
			 "--overhead: %llu samples are of processes that had gone when somebody "
			 "looked where they were: they are not counted",
			 (unsigned long long)o->gone);
		say(ctx, text);
	}
	if (bs_profile_cut(o->profile)) {
		snprintf(text, sizeof(text),
			 "--overhead: the stacks of %llu samples were cut: there are more than %u "
			 "different frames",
			 (unsigned long long)bs_profile_cut(o->profile), BS_PROFILE_NODES);
		say(ctx, text);
	}
}
