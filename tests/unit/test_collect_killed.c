// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_collect_killed.c - a tool that is killed while it lights or darkens sites leaves none lit.
 *
 * This process maps the file whose sites the tool lights, so its own text is the witness.  Needs
 * root and BPF.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "collect/collect.h"
#include "collect/light.h"

#define SITES  2000
#define ROUNDS 24

void test_sites(void);
__asm__(".text\n"
	".globl test_sites\n"
	"test_sites:\n"
	".rept 2000\n"
	"	nop\n"
	".endr\n"
	"	ret\n");

static volatile unsigned short semaphore __attribute__((section(".probes"), used));

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u),
			      .tv_nsec = (long)(ns % 1000000000u)};

	nanosleep(&ts, NULL);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t lit(void)
{
	const volatile unsigned char *text = (const volatile unsigned char *)test_sites;
	size_t n = 0;

	for (size_t i = 0; i < SITES; i++)
		n += text[i] != 0x90;
	return n;
}

/* Says a byte before it lights, one before it darkens and one after; never comes back. */
static void tool(int to)
{
	struct bs_collect_opts opts = {0};
	static struct bs_light sites[SITES];
	struct bs_error err = {0};
	struct bs_collect *c;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	for (uint32_t i = 0; i < SITES; i++) {
		sites[i].index = i + 1;
		sites[i].probe_offset = bs_own_offset((const void *)(uintptr_t)test_sites) + i;
		sites[i].semaphore_offset = bs_own_offset(&semaphore);
	}
	if (fd < 0 || bs_collect_new(&opts, &c, &err) || write(to, "l", 1) != 1 ||
	    bs_collect_light(c, fd, "this test", BS_TRAPS_ALL, sites, SITES, &err) ||
	    write(to, "d", 1) != 1)
		_exit(1);
	bs_collect_dark(c);
	if (write(to, "e", 1) != 1)
		_exit(1);
	pause();
	_exit(1);
}

/* Kills a tool `after` ns after its byte `word`; 0: right when the next one came.  Returns then. */
static uint64_t killed(int word, uint64_t after)
{
	uint64_t start = 0, took = 0;
	int from[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		tool(from[1]);
	close(from[1]);
	do
		assert_int_equal(read(from[0], &byte, 1), 1);
	while (byte != word);
	start = now_ns();
	if (after)
		sleep_ns(after);
	else
		assert_int_equal(read(from[0], &byte, 1), 1);
	took = now_ns() - start;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	close(from[0]);
	/* What the tool had begun ends without it. */
	for (int i = 0; i < 200 && (lit() || semaphore); i++)
		sleep_ns(50000000);
	assert_int_equal(lit(), 0);
	assert_int_equal(semaphore, 0);
	return took;
}

static void killed_at_all_times(int word)
{
	uint64_t whole = killed(word, 0);

	for (unsigned int i = 1; i <= ROUNDS; i++)
		killed(word, whole * i / ROUNDS + 1);
}

/* Opening perf events is not shielded. */
static bool multi_here(void)
{
	struct bs_collect_opts opts = {0};
	struct bs_error err = {0};
	struct bs_collect *c;
	bool multi;

	if (bs_collect_new(&opts, &c, &err))
		fail_msg("bs_collect_new: %s", err.text);
	multi = !strcmp(bs_collect_method(c), "uprobe_multi");
	bs_collect_free(c);
	return multi;
}

static void test_lighting(void **state)
{
	(void)state;
	if (multi_here())
		killed_at_all_times('l');
}

static void test_darkening(void **state)
{
	(void)state;
	if (multi_here())
		killed_at_all_times('d');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lighting),
		cmocka_unit_test(test_darkening),
	};

	return cmocka_run_group_tests_name("collect_killed", tests, NULL, NULL);
}
