/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - bscope-trace: options, signals, one session, one report. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/output.h"
#include "bscope-trace/command.h"
#include "bscope-trace/fail_on.h"
#include "bscope-trace/flame_make.h"
#include "bscope-trace/options.h"
#include "bscope-trace/overhead.h"
#include "bscope-trace/preload.h"
#include "bscope-trace/report_fill.h"
#include "bscope-trace/session.h"
#include "flame/flame.h"
#include "model/model.h"
#include "render/report.h"
#include "target/module.h"
#include "target/process.h"
#include "target/sites.h"

static volatile sig_atomic_t stop;

/* What is being written. */
enum { REPORT, FLAME, FOLDED, OVERHEAD, OUTPUTS };
static struct bs_output outputs[OUTPUTS];

static void on_signal(int sig)
{
	if (!stop) {
		stop = 1;
		return;
	}
	/* The second Ctrl-C is of somebody who does not want to wait for the report. */
	for (size_t i = 0; i < OUTPUTS; i++)
		if (outputs[i].temp[0])
			unlink(outputs[i].temp);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void signals_set(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN; /* a reader that went away is an error of the write */
	sigaction(SIGPIPE, &sa, NULL);
}

static unsigned terminal_width(FILE *f)
{
	struct winsize ws;

	return isatty(fileno(f)) && !ioctl(fileno(f), TIOCGWINSZ, &ws) ? ws.ws_col : 0;
}

struct live_line {
	bool on;
	uint64_t last_ns, last_marks;
};

static void live_tick(void *ctx, const struct bs_session *s)
{
	struct live_line *line = ctx;
	struct bs_model_totals t;
	struct bs_live live = {0};
	uint64_t now = s->watermark_ns;
	unsigned width;
	char text[512];

	if (!line->on)
		return;
	bs_model_totals(s->model, &t);
	live.seconds = (double)(now - s->start_ns) / 1e9;
	if (now > line->last_ns && line->last_ns)
		live.events_per_s =
			(double)(s->marks - line->last_marks) * 1e9 / (double)(now - line->last_ns);
	live.live = t.live;
	live.live_bytes = t.live_bytes;
	live.lost = s->lost;
	line->last_ns = now;
	line->last_marks = s->marks;
	/* The terminal may have been resized.  Its last column is left to the cursor. */
	width = terminal_width(stderr);
	bs_render_live(text, sizeof(text), &live, width > 1 ? width - 1 : width);
	fprintf(stderr, "\r%s\033[K", text);
}

/* What takes its time is said. */
struct progress {
	const char *doing, *what, *stopped; /* that to what, and what Ctrl-C does */
	bool quiet, terminal, shown;
	uint64_t start_ns; /* 0: with the first that is said */
};

static struct progress progress_begin(const struct bs_options *o, const char *doing,
				      const char *what, const char *stopped)
{
	return (struct progress){
		.doing = doing,
		.what = what,
		.stopped = stopped,
		.quiet = o->quiet,
		.terminal = isatty(fileno(stderr)),
		.start_ns = bs_now_ns(),
	};
}

static void progress_show(void *ctx, size_t done, size_t total)
{
	struct progress *p = ctx;

	if (!p->start_ns)
		p->start_ns = bs_now_ns();
	if (p->quiet || bs_now_ns() - p->start_ns < 1000000000)
		return;
	if (p->terminal)
		fprintf(stderr, "\rbscope-trace: %s %s: %zu of %zu; Ctrl-C %s\033[K", p->doing,
			p->what, done, total, p->stopped);
	else if (!p->shown)
		fprintf(stderr, "bscope-trace: %s %zu %s\n", p->doing, total, p->what);
	p->shown = true;
}

static void progress_end(const struct progress *p)
{
	if (p->terminal && p->shown)
		fputs("\r\033[K", stderr);
}

/* A signal ends it, and the report comes with what is known. */
static bool naming_more(void *ctx, size_t done, size_t total)
{
	if (stop)
		return false;
	progress_show(ctx, done, total);
	return true;
}

/* The signal that ended what was before is not meant for this. */
static struct progress naming_begin(const struct bs_options *o, const char *what,
				    const char *stopped)
{
	stop = 0;
	return progress_begin(o, "looking up", what, stopped);
}

/* Closes the books.  0 or -errno with err. */
static int end(const struct bs_options *o, struct bs_session *session, struct bs_error *err)
{
	struct progress p =
		progress_begin(o, "working through", "events that are left",
			       stop ? "leaves without a report" : "twice leaves without a report");
	int ret;

	p.start_ns = 0;
	ret = bs_session_end(session, progress_show, &p, err);

	progress_end(&p);
	return ret;
}

static int fail(const struct bs_error *err)
{
	char text[sizeof(err->text) * 4];

	bs_text_clean(text, sizeof(text), err->text);
	fprintf(stderr, "bscope-trace: %s\n", text);
	return BS_EXIT_FAILED;
}

static int render(FILE *out, const struct bs_options *o, const struct bs_report *r)
{
	if (o->json)
		return bs_render_json(out, r);
	return bs_render_text(out, r, terminal_width(out),
			      isatty(fileno(out)) && !getenv("NO_COLOR"));
}

/*
 * Writes the report.  When a file cannot take it (disk full), it goes to standard output
 * instead: what was measured is not thrown away.
 */
static int report_write(const struct bs_options *o, const struct bs_report *r)
{
	struct bs_output *out = &outputs[REPORT];
	struct bs_error err = {0};

	if (!bs_output_commit(out, "report", render(out->file, o, r), &err))
		return 0;
	fail(&err);
	if (o->output) {
		fputs("bscope-trace: the report follows on standard output\n", stderr);
		render(stdout, o, r);
		fflush(stdout);
	}
	return BS_EXIT_FAILED;
}

/* The picture of --overhead.  0 or BS_EXIT_FAILED. */
static int overhead_write(const struct bs_options *o, struct bs_session *s,
			  const struct bs_report *r)
{
	struct progress n = naming_begin(o, "frames", "leaves without the picture");
	const struct bs_fill_wait wait = {naming_more, &n};
	struct bs_output *out = &outputs[OVERHEAD];
	struct bs_error err = {0};
	int ret;

	ret = bs_overhead_draw(s, r, &wait, out->file);
	progress_end(&n);
	if (ret == -ECANCELED) {
		bs_output_abort(out);
		bs_error_set(&err, ret, "--overhead: stopped: there is no picture");
		return fail(&err);
	}
	return bs_output_commit(out, "picture", ret, &err) ? fail(&err) : 0;
}

/* The exit status that --fail-on makes of a report that was written. */
static int findings(const struct bs_options *o, const struct bs_report *r)
{
	uint64_t found;
	char text[512];

	if (!o->fail_on)
		return 0;
	found = bs_fail_on_found(o->fail_on, r, text, sizeof(text));
	if (found && !o->quiet)
		fprintf(stderr, "bscope-trace: --fail-on: %s\n", text);
	else if (r->undecided && o->fail_on != BS_FAIL_ON_LIVE_AT_EXIT && !o->quiet)
		/* Who relies on the status alone would never hear of it. */
		fprintf(stderr, "bscope-trace: --fail-on: none found; not decided: %llu mark%s\n",
			(unsigned long long)r->undecided, r->undecided == 1 ? "" : "s");
	return found ? BS_EXIT_FOUND : 0;
}

/* --- pictures --------------------------------------------------------------------------------- */

static int flame_write(const struct bs_options *o, struct bs_session *s, const struct bs_report *r)
{
	struct progress n = naming_begin(o, "frames", "leaves without the flamegraph");
	const struct bs_fill_wait wait = {naming_more, &n};
	struct bs_flame_made made = {0};
	struct bs_error err = {0};
	int ret;

	ret = bs_flame_make(s, r, &made, &wait, &err);
	progress_end(&n);
	if (!ret && o->folded)
		ret = bs_output_commit(&outputs[FOLDED], "folded stacks",
				       bs_flame_write_folded(made.flame, outputs[FOLDED].file),
				       &err);
	if (!ret && o->flame && !made.total)
		ret = bs_error_set(&err, -ENODATA, "--flame=%s: nothing to draw: %s", o->flame,
				   made.nothing);
	if (!ret && o->flame)
		ret = bs_output_commit(&outputs[FLAME], "flamegraph",
				       bs_flame_made_draw(&made, outputs[FLAME].file), &err);
	bs_flame_made_fini(&made);
	return ret ? fail(&err) : 0;
}

/*
 * Pictures of a report that was written.  What was found is so whether they could be made or not.
 */
static int pictures_write(const struct bs_options *o, struct bs_session *s,
			  const struct bs_report *r)
{
	int status = 0, found;

	if ((o->flame || o->folded) && flame_write(o, s, r))
		status = BS_EXIT_FAILED;
	if (o->overhead && overhead_write(o, s, r))
		status = BS_EXIT_FAILED;
	found = findings(o, r);
	return found ? found : status;
}

static int list_modules(const struct bs_options *o, struct bs_module ***modules, size_t *n,
			struct bs_error *err)
{
	struct bs_module **one;
	int fd, ret;

	if (!o->binary) {
		ret = bs_process_check(o->pids[0], err);
		if (!ret)
			ret = bs_process_modules(o->pids[0], NULL, 0, modules, n, err);
		if (!ret && !*n && !err->text[0])
			ret = bs_error_set(err, -ENOENT,
					   "pid %d: no sites in it or its libraries (built with "
					   "BSCOPE_DISABLE?)",
					   (int)o->pids[0]);
		return ret ? ret : *n ? 0 : -ENOENT;
	}
	fd = open(o->binary, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return bs_error_set(err, -errno, "%s: %s", o->binary, strerror(errno));
	one = calloc(1, sizeof(*one));
	if (!one) {
		close(fd);
		return bs_error_set(err, -ENOMEM, "out of memory");
	}
	ret = bs_module_read(fd, o->binary, one, err);
	if (ret) {
		close(fd);
		free(one);
		return ret;
	}
	*modules = one;
	*n = 1;
	if (!one[0]->nsites)
		return bs_error_set(err, -ENOENT, "%s: no sites (built with BSCOPE_DISABLE?)",
				    o->binary);
	return 0;
}

static int list(const struct bs_options *o)
{
	struct bs_sites *sites = bs_sites_new();
	struct bs_report_site *rows = NULL;
	struct bs_module **modules = NULL;
	struct bs_output out = {0};
	struct bs_error err = {0};
	size_t nmodules = 0, n = 0;
	int ret = -ENOMEM;

	bs_error_set(&err, ret, "out of memory");
	if (!sites)
		goto out;
	memset(&err, 0, sizeof(err));
	ret = list_modules(o, &modules, &nmodules, &err);
	for (size_t i = 0; !ret && i < nmodules; i++) {
		uint32_t first, count;

		ret = bs_sites_add(sites, modules[i], o->filter, &first, &count);
	}
	if (!ret)
		ret = bs_output_open(&out, o->output, &err);
	if (ret)
		goto out;
	rows = bs_report_sites(sites, &n);
	if (!rows) {
		ret = bs_error_set(&err, -ENOMEM, "out of memory");
	} else if (!n) {
		ret = bs_error_set(&err, -ENOENT, "-f: no site matches");
	} else {
		ret = bs_output_commit(&out, "list", bs_render_list(out.file, rows, n, o->json),
				       &err);
	}
out:
	bs_output_abort(&out);
	free(rows);
	bs_sites_free(sites);
	for (size_t i = 0; i < nmodules; i++)
		bs_module_free(modules[i]);
	free(modules);
	return ret ? fail(&err) : 0;
}

static int trace(const struct bs_options *o)
{
	struct live_line line = {.on = !o->quiet && !o->command && isatty(STDERR_FILENO)};
	struct bs_command command = {.gate = -1, .result = -1};
	struct bs_session *session = NULL;
	const char *const names[OUTPUTS] = {o->output, o->flame, o->folded, o->overhead};
	struct bs_filled filled = {0};
	struct bs_error err = {0};
	char preload[PATH_MAX];
	int ret = 0, status = BS_EXIT_FAILED;

	for (size_t i = 0; !ret && i < OUTPUTS; i++)
		if (i == REPORT || names[i])
			ret = bs_output_open(&outputs[i], names[i], &err);
	if (!ret && o->preload)
		ret = bs_preload_find(o->preload, preload, sizeof(preload), &err);
	if (!ret && o->command)
		ret = bs_command_start(&command, o->command, o->preload ? preload : NULL, &err);
	if (ret)
		goto out;
	signals_set();
	if (o->compare_ns && !o->quiet)
		fprintf(stderr, "bscope-trace: sampling for %g s before sites are lit\n",
			(double)o->compare_ns / 1e9);
	ret = bs_session_new(o, o->command ? &command : NULL, o->preload ? preload : NULL, &stop,
			     &session, &err);
	if (ret)
		goto out;
	if (!o->quiet && !o->command && !line.on)
		fprintf(stderr, "bscope-trace: attached%s\n",
			o->duration_ns ? "" : "; Ctrl-C stops and prints the report");
	ret = bs_session_run(session, &stop, live_tick, &line, &err);
	if (line.on)
		fputs("\r\033[K", stderr);
	if (ret && !session->marks)
		goto out;
	/* Whatever happened: what was seen is reported. */
	if (ret)
		fail(&err);
	status = ret ? BS_EXIT_FAILED : 0;
	ret = end(o, session, &err);
	if (!ret) {
		struct progress n = naming_begin(o, "callers", "prints the report as it is");
		const struct bs_fill_wait wait = {naming_more, &n};

		ret = bs_report_fill(session, &wait, &filled, &err);
		progress_end(&n);
	}
	if (!ret && session->command && !session->nmodules)
		ret = bs_error_set(
			&err, -ENOENT,
			"%s: no sites in it or its libraries (built with BSCOPE_DISABLE? for a "
			"program without sites add --preload)",
			o->command[0]);
	if (!ret && report_write(o, &filled.report))
		status = BS_EXIT_FAILED;
	if (!ret) {
		int of_pictures = pictures_write(o, session, &filled.report);

		status = status ? status : of_pictures;
	}
out:
	if (ret)
		status = fail(&err);
	for (size_t i = 0; i < OUTPUTS; i++)
		bs_output_abort(&outputs[i]);
	bs_report_fini(&filled);
	bs_session_free(session);
	bs_command_fini(&command);
	return status;
}

int main(int argc, char **argv)
{
	struct bs_options options;
	int status;

	bs_streams_fill();
	bs_preload_leave(argv);
	bs_options_parse(&options, argc, argv);
	status = options.list ? list(&options) : trace(&options);
	bs_options_fini(&options);
	return status;
}
