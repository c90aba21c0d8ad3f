// SPDX-License-Identifier: GPL-2.0-only
/*
 * guardian.c - a process of its own that lights and darkens switches, and darkens them by itself
 * when the tool dies.
 *
 * Three processes:
 *
 *   the tool      says what to light; keeps the plans
 *   the guardian  its child, in a session of its own, deaf to signals; idle but for commands
 *   the surgeon   the guardian's child, for one stop of one process
 *
 * They share one piece of memory (struct ledger), which every one of them has from fork.  Who
 * writes what:
 *
 *   plans, processes  the tool alone.  Only appended to, and the count is raised last, so that
 *                     whoever reads at any moment, after any death, sees whole entries.
 *   ask               by turns: the tool before its command, the surgeon until the answer.
 *   scratch           the guardian, and the surgeon while the guardian waits for it.
 *   stop              the surgeon; the guardian before it starts and after it has ended.
 *
 * Deaths.  The tool's: its end of the socket closes, its pidfd reports; everything is darkened.
 * The guardian's: the tool sees the end of the socket, starts another one, and asks again; the
 * surgeon of the old one finishes its stop and ends by itself, and the new guardian waits for that
 * (it would find the process traced).  Both at once, the surgeon included: that is beyond us.  The
 * surgeon's: the kernel lets go of whom it traces, and the switches are valid programs one by one;
 * they are looked at again.
 *
 * A surgeon that holds a stop too long is killed by the guardian; a guardian that does nothing for
 * too long by the tool.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
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
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/num.h"
#include "target/guardian.h"
#include "target/stop.h"

#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC  1000000000ull

#define MAX_SWITCHES  (1u << 20)
#define MAX_PROCESSES (1u << 16)

/* A surgeon's time outside of the stop: reading and copying pages, looking through /proc. */
#define SURGEON_NS (2 * NSEC_PER_SEC)
/* From SIGKILL to being gone. */
#define KILLED_MS 1000
/* A guardian that shows no sign of life for so long is replaced. */
#define SILENCE_NS (5 * NSEC_PER_SEC)
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
/* One that is stuck anyway is not waited for longer. */
#define STUCK_MS 100
/* Guardians in a row that may die of one command. */
#define LIVES 3

#define GUARDIAN_NAME "bscope-guardian"
#define SURGEON_NAME  "bscope-surgeon" /* stop.c knows it, too */

/* A process and its plan in one word, so that an entry is written at once. */
static uint64_t pair_of(pid_t pid, uint32_t plan)
{
	return (uint64_t)plan << 32 | (uint32_t)pid;
}

static pid_t pid_of(uint64_t pair)
{
	return (pid_t)(uint32_t)pair;
}

static uint32_t plan_of(uint64_t pair)
{
	return (uint32_t)(pair >> 32);
}

struct ledger {
	/* The tool's.  In a plan's switch the member state is the number of the plan. */
	_Atomic uint32_t nswitches, nprocesses;
	_Atomic uint64_t process[MAX_PROCESSES];
	struct bs_patch plan[MAX_SWITCHES];

	/* The guardian's sign of life. */
	_Atomic uint32_t beat;

	/* The stop that is being done. */
	_Atomic int32_t surgeon;     /* 0: none */
	_Atomic uint64_t held_since; /* see bs_stop_held_since */
	_Atomic uint32_t finished;
	struct bs_patch_result result;

	struct bs_patch ask[MAX_SWITCHES];
	struct bs_patch scratch[MAX_SWITCHES];
};

enum { LIGHT = 1, DARK = 2 };

struct command {
	uint32_t op, seq;
	uint32_t plan, n;
	pid_t pid;
	bool trapped;
};

struct answer {
	uint32_t op, seq;
	struct bs_patch_result result;
	struct bs_dark_result dark;
};

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Waits for fd (-1: only for time) to become readable; whether it did. */
static bool wait_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) > 0;
}

/* --- the surgeon ------------------------------------------------------------------------------ */

struct stop_order {
	pid_t pid;
	uint32_t plan;
	bool light, trapped;
	struct bs_patch *v;
	size_t n;
	const struct bs_guard_ops *ops;
};

static void tell_lit(void *ctx)
{
	const struct stop_order *o = ctx;

	o->ops->lit(o->ops->ctx, o->pid, o->plan);
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
				   .done = o->light && o->ops->lit ? tell_lit : NULL,
				   .done_ctx = o};

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

struct guardian {
	struct ledger *l;
	struct bs_guard_ops ops;
	int sock, tool; /* the tool's pidfd, -1 if the kernel has none */
	bool orphaned;
	/* Processes to darken, and what scratch holds now. */
	uint64_t *pair;
	struct bs_guarded *traced;
	uint32_t scratch_plan, scratch_of;
	size_t scratch_n;
	bool scratch_valid;
};

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

static int by_addr(const void *a, const void *b)
{
	const struct bs_patch *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
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
		struct stop_order o = {.pid = pid_of(g->pair[i]), .light = false, .v = l->scratch};
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
				d->at_ns = bs_now_ns();
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

	if (c->op == LIGHT) {
		struct stop_order o = {.pid = c->pid,
				       .plan = c->plan,
				       .light = true,
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

static void guardian(struct guardian *g, pid_t tool)
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

/* --- the tool --------------------------------------------------------------------------------- */

struct bs_guard {
	struct ledger *l;
	struct bs_guard_ops ops;
	int sock;
	pid_t pid; /* the guardian; 0: none */
	uint32_t seq;
	uint32_t dark_seq; /* of the last bs_guard_dark */
	bool dark_asked;
	bool stuck; /* the last answer said so */
	/* Descriptors that were open at the beginning, for guardians to come. */
	bool *inherit;
	size_t ninherit;
};

static int for_each_fd(int (*fn)(void *ctx, int fd), void *ctx)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;
	int ret = 0;

	if (!dir)
		return -errno;
	while (!ret && (d = readdir(dir))) {
		uint64_t fd;

		if (!bs_num_u64(d->d_name, 0, INT_MAX, &fd) && (int)fd != dirfd(dir))
			ret = fn(ctx, (int)fd);
	}
	closedir(dir);
	return ret;
}

static int remember_fd(void *ctx, int fd)
{
	struct bs_guard *g = ctx;

	if ((size_t)fd >= g->ninherit) {
		size_t n = (size_t)fd + 64;
		bool *more = realloc(g->inherit, n);

		if (!more)
			return -ENOMEM;
		memset(more + g->ninherit, 0, n - g->ninherit);
		g->inherit = more;
		g->ninherit = n;
	}
	g->inherit[fd] = true;
	return 0;
}

struct keep {
	const struct bs_guard *g;
	int sock;
};

static int close_new_fd(void *ctx, int fd)
{
	const struct keep *keep = ctx;

	if (fd != keep->sock && ((size_t)fd >= keep->g->ninherit || !keep->g->inherit[fd]))
		close(fd);
	return 0;
}

/*
 * Forks the guardian.  One that replaces another has what the tool opened meanwhile, and must not
 * keep it open: a link that is to be released by the tool's death would live on.
 */
static int start(struct bs_guard *g)
{
	struct guardian child = {.l = g->l, .ops = g->ops, .tool = -1};
	sigset_t all, mask;
	int s[2], ret = 0;
	pid_t tool = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s))
		return -errno;
	/* No moment at which a signal that is meant for the tool's terminal would end it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	g->pid = fork();
	if (!g->pid) {
		struct keep keep = {.g = g, .sock = s[1]};

		child.sock = s[1];
		close(s[0]);
		if (g->sock >= 0)
			close(g->sock);
		for_each_fd(close_new_fd, &keep);
		guardian(&child, tool);
	}
	if (g->pid < 0) {
		ret = -errno;
		g->pid = 0;
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	close(s[1]);
	/* The number the tool polls stays. */
	if (!ret && g->sock >= 0 && dup3(s[0], g->sock, O_CLOEXEC) < 0)
		ret = -errno;
	if (ret || g->sock >= 0)
		close(s[0]);
	else
		g->sock = s[0];
	return ret;
}

/*
 * Waits for the guardian's end, at most ms; then it is left to itself.  False if it was killed.
 */
static bool bury(struct bs_guard *g, int ms)
{
	uint64_t began = bs_now_ns();
	int fd = pidfd_of(g->pid), status = 0;
	pid_t got;

	/* Never waitpid(-1): the tool has other children. */
	while ((got = waitpid(g->pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (bs_now_ns() - began > (uint64_t)ms * NSEC_PER_MSEC)
			break;
		wait_readable(fd, fd < 0 ? 2 : 50);
	}
	if (fd >= 0)
		close(fd);
	g->pid = 0;
	return got <= 0 || (WIFEXITED(status) && !WEXITSTATUS(status));
}

static int replace(struct bs_guard *g)
{
	if (g->pid) {
		kill(g->pid, SIGKILL);
		bury(g, KILLED_MS);
	}
	return start(g);
}

static int command_send(struct bs_guard *g, const struct command *c)
{
	if (!g->pid)
		return -EPIPE;
	return send(g->sock, c, sizeof(*c), MSG_NOSIGNAL) == sizeof(*c) ? 0 : -errno;
}

/*
 * The answer to command seq.  -EPIPE: there is no guardian any more, or one that hangs.  Answers
 * to earlier commands that nobody waited for are dropped.
 */
static int answer_wait(struct bs_guard *g, uint32_t seq, struct answer *a)
{
	uint32_t beat = g->l->beat;
	uint64_t sign = bs_now_ns();

	while (g->pid) {
		ssize_t got;

		if (!wait_readable(g->sock, 250)) {
			if (g->l->beat != beat) {
				beat = g->l->beat;
				sign = bs_now_ns();
			}
			if (bs_now_ns() - sign > SILENCE_NS)
				return -EPIPE;
			continue;
		}
		got = recv(g->sock, a, sizeof(*a), MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got != sizeof(*a))
			return -EPIPE;
		if (a->seq == seq)
			return 0;
	}
	return -EPIPE;
}

/* Sends a command and waits for the answer, with as many guardians as it takes. */
static int command_do(struct bs_guard *g, struct command *c, struct answer *a)
{
	int ret = -EPIPE;

	for (int i = 0; i < LIVES; i++) {
		if (i || !g->pid) {
			ret = replace(g);
			if (ret)
				return ret;
		}
		c->seq = ++g->seq;
		ret = command_send(g, c);
		if (!ret)
			ret = answer_wait(g, c->seq, a);
		if (!ret)
			return 0;
	}
	return ret;
}

int bs_guard_new(const struct bs_guard_ops *ops, struct bs_guard **out, struct bs_error *err)
{
	struct bs_guard *g = calloc(1, sizeof(*g));
	int ret;

	*out = NULL;
	if (!g)
		return bs_error_set(err, -ENOMEM, "out of memory");
	g->sock = -1;
	g->ops = *ops;
	g->l = mmap(NULL, sizeof(*g->l), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (g->l == MAP_FAILED) {
		g->l = NULL;
		ret = bs_error_set(err, -errno, "no memory to share with the guardian: %s",
				   strerror(errno));
		goto fail;
	}
	ret = for_each_fd(remember_fd, g);
	if (!ret)
		ret = start(g);
	if (ret) {
		bs_error_set(err, ret, "cannot start the guardian process: %s", strerror(-ret));
		goto fail;
	}
	*out = g;
	return 0;
fail:
	bs_guard_free(g);
	return ret;
}

int bs_guard_check(struct bs_guard *g)
{
	struct answer a;
	ssize_t got;

	if (!g->pid)
		return start(g);
	got = recv(g->sock, &a, sizeof(a), MSG_DONTWAIT | MSG_PEEK);
	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return 0;
	return replace(g);
}

/* Enters a process in the ledger, in the place of one that has gone if there is no other. */
static int add_process(struct ledger *l, uint64_t pair)
{
	uint32_t n = l->nprocesses;

	for (uint32_t i = n; i-- > 0;)
		if (l->process[i] == pair)
			return 0;
	if (n < MAX_PROCESSES) {
		l->process[n] = pair;
		l->nprocesses = n + 1;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (kill(pid_of(l->process[i]), 0) && errno == ESRCH) {
			l->process[i] = pair;
			return 0;
		}
	}
	return -ENOSPC;
}

/*
 * Adds to the plan what it does not hold yet.  In ask, which is ours now, its switches are put in
 * order to look for them.
 */
static int add_switches(struct ledger *l, uint32_t plan, const struct bs_patch *v, size_t n)
{
	uint32_t all = l->nswitches, at = all;
	size_t known = 0;

	for (uint32_t i = 0; i < all; i++)
		if (l->plan[i].state == plan)
			l->ask[known++] = l->plan[i];
	qsort(l->ask, known, sizeof(*l->ask), by_addr);
	for (size_t i = 0; i < n; i++) {
		const struct bs_patch *k = bsearch(&v[i], l->ask, known, sizeof(*v), by_addr);
		/* Neighbours of the same address: an earlier library's at that place. */
		bool have = false;

		while (k && k > l->ask && k[-1].addr == v[i].addr)
			k--;
		for (; k && k < l->ask + known && k->addr == v[i].addr; k++)
			have |= k->rel == v[i].rel;
		if (have)
			continue;
		if (at == MAX_SWITCHES)
			return -ENOSPC;
		l->plan[at] = v[i];
		l->plan[at++].state = plan;
	}
	l->nswitches = at;
	return 0;
}

int bs_guard_light(struct bs_guard *g, uint32_t plan, pid_t pid, struct bs_patch *v, size_t n,
		   bool trapped, struct bs_patch_result *result)
{
	struct command c = {
		.op = LIGHT, .plan = plan, .pid = pid, .n = (uint32_t)n, .trapped = trapped};
	struct answer a;
	int ret = n > MAX_SWITCHES ? -ENOSPC : add_process(g->l, pair_of(pid, plan));

	memset(result, 0, sizeof(*result));
	if (!ret)
		ret = add_switches(g->l, plan, v, n);
	if (!ret) {
		/* In the plan before the first byte: whoever dies now, it is known. */
		memcpy(g->l->ask, v, n * sizeof(*v));
		ret = command_do(g, &c, &a);
	}
	if (ret) {
		result->code = ret;
		if (ret == -ENOSPC)
			snprintf(result->why, sizeof(result->why),
				 "more than %u switches or %u processes", MAX_SWITCHES,
				 MAX_PROCESSES);
		else
			snprintf(result->why, sizeof(result->why),
				 "the guardian process cannot be kept running: %s", strerror(-ret));
		return ret;
	}
	for (size_t i = 0; i < n; i++)
		v[i].state = g->l->ask[i].state;
	*result = a.result;
	return result->code;
}

int bs_guard_dark(struct bs_guard *g)
{
	struct command c = {.op = DARK, .seq = ++g->seq};
	int ret = command_send(g, &c);

	if (ret) {
		ret = replace(g);
		if (!ret)
			ret = command_send(g, &c);
	}
	g->dark_asked = !ret;
	g->dark_seq = c.seq;
	return ret;
}

int bs_guard_fd(const struct bs_guard *g)
{
	return g->sock;
}

int bs_guard_dark_wait(struct bs_guard *g, struct bs_dark_result *result)
{
	struct command c = {.op = DARK};
	struct answer a;
	int ret = -EPIPE;

	memset(result, 0, sizeof(*result));
	if (g->dark_asked)
		ret = answer_wait(g, g->dark_seq, &a);
	if (ret) {
		/* The one that was asked has died, or hangs. */
		ret = g->dark_asked ? replace(g) : 0;
		if (!ret)
			ret = command_do(g, &c, &a);
	}
	g->dark_asked = false;
	if (ret) {
		snprintf(result->why, sizeof(result->why),
			 "the guardian process cannot be kept running: %s", strerror(-ret));
		return ret;
	}
	g->stuck = a.dark.stuck;
	*result = a.dark;
	return 0;
}

void bs_guard_free(struct bs_guard *g)
{
	if (!g)
		return;
	for (int i = 0; i < LIVES && g->sock >= 0; i++) {
		/* Shut: a copy of it that a child of the tool's still has changes nothing. */
		shutdown(g->sock, SHUT_RDWR);
		close(g->sock);
		g->sock = -1;
		if (g->pid && bury(g, g->stuck ? STUCK_MS : (int)(SILENCE_NS / NSEC_PER_MSEC)))
			break;
		/* It was killed, perhaps before it had done its work. */
		start(g);
	}
	if (g->l)
		munmap(g->l, sizeof(*g->l));
	free(g->inherit);
	free(g);
}
