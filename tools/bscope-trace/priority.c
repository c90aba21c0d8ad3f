/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * priority.c - a process that mostly sleeps watches the thread that works.
 *
 * Who works with SCHED_IDLE cannot be sure to get to the line that ends it: so it is the watcher,
 * with normal priority, that lifts it.  A process, because it must not die with the other: a tool
 * that is killed in a spell has a way to go still, through the kernel, until its sites are dark.
 */
#define _GNU_SOURCE
#include "bscope-trace/priority.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* A spell longer than this, or a ring that fills, and there are none for a while. */
#define SPELL_MS 200
#define LIFT_NS	 500000000ull

/* Written by one process, read by the other, without a lock: who held it might be waiting. */
struct spells {
	uint64_t n;	      /* counts beginnings and ends: odd in a spell */
	uint64_t lifted_till; /* CLOCK_MONOTONIC, ns */
};

struct bs_priority {
	pid_t tid, watcher;
	int policy; /* that the thread had */
	int ring_fd, end_fd, pid_fd;
	struct spells *spells;
};

static int policy_set(pid_t tid, int policy)
{
	const struct sched_param param = {0};

	return sched_setscheduler(tid, policy, &param);
}

static int wait_for(int wait_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return fd < 0 ? 0 : epoll_ctl(wait_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Until the tool says so, or is dead. */
static void watch(const struct bs_priority *p, int wait_fd)
{
	struct spells *s = p->spells;
	uint64_t seen = 0;

	for (;;) {
		struct epoll_event event;
		int n = epoll_wait(wait_fd, &event, 1, SPELL_MS);
		uint64_t now = __atomic_load_n(&s->n, __ATOMIC_RELAXED);

		if (n > 0 && event.data.fd != p->ring_fd)
			return;
		if (n > 0 || (now & 1 && now == seen))
			__atomic_store_n(&s->lifted_till, bs_now_ns() + LIFT_NS, __ATOMIC_RELAXED);
		/*
		 * Should it end just now, its thread sets the same; should the next have begun, or
		 * not be low yet, it is looked at again.
		 */
		if (now & 1 && (n > 0 || now == seen))
			policy_set(p->tid, p->policy);
		seen = now;
	}
}

/* Keeps nothing of the tool's but what it looks at. */
static void watcher_main(const struct bs_priority *p)
{
	int keep[3] = {p->ring_fd, p->end_fd, p->pid_fd}, wait_fd;
	unsigned first = 0;

	prctl(PR_SET_NAME, "bscope-watcher");
	for (int i = 0; i < 3; i++)
		for (int k = i + 1; k < 3; k++)
			if (keep[k] < keep[i]) {
				int lower = keep[k];

				keep[k] = keep[i];
				keep[i] = lower;
			}
	for (int i = 0; i < 3; i++) {
		if (keep[i] < 0)
			continue;
		if ((unsigned)keep[i] > first)
			close_range(first, (unsigned)keep[i] - 1, 0);
		first = (unsigned)keep[i] + 1;
	}
	close_range(first, ~0u, 0);
	wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wait_fd < 0 || wait_for(wait_fd, p->ring_fd, EPOLLIN | EPOLLET) ||
	    wait_for(wait_fd, p->end_fd, EPOLLIN) || wait_for(wait_fd, p->pid_fd, EPOLLIN))
		_exit(1);
	/* Lower and back, by somebody who has nothing to lose. */
	if (policy_set(0, SCHED_IDLE) || policy_set(0, p->policy))
		_exit(1);
	__atomic_store_n(&p->spells->n, 2, __ATOMIC_RELEASE);
	watch(p, wait_fd);
	_exit(0);
}

/* False if it has ended, which is when it may not get its own priority back. */
static bool watcher_ready(const struct bs_priority *p)
{
	while (!__atomic_load_n(&p->spells->n, __ATOMIC_ACQUIRE)) {
		if (waitpid(p->watcher, NULL, WNOHANG))
			return false;
		usleep(100);
	}
	return true;
}

static void release(struct bs_priority *p)
{
	if (p->end_fd >= 0)
		close(p->end_fd);
	if (p->pid_fd >= 0)
		close(p->pid_fd);
	if (p->spells != MAP_FAILED)
		munmap(p->spells, sizeof(*p->spells));
	free(p);
}

struct bs_priority *bs_priority_new(int ring_fd)
{
	struct bs_priority *p = calloc(1, sizeof(*p));
	sigset_t all, old;

	if (!p)
		return NULL;
	p->tid = gettid();
	p->policy = sched_getscheduler(0);
	p->ring_fd = ring_fd;
	p->end_fd = eventfd(0, EFD_CLOEXEC);
	p->pid_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	p->spells = mmap(NULL, sizeof(*p->spells), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if ((p->policy != SCHED_OTHER && p->policy != SCHED_BATCH) || p->end_fd < 0 ||
	    p->pid_fd < 0 || p->spells == MAP_FAILED)
		goto fail;
	/* Ctrl-C is for the tool. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	p->watcher = fork();
	if (!p->watcher)
		watcher_main(p);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (p->watcher > 0 && watcher_ready(p))
		return p;
fail:
	release(p);
	return NULL;
}

void bs_priority_free(struct bs_priority *p)
{
	if (!p)
		return;
	bs_priority_normal(p);
	eventfd_write(p->end_fd, 1);
	while (waitpid(p->watcher, NULL, 0) < 0 && errno == EINTR)
		;
	release(p);
}

void bs_priority_low(struct bs_priority *p)
{
	uint64_t n = p ? p->spells->n : 1;

	if (n & 1 || bs_now_ns() < __atomic_load_n(&p->spells->lifted_till, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&p->spells->n, n + 1, __ATOMIC_RELAXED);
	policy_set(p->tid, SCHED_IDLE);
}

bool bs_priority_normal(struct bs_priority *p)
{
	uint64_t n = p ? p->spells->n : 0;

	if (!(n & 1))
		return false;
	__atomic_store_n(&p->spells->n, n + 1, __ATOMIC_RELAXED);
	policy_set(p->tid, p->policy);
	return true;
}
