// SPDX-License-Identifier: GPL-2.0-only
/* test_patch.c - stopping, writing and letting go: target/stop*.c, target/patch.c. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/user.h>

#include <cmocka.h>

#include "patch_target.h"
#include "target/sharers.h"
#include "target/stop.h"

static pid_t patched;
static bool lighting;
static struct bs_patch *patched_v;
static size_t patched_n;
static uint64_t (*patched_shares)(void *ctx);

static void surgeon(void)
{
	bs_patch(patched, lighting, patched_v, patched_n, patched_shares, NULL, &shared->result);
}

/* No thread of the process is traced by anybody. */
static bool untraced(pid_t pid)
{
	char path[600], line[256];
	struct dirent *d;
	bool ok = true;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return true;
	while ((d = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, d->d_name);
		file = d->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			if (!strncmp(line, "TracerPid:", 10) && atoi(line + 10))
				ok = false;
		if (file)
			fclose(file);
	}
	closedir(dir);
	return ok;
}

/* One bs_patch in a process of its own, as it wants; its code. */
static int patch_with(pid_t pid, bool light, uint64_t (*shares)(void *ctx))
{
	int status;

	patched = pid;
	lighting = light;
	patched_shares = shares;
	shared->result.code = 1;
	status = ended(child_of(surgeon));
	assert_int_equal(status, 0);
	assert_true(untraced(pid));
	return shared->result.code;
}

/*
 * As a tool would: what was only unlucky (a busy machine) is tried again.  For what should work.
 */
static int patch(pid_t pid, bool light)
{
	int code = 1;

	for (int i = 0; i < 300; i++) {
		code = patch_with(pid, light, NULL);
		if (code != -ETIMEDOUT && code != -EAGAIN)
			break;
		nap(5);
	}
	if (code)
		print_message("# patch: %d %s\n", code, shared->result.why);
	return code;
}

static int setup(void **state)
{
	(void)state;
	shared_new();
	patched_v = shared->v;
	patched_n = SITES;
	bs_stop_test_hook = NULL;
	bs_stop_test_seized = NULL;
	bs_patch_test_no_mem = false;
	return 0;
}

/* --- right results ---------------------------------------------------------------------------- */

static void eight_threads(void)
{
	pthread_t t;

	for (int i = 0; i < 7; i++)
		pthread_create(&t, NULL, step_forever, NULL);
	step_forever(NULL);
}

static void cycles(pid_t pid, int n)
{
	for (int i = 0; i < n; i++) {
		assert_int_equal(patch(pid, true), 0);
		assert_true(all_lit(pid));
		for (size_t k = 0; k < SITES; k++)
			assert_int_equal(shared->v[k].state, BS_PATCH_LIT);
		assert_int_equal(patch(pid, false), 0);
		assert_true(text_intact(pid));
		for (size_t k = 0; k < SITES; k++)
			assert_int_equal(shared->v[k].state, BS_PATCH_DARK);
	}
}

static void test_cycles(void **state)
{
	pid_t pid = child_of(eight_threads);
	uint64_t before;

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	assert_int_equal(patch(pid, true), 0);
	assert_true(shared->result.threads == 8);
	assert_int_equal(shared->result.written, SITES);
	assert_true(shared->result.pause_ns > 0);
	/* Done already: nobody is stopped for it. */
	assert_int_equal(patch(pid, true), 0);
	assert_int_equal(shared->result.threads, 0);
	assert_int_equal(shared->result.written, 0);
	before = shared->hits;
	assert_true(WAIT_FOR(shared->hits > before));
	assert_int_equal(patch(pid, false), 0);
	cycles(pid, 60);
	before = shared->rounds;
	assert_true(WAIT_FOR(shared->rounds > before + 8));
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

static void test_without_proc_mem(void **state)
{
	pid_t pid = child_of(eight_threads);

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	bs_patch_test_no_mem = true;
	cycles(pid, 5);
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

static void no_main_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, step_forever, NULL);
	pthread_create(&t, NULL, step_forever, NULL);
	pthread_exit(NULL);
}

static void test_main_thread_dead(void **state)
{
	pid_t pid = child_of(no_main_thread);

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 2 && state_of_process(pid) == 'Z'));
	assert_int_equal(patch(pid, true), 0);
	assert_int_equal(shared->result.threads, 2);
	assert_int_equal(patch(pid, false), 0);
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

static void *short_life(void *arg)
{
	(void)arg;
	patch_steps(1);
	return NULL;
}

static void *spawn(void *arg)
{
	uint64_t expected = patch_steps_expected(7);
	pthread_t t;

	(void)arg;
	for (;;) {
		if (pthread_create(&t, NULL, short_life, NULL))
			continue;
		if (patch_steps(7) != expected)
			shared->wrong++;
		pthread_join(t, NULL);
		shared->rounds++;
	}
	return NULL;
}

static void threads_come_and_go(void)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, spawn, NULL);
	spawn(NULL);
}

static void test_threads_come_and_go(void **state)
{
	pid_t pid = child_of(threads_come_and_go);

	(void)state;
	assert_true(WAIT_FOR(shared->rounds >= 10));
	cycles(pid, 20);
	assert_int_equal(shared->wrong, 0);
	assert_int_not_equal(state_of_process(pid), '-');
	end(pid);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void count_signal(int sig)
{
	(void)sig;
	shared->received++;
}

static void *send_signals(void *arg)
{
	union sigval value = {0};

	(void)arg;
	while (!shared->told) {
		if (!sigqueue(getpid(), SIGRTMIN + 3, value))
			shared->sent++;
		else
			sched_yield();
	}
	shared->told = 2;
	return NULL;
}

static void signalled(void)
{
	struct sigaction sa = {.sa_handler = count_signal};
	pthread_t t;

	sigaction(SIGRTMIN + 3, &sa, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&t, NULL, step_forever, NULL);
	pthread_create(&t, NULL, send_signals, NULL);
	for (;;)
		pause();
}

static void test_queued_signals(void **state)
{
	pid_t pid = child_of(signalled);

	(void)state;
	assert_true(WAIT_FOR(shared->received > 10));
	cycles(pid, 60);
	shared->told = 1;
	assert_true(WAIT_FOR(shared->told == 2));
	assert_true(WAIT_FOR(shared->received == shared->sent));
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

static void test_stopped_by_signal(void **state)
{
	pid_t pid = child_of(eight_threads);
	uint64_t before;

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	kill(pid, SIGSTOP);
	assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
	assert_int_equal(patch(pid, true), 0);
	assert_true(all_lit(pid));
	assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
	nap(20);
	before = shared->rounds;
	nap(50);
	assert_int_equal(shared->rounds, before);
	assert_int_equal(patch(pid, false), 0);
	assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
	assert_true(text_intact(pid));
	kill(pid, SIGCONT);
	assert_true(WAIT_FOR(shared->rounds > before));
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

/* --- who cannot be stopped, or shares --------------------------------------------------------- */

static void *vfork_long(void *arg)
{
	pid_t pid;

	(void)arg;
	shared->ready = 1;
	pid = vfork();
	if (!pid) {
		while (!shared->told)
			nap(5);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	shared->received = 1;
	return NULL;
}

static void vforker(void)
{
	pthread_t t;

	pthread_create(&t, NULL, vfork_long, NULL);
	step_forever(NULL);
}

static void test_long_vfork(void **state)
{
	pid_t pid = child_of(vforker);
	uint64_t before;
	int code;

	(void)state;
	assert_true(WAIT_FOR(shared->ready && shared->rounds));
	nap(20);
	for (int i = 0; i < 3; i++) {
		code = patch_with(pid, true, NULL);
		assert_true(code == -ETIMEDOUT);
		assert_true(shared->result.why[0]);
		assert_int_equal(shared->result.written, 0);
		assert_true(text_intact(pid));
		before = shared->rounds;
		assert_true(WAIT_FOR(shared->rounds > before));
		assert_int_equal(shared->received, 0);
	}
	shared->told = 1;
	assert_true(WAIT_FOR(shared->received));
	cycles(pid, 2);
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

static void never(void *arg, const pid_t *tids, size_t n)
{
	(void)arg;
	(void)tids;
	_exit(n ? 4 : 5);
}

/* Its child has ended when some come too late to be stopped: the status is still there after it. */
static void parent_of_another(void)
{
	struct bs_stop_ask ask = {.pid = patched, .still = never};
	siginfo_t si;
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(7);
	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT))
		_exit(2);
	bs_stop_and(&ask, &shared->result);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
		_exit(3);
}

static void test_own_children(void **state)
{
	pid_t pid = child_of(vforker);

	(void)state;
	assert_true(WAIT_FOR(shared->ready && shared->rounds));
	nap(20);
	patched = pid;
	assert_int_equal(ended(child_of(parent_of_another)), 0);
	assert_int_equal(shared->result.code, -ETIMEDOUT);
	shared->told = 1;
	assert_true(WAIT_FOR(shared->received));
	end(pid);
}

static int sharer(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	shared->pid[0] = getpid();
	step_forever(NULL);
	return 0;
}

static void sharing(void)
{
	static char stack[256 * 1024] __attribute__((aligned(64)));

	/* Sleeps itself: whatever goes wrong does so in the other one. */
	if (clone(sharer, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD, NULL) < 0)
		_exit(1);
	for (;;)
		pause();
}

static uint64_t grows(void *ctx)
{
	(void)ctx;
	return shared->shares++;
}

static uint64_t stays(void *ctx)
{
	(void)ctx;
	return 5;
}

/* Who has no memory shares none. */
static void test_no_memory(void **state)
{
	pid_t pid[2];
	siginfo_t si;

	(void)state;
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(0);
		assert_int_equal(waitid(P_PID, (id_t)pid[i], &si, WEXITED | WNOWAIT), 0);
	}
	assert_false(bs_sharers_same(pid[0], pid[1]));
	for (int i = 0; i < 2; i++)
		assert_int_equal(waitpid(pid[i], NULL, 0), pid[i]);
	assert_true(bs_sharers_same(getpid(), getpid()));
}

static void test_shared_memory(void **state)
{
	pid_t pid = child_of(sharing);
	struct bs_sharers found;

	(void)state;
	assert_true(WAIT_FOR(shared->rounds));
	assert_int_equal(bs_sharers_find(pid, pid, &found), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].pid, shared->pid[0]);
	assert_false(found.v[0].vfork);
	assert_int_equal(patch(pid, true), 0);
	assert_int_equal(shared->result.threads, 2);
	assert_int_equal(patch(pid, false), 0);
	cycles(pid, 20);
	assert_true(WAIT_FOR(patch_with(pid, true, grows) == -EAGAIN));
	assert_int_equal(shared->result.written, 0);
	assert_true(text_intact(pid));
	for (int i = 0; i < 300 && patch_with(pid, true, stays); i++)
		nap(5);
	assert_int_equal(shared->result.code, 0);
	assert_true(all_lit(pid));
	assert_true(untraced(shared->pid[0]));
	assert_int_equal(shared->wrong, 0);
	assert_int_not_equal(state_of_process(shared->pid[0]), '-');
	kill(shared->pid[0], SIGKILL);
	end(pid);
}

static void seize_forever(void)
{
	if (!ptrace(PTRACE_SEIZE, patched, NULL, NULL))
		shared->ready = 1;
	for (;;)
		pause();
}

static void test_debugger(void **state)
{
	pid_t pid = child_of(eight_threads), debugger;
	char number[16];

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	patched = pid;
	debugger = child_of(seize_forever);
	assert_true(WAIT_FOR(shared->ready));
	patched = pid;
	lighting = true;
	patched_shares = NULL;
	assert_int_equal(ended(child_of(surgeon)), 0);
	assert_int_equal(shared->result.code, -EPERM);
	snprintf(number, sizeof(number), "pid %d", debugger);
	assert_non_null(strstr(shared->result.why, number));
	assert_non_null(strstr(shared->result.why, "test_patch"));
	assert_true(text_intact(pid));
	end(debugger);
	assert_int_equal(patch(pid, true), 0);
	end(pid);
	assert_int_equal(patch_with(pid, true, NULL), -ESRCH);
	assert_true(shared->result.why[0]);
}

/* --- exec ------------------------------------------------------------------------------------- */

static void *spin(void *arg)
{
	(void)arg;
	for (;;)
		sched_yield();
	return NULL;
}

static void *exec_again(void *arg)
{
	char n[16];

	snprintf(n, sizeof(n), "%d", *(int *)arg - 1);
	nap(1);
	execl("/proc/self/exe", "test_patch", "--exec", n, NULL);
	_exit(9);
}

/* Execs n times, from the main thread and from another one by turns. */
static int exec_target(int n)
{
	pthread_t t;

	if (n <= 0)
		return 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t, NULL, spin, NULL);
	if (n & 1)
		exec_again(&n);
	pthread_create(&t, NULL, exec_again, &n);
	for (;;)
		pause();
}

static void exec_all_the_time(void)
{
	int n = 101;

	exec_again(&n);
}

static void nothing(void *arg, const pid_t *tids, size_t n)
{
	(void)arg;
	assert_true(n && tids[0]);
	shared->rounds++;
}

static void stop_only(void)
{
	struct bs_stop_ask ask = {.pid = patched, .still = nothing};

	bs_stop_and(&ask, &shared->result);
}

static void test_exec(void **state)
{
	pid_t pid = child_of(exec_all_the_time);
	uint64_t began = monotonic_ms();
	int status = -1;

	(void)state;
	patched = pid;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		assert_true(monotonic_ms() - began < 15000);
		/* Bounded: a hang is a failure of ended(). */
		assert_int_equal(ended(child_of(stop_only)), 0);
		nap(1);
	}
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_true(shared->rounds > 0);
}

static void *sleep_on(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *exec_when_told(void *arg)
{
	(void)arg;
	shared->ready = 1;
	while (!shared->go)
		nap(1);
	execl("/proc/self/exe", "test_patch", "--exec", "0", NULL);
	_exit(9);
}

static void third_execs(void)
{
	pthread_t t;

	pthread_create(&t, NULL, sleep_on, NULL);
	pthread_create(&t, NULL, exec_when_told, NULL);
	sleep_on(NULL);
}

static void second_seized(size_t n)
{
	if (n != 2)
		return;
	shared->go = 1;
	nap(100);
}

/*
 * The third thread is in exec and waits for the second one, which is seized, to be reaped; and to
 * seize the third one we have to wait for it.
 */
static void test_exec_against_seize(void **state)
{
	pid_t pid = child_of(third_execs);

	(void)state;
	assert_true(WAIT_FOR(shared->ready));
	patched = pid;
	bs_stop_test_seized = second_seized;
	assert_int_equal(ended(child_of(stop_only)), 0);
	assert_int_equal(shared->go, 1);
	assert_int_equal(ended(pid), 0);
}

static void test_killed_meanwhile(void **state)
{
	pid_t pid = child_of(exec_all_the_time);

	(void)state;
	/* Killed in the middle of it. */
	patched = pid;
	for (int i = 0; i < 10; i++)
		assert_int_equal(ended(child_of(stop_only)), 0);
	kill(pid, SIGKILL);
	assert_int_equal(ended(child_of(stop_only)), 0);
	end(pid);
}

/* --- interrupted calls ------------------------------------------------------------------------ */

static int wait_in_call(int which)
{
	struct timespec ts = {.tv_nsec = 400000000};
	struct timeval tv = {.tv_usec = 400000};
	struct epoll_event ev;
	struct mmsghdr msg;
	struct iovec iov;
	sigset_t set;
	char byte;
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	switch (which) {
	case 0:
		return epoll_wait(epoll_create1(0), &ev, 1, 400);
	case 1:
		return epoll_pwait(epoll_create1(0), &ev, 1, 400, NULL);
	case 2: {
		int id = semget(IPC_PRIVATE, 1, 0600), ret;
		struct sembuf op = {.sem_op = -1};

		ret = semtimedop(id, &op, 1, &ts);
		semctl(id, 0, IPC_RMID);
		return ret;
	}
	case 3:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		return sigtimedwait(&set, NULL, &ts);
	case 4:
		return (int)recv(s[0], &byte, 1, 0);
	case 5:
		return (int)read(s[0], &byte, 1);
	case 6: {
		struct sockaddr_un un = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		/* The kernel picks an abstract name. */
		bind(fd, (void *)&un, sizeof(un.sun_family));
		listen(fd, 1);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		return accept(fd, NULL, NULL);
	}
	case 7:
		iov = (struct iovec){.iov_base = &byte, .iov_len = 1};
		msg = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
		return recvmmsg(s[0], &msg, 1, 0, NULL);
	case 8:
		nanosleep(&ts, NULL);
		return 0;
	}
	return -2;
}

#define CALLS 9

static int call_number;
static const char *const call_names[CALLS] = {"epoll_wait",   "epoll_pwait", "semtimedop",
					      "sigtimedwait", "recv",	     "read",
					      "accept",	      "recvmmsg",    "nanosleep"};

static void caller(void)
{
	int ret;

	shared->pid[0]++;
	errno = 0;
	ret = wait_in_call(call_number);
	_exit(ret == -1 && errno == EINTR ? 4 : 0);
}

static void test_no_eintr(void **state)
{
	pid_t pid[CALLS];

	(void)state;
	for (call_number = 0; call_number < CALLS; call_number++)
		pid[call_number] = child_of(caller);
	assert_true(WAIT_FOR(shared->pid[0] == CALLS));
	nap(30);
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < CALLS; i++) {
			patched = pid[i];
			assert_int_equal(ended(child_of(stop_only)), 0);
		}
	assert_true(shared->rounds > 0);
	for (int i = 0; i < CALLS; i++) {
		int status = ended(pid[i]);

		if (status)
			print_message("# %s: %d\n", call_names[i], status);
		assert_int_equal(status, 0);
	}
	assert_true(bs_stop_restartable(SYS_epoll_wait));
	assert_false(bs_stop_restartable(SYS_close));
	assert_true(bs_stop_restartable(SYS_connect));
	assert_false(bs_stop_restartable(SYS_nanosleep));
	assert_false(bs_stop_restartable(-1));
}

static void waiter(void)
{
	struct sigaction sa = {.sa_handler = count_signal};
	struct epoll_event ev;
	int fd = epoll_create1(0);

	sigaction(SIGUSR1, &sa, NULL);
	shared->ready = 1;
	for (;;) {
		if (epoll_wait(fd, &ev, 1, -1) < 0 && errno == EINTR)
			shared->told++;
	}
}

static int hook_signal;

static void signal_while_stopped(void)
{
	kill(patched, hook_signal);
}

static void test_real_signal_interrupts(void **state)
{
	pid_t pid = child_of(waiter);

	(void)state;
	assert_true(WAIT_FOR(shared->ready && state_of_process(pid) == 'S'));
	patched = pid;
	bs_stop_test_hook = signal_while_stopped;
	hook_signal = SIGUSR1;
	for (uint64_t i = 1; i <= 20; i++) {
		do
			assert_int_equal(ended(child_of(stop_only)), 0);
		while (shared->result.code == -ETIMEDOUT);
		assert_int_equal(shared->result.code, 0);
		assert_true(WAIT_FOR(shared->received == i));
		assert_true(WAIT_FOR(shared->told == i));
		assert_true(WAIT_FOR(state_of_process(pid) == 'S'));
	}
	/* One without a handler wakes nobody, as if nobody traced. */
	hook_signal = SIGWINCH;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ended(child_of(stop_only)), 0);
	assert_true(WAIT_FOR(state_of_process(pid) == 'S'));
	assert_int_equal(shared->told, 20);
	end(pid);
}

/* Ignored signals come all the time: traced, a thread stops for them. */
static void test_ignored_signal(void **state)
{
	pid_t pid = child_of(waiter);

	(void)state;
	assert_true(WAIT_FOR(shared->ready && state_of_process(pid) == 'S'));
	patched = pid;
	for (int i = 0; i < 40; i++) {
		pid_t surgeon_pid = child_of(stop_only);
		int status = 0;

		while (waitpid(surgeon_pid, &status, WNOHANG) == 0)
			kill(pid, SIGWINCH);
		assert_int_equal(status, 0);
	}
	assert_true(WAIT_FOR(state_of_process(pid) == 'S'));
	assert_int_equal(shared->told, 0);
	end(pid);
}

/* --- at a switch ------------------------------------------------------------------------------ */

static bool trapped;

static void done(void *ctx)
{
	*(uint64_t *)ctx += 1 + 100 * (uint64_t)is_lit(patched, &shared->v[0]);
}

static void surgeon_as(void)
{
	static uint64_t called;
	struct bs_patch_how how = {
		.light = true, .trapped = trapped, .done = done, .done_ctx = &called};

	bs_patch_as(patched, &how, shared->v, 1, &shared->result);
	shared->sent = called;
}

static void parker(void)
{
	patch_park();
}

/* Puts the (stopped) target's only thread right in front of the switch. */
static void park(void)
{
	const long rip = offsetof(struct user_regs_struct, rip);

	if (ptrace(PTRACE_SEIZE, patched, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, patched, NULL, NULL) || waitpid(patched, NULL, __WALL) < 0 ||
	    ptrace(PTRACE_POKEUSER, patched, rip, patch_park_switch) ||
	    ptrace(PTRACE_DETACH, patched, NULL, NULL))
		_exit(1);
}

static uint64_t number_in(pid_t pid, const void *addr)
{
	uint64_t value = 0;

	assert_true(read_target(pid, &value, sizeof(value), (uint64_t)(uintptr_t)addr));
	return value;
}

/* A thread right at the switch: has it been counted by a trap? */
static void test_at_a_switch(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		pid_t pid = child_of(parker);

		patched = pid;
		trapped = i;
		shared->v[0].addr = (uint64_t)(uintptr_t)patch_park_switch;
		shared->v[0].rel = (int32_t)(patch_park_stub - (patch_park_switch + 5));
		kill(pid, SIGSTOP);
		assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
		assert_int_equal(ended(child_of(park)), 0);
		assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
		assert_true(WAIT_FOR(!ended(child_of(surgeon_as)) && !shared->result.code));
		assert_int_equal(shared->sent, 101);
		assert_int_equal(shared->v[0].state, BS_PATCH_LIT);
		/* Lit already: there is a stop nevertheless, since somebody wants to be called. */
		assert_true(WAIT_FOR(!ended(child_of(surgeon_as)) && !shared->result.code));
		assert_int_equal(shared->result.threads, 1);
		assert_int_equal(shared->result.written, 0);
		assert_int_equal(shared->sent, 101);
		assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
		kill(pid, SIGCONT);
		assert_true(WAIT_FOR(number_in(pid, &patch_passed) == 1));
		assert_int_equal(number_in(pid, &patch_hits), trapped ? 0 : 1);
		end(pid);
	}
}

/* --- what is not ours ------------------------------------------------------------------------- */

static bool write_target(pid_t pid, const void *buf, size_t len, uint64_t addr)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return false;
	got = pwrite(fd, buf, len, (off_t)addr);
	close(fd);
	return got == (ssize_t)len;
}

static void test_foreign_bytes(void **state)
{
	pid_t pid = child_of(eight_threads);
	const uint8_t trap = 0xcc;
	uint8_t now;
	/* Where no thread comes by: the nops behind a step's jump. */
	uint64_t between = shared->v[20].addr + 60;

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	kill(pid, SIGSTOP);
	assert_true(WAIT_FOR(state_of_process(pid) == 'T'));
	assert_true(write_target(pid, &trap, 1, shared->v[3].addr));
	assert_true(write_target(pid, &trap, 1, between));
	assert_int_equal(patch(pid, true), 0);
	assert_int_equal(shared->result.written, SITES - 1);
	for (size_t i = 0; i < SITES; i++) {
		assert_int_equal(shared->v[i].state, i == 3 ? BS_PATCH_FOREIGN : BS_PATCH_LIT);
		assert_int_equal(is_lit(pid, &shared->v[i]), i != 3);
	}
	assert_true(read_target(pid, &now, 1, shared->v[3].addr));
	assert_int_equal(now, 0xcc);
	assert_true(read_target(pid, &now, 1, between));
	assert_int_equal(now, 0xcc);
	/* And a jump of somebody else's is not darkened. */
	shared->v[5].rel += 4;
	assert_int_equal(patch(pid, false), 0);
	assert_int_equal(shared->v[3].state, BS_PATCH_FOREIGN);
	assert_int_equal(shared->v[5].state, BS_PATCH_FOREIGN);
	assert_int_equal(shared->result.written, SITES - 2);
	shared->v[5].rel -= 4;
	assert_true(is_lit(pid, &shared->v[5]));
	end(pid);
}

static void test_gone_and_crossing(void **state)
{
	pid_t pid = child_of(eight_threads);
	struct bs_patch *v = shared->v;

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	/* In front of all there is: in order of address. */
	v[0].addr = 4096;
	v[1].addr = 2 * 4096 - 2;
	assert_int_equal(bs_patch_look(pid, true, v, SITES), SITES - 2);
	assert_int_equal(patch(pid, true), 0);
	assert_int_equal(v[0].state, BS_PATCH_GONE);
	assert_int_equal(v[1].state, BS_PATCH_FOREIGN);
	for (size_t i = 2; i < SITES; i++)
		assert_true(is_lit(pid, &v[i]));
	assert_int_equal(bs_patch_look(pid, true, v, SITES), 0);
	assert_int_equal(bs_patch_look(pid, false, v, SITES), SITES - 2);
	assert_int_equal(patch(pid, false), 0);
	assert_true(text_intact(pid));
	assert_int_equal(shared->wrong, 0);
	end(pid);
	assert_int_equal(bs_patch_look(pid, false, v, SITES), -ESRCH);
}

/* Numbers of libraries that were loaded anew since are not there: what would be lit is nobody's. */
static void test_unnumbered(void **state)
{
	enum { PER_PAGE = 4096 / sizeof(uint32_t) };
	static uint32_t numbers[SITES + PER_PAGE];
	struct bs_patch *v = shared->v;
	size_t without = 0;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < SITES; i++) {
		/* Not in the order of the switches, and on more than one page. */
		size_t at = i % 2 ? i : i + PER_PAGE - 1;

		v[i].number = (uint32_t)i + 1;
		v[i].number_at = (uintptr_t)&numbers[at];
		numbers[at] = i % 3 ? v[i].number : 0;
		without += i % 3 == 0;
	}
	v[1].number_at = 8;
	without++;
	pid = child_of(eight_threads);
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	assert_int_equal(patch(pid, true), 0);
	assert_int_equal(shared->result.written, SITES - without);
	for (size_t i = 0; i < SITES; i++) {
		bool lit = i % 3 && i != 1;

		assert_int_equal(is_lit(pid, &v[i]), lit);
		assert_int_equal(v[i].state, lit ? BS_PATCH_LIT : BS_PATCH_GONE);
	}
	/* They are still to be lit. */
	assert_int_equal(bs_patch_look(pid, true, v, SITES), without);
	/* Whoever is lit is darkened in any case. */
	v[2].number = 77;
	assert_int_equal(patch(pid, false), 0);
	assert_int_equal(shared->result.written, SITES - without);
	assert_true(text_intact(pid));
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

/* Not in order, and twice the same: strange, but nothing breaks. */
static void test_disorder(void **state)
{
	pid_t pid = child_of(eight_threads);
	struct bs_patch first = shared->v[0];

	(void)state;
	assert_true(WAIT_FOR(shared->steppers == 8 && shared->rounds >= 8));
	for (size_t i = 0; i < SITES / 2; i++) {
		struct bs_patch swap = shared->v[i];

		shared->v[i] = shared->v[SITES - 1 - i];
		shared->v[SITES - 1 - i] = swap;
	}
	shared->v[SITES - 2] = first;
	assert_int_equal(patch(pid, true), 0);
	for (size_t i = 0; i < SITES; i++)
		assert_true(is_lit(pid, &shared->v[i]));
	assert_int_equal(patch(pid, false), 0);
	assert_true(text_intact(pid));
	assert_int_equal(shared->wrong, 0);
	end(pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_without_proc_mem, setup),
		cmocka_unit_test_setup(test_foreign_bytes, setup),
		cmocka_unit_test_setup(test_gone_and_crossing, setup),
		cmocka_unit_test_setup(test_disorder, setup),
		cmocka_unit_test_setup(test_unnumbered, setup),
		cmocka_unit_test_setup(test_cycles, setup),
		cmocka_unit_test_setup(test_main_thread_dead, setup),
		cmocka_unit_test_setup(test_threads_come_and_go, setup),
		cmocka_unit_test_setup(test_queued_signals, setup),
		cmocka_unit_test_setup(test_stopped_by_signal, setup),
		cmocka_unit_test_setup(test_long_vfork, setup),
		cmocka_unit_test_setup(test_own_children, setup),
		cmocka_unit_test_setup(test_shared_memory, setup),
		cmocka_unit_test_setup(test_no_memory, setup),
		cmocka_unit_test_setup(test_debugger, setup),
		cmocka_unit_test_setup(test_exec, setup),
		cmocka_unit_test_setup(test_exec_against_seize, setup),
		cmocka_unit_test_setup(test_killed_meanwhile, setup),
		cmocka_unit_test_setup(test_no_eintr, setup),
		cmocka_unit_test_setup(test_real_signal_interrupts, setup),
		cmocka_unit_test_setup(test_ignored_signal, setup),
		cmocka_unit_test_setup(test_at_a_switch, setup),
	};
	/*
	 * ThreadSanitizer has a thread of its own in every process, holds signals back and changes
	 * vfork: with it only these.
	 */
	const struct CMUnitTest few[] = {
		cmocka_unit_test_setup(test_without_proc_mem, setup),
		cmocka_unit_test_setup(test_foreign_bytes, setup),
		cmocka_unit_test_setup(test_gone_and_crossing, setup),
		cmocka_unit_test_setup(test_disorder, setup),
	};

	if (argc == 3 && !strcmp(argv[1], "--exec"))
		return exec_target(atoi(argv[2]));
#ifdef __SANITIZE_THREAD__
	(void)tests;
	return cmocka_run_group_tests_name("patch", few, NULL, NULL);
#else
	(void)few;
	return cmocka_run_group_tests_name("patch", tests, NULL, NULL);
#endif
}
