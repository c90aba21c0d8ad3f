/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr_events.h - calls that wait for events: an eventfd in many ways, asynchronous input and
 * output. */
#ifndef EINTR_EVENTS_H
#define EINTR_EVENTS_H

#include "eintr.h"

#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>

/* --- an eventfd, waited for in many ways --- */

static void event_prepare(struct seat *s)
{
	NEED((s->a = eventfd(0, EFD_NONBLOCK)) >= 0);
}

static bool event_wake(struct seat *s)
{
	uint64_t one = 1;

	return write(s->a, &one, sizeof(one)) == sizeof(one);
}

/* What said that there is something must be right. */
static int event_take(struct seat *s, int result)
{
	uint64_t n;

	if (result == WOKEN && read(s->a, &n, sizeof(n)) != sizeof(n))
		return -errno;
	return result;
}

static void epoll_prepare(struct seat *s)
{
	struct epoll_event ev = {.events = EPOLLIN};

	event_prepare(s);
	NEED((s->b = epoll_create1(0)) >= 0);
	NEED(!epoll_ctl(s->b, EPOLL_CTL_ADD, s->a, &ev));
}

static int wait_epoll_wait(struct seat *s, int ms)
{
	struct epoll_event ev;

	seat_enter(s);
	return event_take(s, counted_result(seat_leave(s, epoll_wait(s->b, &ev, 1, ms))));
}

static int wait_epoll_pwait(struct seat *s, int ms)
{
	struct epoll_event ev;
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	seat_enter(s);
	return event_take(s, counted_result(seat_leave(s, epoll_pwait(s->b, &ev, 1, ms, &set))));
}

static int wait_epoll_pwait2(struct seat *s, int ms)
{
	struct epoll_event ev;
	struct timespec ts;

	seat_enter(s);
	return event_take(
		s, counted_result(seat_leave(s, epoll_pwait2(s->b, &ev, 1, span(ms, &ts), NULL))));
}

static int wait_poll(struct seat *s, int ms)
{
	struct pollfd p = {s->a, POLLIN, 0};

	seat_enter(s);
	return event_take(s, counted_result(seat_leave(s, poll(&p, 1, ms))));
}

static int wait_ppoll(struct seat *s, int ms)
{
	struct pollfd p = {s->a, POLLIN, 0};
	struct timespec ts;

	seat_enter(s);
	return event_take(s, counted_result(seat_leave(s, ppoll(&p, 1, span(ms, &ts), NULL))));
}

static int wait_select(struct seat *s, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(s->a, &set);
	seat_enter(s);
	return event_take(s, counted_result(seat_leave(
				     s, select(s->a + 1, &set, NULL, NULL, ms < 0 ? NULL : &tv))));
}

static int wait_pselect(struct seat *s, int ms)
{
	struct timespec ts;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(s->a, &set);
	seat_enter(s);
	return event_take(s, counted_result(seat_leave(
				     s, pselect(s->a + 1, &set, NULL, NULL, span(ms, &ts), NULL))));
}

static void blocking_event_prepare(struct seat *s)
{
	NEED((s->a = eventfd(0, 0)) >= 0);
}

static int wait_eventfd(struct seat *s, int ms)
{
	uint64_t n;

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, &n, sizeof(n))));
}

/* --- asynchronous input and output, by raw system calls --- */

static void aio_prepare(struct seat *s)
{
	aio_context_t *context = calloc(1, sizeof(*context));

	event_prepare(s);
	NEED(!syscall(SYS_io_setup, 4, context));
	s->p = context;
}

static void aio_submit(struct seat *s)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = (uint32_t)s->a, .aio_buf = POLLIN};
	struct iocb *list = &cb;

	if (!s->b)
		NEED(syscall(SYS_io_submit, *(aio_context_t *)s->p, 1, &list) == 1);
	s->b = 1;
}

static int aio_result(struct seat *s, long r)
{
	if (r > 0)
		s->b = 0;
	return event_take(s, counted_result(r));
}

static int wait_io_getevents(struct seat *s, int ms)
{
	struct io_event event;
	struct timespec ts;

	aio_submit(s);
	seat_enter(s);
	return aio_result(s, seat_leave(s, syscall(SYS_io_getevents, *(aio_context_t *)s->p, 1, 1,
						   &event, span(ms, &ts))));
}

static int wait_io_pgetevents(struct seat *s, int ms)
{
	struct io_event event;
	struct timespec ts;

	aio_submit(s);
	seat_enter(s);
	return aio_result(s, seat_leave(s, syscall(SYS_io_pgetevents, *(aio_context_t *)s->p, 1, 1,
						   &event, span(ms, &ts), NULL)));
}

struct uring {
	struct io_uring_params params;
	char *rings;
	struct io_uring_sqe *sqes;
};

static void uring_prepare(struct seat *s)
{
	struct uring *u = calloc(1, sizeof(*u));

	event_prepare(s);
	s->p = u;
	NEED((s->c = (int)syscall(SYS_io_uring_setup, 4, &u->params)) >= 0);
	NEED(u->params.features & IORING_FEAT_SINGLE_MMAP);
	u->rings = mmap(NULL,
			u->params.cq_off.cqes + u->params.cq_entries * sizeof(struct io_uring_cqe) +
				4096,
			PROT_READ | PROT_WRITE, MAP_SHARED, s->c, IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->params.sq_entries * sizeof(*u->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED, s->c, IORING_OFF_SQES);
	NEED(u->rings != MAP_FAILED && u->sqes != MAP_FAILED);
}

static unsigned *ring_word(struct uring *u, unsigned offset)
{
	return (unsigned *)(void *)(u->rings + offset);
}

static int wait_io_uring_enter(struct seat *s, int ms)
{
	struct uring *u = s->p;
	struct __kernel_timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts};
	unsigned *head = ring_word(u, u->params.cq_off.head);
	long r;

	if (!s->b) { /* one poll, submitted by a call of its own */
		unsigned *tail = ring_word(u, u->params.sq_off.tail);
		unsigned at = *tail & (u->params.sq_entries - 1);

		memset(&u->sqes[at], 0, sizeof(u->sqes[at]));
		u->sqes[at].opcode = IORING_OP_POLL_ADD;
		u->sqes[at].fd = s->a;
		u->sqes[at].poll32_events = POLLIN;
		ring_word(u, u->params.sq_off.array)[at] = at;
		__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
		NEED(syscall(SYS_io_uring_enter, s->c, 1, 0, 0, NULL, 0) == 1);
		s->b = 1;
	}
	seat_enter(s);
	if (ms < 0)
		r = syscall(SYS_io_uring_enter, s->c, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	else
		r = syscall(SYS_io_uring_enter, s->c, 0, 1,
			    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
	r = seat_leave(s, r);
	if (*head == __atomic_load_n(ring_word(u, u->params.cq_off.tail), __ATOMIC_ACQUIRE))
		return r == -ETIME || r == 0 ? TIMED_OUT : (int)r;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	s->b = 0;
	return event_take(s, WOKEN);
}

#endif
