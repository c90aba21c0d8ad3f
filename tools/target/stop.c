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
 * No EINTR.  Being told to stop looks like a signal to a sleeping system call.  Most are restarted
 * by the kernel; some return -EINTR at once and for good (signal(7), "Interruption of system calls
 * and library functions by stop signals").  Such a thread is given -ERESTARTNOHAND instead and the
 * kernel decides when it runs again: a signal with a handler: -EINTR, as it should be; none: the
 * call is started again.  (Moving rip back by hand would start it again over a signal that has
 * come meanwhile, and lose that wake-up.)  The same for a thread that stopped for a signal: it may
 * be one that is ignored, which would not have woken it if nobody traced.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "target/proc.h"
#include "target/sharers.h"
#include "target/stop.h"

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

enum thread_state {
	GONE,	 /* or not ours any more */
	SEIZED,	 /* runs */
	TOLD,	 /* to stop */
	STOPPED, /* stands still until it is let go */
};

struct thread {
	pid_t tid;
	enum thread_state state;
	int sig; /* it stopped for this signal; 0: for us */
};

struct stop {
	const struct bs_stop_ask *ask;
	struct bs_patch_result *result;
	/* Threads, and where each is in it: open addressing, index + 1 by tid. */
	struct thread *v;
	uint32_t *slot;
	pid_t *stopped;	  /* tids of those that stand still, for ask->still */
	_Atomic size_t n; /* v[].tid below it never changes: the reaper reads them */
	size_t room, mask;
	/* Task directories of the process and of those that share its memory. */
	struct {
		pid_t pid;
		int fd;
	} dir[1 + BS_SHARERS_MAX];
	size_t ndirs;
	pid_t live; /* a thread of the process, to ask about its memory */
	struct bs_sharers sharers, again;
	uint64_t shares;
	uint64_t began; /* the first was told to stop, CLOCK_MONOTONIC; 0: not yet */
	timer_t timer;
	bool has_timer;
	pid_t tracer;
	bool left; /* some could not be detached from */
	sem_t wake;
	_Atomic bool reaping, over;
};

#define FAIL(s, ret, ...) (snprintf((s)->result->why, sizeof((s)->result->why), __VA_ARGS__), (ret))

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

static struct thread *table_find(struct stop *s, pid_t tid)
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

static bool is_dead(pid_t tid)
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

	if (is_dead(tid))
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
	struct thread *t = table_find(s, tid);
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
 * Seizes all threads not known yet; *fresh: how many.  *steady: the lists were complete.  A list
 * that is read while threads end can skip one, but the directory knows how many there are: its
 * link count is two more.
 */
static int seize_all(struct stop *s, size_t *fresh, bool *steady)
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
		if (is_dead(t->tid)) {
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
static int nobody_else(struct stop *s)
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

static int stop_all(struct stop *s)
{
	size_t fresh;
	bool steady;
	int ret;

	for (;;) {
		ret = seize_all(s, &fresh, &steady);
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

#if defined(__x86_64__)
bool bs_stop_restartable(long nr)
{
	/*
	 * Calls that return -EINTR only when they have done nothing yet, so that starting them
	 * again is what the program would have seen without us, but for a timeout that begins anew.
	 *
	 * Not on the list: close (the descriptor is gone whatever it returns, and its number may be
	 * another's), and everything that the kernel restarts by itself (poll, select, nanosleep,
	 * futex, wait4, pause, ...).
	 */
	switch (nr) {
	/* Wait for events; those come or stay queued. */
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	/* -EINTR if none was there; of io_uring_enter, if none was submitted either. */
	case SYS_io_getevents:
	case SYS_io_pgetevents:
	case SYS_io_uring_enter:
	/* No operation of the set has been done. */
	case SYS_semop:
	case SYS_semtimedop:
	/* No message taken or put. */
	case SYS_msgrcv:
	case SYS_msgsnd:
	/* No signal taken. */
	case SYS_rt_sigtimedwait:
	/* On sockets with SO_RCVTIMEO or SO_SNDTIMEO; with a part moved they return its size. */
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendto:
	case SYS_sendfile:
	case SYS_splice:
	case SYS_tee:
	case SYS_vmsplice:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_read:
	case SYS_readv:
	case SYS_preadv:
	case SYS_preadv2:
	case SYS_pread64:
	case SYS_write:
	case SYS_writev:
	case SYS_pwritev:
	case SYS_pwritev2:
	case SYS_pwrite64:
	/* No connection taken. */
	case SYS_accept:
	case SYS_accept4:
	/*
	 * With SO_SNDTIMEO; the second one waits on for what the first began (tried with TCP and
	 * Unix sockets), but says EALREADY instead of EINPROGRESS when the time is over.
	 */
	case SYS_connect:
		return true;
	}
	return false;
}

#define ERESTARTNOHAND 514 /* include/linux/errno.h of the kernel */
#define USER_CS	       0x33
#define PEEK_USER(tid, reg, value)                                                            \
	(errno = 0,                                                                           \
	 (value) = ptrace(PTRACE_PEEKUSER, (tid), offsetof(struct user_regs_struct, reg), 0), \
	 !errno)

/* Whether it was in such a call. */
static bool no_eintr(pid_t tid)
{
	long rax, orig_rax, cs, rip, code;

	if (!PEEK_USER(tid, rax, rax) || rax != -EINTR)
		return false;
	/* orig_rax is -1 unless it is in a system call. */
	if (!PEEK_USER(tid, orig_rax, orig_rax) || !bs_stop_restartable(orig_rax))
		return false;
	/* Numbers of 32-bit calls mean others: not in 32-bit code, nor entered by int $0x80. */
	if (!PEEK_USER(tid, cs, cs) || (cs & 0xffff) != USER_CS || !PEEK_USER(tid, rip, rip))
		return false;
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, tid, (void *)(rip - 2), NULL);
	if (errno || (code & 0xffff) != 0x050f)
		return false;
	return !ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax),
		       (void *)(long)-ERESTARTNOHAND);
}
#else
bool bs_stop_restartable(long nr)
{
	(void)nr;
	return false;
}

static bool no_eintr(pid_t tid)
{
	(void)tid;
	return false;
}
#endif

static void detach(struct thread *t)
{
	/* Fails if it was killed meanwhile; then it is gone as well. */
	ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(long)t->sig);
	t->state = GONE;
}

static void let_go(struct thread *t)
{
	no_eintr(t->tid);
	detach(t);
}

/*
 * Those last that sit in a call which a signal would make return -EINTR.  A signal that is
 * ignored (SIGCHLD, when a child ends) is not thrown away when the thread it is sent to is traced,
 * but wakes another one, which finds nothing: were that one let go before, it would have -EINTR
 * for nothing.  (Seen 31 times in 1,000 stops of a program that forks all the time; in this order
 * not once.)
 */
static void let_all_go(struct stop *s)
{
	s->result->at_ns = bs_now_ns();
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == STOPPED && !no_eintr(s->v[i].tid))
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
 * else stands still, so there is time.
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
		if (waitid(P_ALL, 0, &si, WEXITED | WSTOPPED | WNOWAIT | __WALL)) {
			if (errno == EINTR)
				continue;
			break;
		}
		t = table_find(s, si.si_pid);
		if (!t) {
			waitpid(si.si_pid, NULL, __WALL | WNOHANG);
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
		ret = nobody_else(s);
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

static int prepare(struct stop *s)
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

void bs_stop_and(const struct bs_stop_ask *ask, struct bs_patch_result *result)
{
	struct stop s = {.ask = ask, .result = result};

	memset(result, 0, sizeof(*result));
	result->code = prepare(&s);
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
