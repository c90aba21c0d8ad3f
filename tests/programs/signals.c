// SPDX-License-Identifier: GPL-2.0-only
/*
 * signals.c - a program that queues signals to itself and counts them.
 *
 * usage: signals [THREADS [PAUSE_US [stop]]]
 *
 * THREADS (2) threads make marks at full speed.  A forked child queues real-time signals to the
 * process and to single threads of it, a thread of its own does the same, each with a number; the
 * handlers make marks in the middle of marks, and count.  Between two signals they pause for
 * PAUSE_US (50).  Another thread sends ordinary signals to single threads, the next only when the
 * last was handled, and one takes traps (int3) and faults of its own.
 *
 *   stop  a second child now and then stops the process with SIGSTOP, looks whether it stands
 *         still, lets it go with SIGCONT and looks whether it goes on
 *
 * SIGTERM ends it.  It prints one JSON line:
 *   sent, handled   real-time signals; the sums of their numbers agree too, else "numbers": "wrong"
 *   lost            of all signals, traps and faults, those sent and not handled in 30 s
 *   stops, leaks, frozen  stops made, stops in which it went on, stops after which it did not
 */
#define _GNU_SOURCE
#include "unhurt.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define THREADS_MAX 64

/* How a signal is sent: its number is SIGRTMIN + the way. */
enum way { FROM_CHILD, FROM_CHILD_TO_THREAD, FROM_THREAD, FROM_THREAD_TO_THREAD, WAYS };

static struct shared {
	_Atomic uint64_t sent[WAYS], sent_sum[WAYS];
	_Atomic uint64_t handled[WAYS], handled_sum[WAYS];
	_Atomic uint64_t plain_sent, plain_handled, trap_sent, trap_handled, fault_sent,
		fault_handled, lost;
	_Atomic uint64_t progress;
	_Atomic uint64_t stops, leaks, frozen;
	atomic_bool quit;	  /* no more signals */
	atomic_bool nobody_stops; /* no more stops */
	pid_t pid;
	pid_t tids[THREADS_MAX];
} * shared;

static unsigned nthreads;
static uint64_t pause_us;
static atomic_bool workers_quit;
static char *forbidden; /* a page */
static long page;

static void on_queued(int sig, siginfo_t *info, void *context)
{
	unsigned way = (unsigned)(sig - SIGRTMIN);

	(void)context;
	atomic_fetch_add(&shared->handled[way], 1);
	atomic_fetch_add(&shared->handled_sum[way], (uint64_t)info->si_value.sival_int);
	unhurt_lap((uint64_t)info->si_value.sival_int);
}

static void on_plain(int sig)
{
	(void)sig;
	unhurt_lap(1);
	atomic_fetch_add(&shared->plain_handled, 1);
}

static void on_trap(int sig)
{
	(void)sig;
	unhurt_lap(2);
	atomic_fetch_add(&shared->trap_handled, 1);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	(void)sig;
	if ((char *)info->si_addr != forbidden)
		abort();
	unhurt_lap(3);
	atomic_fetch_add(&shared->fault_handled, 1);
	mprotect(forbidden, (size_t)page, PROT_READ | PROT_WRITE);
}

static void queue(enum way way, pid_t tid, int number)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGRTMIN + (int)way;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = number;
	atomic_fetch_add(&shared->sent[way], 1);
	atomic_fetch_add(&shared->sent_sum[way], (uint64_t)number);
	while (tid ? syscall(SYS_rt_tgsigqueueinfo, shared->pid, tid, info.si_signo, &info)
		   : syscall(SYS_rt_sigqueueinfo, shared->pid, info.si_signo, &info)) {
		if (errno != EAGAIN) {
			perror("queue a signal");
			abort();
		}
		unhurt_sleep_us(200); /* too many are queued */
	}
}

static void send_both(enum way to_process, enum way to_thread)
{
	for (int n = 1; !atomic_load(&shared->quit); n = n % 1000000 + 1) {
		queue(to_process, 0, n);
		queue(to_thread, shared->tids[(unsigned)n % nthreads], n);
		unhurt_sleep_us(pause_us);
	}
}

static uint64_t patience(void)
{
	return unhurt_now_ns() + unhurt_patience_s * 1000000000ull;
}

/* Waits until as many were handled as were sent; how many are missing, which are lost. */
static uint64_t await(_Atomic uint64_t *handled, uint64_t sent, uint64_t until)
{
	uint64_t got;

	while ((got = atomic_load(handled)) < sent && unhurt_now_ns() < until)
		unhurt_sleep_us(20);
	got = sent - atomic_load(handled);
	atomic_fetch_add(&shared->lost, got);
	return got;
}

/* The same where one is sent at a time: then on with the next. */
static void await_one(_Atomic uint64_t *handled, _Atomic uint64_t *sent)
{
	atomic_fetch_sub(sent, await(handled, atomic_load(sent), patience()));
}

static void *send_queued(void *arg)
{
	(void)arg;
	send_both(FROM_THREAD, FROM_THREAD_TO_THREAD);
	return NULL;
}

static void *send_plain(void *arg)
{
	(void)arg;
	for (uint64_t n = 0; !atomic_load(&shared->quit); n++) {
		atomic_fetch_add(&shared->plain_sent, 1);
		if (syscall(SYS_tgkill, shared->pid, shared->tids[n % nthreads], SIGUSR1))
			abort();
		await_one(&shared->plain_handled, &shared->plain_sent);
		unhurt_sleep_us(pause_us);
	}
	return NULL;
}

static void *trap(void *arg)
{
	(void)arg;
	while (!atomic_load(&shared->quit)) {
		atomic_fetch_add(&shared->trap_sent, 1);
		__asm__ __volatile__("int3" : : : "memory");
		await_one(&shared->trap_handled, &shared->trap_sent);
		atomic_fetch_add(&shared->fault_sent, 1);
		mprotect(forbidden, (size_t)page, PROT_NONE);
		*(volatile char *)forbidden = 1;
		await_one(&shared->fault_handled, &shared->fault_sent);
		unhurt_sleep_us(pause_us);
	}
	return NULL;
}

static void *work(void *arg)
{
	shared->tids[(uintptr_t)arg] = (pid_t)syscall(SYS_gettid);
	for (uint64_t n = (uintptr_t)arg; !atomic_load(&workers_quit); n++) {
		unhurt_lap(n);
		atomic_fetch_add_explicit(&shared->progress, 1, memory_order_relaxed);
	}
	return NULL;
}

static char state_of(const char *task)
{
	char path[300], text[512], *s;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", shared->pid, task);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'T'; /* gone */
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	s = strrchr(text, ')');
	return s ? s[2] : 'T';
}

/* All threads have been seen stopped: a thread once stopped stays so until SIGCONT. */
static bool stands(void)
{
	uint64_t until = patience();
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", shared->pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((d = readdir(dir)))
		while (d->d_name[0] != '.' && state_of(d->d_name) != 'T') {
			if (unhurt_now_ns() > until) {
				closedir(dir);
				return false;
			}
			unhurt_sleep_us(100);
		}
	closedir(dir);
	return true;
}

static void stop_and_go(void)
{
	uint64_t random = 88172645463325252ull;

	while (!atomic_load(&shared->nobody_stops)) {
		uint64_t before, until;
		bool still;

		unhurt_sleep_us(5000 + unhurt_random(&random) % 30000);
		kill(shared->pid, SIGSTOP);
		still = stands();
		before = atomic_load(&shared->progress);
		unhurt_sleep_us(2000 + unhurt_random(&random) % 8000);
		if (!still || atomic_load(&shared->progress) != before)
			atomic_fetch_add(&shared->leaks, 1);
		kill(shared->pid, SIGCONT);
		until = patience();
		while (atomic_load(&shared->progress) == before) {
			if (unhurt_now_ns() > until) {
				atomic_fetch_add(&shared->frozen, 1);
				kill(shared->pid, SIGCONT);
				break;
			}
			unhurt_sleep_us(500);
		}
		atomic_fetch_add(&shared->stops, 1);
	}
}

static pid_t helper(void (*run)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run();
		_exit(0);
	}
	return pid;
}

static void send_from_child(void)
{
	send_both(FROM_CHILD, FROM_CHILD_TO_THREAD);
}

static void handle(int sig, void (*on)(int), void (*on_info)(int, siginfo_t *, void *))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_flags = SA_RESTART | (on_info ? SA_SIGINFO : 0);
	if (on_info)
		sa.sa_sigaction = on_info;
	else
		sa.sa_handler = on;
	sigaction(sig, &sa, NULL);
}

int main(int argc, char **argv)
{
	pthread_t workers[THREADS_MAX], senders[3];
	bool numbers = true, stop = argc > 3 && !strcmp(argv[3], "stop");
	uint64_t sent = 0, handled = 0, until;
	unsigned hung;
	pid_t sender, stopper = 0;

	unhurt_begin();
	nthreads = (unsigned)unhurt_arg(argc, argv, 1, 2);
	pause_us = (uint64_t)unhurt_arg(argc, argv, 2, 50);
	if (nthreads < 1 || nthreads > THREADS_MAX)
		return 64;
	page = sysconf(_SC_PAGESIZE);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	forbidden = mmap(NULL, (size_t)page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || forbidden == MAP_FAILED)
		abort();
	shared->pid = getpid();
	for (int way = 0; way < WAYS; way++)
		handle(SIGRTMIN + way, NULL, on_queued);
	handle(SIGUSR1, on_plain, NULL);
	handle(SIGTRAP, on_trap, NULL);
	handle(SIGSEGV, NULL, on_fault);
	for (unsigned i = 0; i < nthreads; i++)
		unhurt_start(&workers[i], work, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < nthreads; i++)
		while (!*(volatile pid_t *)&shared->tids[i])
			unhurt_sleep_us(100);
	sender = helper(send_from_child);
	if (stop)
		stopper = helper(stop_and_go);
	unhurt_start(&senders[0], send_queued, NULL);
	unhurt_start(&senders[1], send_plain, NULL);
	unhurt_start(&senders[2], trap, NULL);

	while (!unhurt_term(1000))
		;
	atomic_store(&shared->nobody_stops, true);
	if (stop)
		waitpid(stopper, NULL, 0);
	atomic_store(&shared->quit, true);
	waitpid(sender, NULL, 0);
	hung = unhurt_join(senders, 3);
	until = patience();
	for (int way = 0; way < WAYS; way++) {
		await(&shared->handled[way], atomic_load(&shared->sent[way]), until);
		handled += atomic_load(&shared->handled[way]);
		sent += atomic_load(&shared->sent[way]);
		numbers = numbers && atomic_load(&shared->handled_sum[way]) ==
					     atomic_load(&shared->sent_sum[way]);
	}
	atomic_store(&workers_quit, true);
	hung += unhurt_join(workers, nthreads);
	printf("{\"sent\": %llu, \"handled\": %llu, \"numbers\": \"%s\", \"plain\": %llu, "
	       "\"traps\": %llu, \"faults\": %llu, \"lost\": %llu, \"stops\": %llu, "
	       "\"leaks\": %llu, \"frozen\": %llu, \"hung\": %u, \"laps\": %llu, "
	       "\"results\": \"%s\", \"text\": \"%s\"}\n",
	       (unsigned long long)sent, (unsigned long long)handled, numbers ? "right" : "wrong",
	       (unsigned long long)atomic_load(&shared->plain_sent),
	       (unsigned long long)atomic_load(&shared->trap_sent),
	       (unsigned long long)atomic_load(&shared->fault_sent),
	       (unsigned long long)atomic_load(&shared->lost),
	       (unsigned long long)atomic_load(&shared->stops),
	       (unsigned long long)atomic_load(&shared->leaks),
	       (unsigned long long)atomic_load(&shared->frozen), hung,
	       (unsigned long long)atomic_load(&unhurt_laps), unhurt_results(), unhurt_text());
	fflush(stdout);
	_exit(0);
}
