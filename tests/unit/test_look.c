// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_look.c - a process that looks names up and crashes, hangs, lies or eats memory costs the
 * names of one file; and the message reader takes what comes as it comes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "symbol/look.h"
#include "symbol/symbol.h"
#include "target/elf.h"

#define FILES 3u
#define EACH  4u

/* Where this process and a child could meet. */
static volatile int *shared;
static int leaked = -1;

static struct found {
	char function[64], file[64];
	uint32_t line;
	size_t n;
} found[FILES * EACH];
static size_t nfound;
static size_t patience; /* 0: without end; else until so many were found */
static int polled;

static int on_found(void *ctx, size_t at, const struct bs_wire_found *f)
{
	(void)ctx;
	assert_in_range(at, 0, FILES * EACH - 1);
	nfound++;
	found[at].n = f->n;
	found[at].line = f->frames[0].line;
	snprintf(found[at].function, sizeof(found[at].function), "%s", f->frames[0].function);
	snprintf(found[at].file, sizeof(found[at].file), "%s",
		 f->frames[0].file ? f->frames[0].file : "");
	return 0;
}

static bool on_more(void *ctx)
{
	(void)ctx;
	polled++;
	return !patience || nfound < patience;
}

static void message(struct bs_look_out *o, uint32_t kind, uint32_t a, uint32_t b, uint32_t c)
{
	const struct bs_wire_msg m = {kind, a, b, c, 0};

	bs_look_write(o, &m, NULL);
}

static uint32_t strings;

static uint32_t string(struct bs_look_out *o, const char *s)
{
	const struct bs_wire_msg m = {BS_WIRE_STRING, (uint32_t)strlen(s), 0, 0, 0};

	bs_look_write(o, &m, s);
	return ++strings;
}

/* Answers for all addresses of the file but the last `but` ones. */
static void answer(struct bs_look_out *o, const struct bs_look *look,
		   const struct bs_look_file *file, size_t but)
{
	char name[32];

	for (size_t i = 0; i < file->n - but; i++) {
		uint32_t function, source;

		snprintf(name, sizeof(name), "f%llx",
			 (unsigned long long)look->addrs[file->first + i]);
		function = string(o, name);
		source = string(o, "source.c");
		message(o, BS_WIRE_FRAME, function, source, (uint32_t)i + 1);
		message(o, BS_WIRE_ADDRESS, (uint32_t)(file->first + i), 0, 0);
	}
	message(o, BS_WIRE_WORK, 0, 0, 0);
}

static bool is(const struct bs_look *look, const struct bs_look_file *file, size_t which)
{
	return file == &look->files[which];
}

static void good(struct bs_look_out *o, const struct bs_look *look, const struct bs_look_file *file)
{
	answer(o, look, file, 0);
}

static void crash(struct bs_look_out *o, const struct bs_look *look,
		  const struct bs_look_file *file)
{
	answer(o, look, file, is(look, file, 1) ? 2 : 0);
	if (is(look, file, 1))
		*(volatile char *)NULL = 1;
}

static void hang(struct bs_look_out *o, const struct bs_look *look, const struct bs_look_file *file)
{
	if (is(look, file, 1))
		for (;;)
			__asm__ volatile("" ::: "memory");
	answer(o, look, file, 0);
}

static void leave(struct bs_look_out *o, const struct bs_look *look,
		  const struct bs_look_file *file)
{
	answer(o, look, file, is(look, file, 2) ? 1 : 0);
	if (is(look, file, 2))
		_exit(0);
}

static void recurse(struct bs_look_out *o, const struct bs_look *look,
		    const struct bs_look_file *file)
{
	char room[4096];

	memset(room, 1, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	if (is(look, file, 1))
		recurse(o, look, file);
	answer(o, look, file, 0);
	__asm__ volatile("" : : "r"(room) : "memory");
}

/* Takes memory until there is no more. */
static void eat(struct bs_look_out *o, const struct bs_look *look, const struct bs_look_file *file)
{
	const size_t piece = 16 << 20;
	size_t got = 0;

	while (is(look, file, 1)) {
		char *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			break;
		memset(p, 1, piece);
		got += piece;
	}
	/* More than half of what it may, and not more than that. */
	if (is(look, file, 1) && got > BS_LOOK_MEMORY / 2 && got <= BS_LOOK_MEMORY)
		_exit(0);
	answer(o, look, file, is(look, file, 1) ? file->n : 0);
}

/* What a child that has been taken over could try; each that works ends in a lie that is seen. */
static void escape(struct bs_look_out *o, const struct bs_look *look,
		   const struct bs_look_file *file)
{
	uint32_t done = 0;

	if (is(look, file, 0)) {
		done |= (open("/proc/self/status", O_RDONLY) >= 0) << 0;
		done |= (write(leaked, "x", 1) == 1) << 1;
		done |= (fcntl(leaked, F_GETFD) >= 0) << 2;
		done |= (fork() >= 0) << 3;
		done |= (kill(getppid(), 0) == 0) << 4;
		done |= (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) << 5;
		done |= (execl("/bin/true", "true", (char *)NULL) == 0) << 6;
		done |= (fcntl(2, F_GETFD) >= 0) << 7;
		/* Signals by way of what it has open, and what may be done to memory of others. */
		for (int fd = 0; fd < 64; fd++)
			done |= (fcntl(fd, F_SETOWN, getppid()) >= 0) << 8;
		done |= (madvise(NULL, 0, MADV_NORMAL) == 0) << 9;
		message(o, BS_WIRE_FRAME, string(o, "escape"), string(o, "x"), 1000 + done);
		message(o, BS_WIRE_ADDRESS, 0, 0, 0);
		message(o, BS_WIRE_WORK, 0, 0, 0);
		/* Not there any more: the end of this child. */
		*shared = 1;
	}
	answer(o, look, file, 0);
}

static void lies(struct bs_look_out *o, const struct bs_look *look, const struct bs_look_file *file)
{
	if (is(look, file, 1)) {
		message(o, BS_WIRE_FRAME, string(o, "other"), 0, 0);
		/* Of another file. */
		message(o, BS_WIRE_ADDRESS, 0, 0, 0);
	}
	answer(o, look, file, 0);
}

static int look_with(void (*work)(struct bs_look_out *, const struct bs_look *,
				  const struct bs_look_file *),
		     struct bs_look_file *files, uint64_t seconds)
{
	static struct bs_elf elf;
	uint64_t addrs[FILES * EACH];
	struct bs_look look = {
		.files = files,
		.nfiles = FILES,
		.addrs = addrs,
		.found = on_found,
		.more = on_more,
		.stall_ns = 700000000,
		.until_ns = bs_now_ns() + seconds * 1000000000,
		.work = work,
	};

	elf.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	memset(found, 0, sizeof(found));
	nfound = 0;
	polled = 0;
	for (size_t i = 0; i < FILES * EACH; i++)
		addrs[i] = 0x1000 + i;
	for (size_t i = 0; i < FILES; i++)
		files[i] = (struct bs_look_file){&elf, -1, -1, i * EACH, EACH, false};
	int ret = bs_look_run(&look);

	close(elf.fd);
	/* Nobody is left behind. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return ret;
}

/* Files 0..2: how many of the EACH addresses of each were answered, and rightly. */
static void check(size_t a, size_t b, size_t c)
{
	const size_t want[FILES] = {a, b, c};
	char name[32];

	for (size_t i = 0; i < FILES * EACH; i++) {
		assert_int_equal(found[i].n, i % EACH < want[i / EACH]);
		if (!found[i].n)
			continue;
		snprintf(name, sizeof(name), "f%zx", 0x1000 + i);
		assert_string_equal(found[i].function, name);
		assert_string_equal(found[i].file, "source.c");
		assert_int_equal(found[i].line, i % EACH + 1);
	}
	assert_int_equal(nfound, a + b + c);
}

static void children(void **state)
{
	static const struct {
		void (*work)(struct bs_look_out *, const struct bs_look *,
			     const struct bs_look_file *);
		size_t a, b, c;
	} cases[] = {
		{good, 4, 4, 4},    {crash, 4, 2, 4}, {hang, 4, 0, 4}, {leave, 4, 4, 3},
		{recurse, 4, 0, 4}, {eat, 4, 0, 4},   {lies, 4, 0, 4},
	};
	struct bs_look_file files[FILES];

	(void)state;
	patience = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const size_t want[FILES] = {cases[i].a, cases[i].b, cases[i].c};

		assert_int_equal(look_with(cases[i].work, files, 60), 0);
		check(cases[i].a, cases[i].b, cases[i].c);
		for (size_t k = 0; k < FILES; k++)
			assert_int_equal(files[k].failed, want[k] != EACH);
	}
}

static void nothing_works(void **state)
{
	struct bs_look_file files[FILES];
	int ends[2];

	(void)state;
	patience = 0;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(pipe(ends), 0);
	leaked = ends[1];
	assert_int_equal(look_with(escape, files, 60), 0);
	assert_string_equal(found[0].function, "escape");
	assert_int_equal(found[0].line, 1000);
	assert_int_equal(*shared, 0);
	assert_true(files[0].failed);
	assert_int_equal(found[EACH].n, 1);
	close(ends[1]);
	close(ends[0]);
	munmap((void *)shared, 4096);
}

static void ended_early(void **state)
{
	struct bs_look_file files[FILES];

	(void)state;
	patience = 1;
	assert_int_equal(look_with(hang, files, 60), -ECANCELED);
	assert_in_range(polled, 1, 100);
	check(4, 0, 0);
	assert_false(files[1].failed);
	patience = 0;
	assert_int_equal(look_with(hang, files, 0), -ETIME);
	patience = 0;
}

/* --- messages --------------------------------------------------------------------------------- */

static uint32_t last_at, last_frames, last_file;
static uint64_t last_offset;

static int wire_address(void *ctx, uint32_t at, const struct bs_wire_found *f)
{
	(void)ctx;
	last_at = at;
	last_frames = (uint32_t)f->n;
	last_offset = f->has_offset ? f->offset : UINT64_MAX;
	return 0;
}

static int wire_file(void *ctx, uint32_t at)
{
	(void)ctx;
	last_file = at;
	return 0;
}

static const struct bs_wire_ops wire_ops = {wire_address, wire_file, NULL};

static size_t put(unsigned char *to, uint32_t kind, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
		  const char *text)
{
	const struct bs_wire_msg m = {kind, a, b, c, d};

	memcpy(to, &m, sizeof(m));
	if (text)
		memcpy(to + sizeof(m), text, a);
	return sizeof(m) + (text ? a : 0);
}

/* Cut wherever it may be, the stream says the same. */
static void pieces(void **state)
{
	unsigned char b[8192];
	char longest[BS_WIRE_MAX_STRING];
	size_t n = 0;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	n += put(b + n, BS_WIRE_FILE, 7, 0, 0, 0, NULL);
	n += put(b + n, BS_WIRE_STRING, 4, 0, 0, 0, "main");
	n += put(b + n, BS_WIRE_STRING, sizeof(longest), 0, 0, 0, longest);
	n += put(b + n, BS_WIRE_FRAME, 2, 0, 0, 1, NULL);
	n += put(b + n, BS_WIRE_FRAME, 1, 2, 17, 0, NULL);
	n += put(b + n, BS_WIRE_ADDRESS, 3, 5, 1, 1, NULL);
	n += put(b + n, BS_WIRE_END, 0, 0, 0, 0, NULL);
	for (size_t piece = 1; piece <= n; piece++) {
		struct bs_wire w = {.ops = &wire_ops};

		last_at = last_frames = last_file = 0;
		for (size_t at = 0; at < n; at += piece)
			assert_int_equal(bs_wire_take(&w, b + at, n - at < piece ? n - at : piece),
					 0);
		assert_true(w.ended);
		assert_int_equal(last_file, 7);
		assert_int_equal(last_at, 3);
		assert_int_equal(last_frames, 2);
		assert_int_equal(last_offset, 0x100000005);
		bs_wire_fini(&w);
	}
}

static void nonsense(void **state)
{
	static const struct bs_wire_msg bad[] = {
		{0, 0, 0, 0, 0},
		{BS_WIRE_END + 1, 0, 0, 0, 0},
		{BS_WIRE_STRING, 0, 0, 0, 0},
		{BS_WIRE_STRING, BS_WIRE_MAX_STRING + 1, 0, 0, 0},
		{BS_WIRE_STRING, UINT32_MAX, 0, 0, 0},
		{BS_WIRE_FRAME, 0, 0, 0, 0},
		{BS_WIRE_FRAME, 2, 0, 0, 0},
		{BS_WIRE_FRAME, 1, 2, 0, 0},
		{BS_WIRE_FRAME, 1, 0, 1, 0},
		{BS_WIRE_FRAME, 1, 1, 1, 2},
		{BS_WIRE_ADDRESS, 1, 0, 0, 0},
	};
	unsigned char b[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bs_wire w = {.ops = &wire_ops};

		n = put(b, BS_WIRE_STRING, 4, 0, 0, 0, "name");
		assert_int_equal(bs_wire_take(&w, b, n), 0);
		assert_int_equal(bs_wire_take(&w, &bad[i], sizeof(bad[i])), -EPROTO);
		bs_wire_fini(&w);
	}
	/* Nothing after the end; no terminator inside a string; no more frames than there may be.
	 */
	for (int i = 0; i < 3; i++) {
		struct bs_wire w = {.ops = &wire_ops};
		int ret = 0;

		if (i == 0) {
			n = put(b, BS_WIRE_END, 0, 0, 0, 0, NULL);
			n += put(b + n, BS_WIRE_STRING, 4, 0, 0, 0, "name");
			ret = bs_wire_take(&w, b, n);
		} else if (i == 1) {
			n = put(b, BS_WIRE_STRING, 4, 0, 0, 0, "n\0me");
			ret = bs_wire_take(&w, b, n);
		} else {
			n = put(b, BS_WIRE_STRING, 4, 0, 0, 0, "name");
			assert_int_equal(bs_wire_take(&w, b, n), 0);
			n = put(b, BS_WIRE_FRAME, 1, 0, 0, 1, NULL);
			for (unsigned k = 0; k < BS_DWARF_FRAMES; k++)
				assert_int_equal(bs_wire_take(&w, b, n), 0);
			ret = bs_wire_take(&w, b, n);
		}
		assert_int_equal(ret, -EPROTO);
		bs_wire_fini(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children),    cmocka_unit_test(nothing_works),
		cmocka_unit_test(ended_early), cmocka_unit_test(pieces),
		cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
