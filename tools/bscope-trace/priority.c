/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * priority.c - a thread that mostly sleeps watches the one that works.
 *
 * Who works with SCHED_IDLE cannot be sure to get to the line that ends it: so it is the watcher,
 * with normal priority, that lifts it.
 */
#define _GNU_SOURCE
#include "bscope-trace/priority.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define NS_PER_MS 1000000ull
/* A spell longer than this, or a ring that fills, and there are none for a while. */
#define SPELL_MS 200
#define LIFT_NS	 (500 * NS_PER_MS)

struct bs_priority {
	pthread_t watcher;
	pid_t tid;
	int policy; /* that the thread had */
	int wait_fd, end_fd;
	bool allowed; /* to get one's priority back */
	/* Written by one thread, read by the other, without a lock: who held it might be waiting. */
	uint64_t spell;	      /* counts beginnings and ends: odd in a spell */
	uint64_t lifted_till; /* CLOCK_MONOTONIC, ns */
};

static int policy_set(pid_t tid, int policy)
{
	const struct sched_param param = {0};

	return sched_setscheduler(tid, policy, &param);
}

static void *watch(void *arg)
{
	struct bs_priority *p = arg;
	uint64_t spell = 0, now;

	for (;;) {
		struct epoll_event event;
		int n = epoll_wait(p->wait_fd, &event, 1, SPELL_MS);

		if (n > 0 && event.data.fd == p->end_fd)
			return NULL;
		now = __atomic_load_n(&p->spell, __ATOMIC_RELAXED);
		/*
		 * Should it end just now, its thread sets the same; should the next have begun, or
		 * not be low yet, it is looked at again.
		 */
		if (now & 1 && (n > 0 || now == spell))
			policy_set(p->tid, p->policy);
		if (n > 0 || (now & 1 && now == spell))
			__atomic_store_n(&p->lifted_till, bs_now_ns() + LIFT_NS, __ATOMIC_RELAXED);
		spell = now;
	}
}

/* Lower and back, by a thread that has nothing to lose. */
static void *try_out(void *arg)
{
	struct bs_priority *p = arg;

	p->allowed = !policy_set(0, SCHED_IDLE) && !policy_set(0, p->policy);
	return NULL;
}

static int wait_for(int wait_fd, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(wait_fd, EPOLL_CTL_ADD, fd, &event);
}

static bool start(struct bs_priority *p, void *(*run)(void *))
{
	sigset_t all, old;
	int ret;

	/* Signals are for the thread that works. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&p->watcher, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return !ret;
}

struct bs_priority *bs_priority_new(int ring_fd)
{
	struct bs_priority *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->tid = gettid();
	p->policy = sched_getscheduler(0);
	p->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	p->end_fd = eventfd(0, EFD_CLOEXEC);
	if ((p->policy != SCHED_OTHER && p->policy != SCHED_BATCH) || p->wait_fd < 0 ||
	    p->end_fd < 0 || wait_for(p->wait_fd, ring_fd, EPOLLIN | EPOLLET) ||
	    wait_for(p->wait_fd, p->end_fd, EPOLLIN) || !start(p, try_out))
		goto fail;
	pthread_join(p->watcher, NULL);
	if (p->allowed && start(p, watch))
		return p;
fail:
	if (p->wait_fd >= 0)
		close(p->wait_fd);
	if (p->end_fd >= 0)
		close(p->end_fd);
	free(p);
	return NULL;
}

void bs_priority_free(struct bs_priority *p)
{
	if (!p)
		return;
	bs_priority_normal(p);
	eventfd_write(p->end_fd, 1);
	pthread_join(p->watcher, NULL);
	close(p->wait_fd);
	close(p->end_fd);
	free(p);
}

void bs_priority_low(struct bs_priority *p)
{
	if (!p || p->spell & 1 || bs_now_ns() < __atomic_load_n(&p->lifted_till, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&p->spell, p->spell + 1, __ATOMIC_RELAXED);
	policy_set(p->tid, SCHED_IDLE);
}

bool bs_priority_normal(struct bs_priority *p)
{
	if (!p || !(p->spell & 1))
		return false;
	__atomic_store_n(&p->spell, p->spell + 1, __ATOMIC_RELAXED);
	policy_set(p->tid, p->policy);
	return true;
}
