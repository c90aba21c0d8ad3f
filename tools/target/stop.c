// SPDX-License-Identifier: GPL-2.0-only
/*
 * stop.c - makes all who execute a process's text stand still, has something done, lets them go.
 *
 * Two threads.  One traces: what it has seized is let go by the kernel when it ends, also what
 * could not be stopped and thus not be detached from.  It is made for one stop and ends with it.
 * The other, the caller's, reaps meanwhile.
 *
 * Order: seize all threads; only then tell all to stop; only then wait for each.  (One by one, each
 * would wait for a turn on a processor that those not yet stopped keep busy.)  A thread that runs
 * may have made another one, so the list of threads is read again until it holds nobody new; with
 * all known ones stopped nobody is left to make any.
 *
 * The reaper.  A thread in exec waits for its siblings to die, and for those that are traced to be
 * reaped by their tracer; meanwhile it holds the lock (cred_guard_mutex) that PTRACE_SEIZE wants.
 * With one thread seized and another in exec the next PTRACE_SEIZE would wait for the exec, the
 * exec for our waitpid, for ever.  So somebody else calls waitid until all are stopped.  It asks
 * for each thread by itself and takes away the dead alone: a waitid for WEXITED reports threads in
 * a ptrace stop as well ("regardless of options", kernel/exit.c), and would eat what they stopped
 * for.  Its takings need no telling: the tracer waits for every thread it has seized, gets ECHILD
 * for that one, and reads the list of threads again.
 *
 * What may be killed in between.  waitid(WNOWAIT) leaves the signal that a thread stopped for
 * where it is: if this process is killed while it holds the thread, the kernel goes on with it.
 * (A plain waitpid takes it out, and with its tracer the signal would be gone.)
 *
 * Who is to stop: stop_threads.c; what becomes of the system calls they are in: stop_eintr.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/patch.h"
#include "target/sharers.h"
#include "target/stop.h"
#include "target/stop_state.h"

#define NSEC_PER_MSEC 1000000ull
/* How often a wait looks up: at the deadline, and for a main thread that became a zombie. */
#define TICK_NS (5 * NSEC_PER_MSEC)
/* Those that come too late to stop are awaited so much longer, one by one, with nobody stopped. */
#define LATE_NS (100 * NSEC_PER_MSEC)
/* The same where they only wait for a processor, which on a busy machine can take long. */
#define STARVED_NS (1000 * NSEC_PER_MSEC)
/* The reaper's period: as long as an exec can hold us up. */
#define REAP_NS (NSEC_PER_MSEC)
/* Stack that is touched before anybody stands still. */
#define STACK_TOUCHED (96 * 1024)
#define STACK_BYTES   (512 * 1024)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

_Atomic uint64_t *bs_stop_held_since;
void (*bs_stop_test_hook)(void);
void (*bs_stop_test_seized)(size_t n);

/* --- stopping --------------------------------------------------------------------------------- */

static void tick(int sig)
{
	(void)sig; /* It interrupts waitid, that is all. */
}

static int timer_arm(struct stop *s, uint64_t every_ns)
{
	struct itimerspec it = {.it_interval.tv_nsec = (long)every_ns,
				.it_value.tv_nsec = (long)every_ns};

	return s->has_timer ? timer_settime(s->timer, 0, &it, NULL) : 0;
}

static void tell_all(struct stop *s)
{
	if (!s->began) {
		s->began = bs_now_ns();
		timer_arm(s, TICK_NS);
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].state != SEIZED)
			continue;
		/* Fails for a dead thread, and the wait for it will tell. */
		ptrace(PTRACE_INTERRUPT, s->v[i].tid, NULL, NULL);
		s->v[i].state = TOLD;
	}
}

/* What waitid said about a thread. */
static void noted(struct thread *t, const siginfo_t *si)
{
	if (si->si_code == CLD_TRAPPED || si->si_code == CLD_STOPPED) {
		/* An event in the second byte: PTRACE_EVENT_STOP, for us or for a group stop. */
		t->sig = si->si_status >> 8 ? 0 : si->si_status;
		t->state = STOPPED;
		return;
	}
	waitpid(t->tid, NULL, __WALL | WNOHANG);
	t->state = GONE;
}

static int await(struct stop *s, struct thread *t)
{
	for (;;) {
		siginfo_t si = {0};

		if (!waitid(P_PID, (id_t)t->tid, &si, WEXITED | WSTOPPED | WNOWAIT | __WALL)) {
			noted(t, &si);
			return 0;
		}
		if (errno != EINTR) {
			t->state = GONE;
			return 0;
		}
		/* A main thread that has exited is reported when the last of the others has. */
		if (bs_stop_is_dead(t->tid)) {
			t->state = GONE;
			return 0;
		}
		if (bs_now_ns() - s->began >= BS_PATCH_STOP_NS)
			return -ETIMEDOUT;
	}
}

static int timed_out(struct stop *s)
{
	size_t late = 0;
	char state = '?';
	pid_t tid = 0, parent;

	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].state != TOLD)
			continue;
		late++;
		if (!tid)
			tid = s->v[i].tid;
	}
	if (tid)
		bs_sharers_stat(tid, &state, &parent);
	return FAIL(s, -ETIMEDOUT, "%zu of %zu threads did not stop within %llu ms (%s%d%s)", late,
		    s->n, BS_PATCH_STOP_NS / NSEC_PER_MSEC, "thread ", tid,
		    state == 'D' ? ": in uninterruptible sleep, or waits for a vfork child" : "");
}

static int await_all(struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		int ret = s->v[i].state == TOLD ? await(s, &s->v[i]) : 0;

		if (ret)
			return timed_out(s);
	}
	return 0;
}

static int stop_all(struct stop *s)
{
	size_t fresh;
	bool steady;
	int ret;

	for (;;) {
		ret = bs_stop_seize_all(s, &fresh, &steady);
		if (ret)
			return ret;
		if (!fresh && steady)
			break;
		if (s->began && bs_now_ns() - s->began >= BS_PATCH_STOP_NS)
			return FAIL(s, -ETIMEDOUT, "still starts threads after %llu ms",
				    BS_PATCH_STOP_NS / NSEC_PER_MSEC);
		tell_all(s);
		ret = await_all(s);
		if (ret)
			return ret;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == STOPPED)
			s->stopped[s->result->threads++] = s->v[i].tid;
	if (!s->result->threads)
		return FAIL(s, -ESRCH, "has exited");
	s->live = s->stopped[0];
	return 0;
}

/* --- letting go ------------------------------------------------------------------------------- */

static void detach(struct thread *t)
{
	/* Fails if it was killed meanwhile; then it is gone as well. */
	ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(long)t->sig);
	t->state = GONE;
}

static void let_go(struct thread *t)
{
	bs_stop_no_eintr(t->tid);
	detach(t);
}

/*
 * A signal that is ignored (SIGCHLD, when a child ends) is not thrown away while the thread it is
 * for is traced, but wakes another one, which finds nothing.  One that sits in a call which a
 * signal would make return -EINTR then had it for nothing, if it has been let go already.  So
 * first those whose children may end, and last those that sit in such a call.  (Seen 31 times in
 * 1,000 stops of a program that forks all the time; with only those last, still once in 2,500.)
 */
static void let_all_go(struct stop *s)
{
	s->result->at_ns = bs_now_ns();
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == STOPPED && bs_stop_has_child(s->v[i].tid))
			detach(&s->v[i]);
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == STOPPED && !bs_stop_no_eintr(s->v[i].tid))
			detach(&s->v[i]);
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == STOPPED)
			detach(&s->v[i]);
	if (s->began)
		s->result->pause_ns = bs_now_ns() - s->began;
	if (bs_stop_held_since)
		*bs_stop_held_since = 0;
}

/* Whether one of those that are late will stop once it gets a processor. */
static bool is_starved(const struct stop *s)
{
	for (size_t i = 0; i < s->n; i++) {
		char state;
		pid_t parent;

		if (s->v[i].state == TOLD && !bs_sharers_stat(s->v[i].tid, &state, &parent) &&
		    state != 'D')
			return true;
	}
	return false;
}

/*
 * Those that were told to stop and had not by the deadline.  The end of this thread would release
 * them, but one that is just on its way out of a system call with -EINTR should be met: nobody
 * else stands still, so there is time.  __WNOTHREAD: those that this thread traces, and nobody that
 * others of this process have started.
 */
static void meet_late(struct stop *s)
{
	uint64_t since = bs_now_ns();
	size_t late = 0;
	siginfo_t si;

	for (size_t i = 0; i < s->n; i++) {
		late += s->v[i].state == TOLD;
		s->left |= s->v[i].state != GONE;
	}
	timer_arm(s, TICK_NS);
	while (late && (bs_now_ns() - since < LATE_NS ||
			(bs_now_ns() - since < STARVED_NS && is_starved(s)))) {
		struct thread *t;

		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WSTOPPED | WNOWAIT | __WALL | __WNOTHREAD)) {
			if (errno == EINTR)
				continue;
			break;
		}
		t = bs_stop_table_find(s, si.si_pid);
		if (!t) {
			waitpid(si.si_pid, NULL, __WALL | __WNOTHREAD | WNOHANG);
			continue;
		}
		late -= t->state == TOLD;
		noted(t, &si);
		if (t->state == STOPPED)
			let_go(t);
	}
	timer_arm(s, 0);
}

/* --- the two threads -------------------------------------------------------------------------- */

static void touch_stack(void)
{
	volatile char stack[STACK_TOUCHED];

	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
}

static void reaping(struct stop *s, bool on)
{
	s->reaping = on;
	if (on)
		sem_post(&s->wake);
}

/*
 * Whoever waits for a processor here holds others.  Real time, because nice compares only within a
 * session (sched(7), autogroups) or a cgroup: with 8 busy threads it halves the pause.  Not
 * permitted: as it was.
 */
static void hurry(void)
{
	struct sched_param p = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO, &p);
}

static void *trace(void *arg)
{
	struct stop *s = arg;
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	sigset_t alarm;
	int ret;

	touch_stack();
	s->tracer = (pid_t)syscall(SYS_gettid);
	ev.sigev_notify_thread_id = s->tracer;
	s->has_timer = !timer_create(CLOCK_MONOTONIC, &ev, &s->timer);
	if (!s->has_timer) {
		s->result->code = FAIL(s, -EAGAIN, "no timer: %s", strerror(errno));
		goto out;
	}
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	hurry();

	/* From the first seized on: one that gets a signal stops right then. */
	if (bs_stop_held_since)
		*bs_stop_held_since = bs_now_ns();
	reaping(s, true);
	ret = stop_all(s);
	reaping(s, false);
	timer_arm(s, 0);
	if (!ret)
		ret = bs_stop_nobody_else(s);
	if (!ret) {
		if (bs_stop_test_hook)
			bs_stop_test_hook();
		s->ask->still(s->ask->arg, s->stopped, s->result->threads);
	}
	let_all_go(s);
	meet_late(s);
	s->result->code = ret;
	timer_delete(s->timer);
out:
	s->over = true;
	sem_post(&s->wake);
	return NULL;
}

static void reap_dead(pid_t tid)
{
	siginfo_t si = {0};

	if (!waitid(P_PID, (id_t)tid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) && si.si_pid &&
	    si.si_code != CLD_TRAPPED && si.si_code != CLD_STOPPED)
		waitpid(tid, NULL, WNOHANG | __WALL);
}

static void reap(struct stop *s)
{
	struct timespec period = {.tv_nsec = REAP_NS};

	for (;;) {
		while (sem_wait(&s->wake))
			;
		if (s->over)
			return;
		while (s->reaping) {
			nanosleep(&period, NULL);
			for (size_t i = 0; i < s->n && s->reaping; i++)
				reap_dead(s->v[i].tid);
		}
	}
}

/* pthread_join returns a moment before the kernel lets go of what the thread traced. */
static void await_end(const struct stop *s)
{
	struct timespec moment = {.tv_nsec = 100000};

	for (int i = 0; i < 10000 && !syscall(SYS_tgkill, getpid(), s->tracer, 0); i++)
		nanosleep(&moment, NULL);
}

static int run(struct stop *s)
{
	struct sigaction sa = {.sa_handler = tick}, before;
	sigset_t all, mask;
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	sigaction(SIGALRM, &sa, &before);
	sem_init(&s->wake, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	ret = -pthread_create(&thread, &attr, trace, s);
	pthread_attr_destroy(&attr);
	if (!ret) {
		reap(s);
		pthread_join(thread, NULL);
		if (s->left)
			await_end(s);
	}
	sem_destroy(&s->wake);
	sigaction(SIGALRM, &before, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	return ret ? FAIL(s, -EAGAIN, "cannot start a thread: %s", strerror(-ret)) : 0;
}

void bs_stop_and(const struct bs_stop_ask *ask, struct bs_patch_result *result)
{
	struct stop s = {.ask = ask, .result = result};

	memset(result, 0, sizeof(*result));
	result->code = bs_stop_prepare(&s);
	if (!result->code) {
		int ret = run(&s);

		if (ret)
			result->code = ret;
	}
	for (size_t i = 0; i < s.ndirs; i++)
		close(s.dir[i].fd);
	free(s.v);
	free(s.slot);
	free(s.stopped);
}
