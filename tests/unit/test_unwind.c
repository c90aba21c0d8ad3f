// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_unwind.c - stacks of programs that know their own: unwind_program.c, built in all ways that
 * make a difference to its frames and to what is known about them.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "target/process.h"
#include "unwind_target.h"

/* --- what must come out ------------------------------------------------------------------------
 */

/* Is addr in a mapping of a file with name in its path? */
static bool in_file(struct target *t, uint64_t addr, const char *name)
{
	struct bs_maps maps;
	const struct bs_mapping *m;
	bool is;

	assert_int_equal(bs_maps_read(t->pid, &maps, NULL), 0);
	m = bs_maps_find(&maps, addr);
	is = m && strstr(m->path, name);
	bs_maps_fini(&maps);
	return is;
}

static void show(const struct target *t, const uint64_t *out, size_t n, enum bs_unwind_end end)
{
	fprintf(stderr, "# scene %d, end %d\n", (int)t->truth.scene, (int)end);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "# frame %2zu: %#llx\n", i, (unsigned long long)out[i]);
	for (size_t i = 0; i < t->truth.n; i++)
		fprintf(stderr, "# truth %2zu: %#llx\n", i,
			(unsigned long long)t->truth.addr[t->truth.n - 1 - i]);
}

#define EXPECT(what)                                                            \
	do {                                                                    \
		if (!(what)) {                                                  \
			show(t, out, n, end);                                   \
			fail_msg("%s in scene %d", #what, (int)t->truth.scene); \
		}                                                               \
	} while (0)

/* What may stand between the frames that the program knows. */
enum between {
	NOTHING,
	LIBRARIES, /* frames of libraries, and the program's one that called them */
	ANY,	   /* the same where libraries are linked into it */
};

/* The frames from out[from] on are those that the program knows.  Returns where they end. */
static size_t match(struct target *t, const uint64_t *out, size_t n, size_t from,
		    enum between between, enum bs_unwind_end end)
{
	unsigned callers = 0;

	for (size_t i = 0; i < t->truth.n; i++, from++) {
		uint64_t expected = t->truth.addr[t->truth.n - 1 - i];

		while (between != NOTHING && from < n && out[from] != expected) {
			callers += between == LIBRARIES && in_file(t, out[from], t->name);
			from++;
		}
		EXPECT(from < n);
		EXPECT(out[from] == expected);
	}
	EXPECT(callers == (between == LIBRARIES));
	return from;
}

/*
 * What is behind the outermost function that the program knows: functions of the C library and the
 * dynamic loader, and of the first thread the program's entry, or the loader's before that.
 */
static void match_outer(struct target *t, const uint64_t *out, size_t n, size_t from,
			enum bs_unwind_end end)
{
	EXPECT(end == BS_UNWIND_COMPLETE);
	EXPECT(n > from && n - from <= 7);
	if (t->tid != t->pid)
		return;
	if (t->truth.start)
		EXPECT(out[n - 1] - t->truth.start < 64);
	else
		EXPECT(in_file(t, out[n - 1], "ld-linux"));
}

/* With any shorter copy of the stack there are the first frames of the same, and it says so. */
static void match_short(struct target *t, const uint64_t *full, size_t nfull)
{
	struct bs_unwind_stack copy = t->stack;
	size_t before = 0, n = 0;

	for (copy.size = BS_UNWIND_RED_ZONE; copy.size < t->stack.size && n < nfull;
	     copy.size += copy.size < 4096 ? 4 : 104) {
		enum bs_unwind_end end;
		uint64_t out[FRAMES];

		n = walk_most(t, &copy, out, FRAMES, &end);
		EXPECT(n >= before && n <= nfull);
		EXPECT(!memcmp(out, full, n * sizeof(*out)));
		EXPECT(end == (n == nfull ? BS_UNWIND_COMPLETE : BS_UNWIND_TRUNCATED));
		before = n;
	}
	assert_true(n == nfull);
}

static void match_deep(struct target *t, const uint64_t *full, size_t nfull)
{
	for (size_t max = 1; max <= nfull; max++) {
		enum bs_unwind_end end;
		uint64_t out[FRAMES];
		size_t n = walk_most(t, &t->stack, out, max, &end);

		EXPECT(n == max);
		EXPECT(end == (n == nfull ? BS_UNWIND_COMPLETE : BS_UNWIND_DEEP));
		EXPECT(!memcmp(out, full, n * sizeof(*out)));
	}
}

/* Every instruction between two stops: prologues, epilogues, the PLT, the dynamic loader, libc. */
static size_t single_step(struct target *t)
{
	struct unwind_truth known = t->truth;
	size_t steps = 0;

	for (;; steps++) {
		uint8_t code[16] = {0};
		enum bs_unwind_end end;
		uint64_t out[FRAMES];
		size_t n, at;
		int status;

		read_memory(t->pid, t->regs.v[BS_UNWIND_RIP], code, sizeof(code));
		if (code[0] == 0xcc)
			break;
		assert_true(steps < 1000000);
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, t->tid, NULL, 0), 0);
		assert_int_equal(waitpid(t->tid, &status, __WALL), t->tid);
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		fetch(t);
		n = walk(t, out, &end);
		EXPECT(n >= known.n + 1);
		/* What was on the stack at the first stop is there still, and nothing else behind.
		 */
		for (at = 0; at < n && out[at] != known.addr[known.n - 1]; at++)
			;
		at = match(t, out, n, at, NOTHING, end);
		match_outer(t, out, n, at, end);
	}
	return steps;
}

/* Runs the program from stop to stop; returns the scenes that were seen. */
static uint64_t play(const char *name, bool shared)
{
	struct target target, *t = &target;
	uint64_t seen = 0;

	start(t, name, NULL);
	bs_unwind_invalidate(unwind, (uint32_t)t->pid);
	while (next(t)) {
		enum bs_unwind_end end;
		uint64_t out[FRAMES];
		size_t n = walk(t, out, &end), at;
		enum between between = NOTHING;

		seen |= 1ull << t->truth.scene;
		assert_true(out[0] == t->regs.v[BS_UNWIND_RIP]);
		if (t->truth.scene == UNWIND_ALTSTACK) {
			/* The handler, the trampoline, and where the signal came. */
			EXPECT(end == BS_UNWIND_TRUNCATED);
			EXPECT(n == 3);
			EXPECT(out[1] == t->truth.addr[t->truth.n - 1]);
			EXPECT(out[2] == t->truth.addr[t->truth.n - 2]);
			continue;
		}
		if (t->truth.scene == UNWIND_CALLBACK)
			between = shared ? LIBRARIES : ANY;
		at = match(t, out, n, 1, between, end);
		match_outer(t, out, n, at, end);
		match_short(t, out, n);
		match_deep(t, out, n);
		if (t->truth.scene == UNWIND_STEP)
			assert_true(single_step(t) > 300);
	}
	finish(t);
	return seen;
}

/* --- the tests ---------------------------------------------------------------------------------
 */

#define SCENES_C                                                                         \
	(1ull << UNWIND_CHAIN | 1ull << UNWIND_ALLOCA | 1ull << UNWIND_ALIGNED |         \
	 1ull << UNWIND_CALLBACK | 1ull << UNWIND_SIGNAL | 1ull << UNWIND_ALTSTACK |     \
	 1ull << UNWIND_RECURSION | 1ull << UNWIND_THREAD | 1ull << UNWIND_CONSTRUCTOR | \
	 1ull << UNWIND_STEP | 1ull << UNWIND_STEPPED)
#define SCENES_CXX (SCENES_C | 1ull << UNWIND_CATCH | 1ull << UNWIND_DESTRUCTOR)

static void gcc(void **state)
{
	(void)state;
	assert_int_equal(play("gcc", true), SCENES_C);
}

static void gcc_o0(void **state)
{
	(void)state;
	assert_int_equal(play("gcc-O0", true), SCENES_C);
}

static void gcc_o3(void **state)
{
	(void)state;
	assert_int_equal(play("gcc-O3", true), SCENES_C);
}

static void clang(void **state)
{
	(void)state;
	assert_int_equal(play("clang", true), SCENES_C);
}

static void gxx(void **state)
{
	(void)state;
	assert_int_equal(play("gxx", true), SCENES_CXX);
}

static void clangxx(void **state)
{
	(void)state;
	assert_int_equal(play("clangxx", true), SCENES_CXX);
}

static void no_pie(void **state)
{
	(void)state;
	assert_int_equal(play("no-pie", true), SCENES_C);
}

static void is_static(void **state)
{
	(void)state;
	assert_int_equal(play("static", false), SCENES_C);
}

static void stripped(void **state)
{
	(void)state;
	assert_int_equal(play("stripped", true), SCENES_C);
}

/* No .eh_frame of its own code: .debug_frame. */
static void debug_frame(void **state)
{
	(void)state;
	assert_int_equal(play("debug-frame", true), SCENES_C);
}

/* The same, stripped: it is in a separate debug file. */
static void split(void **state)
{
	(void)state;
	assert_int_equal(play("split", true), SCENES_C);
}

/* A constructor of a library is called by the dynamic loader before the program begins. */
static void loader(void **state)
{
	struct target target, *t = &target;
	enum bs_unwind_end end;
	uint64_t out[FRAMES];
	char library[512];
	size_t n, at;

	(void)state;
	snprintf(library, sizeof(library), "%s", program("library.so"));
	start(t, "gcc", library);
	assert_true(next(t));
	assert_int_equal(t->truth.start, 0);
	n = walk(t, out, &end);
	at = match(t, out, n, 1, NOTHING, end);
	match_outer(t, out, n, at, end);
	finish(t);
}

static int setup(void **state)
{
	struct bs_error err;

	(void)state;
	return bs_unwind_new(&unwind, 1, &err);
}

static int teardown(void **state)
{
	(void)state;
	bs_unwind_free(unwind);
	unwind = NULL;
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(gcc),	TEST(gcc_o0),	   TEST(gcc_o3), TEST(clang),
		TEST(gxx),	TEST(clangxx),	   TEST(no_pie), TEST(is_static),
		TEST(stripped), TEST(debug_frame), TEST(split),	 TEST(loader),
	};

	return cmocka_run_group_tests_name("unwind", tests, NULL, NULL);
}
