/* SPDX-License-Identifier: GPL-2.0-only */
/* report_notes.c - what a reader of the report must know besides: what is missing, late or guessed.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "bscope-trace/command.h"
#include "bscope-trace/options.h"
#include "bscope-trace/report_notes.h"
#include "bscope-trace/session.h"
#include "model/model.h"
#include "render/report.h"
#include "target/module.h"
#include "target/sites.h"
#include "unwind/unwind.h"

struct notes {
	const struct bs_session *s;
	void (*say)(void *ctx, const char *text);
	void *ctx;
};

static void note(const struct notes *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct notes *f, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f->say(f->ctx, text);
}

static void unwind_notes(struct notes *f)
{
	struct bs_unwind_stats stats;

	if (!f->s->unwind)
		return;
	bs_unwind_stats(f->s->unwind, &stats);
	if (stats.deaths)
		note(f,
		     "the process that reads call frame information was lost %" PRIu64
		     " time%s: it crashed over a file, or took too long or too much memory; stacks "
		     "that lead through that file are broken there",
		     stats.deaths, stats.deaths == 1 ? "" : "s");
	if (stats.full)
		note(f, "more files with code were mapped than are kept: stacks that lead through "
			"the others are broken there");
	if (stats.late)
		note(f,
		     "%" PRIu64 " stack%s end early, since the process that reads call frame "
		     "information was busy or did not run; answers were waited for %.0f ms in all%s",
		     stats.late, stats.late == 1 ? "" : "s", (double)stats.waited_ns / 1e6,
		     f->s->lost ? ", during which events may have been lost" : "");
}

static void stack_notes(struct notes *f)
{
	const struct bs_session *s = f->s;

	if (!s->stacks)
		return;
	unwind_notes(f);
	if (s->lighting.stackless)
		note(f,
		     "%zu process%s lit by jumps with a libbscope that cannot give stacks: rebuild with "
		     "the one of this version, or use -m trap",
		     s->lighting.stackless, s->lighting.stackless == 1 ? " is" : "es are");
}

/* With -m jump: what they said is missing. */
static void unlit_note(struct notes *f)
{
	const struct bs_session *s = f->s;
	const char *why = s->lighting.unlit_why;
	size_t n = s->lighting.unlit;

	for (size_t i = 0; i < s->followed.n; i++) {
		const struct bs_process *p = s->followed.v[i];

		if (p->alive && bs_lighting_unlit(&s->lighting, p) && !n++)
			why = p->why;
	}
	if (n)
		note(f, "%zu program%s over before the sites in it could be lit: %s", n,
		     n == 1 ? " was" : "s were", why);
	else if (s->options->mode == BS_MODE_JUMP && !s->lighting.jumped &&
		 bs_sites_count(s->sites))
		note(f,
		     "nothing was lit: the program was over before its sites were found; -m auto "
		     "lights a COMMAND by traps before it runs");
}

/* Jumps are written when a program is up; what it did before nobody has seen. */
static void exec_notes(struct notes *f)
{
	const struct bs_lighting *l = &f->s->lighting;

	if (l->lit_late)
		note(f,
		     "%zu program%s executed meanwhile and lit by jumps up to %.0f ms later: what %s "
		     "marked before is not in these numbers (-m trap sees it)",
		     l->lit_late, l->lit_late == 1 ? " was" : "s were",
		     (double)l->lit_late_ns / 1e6, l->lit_late == 1 ? "it" : "they");
	if (l->unlooked)
		note(f,
		     "%zu program%s executed meanwhile and over before what marks %s may have could be "
		     "lit (-m trap sees them)",
		     l->unlooked, l->unlooked == 1 ? " was" : "s were",
		     l->unlooked == 1 ? "it" : "they");
}

/* Which sites and processes are not lit as the mode says, and why. */
static void lighting_notes(struct notes *f)
{
	const struct bs_session *s = f->s;
	const struct bs_lighting *l = &s->lighting;
	size_t by_why[BS_JUMP_WHYS] = {0}, unfollowed = 0;

	if (l->no_jumps)
		note(f, "sites are lit by traps: %s", l->no_jumps);
	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i]->no_jumps && s->followed.v[i]->why[0])
			note(f, "lit by traps: %s", s->followed.v[i]->why);
	unlit_note(f);
	if (!l->jumped)
		return;
	exec_notes(f);
	for (size_t i = 0; i < l->nmodules; i++)
		for (size_t k = BS_JUMP_OK + 1; k < BS_JUMP_WHYS; k++)
			by_why[k] += l->modules[i].why[k];
	for (size_t k = BS_JUMP_OK + 1; k < BS_JUMP_WHYS; k++)
		if (by_why[k])
			note(f, "%zu site%s lit by traps: %s", by_why[k],
			     by_why[k] == 1 ? " is" : "s are", bs_jump_why((enum bs_jump_why)k));
	if (s->nclocks)
		note(f,
		     "%zu class%s sites of both kinds, whose clocks differ: no verdicts are given for "
		     "%s",
		     s->nclocks, s->nclocks == 1 ? " has" : "es have",
		     s->nclocks == 1 ? "it" : "them");
	for (uint32_t i = 1; i <= bs_sites_count(s->sites); i++)
		unfollowed += bs_lighting_unfollowed(l, i);
	if (unfollowed)
		note(f,
		     "what begins at %zu site%s lit by traps is not followed, and missing from counts and "
		     "estimates: use -m trap, or do without sampling",
		     unfollowed, unfollowed == 1 ? "" : "s");
	if (l->foreign)
		note(f,
		     "%zu sites were not lit: somebody else has changed their code (another tool's "
		     "breakpoint?)",
		     l->foreign);
	if (l->elsewhere)
		note(f, "%zu sites were not lit: they do not call a libbscope that we know",
		     l->elsewhere);
}

void bs_report_notes(const struct bs_session *s, const struct bs_report *r,
		     void (*say)(void *ctx, const char *text), void *ctx)
{
	struct notes notes = {s, say, ctx}, *f = &notes;
	size_t dark = 0, shared;

	for (size_t i = 0; i < r->nsites; i++)
		dark += !r->sites[i].lit;
	if (dark)
		note(f,
		     "%zu of %zu sites were left as no-ops by -f: what they would have said is not "
		     "in these numbers",
		     dark, r->nsites);
	stack_notes(f);
	lighting_notes(f);
	if (s->jumps.no_bound)
		note(f,
		     "a process that had more threads than buffers has ended: how many events it "
		     "lost in its last moments is not known");
	if (r->written_at_most)
		note(f,
		     "processes went before their last events could be read: at most %llu more were "
		     "written",
		     (unsigned long long)(r->written_at_most - r->written));
	if (s->stalled_ns > BS_STALLED_NS)
		note(f,
		     "bscope-trace stood still for %.0f s: the times of events from then may be wrong",
		     (double)s->stalled_ns / 1e9);
	if (s->bystanders && !s->lighting.jumped)
		note(f,
		     "%zu other process%s the same files mapped: trap mode slows %s too, without "
		     "recording",
		     s->bystanders, s->bystanders == 1 ? " has" : "es have",
		     s->bystanders == 1 ? "it" : "them");
	for (size_t i = 0; i < s->nmodules; i++)
		if (s->modules[i]->nskipped)
			note(f, "%zu sites of %s are not understood: %s", s->modules[i]->nskipped,
			     s->modules[i]->path, s->modules[i]->skipped);
	if (s->nlate == 1)
		note(f,
		     "%s was noticed when it already ran, %.3f s after the start: what its sites "
		     "did before is not in these numbers",
		     s->late_path, (double)(s->late_ns - s->start_ns) / 1e9);
	else if (s->nlate)
		note(f,
		     "%s and %zu other file%s were noticed when they already ran, the first %.3f s "
		     "after the start: what their sites did before is not in these numbers",
		     s->late_path, s->nlate - 1, s->nlate == 2 ? "" : "s",
		     (double)(s->late_ns - s->start_ns) / 1e9);
	if (s->nunread)
		note(f,
		     "%zu file%s that could be executed had gone before anybody could look at %s: what "
		     "looks wrong up to then is undecided",
		     s->nunread, s->nunread == 1 ? "" : "s", s->nunread == 1 ? "it" : "them");
	if (s->nloads_lost)
		note(f,
		     "so many files were mapped on this machine, by whatever process, that the kernel "
		     "could not tell of all of them (%zu time%s): what looks wrong up to then is "
		     "undecided, for a library that was loaded meanwhile could explain it",
		     s->nloads_lost, s->nloads_lost == 1 ? "" : "s");
	if (s->no_loads)
		note(f,
		     "no verdicts are given: the kernel does not say when a library is loaded "
		     "(perf_event_open: %s), and what one did before it was noticed could explain them",
		     s->no_loads);
	shared = bs_model_shared(s->model);
	if (shared)
		note(f,
		     "--clock=coarse: several threads have made marks of %zu class%s: no verdicts are "
		     "given for %s, and the live counts may be off by objects that were passed "
		     "between threads within the age of a stamp",
		     shared, shared == 1 ? "" : "es", shared == 1 ? "it" : "them");
	if (s->trouble)
		note(f, "%s", s->trouble->text);
	if (!r->written)
		note(f, "no site was hit");
	if (s->command && s->command->running)
		note(f, "%s goes on untraced as pid %d", s->command->path, (int)s->command->pid);
}
