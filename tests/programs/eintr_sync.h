/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr_sync.h - calls that wait for others: queues, semaphores, futexes. */
#ifndef EINTR_SYNC_H
#define EINTR_SYNC_H

#include "eintr.h"

#include <linux/futex.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>

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

#endif
