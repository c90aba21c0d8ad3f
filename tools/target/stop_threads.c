// SPDX-License-Identifier: GPL-2.0-only
/*
 * stop_threads.c - who is to stand still: finds those who run in the memory of the process, keeps
 * the table of their threads, seizes them, and tells when somebody else has come.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "target/proc.h"
#include "target/sharers.h"
#include "target/stop.h"
#include "target/stop_state.h"

/* --- the table of threads --------------------------------------------------------------------- */

static int table_init(struct stop *s, size_t room)
{
	size_t slots = 64;

	while (slots < room * 2)
		slots *= 2;
	s->v = malloc(room * sizeof(*s->v));
	s->slot = malloc(slots * sizeof(*s->slot));
	s->stopped = malloc(room * sizeof(*s->stopped));
	if (!s->v || !s->slot || !s->stopped)
		return -ENOMEM;
	/* Written, not calloc'ed: it must be there when everybody stands still. */
	memset(s->v, 0xff, room * sizeof(*s->v));
	memset(s->slot, 0, slots * sizeof(*s->slot));
	memset(s->stopped, 0, room * sizeof(*s->stopped));
	s->room = room;
	s->mask = slots - 1;
	return 0;
}

/* The slot that tells of tid, or the free one where it belongs. */
static uint32_t *table_slot(struct stop *s, pid_t tid)
{
	size_t i = (uint32_t)tid * 2654435761u & s->mask;

	while (s->slot[i] && s->v[s->slot[i] - 1].tid != tid)
		i = (i + 1) & s->mask;
	return &s->slot[i];
}

struct thread *bs_stop_table_find(struct stop *s, pid_t tid)
{
	uint32_t *slot = table_slot(s, tid);

	return *slot ? &s->v[*slot - 1] : NULL;
}

static bool table_full(const struct stop *s)
{
	return s->n == s->room;
}

/* A thread that is gone keeps its place: its number may come back. */
static void table_seized(struct stop *s, pid_t tid)
{
	uint32_t *slot = table_slot(s, tid);

	struct thread *t = &s->v[*slot ? *slot - 1 : s->n];

	t->state = SEIZED;
	t->sig = 0;
	if (!*slot) {
		t->tid = tid;
		*slot = (uint32_t)++s->n;
	}
}

/* --- before ----------------------------------------------------------------------------------- */

static int dir_open(struct stop *s, pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	s->dir[s->ndirs].pid = pid;
	s->dir[s->ndirs++].fd = fd;
	return 0;
}

int bs_stop_prepare(struct stop *s)
{
	size_t threads = 0;
	struct stat st;
	int ret;

	s->live = bs_proc_live_thread(s->ask->pid);
	if (s->live < 0 || dir_open(s, s->ask->pid))
		return FAIL(s, -ESRCH, "has exited");
	/* Before looking: whoever comes after that makes the number another one. */
	if (s->ask->shares)
		s->shares = s->ask->shares(s->ask->ctx);
	ret = bs_sharers_find(s->ask->pid, s->live, &s->sharers);
	if (ret == -ENOSYS)
		return FAIL(s, -EBUSY,
			    "cannot tell whether others share its memory: this kernel has no kcmp");
	if (ret == -E2BIG)
		return FAIL(s, -EBUSY, "more than %d processes share its memory", BS_SHARERS_MAX);
	if (ret)
		return FAIL(s, -EAGAIN, "cannot look for processes that share its memory: %s",
			    strerror(-ret));
	/* One that has gone meanwhile shares nothing. */
	for (size_t i = 0; i < s->sharers.n; i++)
		if (!s->sharers.v[i].vfork)
			dir_open(s, s->sharers.v[i].pid);
	for (size_t i = 0; i < s->ndirs; i++)
		if (!fstat(s->dir[i].fd, &st))
			threads += st.st_nlink;
	ret = table_init(s, threads * 2 + 256);
	return ret ? FAIL(s, -EAGAIN, "out of memory") : 0;
}

/* --- seizing ---------------------------------------------------------------------------------- */

/* The process or thread that traces tid, 0 if nobody does. */
static pid_t tracer_of(pid_t tid)
{
	char path[64], buf[2048], *line;
	pid_t tracer = 0;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[got > 0 ? got : 0] = '\0';
	line = strstr(buf, "\nTracerPid:");
	if (line)
		sscanf(line, " TracerPid: %d", &tracer);
	return tracer;
}

static void name_of(pid_t pid, char *name, size_t size)
{
	char path[64], raw[64];
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, raw, sizeof(raw) - 1);
		close(fd);
	}
	raw[got > 0 ? got : 0] = '\0';
	raw[strcspn(raw, "\n")] = '\0';
	bs_text_clean(name, size, raw[0] ? raw : "?");
}

bool bs_stop_is_dead(pid_t tid)
{
	pid_t parent;
	char state;
	int ret = bs_sharers_stat(tid, &state, &parent);

	/* Only what is known to be dead: whom we take for dead is not stopped. */
	return ret == -ESRCH || (!ret && (state == 'Z' || state == 'X'));
}

/* Why PTRACE_SEIZE said EPERM; 0 if the thread is dead. */
static int refused(struct stop *s, pid_t pid, pid_t tid)
{
	pid_t tracer;
	char name[64];

	if (bs_stop_is_dead(tid))
		return 0;
	tracer = tracer_of(tid);
	if (tracer) {
		name_of(tracer, name, sizeof(name));
		/* Another tool's short-lived tracer: it will be done in a moment. */
		if (!strcmp(name, "bscope-surgeon"))
			return FAIL(s, -EAGAIN, "another bscope-trace is at it");
	}
	if (pid != s->ask->pid)
		return FAIL(s, -EBUSY, "process %d shares its memory and cannot be stopped (%s)",
			    pid, tracer ? "it is being traced" : "not permitted");
	if (tracer)
		return FAIL(
			s, -EPERM,
			"is being traced by %s (pid %d), and a process can have only one tracer",
			name, tracer);
	return FAIL(s, -EPERM, "not permitted to trace it: run as root, or with CAP_SYS_PTRACE");
}

struct scan {
	struct stop *s;
	pid_t pid;
	size_t seen, fresh;
};

static int seize(void *ctx, pid_t tid)
{
	struct scan *scan = ctx;
	struct stop *s = scan->s;
	struct thread *t = bs_stop_table_find(s, tid);
	int ret;

	scan->seen++;
	if (t && t->state != GONE)
		return 0;
	if (!t && table_full(s))
		return FAIL(s, -EAGAIN, "starts threads faster than they can be stopped");
	/* A thread on its way out may be refused while it does not look dead yet: ask twice. */
	for (int i = 0; i < 2; i++) {
		/* No options: no EXITKILL above all, nothing of ours may take it along. */
		if (!ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
			table_seized(s, tid);
			scan->fresh++;
			if (bs_stop_test_seized)
				bs_stop_test_seized(s->n);
			return 0;
		}
		if (errno == ESRCH)
			return 0;
		if (errno != EPERM)
			return FAIL(s, -errno, "cannot trace it: %s", strerror(errno));
		ret = refused(s, scan->pid, tid);
		if (!ret)
			return 0;
	}
	return ret;
}

/*
 * A list that is read while threads end can skip one, but the directory knows how many there are:
 * its link count is two more.
 */
int bs_stop_seize_all(struct stop *s, size_t *fresh, bool *steady)
{
	*fresh = 0;
	*steady = true;
	for (size_t i = 0; i < s->ndirs; i++) {
		struct scan scan = {.s = s, .pid = s->dir[i].pid};
		struct stat st;
		int ret = bs_sharers_each(s->dir[i].fd, seize, &scan);

		/* The process has gone. */
		if (ret == -ENOENT || ret == -ESRCH)
			continue;
		if (ret)
			return ret;
		*fresh += scan.fresh;
		if (!fstat(s->dir[i].fd, &st) && st.st_nlink > scan.seen + 2)
			*steady = false;
	}
	return 0;
}

/* --- with everybody stopped ------------------------------------------------------------------- */

static bool is_known(const struct stop *s, pid_t pid)
{
	for (size_t i = 0; i < s->sharers.n; i++)
		if (s->sharers.v[i].pid == pid)
			return true;
	return false;
}

/*
 * With everybody stopped: is there somebody who runs in this memory and is not among them?  A
 * vfork child was not stopped, because its parent would never have been then; with its parent
 * stopped it has left the memory, if it was one.
 */
int bs_stop_nobody_else(struct stop *s)
{
	int ret;

	for (size_t i = 0; i < s->sharers.n; i++)
		if (s->sharers.v[i].vfork && bs_sharers_same(s->live, s->sharers.v[i].pid))
			return FAIL(s, -EAGAIN, "process %d shares its memory and was not stopped",
				    s->sharers.v[i].pid);
	if (s->ask->shares) {
		if (s->ask->shares(s->ask->ctx) == s->shares)
			return 0;
		return FAIL(s, -EAGAIN, "another process began to share its memory");
	}
	ret = bs_sharers_find(s->ask->pid, s->live, &s->again);
	if (ret)
		return FAIL(s, -EAGAIN, "cannot look for processes that share its memory: %s",
			    strerror(-ret));
	for (size_t i = 0; i < s->again.n; i++)
		if (!is_known(s, s->again.v[i].pid))
			return FAIL(s, -EAGAIN, "process %d began to share its memory",
				    s->again.v[i].pid);
	return 0;
}
