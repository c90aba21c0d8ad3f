// SPDX-License-Identifier: GPL-2.0-only
/* report_cost.c - the part of the text report on what tracing costs. */
#include <stdio.h>

#include "render/human.h"
#include "render/report.h"
#include "render/report_part.h"
#include "render/text.h"

void bs_report_sampled_say(const struct bs_report *r, char *buf, size_t size)
{
	const struct bs_report_sampled *p = r->profiled;
	char share[BS_FMT], counted[BS_FMT], n[BS_FMT], text[2 * BS_FMT];

	if (r->cpu_percent < 0)
		snprintf(text, sizeof(text), "not known");
	else if (p->counted_error < 0)
		snprintf(text, sizeof(text), "%s%s", r->sampled ? "up to " : "",
			 bs_fmt_percent(counted, r->cpu_percent));
	else
		snprintf(text, sizeof(text), "%s%s", r->sampled ? "up to " : "",
			 bs_fmt_share(counted, r->cpu_percent, p->counted_error));
	if (!p->samples)
		snprintf(buf, size,
			 "no sample found what was traced running; by counting events: %s", text);
	else if (p->unknown[0])
		snprintf(
			buf, size,
			"the share of tracking by samples is not known (%s); by counting events and "
			"what each costs: %s",
			p->unknown, text);
	else
		snprintf(buf, size,
			 "tracking took %s of the CPU time of what was traced, by %s sample%s; by "
			 "counting events and what each costs: %s",
			 bs_fmt_share(share, p->percent, p->error), bs_fmt_count(n, p->samples),
			 p->samples == 1 ? "" : "s", text);
}

/* The second line: what samples say. */
static int sampled(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0};
	char text[1024], buf[BS_FMT];

	bs_report_sampled_say(r, text, sizeof(text));
	bs_str_add_clean(&s, text);
	if (r->profiled->sampling_percent >= 0)
		bs_str_addf(&s, "; sampling itself took %s, which is in neither",
			    bs_fmt_percent(buf, r->profiled->sampling_percent));
	return bs_part_line(o, BS_PLAIN, "sampled", &s);
}

int bs_part_cost(struct bs_out *o, const struct bs_report *r)
{
	struct bs_str s = {0};
	char buf[BS_FMT];
	int err;

	if (r->ns_per_event > 0)
		bs_str_addf(&s, "%s per event", bs_fmt_ns(buf, r->ns_per_event));
	else
		bs_str_add(&s, "time per event not known");
	if (r->cpu_percent >= 0)
		/* What is not followed costs as much as caches let it. */
		bs_str_addf(&s, ", %s%s of the CPU time of what was traced",
			    r->sampled ? "up to " : "", bs_fmt_percent(buf, r->cpu_percent));
	if (r->pause_us > 0)
		bs_str_addf(&s, ", stopped for at most %s", bs_fmt_ns(buf, r->pause_us * 1000));
	if (r->tool_cpu_percent >= 0)
		bs_str_addf(&s, "; bscope-trace itself took %s of one CPU",
			    bs_fmt_percent(buf, r->tool_cpu_percent));
	err = bs_part_line(o, BS_PLAIN, "cost", &s);
	return err || !r->profiled ? err : sampled(o, r);
}
