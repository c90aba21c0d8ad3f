// SPDX-License-Identifier: GPL-2.0-only
/*
 * guardian.c - the tool's side of the guardian: starts it, keeps the plans, tells it what to do,
 * replaces it when it was killed.
 *
 * What it is and does: guardian_process.c; how the processes work together: guardian_ledger.h.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/num.h"
#include "target/guardian.h"
#include "target/guardian_ledger.h"

/* A guardian that shows no sign of life for so long is replaced. */
#define SILENCE_NS (5 * NSEC_PER_SEC)
/* One that is stuck anyway is not waited for longer. */
#define STUCK_MS 100
/* Guardians in a row that may die of one command. */
#define LIVES 3

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
		bs_guardian(&child, tool);
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

/* One try with switches that are in the plan; ret: of what was done before. */
static int switches_do(struct bs_guard *g, struct command *c, struct bs_patch *v, int ret,
		       struct bs_patch_result *result)
{
	struct answer a;

	memset(result, 0, sizeof(*result));
	if (!ret) {
		/* In the plan before the first byte: whoever dies now, it is known. */
		memcpy(g->l->ask, v, c->n * sizeof(*v));
		ret = command_do(g, c, &a);
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
	for (size_t i = 0; i < c->n; i++)
		v[i].state = g->l->ask[i].state;
	*result = a.result;
	return result->code;
}

int bs_guard_light(struct bs_guard *g, uint32_t plan, pid_t pid, uint32_t execs, struct bs_patch *v,
		   size_t n, bool trapped, struct bs_patch_result *result)
{
	struct command c = {.op = LIGHT,
			    .plan = plan,
			    .pid = pid,
			    .execs = execs,
			    .n = (uint32_t)n,
			    .trapped = trapped};
	int ret = n > MAX_SWITCHES ? -ENOSPC : add_process(g->l, pair_of(pid, plan));

	if (!ret)
		ret = add_switches(g->l, plan, v, n);
	return switches_do(g, &c, v, ret, result);
}

int bs_guard_darken(struct bs_guard *g, uint32_t plan, pid_t pid, struct bs_patch *v, size_t n,
		    struct bs_patch_result *result)
{
	struct command c = {.op = DARKEN, .plan = plan, .pid = pid, .n = (uint32_t)n};

	return switches_do(g, &c, v, n > MAX_SWITCHES ? -ENOSPC : 0, result);
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
