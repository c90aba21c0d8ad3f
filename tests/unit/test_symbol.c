// SPDX-License-Identifier: GPL-2.0-only
/* test_symbol.c - names of code in processes that live, change and die. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "elf_image.h"
#include "symbol/symbol.h"
#include "symbol/index.h"
#include "symbol/mapped.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/bscope-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

/* A process that maps files when told to, and says where. */
struct puppet {
	pid_t pid;
	int to, from;
};

struct order {
	char path[128];
	uint64_t at; /* 0: anywhere */
};

static void serve(int in, int out)
{
	struct order o;

	while (read(in, &o, sizeof(o)) == sizeof(o)) {
		int fd = open(o.path, O_RDONLY | O_CLOEXEC);
		void *p = mmap((void *)(uintptr_t)o.at, 8192, PROT_READ | PROT_EXEC,
			       MAP_PRIVATE | (o.at ? MAP_FIXED : 0), fd, 0);
		uint64_t at = p == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)p;

		close(fd);
		if (write(out, &at, sizeof(at)) != sizeof(at))
			break;
	}
	_exit(0);
}

static struct puppet start(void)
{
	struct puppet p;
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p.pid = fork();
	if (!p.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[1]);
		serve(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	p.to = in[1];
	p.from = out[0];
	return p;
}

static uint64_t tell(struct puppet *p, const char *path, uint64_t at)
{
	struct order o = {.at = at};
	uint64_t where = 0;

	snprintf(o.path, sizeof(o.path), "%s", path);
	assert_int_equal(write(p->to, &o, sizeof(o)), sizeof(o));
	assert_int_equal(read(p->from, &where, sizeof(where)), sizeof(where));
	assert_true(where != 0);
	return where;
}

static void stop(struct puppet *p)
{
	close(p->to);
	close(p->from);
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}

static const char *write_file(const char *name, const void *bytes, size_t size)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	return path;
}

enum { SOME_LINE = __LINE__ + 1 };
static __attribute__((noinline)) int some_function(int x)
{
	__asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop");
	return x + 1;
}

static void own(void **state)
{
	uint64_t addr = (uint64_t)(uintptr_t)some_function;
	struct bs_code *c = bs_code_new(1000000000);
	uint32_t pid = (uint32_t)getpid(), a, b, line;
	char want[64];
	struct bs_frame f;

	(void)state;
	assert_int_equal(some_function(1), 2);
	a = bs_code_intern(c, pid, addr + 4);
	assert_int_equal(a, 1);
	b = bs_code_intern(c, pid, addr);
	assert_int_equal(b, 2);
	assert_int_equal(bs_code_intern(c, pid, addr + 4), a);
	assert_int_equal(bs_code_frames(c, a, false, &f, 1), 1);
	assert_string_equal(f.function, "some_function");
	assert_false(f.inlined);
	line = f.line;
	assert_in_range(line, SOME_LINE, SOME_LINE + 3);
	assert_int_equal(bs_code_frames(c, b, false, &f, 1), 1);
	assert_in_range(f.line, SOME_LINE, SOME_LINE + 3);
	snprintf(want, sizeof(want), "some_function at test_symbol.c:%u", line);
	assert_string_equal(bs_code_name(c, a, false), want);
	/* As a return address it belongs to a call before the function. */
	assert_null(strstr(bs_code_name(c, b, true), "some_function"));
	assert_null(bs_code_name(c, 0, false));
	assert_null(bs_code_name(c, 3, false));
	assert_null(bs_code_name(c, UINT32_MAX, true));
	bs_code_free(c);
	bs_code_free(NULL);
}

/* The file is deleted and the process dead before anybody asks for names. */
static void afterwards(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	struct puppet p = start();
	static struct img img;
	uint32_t open_conn, edge, close_conn, nowhere;
	uint64_t at;
	const char *path;

	(void)state;
	img_good(&img);
	path = write_file("lib.so", img.b, sizeof(img.b));
	at = tell(&p, path, 0);
	unlink(path);
	open_conn = bs_code_intern(c, (uint32_t)p.pid, at + 0x412);
	edge = bs_code_intern(c, (uint32_t)p.pid, at + 0x440);
	close_conn = bs_code_intern(c, (uint32_t)p.pid, at + 0x441);
	nowhere = bs_code_intern(c, (uint32_t)p.pid, at + 0x4b0);
	stop(&p);
	assert_string_equal(bs_code_name(c, open_conn, true), "open_conn+0x12 (lib.so)");
	assert_string_equal(bs_code_name(c, edge, false), "close_conn+0x0 (lib.so)");
	assert_string_equal(bs_code_name(c, edge, true), "open_conn+0x40 (lib.so)");
	assert_string_equal(bs_code_name(c, close_conn, true), "close_conn+0x1 (lib.so)");
	/* Behind the last function: the address in the file as linked. */
	assert_string_equal(bs_code_name(c, nowhere, true), "[lib.so+0x4028b0]");
	/* What was read stays good: no need of the process. */
	assert_int_equal(bs_code_intern(c, (uint32_t)p.pid, at + 0x412), open_conn);
	bs_code_free(c);
}

static void without_names(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	struct puppet p = start();
	static struct img img;
	uint32_t stripped, data, none;
	uint64_t at;
	const char *path;

	(void)state;
	img_good(&img);
	img_shdr(&img, IMG_SH_SYMTAB)->sh_type = SHT_NULL;
	path = write_file("stripped.so", img.b, sizeof(img.b));
	at = tell(&p, path, 0);
	stripped = bs_code_intern(c, (uint32_t)p.pid, at + 0x412);
	unlink(path);
	path = write_file("jit cache", "not an ELF file", 16);
	at = tell(&p, path, 0);
	data = bs_code_intern(c, (uint32_t)p.pid, at + 0x20);
	unlink(path);
	none = bs_code_intern(c, (uint32_t)p.pid, 0x1234);
	assert_string_equal(bs_code_name(c, stripped, true), "[stripped.so+0x402812]");
	assert_string_equal(bs_code_name(c, data, true), "[jit cache+0x20]");
	assert_string_equal(bs_code_name(c, none, true), "0x1234");
	stop(&p);
	bs_code_free(c);
}

/* One place in a file is one number, whoever runs it, wherever it is mapped. */
static void shared(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	struct puppet p = start(), q = start();
	static struct img img;
	uint64_t at_p, at_q;
	const char *path;
	uint32_t code;

	(void)state;
	img_good(&img);
	path = write_file("lib.so", img.b, sizeof(img.b));
	at_p = tell(&p, path, 0);
	at_q = tell(&q, path, 0x10000000);
	assert_true(at_p != at_q);
	code = bs_code_intern(c, (uint32_t)p.pid, at_p + 0x420);
	assert_int_equal(bs_code_intern(c, (uint32_t)q.pid, at_q + 0x420), code);
	assert_int_not_equal(bs_code_intern(c, (uint32_t)q.pid, at_q + 0x421), code);
	/* Addresses that are nowhere belong to their process. */
	code = bs_code_intern(c, (uint32_t)p.pid, 0x1234);
	assert_int_equal(bs_code_intern(c, (uint32_t)p.pid, 0x1234), code);
	assert_int_not_equal(bs_code_intern(c, (uint32_t)q.pid, 0x1234), code);
	unlink(path);
	stop(&p);
	stop(&q);
	bs_code_free(c);
}

/* A library that comes later is found, and one that takes another's place. */
static void changes(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	struct puppet p = start();
	uint32_t pid = (uint32_t)p.pid, before, old, new;
	static struct img img;
	uint64_t at;
	const char *path;

	(void)state;
	before = bs_code_intern(c, pid, 0x20000420);
	assert_string_equal(bs_code_name(c, before, false), "0x20000420");
	img_good(&img);
	path = write_file("old.so", img.b, sizeof(img.b));
	at = tell(&p, path, 0x20000000);
	unlink(path);
	old = bs_code_intern(c, pid, at + 0x420);
	assert_string_equal(bs_code_name(c, old, false), "open_conn+0x20 (old.so)");
	path = write_file("new.so", img.b, sizeof(img.b));
	assert_true(tell(&p, path, 0x20000000) == at);
	unlink(path);
	bs_code_invalidate(c, pid);
	new = bs_code_intern(c, pid, at + 0x420);
	assert_string_equal(bs_code_name(c, new, false), "open_conn+0x20 (new.so)");
	assert_string_equal(bs_code_name(c, old, false), "open_conn+0x20 (old.so)");
	bs_code_invalidate(c, 0x7ffffff0);
	stop(&p);
	bs_code_free(c);
}

/* A child that has gone before its first event is read is what its parent was. */
static void forked(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	struct puppet p = start();
	static struct img img;
	uint32_t code, orphan;
	char want[32];
	uint64_t at;
	const char *path;

	(void)state;
	img_good(&img);
	path = write_file("lib.so", img.b, sizeof(img.b));
	at = tell(&p, path, 0);
	unlink(path);
	code = bs_code_intern(c, (uint32_t)p.pid, at + 0x420);
	bs_code_fork(c, (uint32_t)p.pid, 0x7ffffff1);
	assert_int_equal(bs_code_intern(c, 0x7ffffff1, at + 0x420), code);
	assert_int_equal(bs_code_intern(c, 0x7ffffff1, at + 0x430),
			 bs_code_intern(c, (uint32_t)p.pid, at + 0x430));
	bs_code_invalidate(c, (uint32_t)p.pid);
	assert_int_equal(bs_code_intern(c, 0x7ffffff1, at + 0x421),
			 bs_code_intern(c, (uint32_t)p.pid, at + 0x421));
	/* Nobody knows anything of this one. */
	bs_code_fork(c, 0x7ffffff2, 0x7ffffff3);
	orphan = bs_code_intern(c, 0x7ffffff3, at + 0x420);
	assert_int_not_equal(orphan, code);
	assert_string_equal(bs_code_name(c, orphan, false), "[process gone]");
	/* Nor of an address in no file, of one that lives: but that one stays what it is. */
	snprintf(want, sizeof(want), "0x%llx", 0x4242ull);
	assert_string_equal(bs_code_name(c, bs_code_intern(c, (uint32_t)p.pid, 0x4242), false),
			    want);
	stop(&p);
	bs_code_free(c);
}

/* More processes, files that cannot be opened and odd addresses than anybody keeps. */
static void flood(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	struct puppet p = start();
	uint32_t first = bs_code_intern(c, (uint32_t)p.pid, 0x5000), last = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		last = bs_code_intern(c, (uint32_t)p.pid, 0x1000000000 + i);
	assert_int_equal(last, first + 100000);
	for (uint32_t i = 0; i < 10000; i++)
		bs_code_fork(c, (uint32_t)p.pid, 0x60000000 + i);
	assert_int_equal(bs_code_intern(c, (uint32_t)p.pid, 0x5000), first);
	assert_string_equal(bs_code_name(c, last, false), "0x100001869f");
	stop(&p);
	bs_code_free(c);
}

/* --- more files than anybody keeps -------------------------------------------------------------
 */

enum { MANY = 17000, FEW = 70 };

/* A process that has mapped so many; their addresses, in shared memory. */
static pid_t start_mapper(uint64_t *at)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < MANY; i++) {
			int fd = memfd_create("one-of-many", MFD_CLOEXEC);

			if (ftruncate(fd, 4096))
				_exit(1);
			at[i] = (uint64_t)(uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
							  MAP_PRIVATE, fd, 0);
			close(fd);
		}
		at[MANY] = 1;
		for (;;)
			pause();
	}
	while (!((volatile uint64_t *)at)[MANY])
		usleep(1000);
	return pid;
}

static uint64_t *addresses(void)
{
	uint64_t *at = mmap(NULL, (MANY + 1) * sizeof(*at), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(at != MAP_FAILED);
	return at;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What is kept has its file, all else is an address. */
static void many_files(void **state)
{
	struct bs_code *c = bs_code_new(1000000000);
	uint64_t *at = addresses();
	unsigned named = 0, bare = 0;
	pid_t pid = start_mapper(at);

	(void)state;
	assert_false(bs_code_full(c));
	bs_code_invalidate(c, (uint32_t)pid);
	assert_true(bs_code_full(c));
	for (int i = 0; i < MANY; i++) {
		uint32_t code = bs_code_intern(c, (uint32_t)pid, at[i]);
		char want[32];

		assert_true(code != 0);
		snprintf(want, sizeof(want), "0x%llx", (unsigned long long)at[i]);
		if (!strcmp(bs_code_name(c, code, false), want))
			bare++;
		else
			named += !strncmp(bs_code_name(c, code, false), "[memfd:one-of-many+", 19);
	}
	assert_int_equal(named + bare, MANY);
	assert_in_range(named, 16000, 16384);
	end(pid);
	munmap(at, (MANY + 1) * sizeof(*at));
	bs_code_free(c);
}

/* As many processes with as many mappings: in the end only of some is anything known. */
static void many_mappings(void **state)
{
	struct bs_mapped m = {.now_ns = 5000000000};
	uint64_t *at = addresses();
	pid_t pid = start_mapper(at);
	size_t most = 0;

	(void)state;
	assert_non_null(bs_mapped_invalidate(&m, (uint32_t)pid));
	/* and those of a program as it starts; sanitizers add a hundred */
	assert_in_range(m.nmappings, MANY, MANY + 300);
	for (int i = 0; i < FEW; i++) {
		pid_t other;

		at[MANY] = 0;
		other = start_mapper(at);
		m.now_ns += 2000000000;
		assert_non_null(bs_mapped_invalidate(&m, (uint32_t)other));
		most = m.nmappings > most ? m.nmappings : most;
		end(other);
	}
	assert_in_range(most, 1000000, (1 << 20) + MANY + 100);
	assert_true(m.nprocesses < FEW);
	assert_true(m.nmappings < most);
	bs_mapped_fini(&m);
	assert_int_equal(m.nmappings, 0);
	end(pid);
	munmap(at, (MANY + 1) * sizeof(*at));
}

static void index_grows(void **state)
{
	struct bs_index t = {0};

	(void)state;
	assert_int_equal(bs_index_find(&t, 0, 0), 0);
	for (uint32_t i = 0; i < 50000; i++)
		assert_int_equal(bs_index_set(&t, i % 7, (uint64_t)i << 20, i + 1), 0);
	assert_int_equal(t.used, 50000);
	for (uint32_t i = 0; i < 50000; i++)
		assert_int_equal(bs_index_find(&t, i % 7, (uint64_t)i << 20), i + 1);
	assert_int_equal(bs_index_find(&t, 7, 0), 0);
	assert_int_equal(bs_index_find(&t, 1, 0), 0);
	assert_int_equal(bs_index_set(&t, 0, 0, 77), 0);
	assert_int_equal(bs_index_find(&t, 0, 0), 77);
	assert_int_equal(t.used, 50000);
	bs_index_fini(&t);
	assert_int_equal(bs_index_find(&t, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own),		 cmocka_unit_test(afterwards),
		cmocka_unit_test(without_names), cmocka_unit_test(shared),
		cmocka_unit_test(changes),	 cmocka_unit_test(forked),
		cmocka_unit_test(flood),	 cmocka_unit_test(many_files),
		cmocka_unit_test(many_mappings), cmocka_unit_test(index_grows),
	};

	return cmocka_run_group_tests_name("symbol", tests, make_dir, remove_dir);
}
