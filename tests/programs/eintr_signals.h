/* SPDX-License-Identifier: GPL-2.0-only */
/* eintr_signals.h - calls that wait for signals and for children. */
#ifndef EINTR_SIGNALS_H
#define EINTR_SIGNALS_H

#include "eintr.h"

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

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

#endif
