/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unhurt.h - what those programs share that find out by themselves whether a tool hurt them: a
 * computation with marks whose result is known, the program's text compared with its file, and
 * an end on SIGTERM.
 *
 *	unhurt_begin();			first thing in main
 *	unhurt_lap(n);			in any thread, at any time, in signal handlers too
 *	if (unhurt_term(100)) ...	SIGTERM came within 100 ms
 *	unhurt_results(), unhurt_text()	for the line of JSON at the end
 */
#ifndef UNHURT_H
#define UNHURT_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first #include"
#endif
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bscope/bscope.h>

#define UNHURT_MIX 6364136223846793005ull
/* Rounds in a lap; marks in a round. */
#define UNHURT_ROUNDS 16
#define UNHURT_MARKS  13
#define UNHURT_SEEDS  16

/*
 * Longer than anything takes on a busy machine; what is not over then hangs.  UNHURT_PATIENCE in
 * the environment says another number of seconds.
 */
static unsigned unhurt_patience_s = 30;
static uint64_t unhurt_expected[UNHURT_SEEDS];
static _Atomic uint64_t unhurt_laps, unhurt_wrong;
static volatile sig_atomic_t unhurt_termed;

static inline uint64_t unhurt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static inline void unhurt_sleep_us(uint64_t us)
{
	struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

static inline uint64_t unhurt_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/*
 * All kinds of marks between computations whose values live in registers, in vector registers and,
 * as this is a leaf, in the red zone below the stack pointer.
 */
static inline __attribute__((always_inline)) uint64_t unhurt_compute(uint64_t seed, bool marks)
{
	volatile uint64_t zone[8];
	uint64_t a = seed + 1, b = ~seed * UNHURT_MIX, c = seed << 7 | 3;
	double d = (double)(seed & 1023), e = 1.0;

	for (unsigned i = 0; i < 8; i++)
		zone[i] = seed + i;
	for (uint64_t i = 0; i < UNHURT_ROUNDS; i++) {
		if (marks)
			BSCOPE_REGION_ENTER(round, i);
		zone[i & 7] += a ^ b;
		if (marks)
			BSCOPE_NEW_SIZED(thing, a, i);
		a = a * UNHURT_MIX + i;
		if (marks)
			BSCOPE_MOVE(thing, a, b);
		d = d * 0.5 + (double)(a >> 50);
		if (marks)
			BSCOPE_BORROW(thing, a, c);
		b ^= a >> 29;
		if (marks)
			BSCOPE_USE(thing, b, a);
		c += zone[(i + 3) & 7] * 5;
		if (marks)
			BSCOPE_UNBORROW(thing, a, c);
		e = e * 0.75 + d;
		if (marks)
			BSCOPE_BORROW_MUT(thing, c, i);
		a += c ^ (b << 3);
		if (marks)
			BSCOPE_RETAIN(thing, a);
		zone[(i + 5) & 7] ^= a;
		if (marks)
			BSCOPE_RELEASE(thing, c);
		b = b * 3 + zone[(i + 1) & 7];
		if (marks)
			BSCOPE_RESIZE_BEGIN(thing, b);
		c ^= c >> 17;
		if (marks)
			BSCOPE_RESIZE_END(thing, c, a);
		d += (double)(b >> 60);
		if (marks)
			BSCOPE_DROP(thing, a);
		a ^= b + i;
		if (marks)
			BSCOPE_REGION_EXIT(round, i);
	}
	for (unsigned i = 0; i < 8; i++)
		a = a * 31 + zone[i];
	return a ^ b ^ c ^ (uint64_t)(d * 1024) ^ (uint64_t)(e * 1024) << 20;
}

static __attribute__((noinline)) uint64_t unhurt_marked(uint64_t seed)
{
	return unhurt_compute(seed, true);
}

static __attribute__((noinline)) uint64_t unhurt_unmarked(uint64_t seed)
{
	return unhurt_compute(seed, false);
}

/* One lap; counts itself, and whether its result was wrong. */
static inline bool unhurt_lap(uint64_t n)
{
	bool right = unhurt_marked(n % UNHURT_SEEDS) == unhurt_expected[n % UNHURT_SEEDS];

	atomic_fetch_add_explicit(&unhurt_laps, 1, memory_order_relaxed);
	if (!right)
		atomic_fetch_add(&unhurt_wrong, 1);
	return right;
}

static inline const char *unhurt_results(void)
{
	return atomic_load(&unhurt_wrong) ? "wrong" : "right";
}

/* The executable segments of the program, and what its file says they are. */
static struct unhurt_segment {
	const unsigned char *memory;
	unsigned char *file;
	size_t size;
} unhurt_segments[4];
static unsigned unhurt_nsegments;

static inline int unhurt_text_load(struct dl_phdr_info *info, size_t size, void *ctx)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)size;
	(void)ctx;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		struct unhurt_segment *s = &unhurt_segments[unhurt_nsegments];

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		s->memory = (const unsigned char *)info->dlpi_addr + ph->p_vaddr;
		s->size = ph->p_filesz;
		s->file = malloc(s->size);
		if (unhurt_nsegments == 4 || !s->file ||
		    pread(fd, s->file, s->size, (off_t)ph->p_offset) != (ssize_t)s->size)
			abort();
		unhurt_nsegments++;
	}
	close(fd);
	return 1; /* the first object is the program itself */
}

/* Without a system call: under seccomp too. */
static inline bool unhurt_text_same(void)
{
	for (unsigned i = 0; i < unhurt_nsegments; i++)
		if (memcmp(unhurt_segments[i].memory, unhurt_segments[i].file,
			   unhurt_segments[i].size))
			return false;
	return true;
}

static inline const char *unhurt_text(void)
{
	return unhurt_text_same() ? "same" : "changed";
}

/* SIGTERM is blocked from here on, in threads and children too, and taken by unhurt_term alone. */
static inline void unhurt_begin(void)
{
	const char *patience = getenv("UNHURT_PATIENCE");
	sigset_t set;

	if (patience)
		unhurt_patience_s = (unsigned)strtoul(patience, NULL, 10);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	dl_iterate_phdr(unhurt_text_load, NULL);
	for (unsigned n = 0; n < UNHURT_SEEDS; n++)
		unhurt_expected[n] = unhurt_unmarked(n);
}

/* True once SIGTERM has come; waits for it for so long. */
static inline bool unhurt_term(unsigned ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (!unhurt_termed && sigtimedwait(&set, NULL, &ts) == SIGTERM)
		unhurt_termed = 1;
	return unhurt_termed;
}

/* Number of those of n threads that do not end. */
static inline unsigned unhurt_join(const pthread_t *threads, unsigned n)
{
	struct timespec until;
	unsigned hung = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += unhurt_patience_s;
	for (unsigned i = 0; i < n; i++)
		hung += pthread_timedjoin_np(threads[i], NULL, &until) != 0;
	return hung;
}

static inline void unhurt_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg)) {
		perror("pthread_create");
		abort();
	}
}

/* A number from the command line, or what it is if it is not there. */
static inline long unhurt_arg(int argc, char **argv, int i, long otherwise)
{
	char *end;
	long n;

	if (argc <= i)
		return otherwise;
	n = strtol(argv[i], &end, 10);
	if (*end || end == argv[i] || n < 0) {
		fprintf(stderr, "%s: not a number: %s\n", argv[0], argv[i]);
		exit(64);
	}
	return n;
}

#endif
