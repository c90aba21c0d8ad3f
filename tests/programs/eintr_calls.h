/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * eintr_calls.h - calls that block, and how each is woken: the table `calls` for eintr.c.
 *
 * Those of which a stop makes EINTR unless the tool takes care, and those that the kernel
 * restarts by itself.
 */
#ifndef EINTR_CALLS_H
#define EINTR_CALLS_H

#include "eintr.h"

#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Sent to single threads, blocked everywhere. */
#define SIG_WAITED (SIGRTMIN + 4)
#define SIG_READ   (SIGRTMIN + 5)

#define NEED(x)                                                                   \
	do {                                                                      \
		if (!(x)) {                                                       \
			fprintf(stderr, "eintr: %s: %s: %s\n", s->call->name, #x, \
				strerror(errno));                                 \
			abort();                                                  \
		}                                                                 \
	} while (0)

static struct timespec *span(int ms, struct timespec *ts)
{
	ts->tv_sec = ms / 1000;
	ts->tv_nsec = (long)(ms % 1000) * 1000000;
	return ms < 0 ? NULL : ts;
}

/* A time of a clock; "never" is an hour. */
static struct timespec *until(clockid_t clock, int ms, struct timespec *ts)
{
	clock_gettime(clock, ts);
	ts->tv_sec += ms < 0 ? 3600 : ms / 1000;
	ts->tv_nsec += ms < 0 ? 0 : (long)(ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
	return ts;
}

/* Of calls that return how much they did, 0 being a timeout. */
static int counted_result(long r)
{
	return r < 0 ? (int)r : r > 0 ? WOKEN : TIMED_OUT;
}

/* Of calls that fail with an error of their own after the timeout. */
static int timed_result(long r, int timeout_error)
{
	return r == -timeout_error ? TIMED_OUT : r < 0 ? (int)r : WOKEN;
}

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

/* --- sockets --- */

static void receive_within(struct seat *s, int fd, int option, int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000}; /* 0: no limit */

	if (ms < 0)
		tv.tv_sec = tv.tv_usec = 0;
	NEED(!setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)));
}

static socklen_t address(struct seat *s, struct sockaddr_un *to)
{
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(to->sun_path + 1, sizeof(to->sun_path) - 1,
					    "bscope-eintr-%d-%d", getpid(), s->tid));
}

static void socket_prepare(struct seat *s)
{
	int fds[2];

	NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	s->a = fds[0];
	s->b = fds[1];
}

static bool socket_wake(struct seat *s)
{
	return send(s->b, "x", 1, MSG_DONTWAIT) == 1;
}

static int wait_recv(struct seat *s, int ms)
{
	char byte;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, recv(s->a, &byte, 1, 0)), EAGAIN);
}

static int wait_recvmsg(struct seat *s, int ms)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, recvmsg(s->a, &msg, 0)), EAGAIN);
}

static int wait_recvmmsg(struct seat *s, int ms)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr msg = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, recvmmsg(s->a, &msg, 1, 0, NULL)), EAGAIN);
}

static int wait_read_socket(struct seat *s, int ms)
{
	char byte;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, read(s->a, &byte, 1)), EAGAIN);
}

/*
 * To a receiver that is nobody's peer: then it is the number of messages that blocks the sender,
 * and receiving one lets it send one.
 */
static void full_socket_prepare(struct seat *s)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);

	NEED((s->a = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	NEED((s->b = socket(AF_UNIX, SOCK_DGRAM, 0)) >= 0);
	NEED(!bind(s->b, (struct sockaddr *)&to, size));
	NEED(!connect(s->a, (struct sockaddr *)&to, size));
	while (send(s->a, "x", 1, MSG_DONTWAIT) == 1)
		;
}

static bool full_socket_wake(struct seat *s)
{
	char byte;

	return recv(s->b, &byte, 1, MSG_DONTWAIT) == 1;
}

static int wait_send(struct seat *s, int ms)
{
	receive_within(s, s->a, SO_SNDTIMEO, ms);
	seat_enter(s);
	return timed_result(seat_leave(s, send(s->a, "x", 1, 0)), EAGAIN);
}

static void listen_prepare(struct seat *s)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);

	NEED((s->a = socket(AF_UNIX, SOCK_STREAM, 0)) >= 0);
	NEED(!bind(s->a, (struct sockaddr *)&to, size));
	NEED(!listen(s->a, 1));
}

static bool connect_once(struct seat *s, int *keep)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bool done = !connect(fd, (struct sockaddr *)&to, size);

	if (done && keep)
		*keep = fd;
	else
		close(fd);
	return done;
}

static bool listen_wake(struct seat *s)
{
	return connect_once(s, NULL);
}

static int wait_accept(struct seat *s, int ms)
{
	long fd;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	fd = seat_leave(s, accept(s->a, NULL, NULL));
	if (fd >= 0)
		close((int)fd);
	return timed_result(fd, EAGAIN);
}

static int wait_accept4(struct seat *s, int ms)
{
	long fd;

	receive_within(s, s->a, SO_RCVTIMEO, ms);
	seat_enter(s);
	fd = seat_leave(s, accept4(s->a, NULL, NULL, SOCK_CLOEXEC));
	if (fd >= 0)
		close((int)fd);
	return timed_result(fd, EAGAIN);
}

/* Connecting where the queue is full, until somebody accepts. */
static void full_listen_prepare(struct seat *s)
{
	int fd;

	listen_prepare(s);
	while (connect_once(s, &fd))
		;
}

static bool full_listen_wake(struct seat *s)
{
	int fd = accept4(s->a, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int wait_connect(struct seat *s, int ms)
{
	struct sockaddr_un to;
	socklen_t size = address(s, &to);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	long r;

	receive_within(s, fd, SO_SNDTIMEO, ms);
	seat_enter(s);
	r = seat_leave(s, connect(fd, (struct sockaddr *)&to, size));
	close(fd);
	return timed_result(r, EAGAIN);
}

/* --- System V and POSIX queues and semaphores --- */

static void sysv_sem_prepare(struct seat *s)
{
	NEED((s->a = semget(IPC_PRIVATE, 1, 0600)) >= 0);
}

static bool sysv_sem_wake(struct seat *s)
{
	struct sembuf up = {0, 1, 0};

	return !semop(s->a, &up, 1);
}

static int wait_semop(struct seat *s, int ms)
{
	struct sembuf down = {0, -1, 0};

	(void)ms;
	seat_enter(s);
	return timed_result(seat_leave(s, semop(s->a, &down, 1)), EAGAIN);
}

static int wait_semtimedop(struct seat *s, int ms)
{
	struct sembuf down = {0, -1, 0};
	struct timespec ts;

	seat_enter(s);
	return timed_result(seat_leave(s, semtimedop(s->a, &down, 1, span(ms, &ts))), EAGAIN);
}

struct message {
	long type;
	char text[2048];
};

static void sysv_msg_prepare(struct seat *s)
{
	NEED((s->b = msgget(IPC_PRIVATE, 0600)) >= 0);
}

static bool sysv_msg_wake(struct seat *s)
{
	struct message m = {1, ""};

	return !msgsnd(s->b, &m, 1, IPC_NOWAIT);
}

static int wait_msgrcv(struct seat *s, int ms)
{
	struct message m;

	(void)ms;
	seat_enter(s);
	return timed_result(seat_leave(s, msgrcv(s->b, &m, sizeof(m.text), 0, 0)), ENOMSG);
}

static void sysv_full_msg_prepare(struct seat *s)
{
	struct message m = {1, ""};

	sysv_msg_prepare(s);
	while (!msgsnd(s->b, &m, sizeof(m.text), IPC_NOWAIT))
		;
}

static bool sysv_full_msg_wake(struct seat *s)
{
	struct message m;

	return msgrcv(s->b, &m, sizeof(m.text), 0, IPC_NOWAIT) >= 0;
}

static int wait_msgsnd(struct seat *s, int ms)
{
	struct message m = {1, ""};

	(void)ms;
	seat_enter(s);
	return timed_result(seat_leave(s, msgsnd(s->b, &m, sizeof(m.text), 0)), EAGAIN);
}

static void mq_prepare(struct seat *s)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 8};

	snprintf(s->path, sizeof(s->path), "/bscope-eintr-%d", s->tid);
	NEED((s->a = mq_open(s->path, O_CREAT | O_EXCL | O_RDWR, 0600, &attr)) >= 0);
	mq_unlink(s->path);
}

static bool mq_wake(struct seat *s)
{
	struct timespec past = {0, 0};

	return !mq_timedsend(s->a, "x", 1, 0, &past);
}

static int wait_mq_timedreceive(struct seat *s, int ms)
{
	struct timespec ts;
	char text[8];

	until(CLOCK_REALTIME, ms, &ts);
	seat_enter(s);
	return timed_result(seat_leave(s, mq_timedreceive(s->a, text, sizeof(text), NULL, &ts)),
			    ETIMEDOUT);
}

static void sem_prepare(struct seat *s)
{
	s->p = calloc(1, sizeof(sem_t));
	NEED(!sem_init(s->p, 0, 0));
}

static bool sem_wake(struct seat *s)
{
	return !sem_post(s->p);
}

static int wait_sem_timedwait(struct seat *s, int ms)
{
	struct timespec ts;

	until(CLOCK_REALTIME, ms, &ts);
	seat_enter(s);
	return timed_result(seat_leave(s, ms < 0 ? sem_wait(s->p) : sem_timedwait(s->p, &ts)),
			    ETIMEDOUT);
}

/* --- futexes --- */

static void nothing_prepare(struct seat *s)
{
	(void)s;
}

static bool futex_wake(struct seat *s)
{
	__atomic_store_n(&s->word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &s->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return true;
}

/* The word says it, whatever the call said. */
static int futex_result(struct seat *s, long r)
{
	if (__atomic_exchange_n(&s->word, 0, __ATOMIC_SEQ_CST))
		return WOKEN;
	return r == -ETIMEDOUT || r == -EAGAIN || r >= 0 ? TIMED_OUT : (int)r;
}

static int wait_futex(struct seat *s, int ms)
{
	struct timespec ts;

	seat_enter(s);
	return futex_result(s, seat_leave(s, syscall(SYS_futex, &s->word, FUTEX_WAIT_PRIVATE, 0,
						     span(ms, &ts), NULL, 0)));
}

static int wait_futex_bitset(struct seat *s, int ms)
{
	struct timespec ts;

	until(CLOCK_MONOTONIC, ms, &ts);
	seat_enter(s);
	return futex_result(s, seat_leave(s, syscall(SYS_futex, &s->word, FUTEX_WAIT_BITSET_PRIVATE,
						     0, &ts, NULL, FUTEX_BITSET_MATCH_ANY)));
}

static int wait_futex_waitv(struct seat *s, int ms)
{
	struct futex_waitv v = {.uaddr = (uintptr_t)&s->word,
				.flags = FUTEX_32 | FUTEX_PRIVATE_FLAG};
	struct timespec ts;

	until(CLOCK_MONOTONIC, ms, &ts);
	seat_enter(s);
	return futex_result(
		s, seat_leave(s, syscall(SYS_futex_waitv, &v, 1, 0, &ts, CLOCK_MONOTONIC)));
}

static void cond_prepare(struct seat *s)
{
	NEED(!pthread_mutex_init(&s->mutex, NULL));
	NEED(!pthread_cond_init(&s->cond, NULL));
}

static bool cond_wake(struct seat *s)
{
	pthread_mutex_lock(&s->mutex);
	s->word = 1;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->mutex);
	return true;
}

static int wait_cond_timedwait(struct seat *s, int ms)
{
	struct timespec ts;
	int r = 0;

	until(CLOCK_REALTIME, ms, &ts);
	pthread_mutex_lock(&s->mutex);
	if (!s->word) {
		seat_enter(s);
		r = pthread_cond_timedwait(&s->cond, &s->mutex, &ts);
		seat_leave(s, 0);
	}
	if (s->word)
		r = WOKEN;
	else
		r = r == ETIMEDOUT ? TIMED_OUT : -r;
	s->word = 0;
	pthread_mutex_unlock(&s->mutex);
	return r;
}

/* --- time --- */

static int wait_nanosleep(struct seat *s, int ms)
{
	struct timespec ts;

	span(ms < 0 ? 3600000 : ms, &ts);
	seat_enter(s);
	return (int)seat_leave(s, nanosleep(&ts, NULL));
}

static int sleep_result(struct seat *s, int error)
{
	errno = error;
	return seat_leave(s, error ? -1 : 0) < 0 ? -error : TIMED_OUT;
}

static int wait_clock_nanosleep(struct seat *s, int ms)
{
	struct timespec ts;

	span(ms < 0 ? 3600000 : ms, &ts);
	seat_enter(s);
	return sleep_result(s, clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
}

static int wait_clock_nanosleep_abs(struct seat *s, int ms)
{
	struct timespec ts;

	until(CLOCK_MONOTONIC, ms, &ts);
	seat_enter(s);
	return sleep_result(s, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
}

static void timer_prepare(struct seat *s)
{
	NEED((s->a = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
}

static bool timer_wake(struct seat *s)
{
	struct itimerspec soon = {{0, 0}, {0, 300000}};

	return !timerfd_settime(s->a, 0, &soon, NULL);
}

static int wait_timerfd(struct seat *s, int ms)
{
	uint64_t n;

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, &n, sizeof(n))));
}

/* --- signals --- */

static int wait_pause(struct seat *s, int ms)
{
	(void)ms;
	seat_enter(s);
	return (int)seat_leave(s, pause());
}

static int wait_sigsuspend(struct seat *s, int ms)
{
	sigset_t set;

	(void)ms;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	seat_enter(s);
	return (int)seat_leave(s, sigsuspend(&set));
}

static bool waited_wake(struct seat *s)
{
	return !pthread_kill(s->thread, SIG_WAITED);
}

static int wait_sigtimedwait(struct seat *s, int ms)
{
	struct timespec ts;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIG_WAITED);
	seat_enter(s);
	return timed_result(seat_leave(s, sigtimedwait(&set, NULL, span(ms, &ts))), EAGAIN);
}

static int wait_sigwaitinfo(struct seat *s, int ms)
{
	sigset_t set;

	(void)ms;
	sigemptyset(&set);
	sigaddset(&set, SIG_WAITED);
	seat_enter(s);
	return timed_result(seat_leave(s, sigwaitinfo(&set, NULL)), EAGAIN);
}

static void signalfd_prepare(struct seat *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIG_READ);
	NEED((s->a = signalfd(-1, &set, 0)) >= 0);
}

static bool signalfd_wake(struct seat *s)
{
	return !pthread_kill(s->thread, SIG_READ);
}

static int wait_signalfd(struct seat *s, int ms)
{
	struct signalfd_siginfo info;

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, &info, sizeof(info))));
}

/* --- pipes, files, locks --- */

static void pipe_prepare(struct seat *s)
{
	int fds[2];

	NEED(!pipe(fds));
	s->a = fds[0];
	s->b = fds[1];
}

static bool pipe_wake(struct seat *s)
{
	return write(s->b, "x", 1) == 1;
}

static int wait_pipe(struct seat *s, int ms)
{
	char byte;

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, &byte, 1)));
}

static void full_pipe_prepare(struct seat *s)
{
	static const char zeros[4096];

	pipe_prepare(s);
	NEED(!fcntl(s->b, F_SETFL, O_NONBLOCK));
	while (write(s->b, zeros, sizeof(zeros)) == sizeof(zeros))
		;
	NEED(!fcntl(s->b, F_SETFL, 0));
}

static bool full_pipe_wake(struct seat *s)
{
	char page[4096];

	return read(s->a, page, sizeof(page)) == sizeof(page);
}

static int wait_full_pipe(struct seat *s, int ms)
{
	static const char zeros[4096];

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, write(s->b, zeros, sizeof(zeros))));
}

static void temporary(struct seat *s)
{
	snprintf(s->path, sizeof(s->path), "/tmp/bscope-eintr-%d-%d", getpid(), s->tid);
}

static void fifo_prepare(struct seat *s)
{
	temporary(s);
	NEED(!mkfifo(s->path, 0600));
}

static bool fifo_wake(struct seat *s)
{
	int fd = open(s->path, O_WRONLY | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int wait_open_fifo(struct seat *s, int ms)
{
	long fd;

	(void)ms;
	seat_enter(s);
	fd = seat_leave(s, open(s->path, O_RDONLY));
	if (fd >= 0)
		close((int)fd);
	return timed_result(fd, EAGAIN);
}

static void inotify_prepare(struct seat *s)
{
	temporary(s);
	NEED((s->b = open(s->path, O_CREAT | O_RDWR, 0600)) >= 0);
	NEED((s->a = inotify_init1(0)) >= 0);
	NEED(inotify_add_watch(s->a, s->path, IN_MODIFY) >= 0);
}

static bool inotify_wake(struct seat *s)
{
	return pwrite(s->b, "x", 1, 0) == 1;
}

static int wait_inotify(struct seat *s, int ms)
{
	char events[4096];

	(void)ms;
	seat_enter(s);
	return counted_result(seat_leave(s, read(s->a, events, sizeof(events))));
}

/* a waits for the lock that b has; woken it gives it back. */
static void lock_prepare(struct seat *s)
{
	temporary(s);
	NEED((s->a = open(s->path, O_CREAT | O_RDWR, 0600)) >= 0);
	NEED((s->b = open(s->path, O_RDWR)) >= 0);
	unlink(s->path);
}

static void flock_prepare(struct seat *s)
{
	lock_prepare(s);
	NEED(!flock(s->b, LOCK_EX));
}

static bool flock_wake(struct seat *s)
{
	return !flock(s->b, LOCK_UN);
}

static int wait_flock(struct seat *s, int ms)
{
	long r;

	(void)ms;
	seat_enter(s);
	r = seat_leave(s, flock(s->a, LOCK_EX));
	if (r < 0)
		return (int)r;
	NEED(!flock(s->a, LOCK_UN));
	NEED(!flock(s->b, LOCK_EX | LOCK_NB));
	return WOKEN;
}

static int record_lock(int fd, int command, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	return fcntl(fd, command, &lock);
}

static void fcntl_prepare(struct seat *s)
{
	lock_prepare(s);
	NEED(!record_lock(s->b, F_OFD_SETLK, F_WRLCK));
}

static bool fcntl_wake(struct seat *s)
{
	return !record_lock(s->b, F_OFD_SETLK, F_UNLCK);
}

static int wait_fcntl(struct seat *s, int ms)
{
	long r;

	(void)ms;
	seat_enter(s);
	r = seat_leave(s, record_lock(s->a, F_OFD_SETLKW, F_WRLCK));
	if (r < 0)
		return (int)r;
	NEED(!record_lock(s->a, F_OFD_SETLK, F_UNLCK));
	NEED(!record_lock(s->b, F_OFD_SETLK, F_WRLCK));
	return WOKEN;
}

/* --- children, which wait to be killed --- */

static void child_prepare(struct seat *s)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	__atomic_store_n(&s->a, pid, __ATOMIC_SEQ_CST);
}

static bool child_wake(struct seat *s)
{
	pid_t pid = __atomic_exchange_n(&s->a, 0, __ATOMIC_SEQ_CST);

	return pid && !kill(pid, SIGKILL);
}

/* s->c: the child, whoever is just killing it. */
static int child_result(struct seat *s, long r)
{
	if (r < 0)
		return (int)r;
	child_prepare(s);
	s->c = s->a;
	return WOKEN;
}

static int wait_wait4(struct seat *s, int ms)
{
	(void)ms;
	if (!s->c)
		s->c = s->a;
	seat_enter(s);
	return child_result(s, seat_leave(s, waitpid(s->c, NULL, 0)));
}

static int wait_waitid(struct seat *s, int ms)
{
	siginfo_t info;

	(void)ms;
	if (!s->c)
		s->c = s->a;
	seat_enter(s);
	return child_result(s, seat_leave(s, waitid(P_PID, (id_t)s->c, &info, WEXITED)));
}

static const struct call calls[] = {
	{"epoll_wait", epoll_prepare, wait_epoll_wait, event_wake, false},
	{"epoll_pwait", epoll_prepare, wait_epoll_pwait, event_wake, false},
	{"epoll_pwait2", epoll_prepare, wait_epoll_pwait2, event_wake, false},
	{"poll", event_prepare, wait_poll, event_wake, false},
	{"ppoll", event_prepare, wait_ppoll, event_wake, false},
	{"select", event_prepare, wait_select, event_wake, false},
	{"pselect", event_prepare, wait_pselect, event_wake, false},
	{"read eventfd", blocking_event_prepare, wait_eventfd, event_wake, false},
	{"io_getevents", aio_prepare, wait_io_getevents, event_wake, false},
	{"io_pgetevents", aio_prepare, wait_io_pgetevents, event_wake, false},
	{"io_uring_enter", uring_prepare, wait_io_uring_enter, event_wake, false},
	{"recv", socket_prepare, wait_recv, socket_wake, false},
	{"recvmsg", socket_prepare, wait_recvmsg, socket_wake, false},
	{"recvmmsg", socket_prepare, wait_recvmmsg, socket_wake, false},
	{"read socket", socket_prepare, wait_read_socket, socket_wake, false},
	{"send", full_socket_prepare, wait_send, full_socket_wake, false},
	{"accept", listen_prepare, wait_accept, listen_wake, false},
	{"accept4", listen_prepare, wait_accept4, listen_wake, false},
	{"connect", full_listen_prepare, wait_connect, full_listen_wake, false},
	{"semop", sysv_sem_prepare, wait_semop, sysv_sem_wake, false},
	{"semtimedop", sysv_sem_prepare, wait_semtimedop, sysv_sem_wake, false},
	{"msgrcv", sysv_msg_prepare, wait_msgrcv, sysv_msg_wake, false},
	{"msgsnd", sysv_full_msg_prepare, wait_msgsnd, sysv_full_msg_wake, false},
	{"mq_timedreceive", mq_prepare, wait_mq_timedreceive, mq_wake, false},
	{"sem_timedwait", sem_prepare, wait_sem_timedwait, sem_wake, false},
	{"futex wait", nothing_prepare, wait_futex, futex_wake, false},
	{"futex wait_bitset", nothing_prepare, wait_futex_bitset, futex_wake, false},
	{"futex_waitv", nothing_prepare, wait_futex_waitv, futex_wake, false},
	{"cond_timedwait", cond_prepare, wait_cond_timedwait, cond_wake, true},
	{"nanosleep", nothing_prepare, wait_nanosleep, NULL, false},
	{"clock_nanosleep", nothing_prepare, wait_clock_nanosleep, NULL, false},
	{"clock_nanosleep absolute", nothing_prepare, wait_clock_nanosleep_abs, NULL, false},
	{"read timerfd", timer_prepare, wait_timerfd, timer_wake, false},
	{"pause", nothing_prepare, wait_pause, NULL, false},
	{"sigsuspend", nothing_prepare, wait_sigsuspend, NULL, false},
	{"sigtimedwait", nothing_prepare, wait_sigtimedwait, waited_wake, false},
	{"sigwaitinfo", nothing_prepare, wait_sigwaitinfo, waited_wake, false},
	{"read signalfd", signalfd_prepare, wait_signalfd, signalfd_wake, false},
	{"read pipe", pipe_prepare, wait_pipe, pipe_wake, false},
	{"write pipe", full_pipe_prepare, wait_full_pipe, full_pipe_wake, false},
	{"open fifo", fifo_prepare, wait_open_fifo, fifo_wake, false},
	{"read inotify", inotify_prepare, wait_inotify, inotify_wake, false},
	{"flock", flock_prepare, wait_flock, flock_wake, false},
	{"fcntl lock", fcntl_prepare, wait_fcntl, fcntl_wake, false},
	{"wait4", child_prepare, wait_wait4, child_wake, false},
	{"waitid", child_prepare, wait_waitid, child_wake, false},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* What outlives the process otherwise. */
static void calls_clean(struct seat *s)
{
	if (s->call->prepare == sysv_sem_prepare)
		semctl(s->a, 0, IPC_RMID);
	if (s->call->prepare == sysv_msg_prepare || s->call->prepare == sysv_full_msg_prepare)
		msgctl(s->b, IPC_RMID, NULL);
	if (s->call->prepare == fifo_prepare || s->call->prepare == inotify_prepare)
		unlink(s->path);
}

#endif
