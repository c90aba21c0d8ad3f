// SPDX-License-Identifier: GPL-2.0-only
/*
 * guardian_process.c - the guardian, a process of its own that has switches lit and darkened, and
 * darkens them by itself when the tool dies; and its child, the surgeon, which does one stop of one
 * process.
 *
 * How they and the tool work together: guardian_ledger.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/guardian.h"
#include "target/guardian_ledger.h"
#include "target/stop.h"

/* A surgeon's time outside of the stop: reading and copying pages, looking through /proc. */
#define SURGEON_NS (2 * NSEC_PER_SEC)
/* How often it is tried to darken everything before the answer says that somebody is stuck. */
#define DARK_NS (3 * NSEC_PER_SEC)
/*
 * And the pause between two tries, doubled each time: a try that fails holds the process for
 * BS_PATCH_STOP_NS.  Dense in the first second: most fail because the machine is busy and a thread
 * waits for a processor.
 */
#define BACKOFF_MIN_MS	 2
#define BACKOFF_DENSE_MS 64
#define BACKOFF_MAX_MS	 1000

#define GUARDIAN_NAME "bscope-guardian"
#define SURGEON_NAME  "bscope-surgeon" /* stop_threads.c knows it, too */

/* --- the surgeon ------------------------------------------------------------------------------ */

struct stop_order {
	pid_t pid;
	uint32_t plan, execs;
	bool light, trapped;
	bool leaving; /* darkens everything: nothing of the process counts any more */
	struct bs_patch *v;
	size_t n;
	const struct bs_guard_ops *ops;
};

/*
 * Is that the program that the tool knows to run?  Were it lit before its record has come, that
 * record would make the tool forget what the program has said since.
 */
static bool is_known_program(void *ctx)
{
	const struct stop_order *o = ctx;

	return (int32_t)(o->ops->execs(o->ops->ctx, o->pid) - o->execs) <= 0;
}

static void tell_lit(void *ctx)
{
	const struct stop_order *o = ctx;

	o->ops->lit(o->ops->ctx, o->pid, o->plan);
}

static void tell_dark(void *ctx)
{
	const struct stop_order *o = ctx;

	o->ops->dark(o->ops->ctx, o->pid);
}

/*
 * Ends by itself when it has done its stop, whoever has died meanwhile: half a second at the very
 * most, and whom it stopped must be let go in order.
 */
static void surgeon(struct ledger *l, struct stop_order *o)
{
	struct bs_patch_how how = {.light = o->light,
				   .trapped = o->trapped,
				   .shares = o->ops->shares,
				   .shares_ctx = o->ops->ctx,
				   .done_ctx = o};

	if (o->light && o->ops->lit)
		how.done = tell_lit;
	else if (o->leaving && o->ops->dark)
		how.done = tell_dark;
	if (o->light && o->ops->execs)
		how.fit = is_known_program;

	/* The guardian says it, too; but it may be killed before. */
	l->surgeon = getpid();
	prctl(PR_SET_NAME, SURGEON_NAME);
	/* Nothing of this is worth failing for: without, a stop may take longer. */
	setpriority(PRIO_PROCESS, 0, -20);
	mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	bs_stop_held_since = &l->held_since;
	bs_patch_as(o->pid, &how, o->v, o->n, &l->result);
	l->finished = 1;
	_exit(0);
}

/* --- the guardian ----------------------------------------------------------------------------- */

/* The surgeon of a guardian that was killed: nobody's child, but its process is still traced. */
static void await_old_surgeon(struct ledger *l)
{
	pid_t pid = l->surgeon;
	char path[64], name[32] = "";
	int fd, comm;

	if (!pid)
		return;
	fd = pidfd_of(pid);
	/* Whose number is it now?  The descriptor is of whom we read the name of, or of a dead one.
	 */
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm = open(path, O_RDONLY | O_CLOEXEC);
	if (comm >= 0) {
		if (read(comm, name, sizeof(name) - 1) < 0)
			name[0] = '\0';
		close(comm);
	}
	if (fd >= 0 && !strcmp(name, SURGEON_NAME "\n") &&
	    !wait_readable(fd, (int)(BS_GUARD_HOLD_NS / NSEC_PER_MSEC))) {
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
		wait_readable(fd, KILLED_MS);
	}
	if (fd >= 0)
		close(fd);
	l->surgeon = 0;
}

/* Whether the surgeon has had its time. */
static bool is_overdue(const struct ledger *l, uint64_t began)
{
	uint64_t held = l->held_since, now = bs_now_ns();

	return held ? now - held > BS_GUARD_HOLD_NS && now > held : now - began > SURGEON_NS;
}

/* Has one stop done; the result is in the ledger. */
static void operate(struct guardian *g, struct stop_order *o)
{
	struct ledger *l = g->l;
	uint64_t began = bs_now_ns();
	bool killed = false;
	int fd, status;
	pid_t pid;

	/* One that did not die when it was killed, in an earlier stop. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	o->ops = &g->ops;
	l->beat++;
	l->held_since = 0;
	l->finished = 0;
	memset(&l->result, 0, sizeof(l->result));
	pid = fork();
	if (!pid) {
		close(g->sock);
		surgeon(l, o);
	}
	if (pid < 0) {
		l->result.code = -EAGAIN;
		snprintf(l->result.why, sizeof(l->result.why), "cannot start a process: %s",
			 strerror(errno));
		return;
	}
	l->surgeon = pid;
	fd = pidfd_of(pid);
	while (!waitpid(pid, &status, WNOHANG)) {
		wait_readable(fd, fd < 0 ? 1 : 10);
		if (killed ? bs_now_ns() - began > KILLED_MS * NSEC_PER_MSEC
			   : is_overdue(l, began)) {
			if (killed)
				break;
			kill(pid, SIGKILL);
			killed = true;
			began = bs_now_ns();
		}
	}
	if (fd >= 0)
		close(fd);
	l->surgeon = 0;
	l->beat++;
	if (l->finished)
		return;
	/* Some switches may be written: what is, is seen in the memory. */
	l->result.code = -ETIMEDOUT;
	snprintf(l->result.why, sizeof(l->result.why), "%s",
		 killed ? "took too long and was let go"
			: "the process that stopped it was killed");
	bs_patch_look(o->pid, o->light, o->v, o->n);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The switches of a plan, in order, into scratch. */
static void take_plan(struct guardian *g, uint32_t plan)
{
	struct ledger *l = g->l;
	uint32_t all = l->nswitches;

	if (g->scratch_valid && g->scratch_plan == plan && g->scratch_of == all)
		return;
	g->scratch_n = 0;
	for (uint32_t i = 0; i < all; i++)
		if (l->plan[i].state == plan)
			l->scratch[g->scratch_n++] = l->plan[i];
	qsort(l->scratch, g->scratch_n, sizeof(*l->scratch), by_addr);
	g->scratch_plan = plan;
	g->scratch_of = all;
	g->scratch_valid = true;
}

/* All processes that may be lit, each with its plan once, into g->pair; how many. */
static size_t take_processes(struct guardian *g)
{
	size_t n = g->l->nprocesses, unique = 0, traced;

	for (size_t i = 0; i < n; i++)
		g->pair[i] = g->l->process[i];
	traced = g->ops.traced ? g->ops.traced(g->ops.ctx, g->traced, MAX_PROCESSES) : 0;
	for (size_t i = 0; i < traced && i < MAX_PROCESSES; i++)
		g->pair[n++] = pair_of(g->traced[i].pid, g->traced[i].plan);
	qsort(g->pair, n, sizeof(*g->pair), by_value);
	for (size_t i = 0; i < n; i++)
		if (!i || g->pair[i] != g->pair[i - 1])
			g->pair[unique++] = g->pair[i];
	return unique;
}

/*
 * Darkens all that are lit once.  Returns whether any was (so that there may be more: a child
 * that one of them was just forking).  d->stuck: those that could not be stopped.
 *
 * A process that was traced and whose number another one has now shows no jump of ours, nor does
 * one that has started another program: nothing is written to them.
 */
static bool darken_once(struct guardian *g, struct bs_dark_result *d)
{
	struct ledger *l = g->l;
	size_t n = take_processes(g);
	bool any = false;

	d->stuck = 0;
	for (size_t i = 0; i < n; i++) {
		struct stop_order o = {.pid = pid_of(g->pair[i]), .leaving = true, .v = l->scratch};
		ssize_t lit;

		take_plan(g, plan_of(g->pair[i]));
		o.n = g->scratch_n;
		l->beat++;
		lit = bs_patch_look(o.pid, false, o.v, o.n);
		if (!lit || lit == -ESRCH)
			continue;
		if (lit > 0) {
			any = true;
			operate(g, &o);
			if (l->result.pause_ns > d->pause_ns)
				d->pause_ns = l->result.pause_ns;
			if (!l->result.code) {
				d->processes++;
				/* Not now: it has been running for a while. */
				d->at_ns = l->result.at_ns;
			}
			if (!l->result.code || l->result.code == -ESRCH)
				continue;
			snprintf(d->why, sizeof(d->why), "%s", l->result.why);
		} else {
			snprintf(d->why, sizeof(d->why), "cannot look into its memory: %s",
				 strerror((int)-lit));
		}
		d->stuck++;
		d->stuck_pid = o.pid;
	}
	return any;
}

/* Has the tool ended, or let go of us? */
static bool is_orphaned(struct guardian *g)
{
	if (!g->orphaned && g->tool >= 0 && wait_readable(g->tool, 0))
		g->orphaned = true;
	return g->orphaned;
}

static void back_off(unsigned *ms, uint64_t began)
{
	poll(NULL, 0, (int)*ms);
	if (*ms < (bs_now_ns() - began < NSEC_PER_SEC ? BACKOFF_DENSE_MS : BACKOFF_MAX_MS))
		*ms *= 2;
}

/*
 * Until a whole pass finds nobody lit, or somebody is stuck for too long.  The tool's death
 * meanwhile changes nothing.
 */
static void darken(struct guardian *g, struct bs_dark_result *d, unsigned *backoff_ms)
{
	uint64_t began = bs_now_ns();

	memset(d, 0, sizeof(*d));
	*backoff_ms = BACKOFF_MIN_MS;
	for (;;) {
		if (!darken_once(g, d) && !d->stuck)
			break;
		if (!d->stuck)
			continue;
		if (bs_now_ns() - began > DARK_NS)
			return;
		back_off(backoff_ms, began);
	}
	d->stuck_pid = 0;
	d->why[0] = '\0';
	if (!d->at_ns)
		d->at_ns = bs_now_ns();
}

static bool obey(struct guardian *g, const struct command *c, unsigned *backoff_ms, bool *stuck)
{
	struct answer a = {.op = c->op, .seq = c->seq};

	if (c->op == LIGHT || c->op == DARKEN) {
		struct stop_order o = {.pid = c->pid,
				       .plan = c->plan,
				       .execs = c->execs,
				       .light = c->op == LIGHT,
				       .trapped = c->trapped,
				       .v = g->l->ask,
				       .n = c->n};

		/* Whatever was still to be darkened, the tool wants it otherwise now. */
		*stuck = false;
		operate(g, &o);
		a.result = g->l->result;
	} else {
		darken(g, &a.dark, backoff_ms);
		*stuck = a.dark.stuck;
	}
	return send(g->sock, &a, sizeof(a), MSG_NOSIGNAL) == sizeof(a);
}

/* Serves the tool until it is gone. */
static void serve(struct guardian *g)
{
	unsigned backoff_ms = BACKOFF_MIN_MS;
	bool stuck = false;

	while (!is_orphaned(g)) {
		struct pollfd p[2] = {{.fd = g->sock, .events = POLLIN},
				      {.fd = g->tool, .events = POLLIN}};
		struct bs_dark_result d = {0};
		struct command c;
		ssize_t got;

		if (!poll(p, 2, stuck ? (int)backoff_ms : -1)) {
			stuck = darken_once(g, &d) || d.stuck;
			if (backoff_ms < BACKOFF_MAX_MS)
				backoff_ms *= 2;
			continue;
		}
		got = recv(g->sock, &c, sizeof(c), MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got != sizeof(c) || !obey(g, &c, &backoff_ms, &stuck))
			g->orphaned = true;
	}
}

/* The tool is gone.  As long as a process that cannot be stopped lives, so do we. */
static void finish(struct guardian *g)
{
	struct bs_dark_result d = {0};
	unsigned backoff_ms = BACKOFF_MIN_MS;
	uint64_t began = bs_now_ns();

	while (darken_once(g, &d) || d.stuck)
		if (d.stuck)
			back_off(&backoff_ms, began);
}

/*
 * Whoever reads what the tool prints waits for its end, not for ours.  Only files that are what
 * standard input and output are: a BPF map may have got such a number.
 */
static void leave_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat st;

	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		if (fd != null && !fstat(fd, &st) && (st.st_mode & S_IFMT))
			dup2(null, fd);
	if (null > 2)
		close(null);
}

/* Best effort: not permitted means as everybody else. */
static void set_own(const char *file, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

void bs_guardian(struct guardian *g, pid_t tool)
{
	struct sched_param prompt = {.sched_priority = 1};

	setsid();
	/*
	 * A session of its own is a scheduling group of its own (autogroup), and one that is mostly
	 * idle was seen to wait for a processor for seconds beside a busy one: so, ahead of all
	 * that is not in a hurry, and the surgeon too, which inherits it.  Not permitted: slower.
	 */
	sched_setscheduler(0, SCHED_FIFO, &prompt);
	prctl(PR_SET_NAME, GUARDIAN_NAME);
	leave_stdio();
	/* Last to be killed when memory runs out; and first to run, with its surgeon. */
	set_own("oom_score_adj", "-1000");
	set_own("autogroup", "-20");
	/* The number may be another's by now, but then we have another parent. */
	g->tool = pidfd_of(tool);
	if (getppid() != tool)
		g->orphaned = true;
	/* As much as there can be: there is no good moment to fail later. */
	g->pair = calloc(2 * MAX_PROCESSES, sizeof(*g->pair));
	g->traced = calloc(MAX_PROCESSES, sizeof(*g->traced));
	if (!g->pair || !g->traced)
		_exit(1);
	await_old_surgeon(g->l);
	serve(g);
	close(g->sock);
	finish(g);
	_exit(0);
}
