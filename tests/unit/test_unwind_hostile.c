// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_unwind_hostile.c - stacks and files that are made to hurt, processes that have gone, and
 * what becomes of the worker.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/error.h"
#include "symbol/look.h"
#include "target/elf.h"
#include "target/process.h"
#include "unwind/cfi.h"
#include "unwind_target.h"

static struct bs_cfi *cfi;

/* A sanitizer's malloc fails as others do: the worker's memory is limited. */
#define SANITIZER_OPTIONS "allocator_may_return_null=1"
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return SANITIZER_OPTIONS;
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return SANITIZER_OPTIONS;
}

static int setup(void **state)
{
	struct bs_error err;

	(void)state;
	return bs_unwind_new(&unwind, 1, &err) || bs_cfi_new(&cfi, &err);
}

static int teardown(void **state)
{
	(void)state;
	bs_unwind_free(unwind);
	bs_cfi_free(cfi);
	return 0;
}

/* --- processes that go -------------------------------------------------------------------------
 */

static void run_to(struct target *t, const char *name, uint64_t scene)
{
	start(t, name, NULL);
	do
		assert_true(next(t));
	while (t->truth.scene != scene);
}

static void gone(void **state)
{
	enum bs_unwind_end end;
	uint64_t out[FRAMES];
	struct target t;
	size_t n;

	(void)state;
	run_to(&t, "gcc", UNWIND_CHAIN);
	bs_unwind_invalidate(unwind, (uint32_t)t.pid);
	kill(t.pid, SIGKILL);
	while (waitpid(t.pid, NULL, __WALL) > 0)
		;
	/* Nothing had been asked while it lived. */
	n = walk(&t, out, &end);
	assert_int_equal(end, BS_UNWIND_COMPLETE);
	assert_true(n > t.truth.n);
	for (size_t i = 0; i < t.truth.n; i++)
		assert_int_equal(out[1 + i], t.truth.addr[t.truth.n - 1 - i]);
	free(t.bytes);
}

/* A child has its parent's mappings, if nobody could look at its own. */
static void forked(void **state)
{
	enum bs_unwind_end end;
	uint64_t out[FRAMES];
	struct target t;
	size_t n, before;

	(void)state;
	run_to(&t, "gcc", UNWIND_CHAIN);
	before = walk(&t, out, &end);
	/* Above the largest pid that there can be: proc(5), pid_max. */
	n = bs_unwind(unwind, 5000000, &t.regs, &t.stack, out, FRAMES, &end);
	assert_int_equal(n, 1);
	assert_int_equal(end, BS_UNWIND_NO_CFI);
	bs_unwind_fork(unwind, (uint32_t)t.pid, 5000000);
	n = bs_unwind(unwind, 5000000, &t.regs, &t.stack, out, FRAMES, &end);
	assert_int_equal(n, before);
	assert_int_equal(end, BS_UNWIND_COMPLETE);
	finish(&t);
}

/* The file is gone before anybody looks. */
static void deleted(void **state)
{
	char command[1200], copy[600];
	enum bs_unwind_end end;
	uint64_t out[FRAMES];
	struct target t;

	(void)state;
	snprintf(copy, sizeof(copy), "%s", program("copy"));
	snprintf(command, sizeof(command), "cp %s %s", program("gcc"), copy);
	assert_int_equal(system(command), 0);
	run_to(&t, "copy", UNWIND_CHAIN);
	assert_int_equal(unlink(copy), 0);
	walk(&t, out, &end);
	assert_int_equal(end, BS_UNWIND_COMPLETE);
	assert_int_equal(out[1], t.truth.addr[t.truth.n - 1]);
	finish(&t);
}

/* Half of the file's functions have no CFI at all. */
static void no_cfi(void **state)
{
	enum bs_unwind_end end;
	uint64_t out[FRAMES];
	struct target t;

	(void)state;
	run_to(&t, "none", UNWIND_CHAIN);
	assert_int_equal(walk(&t, out, &end), 1);
	assert_int_equal(end, BS_UNWIND_NO_CFI);
	/* libc's frames, and then none. */
	while (t.truth.scene != UNWIND_CALLBACK)
		assert_true(next(&t));
	assert_int_equal(walk(&t, out, &end), 1);
	assert_int_equal(end, BS_UNWIND_NO_CFI);
	finish(&t);
}

/* --- stacks ------------------------------------------------------------------------------------
 */

static uint64_t seed = 0x9e3779b97f4a7c15ull;

/* Marsaglia's xorshift64*. */
static uint64_t rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dull;
}

static bool on_stack(const struct target *t, uint64_t v)
{
	return memmem(t->bytes, t->stack.size, &v, sizeof(v));
}

/*
 * Any stack, any registers: no crash, no end, and no frame that is not a number of the stack or of
 * a register.
 */
static void random_stacks(void **state)
{
	struct target t, u;
	size_t deep = 0;

	(void)state;
	run_to(&t, "gcc", UNWIND_STEP);
	u = t;
	u.bytes = malloc(STACK_MAX);
	assert_non_null(u.bytes);
	u.stack.bytes = u.bytes;
	for (unsigned round = 0; round < 100000; round++) {
		enum bs_unwind_end end;
		uint64_t out[FRAMES];
		size_t n;

		u.stack.size = BS_UNWIND_RED_ZONE + rnd() % 4096;
		u.regs = t.regs;
		/* Changed here and there, or made of what is good to have on a stack. */
		memcpy(u.bytes, t.bytes, u.stack.size);
		for (size_t i = rnd() % 64; i; i--)
			u.bytes[rnd() % u.stack.size] = (uint8_t)rnd();
		for (size_t i = 0; round % 2 && i + 8 <= u.stack.size; i += 8) {
			uint64_t v = rnd() % 3 == 0 ? t.truth.start + rnd() % 8192 - 2048
				     : rnd() % 2    ? u.stack.start + rnd() % 4096
						    : rnd() >> rnd() % 64;

			memcpy(u.bytes + i, &v, sizeof(v));
		}
		if (round % 4 == 1)
			u.regs.v[BS_UNWIND_RIP] = t.truth.start + rnd() % 4096;
		if (round % 8 == 1)
			u.regs.v[rnd() % BS_UNWIND_NREGS] = rnd();
		u.regs.known = (uint32_t)rnd() | 1u << BS_UNWIND_RIP | 1u << BS_UNWIND_RSP;
		n = walk(&u, out, &end);
		assert_in_range(n, 1, FRAMES);
		assert_in_range(end, BS_UNWIND_COMPLETE, BS_UNWIND_BROKEN);
		assert_true(out[0] == u.regs.v[BS_UNWIND_RIP]);
		for (size_t i = 1; i < n; i++)
			if (!on_stack(&u, out[i]) && !on_stack(&u, out[i] - 1))
				fail_msg("round %u: frame %zu is invented", round, i);
		deep += n > 3;
	}
	/* Or nothing was tried. */
	assert_true(deep > 10000);
	free(u.bytes);
	finish(&t);
}

/* --- files -------------------------------------------------------------------------------------
 */

static struct bs_cfi_stats stats(void)
{
	struct bs_cfi_stats now;

	bs_cfi_stats(cfi, &now);
	return now;
}

static uint64_t deaths(void)
{
	return stats().deaths;
}

static int ask_once(uint32_t file, int fd, uint64_t vaddr)
{
	struct bs_cfi_op ops[BS_CFI_MAX_OPS];
	struct bs_cfi_row row;
	size_t nops;
	int ret = bs_cfi_ask(cfi, file, fd, -1, vaddr, &row, ops, &nops);

	if (!ret)
		assert_true(bs_cfi_row_valid(&row, nops));
	return ret;
}

/* However busy the machine is. */
static int ask(uint32_t file, int fd, uint64_t vaddr)
{
	int ret;

	while ((ret = ask_once(file, fd, vaddr)) == -EAGAIN)
		usleep(1000);
	return ret;
}

static int open_program(const char *name)
{
	int fd = open(program(name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Where functions are: name in the symbol table -> link-time address. */
static uint64_t symbol(int fd, const char *name)
{
	struct bs_elf_symbols *symbols;
	uint64_t at = 0, start = 0;
	struct bs_elf elf;

	assert_int_equal(bs_elf_init(&elf, fd, "", NULL), 0);
	assert_int_equal(bs_elf_symbols_new(&elf, &symbols), 0);
	for (size_t i = 0; i < elf.nsegments && !at; i++)
		for (uint64_t v = 0; v < elf.segments[i].memsz && !at; v++) {
			const char *found =
				bs_elf_symbols_find(symbols, elf.segments[i].vaddr + v, &start);

			if (found && !strcmp(found, name))
				at = start;
		}
	bs_elf_symbols_free(symbols);
	bs_elf_fini(&elf);
	if (!at)
		fail_msg("no %s", name);
	return at;
}

/* The largest that its memory has been, in kB. */
static unsigned long peak(pid_t pid)
{
	unsigned long kb = 0;
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/status", pid);
	f = fopen(line, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmHWM: %lu", &kb);
	fclose(f);
	assert_true(kb > 0);
	return kb;
}

static void hostile_cfi(void **state)
{
	static const struct {
		const char *name;
		bool refused; /* else a row that fails when it is used, or does no harm */
	} functions[] = {
		{"hostile_plain", false},	 {"hostile_register", true},
		{"hostile_register_huge", true}, {"hostile_states", false},
		{"hostile_restore", true},	 {"hostile_loop", false},
		{"hostile_long", true},		 {"hostile_deep", false},
		{"hostile_length", true},	 {"hostile_still", false},
		{"hostile_back", false},	 {"hostile_unknown", true},
	};
	int fd = open_program("hostile.so");
	static uint8_t bytes[4096];
	pid_t worker = bs_cfi_test_pid(cfi);

	(void)state;
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		struct bs_unwind_stack stack = {0x10000, bytes, sizeof(bytes)};
		struct bs_unwind_regs regs = {.known = (1u << BS_UNWIND_NREGS) - 1}, caller;
		struct bs_cfi_op ops[BS_CFI_MAX_OPS];
		struct bs_cfi_row row;
		size_t nops;
		uint64_t at = symbol(fd, functions[i].name);
		int ret;

		while ((ret = bs_cfi_ask(cfi, 1, fd, -1, at, &row, ops, &nops)) == -EAGAIN)
			usleep(1000);
		if (functions[i].refused != (ret == -ENOENT))
			fail_msg("%s: %d", functions[i].name, ret);
		regs.v[BS_UNWIND_RSP] = 0x10100;
		ret = ret ? ret : bs_cfi_step(&row, ops, &stack, &regs, &caller);
		if (!strcmp(functions[i].name, "hostile_loop") ||
		    !strcmp(functions[i].name, "hostile_deep"))
			assert_int_equal(ret, -EINVAL);
	}
	/* The first worker is there still, and was kept from taking 2 GiB. */
	assert_int_equal(deaths(), 0);
	assert_int_equal(bs_cfi_test_pid(cfi), worker);
	assert_true(peak(worker) < 2 * (BS_LOOK_MEMORY >> 10));
	close(fd);
}

/* Each a library with some bytes of its tables changed. */
static void damaged(void **state)
{
	int good = open_program("library.so");
	struct bs_elf elf;
	uint64_t from = UINT64_MAX, to = 0, known = symbol(good, "chain");
	unsigned answered = 0, lost = 0;

	(void)state;
	assert_int_equal(bs_elf_init(&elf, good, "", NULL), 0);
	for (size_t i = 0; i < elf.nsections; i++) {
		const struct bs_elf_section *s = &elf.sections[i];

		if (!bs_elf_section_is(&elf, s, ".eh_frame") &&
		    !bs_elf_section_is(&elf, s, ".eh_frame_hdr"))
			continue;
		from = s->offset < from ? s->offset : from;
		to = s->offset + s->size > to ? s->offset + s->size : to;
	}
	assert_true(from < to);
	assert_int_equal(ask(1, good, known), 0);
	for (uint32_t file = 2; file < 200; file++) {
		int fd = memfd_create("damaged", MFD_CLOEXEC);
		uint8_t *bytes = malloc(elf.size);

		assert_non_null(bytes);
		assert_int_equal(bs_elf_read(&elf, 0, bytes, elf.size), 0);
		for (unsigned i = 0; i < 1 + file / 10; i++)
			bytes[from + rnd() % (to - from)] = (uint8_t)rnd();
		/* Some in the headers too. */
		if (file % 4 == 0)
			bytes[rnd() % 1024] = (uint8_t)rnd();
		assert_int_equal(write(fd, bytes, elf.size), elf.size);
		free(bytes);
		for (unsigned i = 0; i < 100; i++) {
			int ret = ask(file, fd, known + i * 16);

			assert_true(ret == 0 || ret == -ENOENT || ret == -EIO);
			answered += !ret;
			lost += ret == -EIO;
		}
		close(fd);
		/* Where libdw did not survive one, there is nothing wrong with the others. */
		if (deaths() > BS_CFI_DEATHS / 2) {
			bs_cfi_free(cfi);
			assert_int_equal(bs_cfi_new(&cfi, NULL), 0);
		}
	}
	assert_true(answered > 5000);
	print_message("# damaged: %u answers, %u after a worker was lost\n", answered, lost);
	bs_elf_fini(&elf);
	close(good);
}

/* A file that is cut short while it is mapped kills who reads it (SIGBUS). */
static void cut(void **state)
{
	int good = open_program("library.so"), fd = memfd_create("cut", MFD_CLOEXEC);
	uint64_t at = symbol(good, "chain");
	struct stat st;

	(void)state;
	assert_int_equal(fstat(good, &st), 0);
	assert_int_equal(sendfile(fd, good, NULL, (size_t)st.st_size), st.st_size);
	assert_int_equal(ask(1, good, at), 0);
	assert_int_equal(ask(2, fd, at), 0);
	assert_int_equal(ftruncate(fd, 64), 0);
	/* The next worker sees a short file from the beginning. */
	assert_int_equal(ask(2, fd, symbol(good, "variable")), -ENOENT);
	assert_int_equal(deaths(), 1);
	assert_int_equal(ask(1, good, at), 0);
	close(fd);
	close(good);
}

/* --- the worker --------------------------------------------------------------------------------
 */

static void killed(void **state)
{
	int fd = open_program("gcc");
	uint64_t at = symbol(fd, "chain");
	pid_t first = bs_cfi_test_pid(cfi);

	(void)state;
	assert_int_equal(ask(1, fd, at), 0);
	kill(first, SIGKILL);
	assert_int_equal(ask(1, fd, at), 0);
	assert_int_equal(deaths(), 1);
	assert_int_not_equal(bs_cfi_test_pid(cfi), first);
	/* Twice over the same file is no chance. */
	kill(bs_cfi_test_pid(cfi), SIGKILL);
	assert_int_equal(ask(1, fd, at), -EIO);
	assert_int_equal(ask(1, fd, at), -EIO);
	assert_int_equal(ask(2, fd, at), 0);
	close(fd);
}

/* Who asks can do other things meanwhile, until the worker is given up. */
static void too_slow(void **state)
{
	int fd = open_program("gcc"), ret;
	uint64_t at = symbol(fd, "chain"), asked = 0;

	(void)state;
	assert_int_equal(ask(1, fd, at), 0);
	asked -= stats().late;
	kill(bs_cfi_test_pid(cfi), SIGSTOP);
	for (; (ret = ask_once(1, fd, at)) == -EAGAIN; asked++)
		usleep(1000);
	assert_int_equal(ret, -EIO);
	assert_true(asked > 10);
	assert_int_equal(deaths(), 1);
	assert_int_equal(ask(2, fd, at), 0);
	close(fd);
}

/* What it was asked before it became slow is not the answer to what is asked then. */
static void slow_for_a_while(void **state)
{
	int fd = open_program("gcc"), other = open_program("library.so");
	pid_t worker = bs_cfi_test_pid(cfi);

	(void)state;
	assert_int_equal(ask(1, fd, symbol(fd, "chain")), 0);
	kill(worker, SIGSTOP);
	assert_int_equal(ask_once(1, fd, 1), -EAGAIN);
	assert_int_equal(ask_once(2, other, symbol(other, "chain")), -EAGAIN);
	kill(worker, SIGCONT);
	assert_int_equal(ask(2, other, symbol(other, "chain")), 0);
	assert_int_equal(ask(1, fd, 1), -ENOENT);
	assert_int_equal(ask(1, fd, symbol(fd, "chain")), 0);
	assert_int_equal(deaths(), 0);
	assert_int_equal(bs_cfi_test_pid(cfi), worker);
	close(fd);
	close(other);
}

/* In the end there are no more of them, and no more waiting. */
static void too_often(void **state)
{
	int fd = open_program("gcc");
	uint64_t at = symbol(fd, "chain");

	(void)state;
	for (uint32_t i = 0; i < BS_CFI_DEATHS; i++) {
		assert_int_equal(ask(1 + i, fd, at), 0);
		kill(bs_cfi_test_pid(cfi), SIGKILL);
	}
	assert_int_equal(ask(100, fd, at), -EIO);
	assert_int_equal(deaths(), BS_CFI_DEATHS);
	assert_int_equal(bs_cfi_test_pid(cfi), -1);
	close(fd);
}

static long status_of(pid_t pid, const char *what)
{
	char path[64], line[256];
	long v = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, what, strlen(what)) && line[strlen(what)] == ':')
			v = strtol(line + strlen(what) + 1, NULL, 10);
	fclose(f);
	return v;
}

/* It can open nothing, and has nothing open but its socket. */
static void confined(void **state)
{
	pid_t pid = bs_cfi_test_pid(cfi);
	char command[128];

	(void)state;
	/* 2: SECCOMP_MODE_FILTER. */
	assert_int_equal(status_of(pid, "Seccomp"), 2);
	assert_int_equal(status_of(pid, "NoNewPrivs"), 1);
	snprintf(command, sizeof(command), "test \"$(ls /proc/%d/fd | wc -l)\" = 1", pid);
	assert_int_equal(system(command), 0);
}

/* It does not outlive who started it, however that ends. */
static void orphaned(void **state)
{
	pid_t parent, worker = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	parent = fork();
	if (!parent) {
		struct bs_cfi *own;

		if (!bs_cfi_new(&own, NULL)) {
			worker = bs_cfi_test_pid(own);
			if (write(fds[1], &worker, sizeof(worker)) < 0)
				_exit(1);
		}
		for (;;)
			pause();
	}
	assert_int_equal(read(fds[0], &worker, sizeof(worker)), sizeof(worker));
	assert_true(worker > 0 && !kill(worker, 0));
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	for (int i = 0; i < 1000 && status_of(worker, "Seccomp") >= 0; i++)
		usleep(10000);
	/* Gone, or waiting for whoever reaps: then it has no memory any more. */
	assert_true(kill(worker, 0) || status_of(worker, "VmRSS") < 0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(gone),	     TEST(forked),	TEST(deleted),		TEST(no_cfi),
		TEST(random_stacks), TEST(hostile_cfi), TEST(damaged),		TEST(cut),
		TEST(killed),	     TEST(too_slow),	TEST(slow_for_a_while), TEST(too_often),
		TEST(confined),	     TEST(orphaned),
	};

	return cmocka_run_group_tests_name("unwind_hostile", tests, NULL, NULL);
}
