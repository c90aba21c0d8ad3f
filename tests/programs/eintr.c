// SPDX-License-Identifier: GPL-2.0-only
/*
 * eintr.c - a program whose threads sit in blocking calls, one kind each (eintr_calls.h), and
 * notice if one returns with EINTR that no signal caused, or if a wake-up does not arrive.
 *
 * usage: eintr [PAUSE_US [CALL]]
 *
 * Each thread makes its call over and over, with a timeout of 2 ms, of an hour or none, and marks
 * around it.  A partner goes round them, pausing for PAUSE_US (500) each time: it wakes by what
 * the call waits for, or, where it finds the thread asleep within the call, by a signal whose
 * handler does not restart.  A wake-up must be seen, and a call so interrupted be over, within
 * 30 s; each thread's next comes only then.  CALL: only calls whose name has this in it.  Two more
 * threads compute, and another has children all the time, whose SIGCHLD nobody wants: a signal that
 * is ignored must not interrupt anybody either.
 *
 * SIGTERM ends it.  It prints one JSON line, with names where something was wrong:
 *   wakes, signals, timeouts    that were sent, that happened
 *   eintr      returns with EINTR after a signal
 *   bare       returns with EINTR and no signal
 *   errors     other returns that should not be
 *   again      signals sent a second time: a call that a stop interrupted is started again, and a
 *              signal that comes just before it is goes by, as before any call
 *   lost       wake-ups not seen, calls not interrupted
 *   slowest_ms the longest that a wake-up took
 */
#define _GNU_SOURCE
#include "eintr_calls.h"

#define COMPUTING 2
/* A signal whose handler has run, and whose call goes on, is sent again after so long. */
#define AGAIN_NS 1000000000ull

static struct seat seats[CALLS];
static unsigned nseats;
static __thread struct seat *mine;
static atomic_bool quit, computing_quit;
static _Atomic uint64_t lost, again, slowest_ns;
static atomic_uint prepared;

static void on_signal(int sig)
{
	(void)sig;
	unhurt_lap(5);
	if (mine)
		atomic_fetch_add(&mine->handled, 1);
}

static void *sit(void *arg)
{
	static const int spans[] = {2, 2, 3600000, -1};
	struct seat *s = arg;
	uint64_t random;

	mine = s;
	s->tid = (pid_t)syscall(SYS_gettid);
	random = 88172645463325252ull ^ (uint64_t)s->tid;
	s->call->prepare(s);
	atomic_fetch_add(&prepared, 1);
	while (!atomic_load(&quit)) {
		int ms = spans[unhurt_random(&random) % 4], r;

		unhurt_lap(random);
		BSCOPE_BORROW(seat, s, s->tid);
		r = s->call->wait(s, ms);
		BSCOPE_UNBORROW(seat, s, s->tid);
		if (r == WOKEN)
			atomic_fetch_add(&s->seen, 1);
		else if (r == TIMED_OUT)
			atomic_fetch_add(&s->timeouts, 1);
		else if (r != -EINTR) {
			atomic_fetch_add(&s->errors, 1);
			atomic_store(&s->error, -r);
		} else if (atomic_load(&s->handled) == s->handled_before)
			atomic_fetch_add(&s->bare, 1);
		else
			atomic_fetch_add(&s->interrupted, 1);
	}
	atomic_store(&s->ended, true);
	return NULL;
}

static void *compute(void *arg)
{
	for (uint64_t n = (uintptr_t)arg; !atomic_load(&computing_quit); n++) {
		unhurt_lap(n);
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void *have_children(void *arg)
{
	(void)arg;
	while (!atomic_load(&computing_quit)) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		unhurt_lap(1);
		waitpid(pid, NULL, 0);
		unhurt_sleep_us(3000);
	}
	return NULL;
}

static bool asleep(const struct seat *s)
{
	char path[64], text[512], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", s->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strrchr(text, ')');
	return p && p[2] == 'S';
}

static void slow(uint64_t since)
{
	uint64_t took = unhurt_now_ns() - since;

	if (took > atomic_load(&slowest_ns))
		atomic_store(&slowest_ns, took);
}

/* True if nothing is under way to the seat any more. */
static bool settled(struct seat *s)
{
	uint64_t now = unhurt_now_ns(), late = unhurt_patience_s * 1000000000ull;

	if (s->sent_ns) {
		if (atomic_load(&s->seen) >= atomic_load(&s->sent)) {
			slow(s->sent_ns);
			s->sent_ns = 0;
		} else if (now - s->sent_ns > late) {
			s->stuck = true;
		}
	}
	if (s->signalled_ns) {
		if (atomic_load(&s->handled) >= atomic_load(&s->signalled) &&
		    (s->call->deaf || atomic_load(&s->calls) != s->signalled_in)) {
			slow(s->signalled_ns);
			s->signalled_ns = 0;
		} else if (now - s->signalled_ns > late) {
			s->stuck = true;
		} else if (now - s->signalled_ns > AGAIN_NS && !s->signalled_again &&
			   atomic_load(&s->handled) >= atomic_load(&s->signalled)) {
			s->signalled_again = true;
			atomic_fetch_add(&again, 1);
			pthread_kill(s->thread, SIGUSR1);
		}
	}
	if (s->stuck)
		atomic_fetch_add(&lost, 1);
	return !s->stuck && !s->sent_ns && !s->signalled_ns;
}

static void send_signal(struct seat *s)
{
	uint64_t in = atomic_load(&s->calls);

	/* Asleep in just this call, so that the signal must end it. */
	if (!(in & 1) || !asleep(s) || atomic_load(&s->calls) != in)
		return;
	s->signalled_in = in;
	s->signalled_ns = unhurt_now_ns();
	s->signalled_again = false;
	atomic_fetch_add(&s->signalled, 1);
	pthread_kill(s->thread, SIGUSR1);
}

static void send_wake(struct seat *s)
{
	uint64_t now = unhurt_now_ns();

	atomic_fetch_add(&s->sent, 1);
	if (s->call->wake(s))
		s->sent_ns = now;
	else
		atomic_fetch_sub(&s->sent, 1);
}

static void *partner(void *arg)
{
	uint64_t pause_us = (uint64_t)(uintptr_t)arg, random = 362436069;

	while (!atomic_load(&quit)) {
		struct seat *s = &seats[unhurt_random(&random) % nseats];

		unhurt_sleep_us(pause_us);
		if (s->stuck || !settled(s))
			continue;
		if (!s->call->wake || unhurt_random(&random) % 3 == 0)
			send_signal(s);
		else
			send_wake(s);
	}
	/* What is under way still counts. */
	for (unsigned i = 0; i < nseats; i++)
		while (!seats[i].stuck && !seats[i].ended && !settled(&seats[i]))
			unhurt_sleep_us(1000);
	return NULL;
}

/* Gets all out of their last calls; how many cannot be. */
static unsigned end_seats(void)
{
	uint64_t until_ns = unhurt_now_ns() + unhurt_patience_s * 1000000000ull;
	unsigned left;

	do {
		left = 0;
		for (unsigned i = 0; i < nseats; i++) {
			struct seat *s = &seats[i];

			if (atomic_load(&s->ended))
				continue;
			left++;
			if (s->call->deaf && !s->sent_ns) {
				send_wake(s);
				s->sent_ns = 0;
			} else {
				pthread_kill(s->thread, SIGUSR1);
			}
		}
		unhurt_sleep_us(2000);
	} while (left && unhurt_now_ns() < until_ns);
	return left;
}

static uint64_t sum(size_t offset)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < nseats; i++)
		n += *(_Atomic uint64_t *)(void *)((char *)&seats[i] + offset);
	return n;
}

#define SUM(member) ((unsigned long long)sum(offsetof(struct seat, member)))

static void print(unsigned hung)
{
	const char *comma = "";

	printf("{\"calls\": %u, \"wakes\": %llu, \"signals\": %llu, \"timeouts\": %llu, "
	       "\"eintr\": %llu, \"bare\": %llu, \"errors\": %llu, \"again\": %llu, \"lost\": %llu, "
	       "\"hung\": %u, \"slowest_ms\": %.1f, \"wrong_calls\": [",
	       nseats, SUM(sent), SUM(signalled), SUM(timeouts), SUM(interrupted), SUM(bare),
	       SUM(errors), (unsigned long long)again, (unsigned long long)lost, hung,
	       (double)slowest_ns / 1e6);
	for (unsigned i = 0; i < nseats; i++) {
		struct seat *s = &seats[i];

		if (!s->bare && !s->errors && !s->stuck && s->ended)
			continue;
		printf("%s{\"call\": \"%s\", \"bare\": %llu, \"errors\": %llu, \"error\": \"%s\", "
		       "\"lost\": \"%s\", \"hung\": %d}",
		       comma, s->call->name, (unsigned long long)s->bare,
		       (unsigned long long)s->errors, s->error ? strerror(s->error) : "",
		       !s->stuck	 ? ""
		       : s->signalled_ns ? "signal"
					 : "wake-up",
		       !s->ended);
		comma = ", ";
	}
	printf("], \"laps\": %llu, \"results\": \"%s\", \"text\": \"%s\"}\n",
	       (unsigned long long)unhurt_laps, unhurt_results(), unhurt_text());
	fflush(stdout);
}

int main(int argc, char **argv)
{
	pthread_t computing[COMPUTING + 1], other;
	struct sigaction sa = {.sa_handler = on_signal}; /* not SA_RESTART */
	const char *only = argc > 2 ? argv[2] : "";
	sigset_t set;
	unsigned hung;

	unhurt_begin();
	sigemptyset(&set);
	sigaddset(&set, SIG_WAITED);
	sigaddset(&set, SIG_READ);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	for (unsigned i = 0; i < CALLS; i++) {
		if (!strstr(calls[i].name, only))
			continue;
		seats[nseats].call = &calls[i];
		unhurt_start(&seats[nseats].thread, sit, &seats[nseats]);
		nseats++;
	}
	if (!nseats)
		return 64;
	while (atomic_load(&prepared) < nseats)
		unhurt_sleep_us(1000);
	for (uintptr_t i = 0; i < COMPUTING; i++)
		unhurt_start(&computing[i], compute, (void *)i);
	unhurt_start(&computing[COMPUTING], have_children, NULL);
	unhurt_start(&other, partner, (void *)(uintptr_t)unhurt_arg(argc, argv, 1, 500));

	while (!unhurt_term(1000))
		;
	atomic_store(&quit, true);
	hung = unhurt_join(&other, 1);
	hung += end_seats();
	atomic_store(&computing_quit, true);
	hung += unhurt_join(computing, COMPUTING + 1);
	for (unsigned i = 0; i < nseats; i++)
		calls_clean(&seats[i]);
	print(hung);
	_exit(0);
}
