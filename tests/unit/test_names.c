// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_names.c - functions, lines and inlined functions of a program whose source says what they
 * are (names_program.c), however it was built and wherever its debug information is.
 *
 * Lines are found in the source by the comments there; what eu-addr2line says is asked, too.
 */
#define _GNU_SOURCE
#include <elf.h>
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "symbol/debugfile.h"
#include "symbol/symbol.h"
#include "target/elf.h"

#define MAX_PLACES 32

extern char __executable_start[]; /* of the linker: where this program is loaded */

static char dir[64], built[4096], library[4200];

static int setup(void **state)
{
	char *slash;
	ssize_t n;

	(void)state;
	/* The programs lie beside this one. */
	n = readlink("/proc/self/exe", built, sizeof(built) - 1);
	if (n < 0)
		return -1;
	built[n] = '\0';
	slash = strrchr(built, '/');
	*slash = '\0';
	snprintf(library, sizeof(library), "%s/names-library.so", built);
	strcpy(dir, "/tmp/bscope-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char command[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static int teardown(void **state)
{
	(void)state;
	run("rm -rf %s", dir);
	return 0;
}

/* --- a program that runs ---------------------------------------------------------------------- */

struct target {
	pid_t pid;
	int to;
	struct {
		char name[32];
		uint64_t addr;
		uint32_t code;
	} places[MAX_PLACES];
	size_t n;
};

static void start(struct target *t, const char *program)
{
	int in[2], out[2];
	char line[256];
	FILE *f;

	memset(t, 0, sizeof(*t));
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	t->pid = fork();
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(program, program, library, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	t->to = in[1];
	f = fdopen(out[0], "r");
	while (fgets(line, sizeof(line), f) && strncmp(line, "end ", 4)) {
		unsigned long long addr;

		assert_true(t->n < MAX_PLACES);
		assert_int_equal(sscanf(line, "%31s %llx", t->places[t->n].name, &addr), 2);
		t->places[t->n++].addr = addr;
	}
	fclose(f);
	assert_int_equal(t->n, 12);
}

static void stop(struct target *t)
{
	close(t->to);
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
}

static void intern(struct target *t, struct bs_code *c)
{
	for (size_t i = 0; i < t->n; i++) {
		t->places[i].code = bs_code_intern(c, (uint32_t)t->pid, t->places[i].addr);
		assert_int_not_equal(t->places[i].code, 0);
	}
}

static uint32_t code_of(const struct target *t, const char *place)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->places[i].name, place))
			return t->places[i].code;
	fail_msg("no place %s", place);
	return 0;
}

/* --- what is expected ------------------------------------------------------------------------- */

#define C_SOURCE   "tests/unit/names_program.c"
#define CXX_SOURCE "tests/unit/names_library.cc"

/* The line of the source with this mark. */
static uint32_t line_of(const char *source, const char *mark)
{
	FILE *f = fopen(source, "r");
	char line[512], want[64];
	uint32_t n = 0, found = 0;

	assert_non_null(f);
	snprintf(want, sizeof(want), "@%s", mark);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, want);
		size_t len = strlen(want);

		n++;
		if (at && (at[len] == '\n' || at[len] == ' ')) {
			assert_int_equal(found, 0);
			found = n;
		}
	}
	fclose(f);
	assert_int_not_equal(found, 0);
	return found;
}

struct expected {
	const char *place;
	const char *source;
	struct {
		const char *function, *mark;
	} frames[4];
};

static const struct expected expected[] = {
	{"plain", C_SOURCE, {{"plain", "plain"}}},
	{"outer", C_SOURCE, {{"innermost", "innermost"}, {"middle", "middle"}, {"outer", "outer"}}},
	{"first", C_SOURCE, {{"innermost", "innermost"}, {"twice", "first"}}},
	{"second", C_SOURCE, {{"innermost", "innermost"}, {"twice", "second"}}},
	{"last", C_SOURCE, {{"last", "last"}}},
	{"method", CXX_SOURCE, {{"net::conn::close<int>", "method"}}},
	{"inlined",
	 CXX_SOURCE,
	 {{"net::conn::inlined", "inlined"}, {"net::(anonymous namespace)::hidden", "hidden"}}},
	{"lambda", CXX_SOURCE, {{"names_in_library::{lambda(int)#1}::operator()", "lambda"}}},
};

#define NEXPECTED (sizeof(expected) / sizeof(expected[0]))

static size_t frames_of(const struct expected *e)
{
	size_t n = 0;

	while (n < 4 && e->frames[n].function)
		n++;
	return n;
}

static void check_frames(struct bs_code *c, const struct target *t, const struct expected *e)
{
	struct bs_frame got[8];
	size_t want = frames_of(e), n = bs_code_frames(c, code_of(t, e->place), true, got, 8);
	uint32_t line = 0;
	char name[256];

	if (n != want)
		fail_msg("%s: %zu frames, not %zu (%s)", e->place, n, want,
			 bs_code_name(c, code_of(t, e->place), true));
	for (size_t i = 0; i < n; i++) {
		line = line_of(e->source, e->frames[i].mark);
		assert_string_equal(got[i].function, e->frames[i].function);
		assert_string_equal(got[i].file, e->source);
		assert_int_equal(got[i].line, line);
		assert_int_equal(got[i].inlined, i + 1 < n);
	}
	snprintf(name, sizeof(name), "%s at %s:%u", e->frames[n - 1].function,
		 strrchr(e->source, '/') + 1, line);
	assert_string_equal(bs_code_name(c, code_of(t, e->place), true), name);
	/* Fewer than there are. */
	assert_int_equal(bs_code_frames(c, code_of(t, e->place), true, got, 1), 1);
	assert_string_equal(got[0].function, e->frames[0].function);
}

static void check_all(struct bs_code *c, const struct target *t)
{
	for (size_t i = 0; i < NEXPECTED; i++)
		check_frames(c, t, &expected[i]);
}

/* Of these there are symbols alone. */
static void check_bare(struct bs_code *c, const struct target *t, const char *module)
{
	static const char *const bare[][2] = {
		{"rust_v0", "mycrate::foo::bar"},
		{"rust_legacy", "mycrate::thing"},
		{"bare", "names_bare"},
	};

	for (size_t i = 0; i < 3; i++) {
		const char *name = bs_code_name(c, code_of(t, bare[i][0]), true);
		unsigned offset;
		char want[128], end[64];

		assert_int_equal(strncmp(name, bare[i][1], strlen(bare[i][1])), 0);
		assert_int_equal(sscanf(name + strlen(bare[i][1]), "+0x%x %63[^\n]", &offset, end),
				 2);
		assert_in_range(offset, 1, 64);
		snprintf(want, sizeof(want), "(%s)", module);
		assert_string_equal(end, want);
	}
}

/* All codes at once, as a report does. */
static void resolve(struct bs_code *c, const struct target *t)
{
	struct bs_code_ask asks[MAX_PLACES];

	for (size_t i = 0; i < t->n; i++)
		asks[i] = (struct bs_code_ask){t->places[i].code, true};
	assert_int_equal(bs_code_resolve(c, asks, t->n, NULL, NULL), 0);
}

/* --- the tests -------------------------------------------------------------------------------- */

/* Each kind of build: one place at a time, and all at once. */
static void builds(void **state)
{
	static const char *const kinds[] = {"pie", "no-pie", "clang", "dwarf4", "compressed"};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (int at_once = 0; at_once < 2; at_once++) {
			struct bs_code *c = bs_code_new(1000000000);
			char program[4200], module[64];
			struct target t;

			snprintf(program, sizeof(program), "%s/names-%s", built, kinds[i]);
			snprintf(module, sizeof(module), "names-%s", kinds[i]);
			start(&t, program);
			intern(&t, c);
			if (at_once)
				resolve(c, &t);
			check_all(c, &t);
			check_bare(c, &t, module);
			/* Not as a return address, what is behind a function is not in it. */
			assert_int_not_equal(
				strncmp(bs_code_name(c, code_of(&t, "last"), false), "last ", 5),
				0);
			stop(&t);
			bs_code_free(c);
		}
	}
}

/*
 * The lines of a function that the linker removed lie among those of others: nobody knows which is
 * whose, so none is named.  Functions are.
 */
static void removed(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	char program[4200];
	struct target t;

	(void)state;
	snprintf(program, sizeof(program), "%s/names-sections", built);
	start(&t, program);
	intern(&t, c);
	resolve(c, &t);
	for (size_t i = 0; i < 5; i++) {
		const struct expected *e = &expected[i];
		size_t n = frames_of(e);
		struct bs_frame got[8];

		assert_int_equal(bs_code_frames(c, code_of(&t, e->place), true, got, 8), n);
		assert_int_equal(got[0].line, 0);
		assert_null(got[0].file);
		for (size_t k = 0; k < n; k++) {
			assert_string_equal(got[k].function, e->frames[k].function);
			if (k)
				assert_int_equal(got[k].line,
						 line_of(e->source, e->frames[k].mark));
		}
	}
	check_bare(c, &t, "names-sections");
	stop(&t);
	bs_code_free(c);
}

/*
 * eu-addr2line adds parameters, what templates return, and "inlined by"; and says of what nobody
 * else can link to only the last part of the name.  Of Rust it knows less.
 */
static bool same_name(const char *ours, const char *theirs)
{
	size_t len = strlen(ours), their_len = strlen(theirs);
	const char *at = strstr(theirs, ours);

	if (at)
		return (at == theirs || at[-1] == ' ') && strchr("( ", at[len]);
	return len > their_len + 2 && !strcmp(ours + len - their_len, theirs) &&
	       !strncmp(ours + len - their_len - 2, "::", 2);
}

/* What elfutils' own tool says of the same addresses, in the same order. */
static void as_others_say(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	char program[4200], command[8192], function[512], place[4200];
	struct target t;

	(void)state;
	snprintf(program, sizeof(program), "%s/names-pie", built);
	start(&t, program);
	intern(&t, c);
	resolve(c, &t);
	/* The first is no call. */
	for (size_t i = 1; i < t.n; i++) {
		struct bs_frame got[8];
		size_t n = bs_code_frames(c, t.places[i].code, true, got, 8);
		FILE *f;

		snprintf(command, sizeof(command), "eu-addr2line -p %d -f -i -C 0x%llx", t.pid,
			 (unsigned long long)t.places[i].addr - 1);
		f = popen(command, "r");
		assert_non_null(f);
		for (size_t k = 0; k < n; k++) {
			char want[512];

			assert_non_null(fgets(function, sizeof(function), f));
			assert_non_null(fgets(place, sizeof(place), f));
			function[strcspn(function, "\n")] = '\0';
			if (strncmp(t.places[i].name, "rust", 4))
				if (!same_name(got[k].function, function))
					fail_msg("%s, eu-addr2line: %s", got[k].function, function);
			snprintf(want, sizeof(want), "/%s:%u:", got[k].file, got[k].line);
			if (got[k].line)
				assert_non_null(strstr(place, want));
			else
				assert_int_equal(strncmp(place, "??:0", 4), 0);
		}
		assert_null(fgets(function, sizeof(function), f));
		/* It fails where it knows no line. */
		assert_int_equal(pclose(f), got[0].line ? 0 : W_EXITCODE(1, 0));
	}
	stop(&t);
	bs_code_free(c);
}

/* "FUNCTION" and "FILE:LINE:COLUMN" as llvm-symbolizer writes them; false at the end of a chain. */
static bool next_frame(FILE *f, char *function, size_t size, char *file, unsigned *line)
{
	char place[4200], *colon;

	assert_non_null(fgets(function, (int)size, f));
	function[strcspn(function, "\n")] = '\0';
	if (!*function)
		return false;
	assert_non_null(fgets(place, sizeof(place), f));
	colon = strrchr(place, ':');
	assert_non_null(colon);
	*colon = '\0';
	colon = strrchr(place, ':');
	assert_non_null(colon);
	*line = (unsigned)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	colon = strrchr(place, '/');
	strcpy(file, colon ? colon + 1 : place);
	return true;
}

/* Every 97th byte of the functions of this very program: all frames as llvm-symbolizer has them. */
static void as_llvm_says(void **state)
{
	uint64_t base = (uint64_t)(uintptr_t)__executable_start;
	struct bs_code *c = bs_code_new(1000000000);
	char command[8192], list[128], path[4200], function[1024], file[4200];
	struct bs_elf_symbols *symbols;
	struct bs_code_ask asks[20000];
	size_t n = 0, inlined = 0;
	struct bs_elf e;
	FILE *f;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/test_names", built);
	snprintf(list, sizeof(list), "%s/list", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(bs_elf_init(&e, fd, path, NULL), 0);
	assert_int_equal(bs_elf_symbols_new(&e, &symbols), 0);
	f = fopen(list, "w");
	for (size_t i = 0; i < e.nsegments; i++) {
		const struct bs_elf_segment *g = &e.segments[i];

		for (uint64_t at = g->vaddr; (g->flags & PF_X) && at < g->vaddr + g->filesz;
		     at += 97) {
			if (!bs_elf_symbols_find(symbols, at, NULL) || n == 20000)
				continue;
			asks[n].code = bs_code_intern(c, (uint32_t)getpid(), base + at);
			asks[n++].is_return = false;
			fprintf(f, "0x%llx\n", (unsigned long long)at);
		}
	}
	bs_elf_symbols_free(symbols);
	bs_elf_fini(&e);
	close(fd);
	assert_int_equal(fclose(f), 0);
	assert_in_range(n, 1000, 20000);
	assert_int_equal(bs_code_resolve(c, asks, n, NULL, NULL), 0);
	snprintf(command, sizeof(command), "llvm-symbolizer -e %s <%s", path, list);
	f = popen(command, "r");
	assert_non_null(f);
	for (size_t i = 0; i < n; i++) {
		struct bs_frame got[64];
		size_t have = bs_code_frames(c, asks[i].code, false, got, 64), k;
		unsigned line;

		for (k = 0; next_frame(f, function, sizeof(function), file, &line); k++) {
			const char *slash;

			assert_true(k < have);
			/* A part, or a copy for some arguments, has its own symbol: "f.cold". */
			function[strcspn(function, ".")] = '\0';
			assert_int_equal(strcspn(got[k].function, "."), strlen(function));
			assert_memory_equal(got[k].function, function, strlen(function));
			assert_int_equal(got[k].line, line);
			if (!line)
				continue;
			slash = strrchr(got[k].file, '/');
			assert_string_equal(slash ? slash + 1 : got[k].file, file);
		}
		assert_int_equal(k, have);
		inlined += have > 1;
	}
	assert_int_equal(pclose(f), 0);
	assert_in_range(inlined, 100, n);
	bs_code_free(c);
}

/* Deleted, and the process dead, before anybody asks. */
static void afterwards(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	char program[128];
	struct target t;

	(void)state;
	snprintf(program, sizeof(program), "%s/gone", dir);
	run("cp %s/names-pie %s", built, program);
	start(&t, program);
	assert_int_equal(unlink(program), 0);
	intern(&t, c);
	stop(&t);
	resolve(c, &t);
	check_all(c, &t);
	check_bare(c, &t, "gone");
	bs_code_free(c);
}

static uint64_t addr_of(const struct target *t, const char *place)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->places[i].name, place))
			return t->places[i].addr;
	fail_msg("no place %s", place);
	return 0;
}

/* The path of the debug file of a program below root, with its folders made. */
static void id_path(const char *root, const char *program, char *path, size_t size)
{
	struct bs_build_id id;
	struct bs_elf e;
	int fd = open(program, O_RDONLY | O_CLOEXEC), n;

	assert_int_equal(bs_elf_init(&e, fd, program, NULL), 0);
	bs_build_id_read(&e, &id);
	bs_elf_fini(&e);
	close(fd);
	assert_int_equal(id.size, 20);
	n = snprintf(path, size, "%s/usr/lib/debug/.build-id/%02x", root, id.bytes[0]);
	run("mkdir -p %s", path);
	n += snprintf(path + n, size - (size_t)n, "/");
	for (unsigned i = 1; i < id.size; i++)
		n += snprintf(path + n, size - (size_t)n, "%02x", id.bytes[i]);
	snprintf(path + n, size - (size_t)n, ".debug");
}

/* A stripped program, started; sysroot may be NULL. */
static struct bs_code *start_in(struct target *t, const char *program, const char *sysroot)
{
	struct bs_code *c = bs_code_new(1000000000);

	start(t, program);
	intern(t, c);
	if (sysroot)
		assert_int_equal(bs_code_sysroot(c, sysroot, NULL), 0);
	resolve(c, t);
	return c;
}

static void check_nothing(struct bs_code *c, const struct target *t)
{
	struct bs_frame f;
	char want[64];

	snprintf(want, sizeof(want), "[stripped+0x%llx]",
		 (unsigned long long)(addr_of(t, "bare") - addr_of(t, "base")));
	assert_string_equal(bs_code_name(c, code_of(t, "bare"), true), want);
	assert_int_equal(bs_code_frames(c, code_of(t, "bare"), true, &f, 1), 0);
	assert_int_equal(strncmp(bs_code_name(c, code_of(t, "outer"), true), "[stripped+0x", 12),
			 0);
	/* The library has all it needs. */
	check_frames(c, t, &expected[5]);
}

/* By its build id in a directory of its own; not one of another build that lies there. */
static void separate(void **state)
{
	char program[128], root[128], debug[512];
	struct bs_code *c;
	struct target t;

	(void)state;
	snprintf(program, sizeof(program), "%s/stripped", dir);
	snprintf(root, sizeof(root), "%s/root", dir);
	run("strip -s -o %s %s/names-pie && mkdir %s", program, built, root);

	c = start_in(&t, program, NULL);
	check_nothing(c, &t);
	stop(&t);
	bs_code_free(c);

	id_path(root, program, debug, sizeof(debug));
	run("objcopy --only-keep-debug %s/names-dwarf4 %s", built, debug);
	c = start_in(&t, program, root);
	check_nothing(c, &t);
	stop(&t);
	bs_code_free(c);

	run("objcopy --only-keep-debug --compress-debug-sections %s/names-pie %s", built, debug);
	c = start_in(&t, program, root);
	check_all(c, &t);
	check_bare(c, &t, "stripped");
	stop(&t);
	bs_code_free(c);

	/* The whole program, where it was found. */
	run("rm %s && mkdir -p %s%s && cp %s/names-pie %s%s", debug, root, dir, built, root,
	    program);
	c = start_in(&t, program, root);
	check_all(c, &t);
	stop(&t);
	bs_code_free(c);
	/* That one is another. */
	run("cp %s/names-dwarf4 %s%s", built, root, program);
	c = start_in(&t, program, root);
	check_nothing(c, &t);
	stop(&t);
	bs_code_free(c);
	run("rm -rf %s %s", root, program);
}

/* Without a build id: by name and CRC, in the root of the process itself. */
static void linked_to(void **state)
{
	char program[128];
	struct bs_code *c;
	struct target t;

	(void)state;
	snprintf(program, sizeof(program), "%s/stripped", dir);
	run("cd %s && cp %s/names-no-id whole && "
	    "objcopy --only-keep-debug whole the.debug && strip -s -o stripped whole && "
	    "objcopy --add-gnu-debuglink=the.debug stripped && mkdir .debug && mv the.debug .debug",
	    dir, built);
	c = start_in(&t, program, NULL);
	check_all(c, &t);
	check_bare(c, &t, "stripped");
	stop(&t);
	bs_code_free(c);
	run("printf x >> %s/.debug/the.debug", dir);
	c = start_in(&t, program, NULL);
	check_nothing(c, &t);
	stop(&t);
	bs_code_free(c);
	run("rm -r %s/.debug %s/whole %s", dir, dir, program);
}

/* What several have in common lies in a third file (dwz -m). */
static void shared_with_others(void **state)
{
	char program[128], root[128], debug[512];
	struct bs_code *c;
	struct target t;

	(void)state;
	snprintf(program, sizeof(program), "%s/stripped", dir);
	snprintf(root, sizeof(root), "%s/root", dir);
	run("strip -s -o %s %s/names-dwarf4 && mkdir %s", program, built, root);
	id_path(root, program, debug, sizeof(debug));
	/* Two of much the same, so that there is something to be shared. */
	run("cd %s && objcopy --only-keep-debug %s/names-dwarf4 one && "
	    "cp one two && mkdir -p root/usr/lib/debug/.dwz && "
	    "dwz -m common -M /usr/lib/debug/.dwz/common one two 2>/dev/null && "
	    "mv common root/usr/lib/debug/.dwz/common && mv one %s && rm two",
	    dir, built, debug);
	c = start_in(&t, program, root);
	check_all(c, &t);
	stop(&t);
	bs_code_free(c);
	/* Without it names are missing, none is wrong. */
	run("rm %s/usr/lib/debug/.dwz/common", root);
	c = start_in(&t, program, root);
	for (size_t i = 0; i < 5; i++) {
		const char *name = bs_code_name(c, code_of(&t, expected[i].place), true);
		const char *function = expected[i].frames[frames_of(&expected[i]) - 1].function;

		assert_int_equal(strncmp(name, function, strlen(function)), 0);
	}
	stop(&t);
	bs_code_free(c);
	run("rm -rf %s %s", root, program);
}

/* Whatever stands in the debug information: each code has a name, and this process goes on. */
static void damaged(void **state)
{
	static const char *const sections[] = {".debug_info", ".debug_abbrev", ".debug_line",
					       ".debug_str",  ".symtab",       ".debug_rnglists"};
	char program[128];
	uint32_t random = 1;
	int named = 0;

	(void)state;
	snprintf(program, sizeof(program), "%s/damaged", dir);
	for (int turn = 0; turn < 60; turn++) {
		const char *section = sections[turn % 6];
		struct bs_code *c;
		struct target t;
		struct bs_elf e;
		int fd;

		run("cp %s/names-pie %s", built, program);
		fd = open(program, O_RDWR | O_CLOEXEC);
		assert_int_equal(bs_elf_init(&e, fd, program, NULL), 0);
		for (size_t i = 0; i < e.nsections; i++) {
			const struct bs_elf_section *s = &e.sections[i];

			for (int k = 0; bs_elf_section_is(&e, s, section) && k <= turn; k++) {
				unsigned char byte;

				random = random * 1103515245 + 12345;
				byte = (unsigned char)(random >> 8);
				assert_int_equal(
					pwrite(fd, &byte, 1,
					       (off_t)(s->offset + (random >> 8) % s->size)),
					1);
			}
		}
		bs_elf_fini(&e);
		close(fd);
		c = start_in(&t, program, NULL);
		for (size_t i = 0; i < t.n; i++) {
			struct bs_frame f[64];

			assert_non_null(bs_code_name(c, t.places[i].code, true));
			named += bs_code_frames(c, t.places[i].code, true, f, 64) > 0;
		}
		/* What is not damaged is known. */
		check_frames(c, &t, &expected[5]);
		stop(&t);
		bs_code_free(c);
	}
	assert_in_range(named, 60, 60 * 12);
	unlink(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds),	 cmocka_unit_test(removed),
		cmocka_unit_test(as_others_say), cmocka_unit_test(as_llvm_says),
		cmocka_unit_test(afterwards),	 cmocka_unit_test(separate),
		cmocka_unit_test(linked_to),	 cmocka_unit_test(shared_with_others),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests_name("names", tests, setup, teardown);
}
