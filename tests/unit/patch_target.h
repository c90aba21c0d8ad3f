/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * patch_target.h - the traced side of test_patch.c and test_guardian.c: a function with switches
 * whose stubs count, and processes that run it and know what it must return.
 */
#ifndef BS_TESTS_PATCH_TARGET_H
#define BS_TESTS_PATCH_TARGET_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target/patch.h"

/* --- the text --------------------------------------------------------------------------------- */

#define SITES 96

/*
 * 96 steps x = 3x + 1, a switch before each, 288 bytes of nothing between them: eight pages.  The
 * stub counts, and leaves flags and red zone as they are.
 */
uint64_t patch_steps(uint64_t x);
extern const uint8_t patch_steps_end[];
extern _Atomic uint64_t patch_hits, patch_passed;
void patch_park(void);
extern const uint8_t patch_park_switch[], patch_park_stub[];

struct patch_site {
	uint64_t addr, stub;
};
extern const struct patch_site __start_bs_patch_sites[], __stop_bs_patch_sites[];

__asm__(".text\n"
	".globl patch_steps, patch_steps_end\n"
	".p2align 12\n"
	"patch_steps:\n"
	"	mov %rdi, -8(%rsp)\n"
	".rept 96\n"
	"991:	.byte 0x66,0x0f,0x1f,0x44,0,0\n"
	"	.pushsection bs_patch_sites,\"aw\"\n"
	"	.quad 991b, 999f\n"
	"	.popsection\n"
	"	.pushsection .text.bs_patch_stubs,\"ax\"\n"
	"999:	lea -128(%rsp), %rsp\n"
	"	pushfq\n"
	"	lock incq patch_hits(%rip)\n"
	"	popfq\n"
	"	lea 128(%rsp), %rsp\n"
	"	jmp 991b+6\n"
	"	.popsection\n"
	"	mov -8(%rsp), %rax\n"
	"	lea 1(%rax,%rax,2), %rax\n"
	"	mov %rax, -8(%rsp)\n"
	"	jmp 992f\n"
	"	.fill 288, 1, 0x90\n"
	"992:\n"
	".endr\n"
	"	ret\n"
	"patch_steps_end:\n"
	"	nop\n"
	/* A thread is parked in front of its switch, and counted behind it. */
	".globl patch_park, patch_park_switch\n"
	".p2align 4\n"
	"patch_park:\n"
	"	pause\n"
	"	jmp patch_park\n"
	"patch_park_switch:\n"
	"993:	.byte 0x66,0x0f,0x1f,0x44,0,0\n"
	"	lock incq patch_passed(%rip)\n"
	"	jmp patch_park\n"
	"994:	lock incq patch_hits(%rip)\n"
	"	jmp 993b+6\n"
	".set patch_park_stub, 994b\n"
	".globl patch_park_stub\n"
	".data\n"
	".globl patch_hits, patch_passed\n"
	".p2align 3\n"
	"patch_passed: .quad 0\n"
	"patch_hits: .quad 0\n"
	".text\n");

static uint64_t patch_steps_expected(uint64_t x)
{
	for (int i = 0; i < SITES; i++)
		x = 3 * x + 1;
	return x;
}

static void patch_sites(struct bs_patch *v)
{
	for (size_t i = 0; i < SITES; i++) {
		const struct patch_site *site = &__start_bs_patch_sites[i];

		v[i].addr = site->addr;
		v[i].rel = (int32_t)(site->stub - (site->addr + 5));
		v[i].state = 77;
		v[i].number_at = 0;
	}
}

/* --- what tests and targets share ------------------------------------------------------------- */

struct patch_shared {
	struct bs_patch v[SITES];
	struct bs_patch_result result;
	_Atomic uint64_t rounds, wrong, hits, sent, received, ready, go, told, shares, steppers;
	_Atomic int32_t pid[4];
	int answer;
};
static struct patch_shared *shared;

static void nap(unsigned ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&ts, NULL);
}

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Waits until what holds, at most ten seconds; whether it did. */
#define WAIT_FOR(what)                                                        \
	({                                                                    \
		uint64_t began_ = monotonic_ms();                             \
		bool holds_;                                                  \
		while (!(holds_ = (what)) && monotonic_ms() - began_ < 10000) \
			nap(2);                                               \
		holds_;                                                       \
	})

static void shared_new(void)
{
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	memset(shared, 0, sizeof(*shared));
	patch_sites(shared->v);
}

/* Runs fn in a child that goes with us. */
static pid_t child_of(void (*fn)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn();
		_exit(0);
	}
	return pid;
}

/* Waits for a child; its wait status, or -1 if it does not end (it is killed then). */
static int ended(pid_t pid)
{
	int status = -1;
	pid_t got;

	if (!WAIT_FOR((got = waitpid(pid, &status, WNOHANG)) != 0)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	return got == pid ? status : -1;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	ended(pid);
}

/* A thread's main: steps until told to stop, counting what came out wrong. */
static void *step_forever(void *arg)
{
	uint64_t expected = patch_steps_expected(7);

	(void)arg;
	shared->steppers++;
	for (;;) {
		for (int i = 0; i < 100; i++)
			if (patch_steps(7) != expected)
				shared->wrong++;
		shared->rounds++;
		shared->hits = patch_hits;
	}
	return NULL;
}

/* --- looking at a process --------------------------------------------------------------------- */

static bool read_target(pid_t pid, void *buf, size_t len, uint64_t addr)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	got = pread(fd, buf, len, (off_t)addr);
	close(fd);
	return got == (ssize_t)len;
}

/* Is the text of the process what ours is, which nobody patches? */
static bool text_intact(pid_t pid)
{
	uint64_t start = (uint64_t)(uintptr_t)patch_steps;
	size_t len = (size_t)((uint64_t)(uintptr_t)patch_steps_end - start);
	uint8_t *buf = malloc(len);
	bool same = buf && read_target(pid, buf, len, start) &&
		    !memcmp(buf, (const void *)(uintptr_t)start, len);

	free(buf);
	return same;
}

static bool is_lit(pid_t pid, const struct bs_patch *v)
{
	uint8_t now[6], jump[6] = {0xe9};

	memcpy(jump + 1, &v->rel, 4);
	return read_target(pid, now, sizeof(now), v->addr) && !memcmp(now, jump, sizeof(now));
}

static bool all_lit(pid_t pid)
{
	for (size_t i = 0; i < SITES; i++)
		if (!is_lit(pid, &shared->v[i]))
			return false;
	return true;
}

static char state_of_process(pid_t pid)
{
	char path[64], buf[512], *s;
	ssize_t got = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		got = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	if (got <= 0)
		return '-';
	buf[got] = '\0';
	s = strrchr(buf, ')');
	return s ? s[2] : '-';
}

#endif
