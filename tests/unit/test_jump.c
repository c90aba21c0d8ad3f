/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_jump.c - which switches of a process can be lit: sites of this test, among them some that
 * are not as the macros make them, and a small program linked in all ways (jump_program.c).  No
 * switch is lit here.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bscope/bscope.h>

#if defined(__x86_64__)

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bscope/buffer.h>
#include <bscope/control.h>

#include "base/error.h"
#include "target/jump.h"
#include "target/module.h"
#include "target/process.h"

#define PAGE 4096u

void bscope_record(const struct bscope_site *site, uint64_t id);

/* --- sites of this test ------------------------------------------------------------------------
 */

/* Of the right shape, but it calls something else. */
void not_the_runtime(void);
void not_the_runtime(void)
{
}

/* A site from parts of one's own; its name says what is expected of it. */
#define PARTS(name, code, record, stub)                                      \
	BSCOPE_ASM(code BSCOPE_ASM_NOTE("drop", "8@%[bscope_0]") record stub \
		   :                                                         \
		   : [bscope_0] BSCOPE_ASM_IN(BSCOPE_WORD(id)),              \
		     BSCOPE_ASM_WHAT(BSCOPE_KIND_DROP, 1, 0, "part", name))

/*
 * The switch begins so many bytes behind the start of a page.  The jump over the gap is part of the
 * same asm statement, so that nothing can come between.
 */
#define AT_PAGE(name, offset)                                            \
	static __attribute__((noinline)) void page_##offset(uint64_t id) \
	{                                                                \
		PARTS(name,                                              \
		      "jmp 1f\n\t.balign 4096\n\t.skip " #offset         \
		      " - 1,0xcc\n1:\n" BSCOPE_ASM_CODE,                 \
		      BSCOPE_ASM_RECORD, BSCOPE_ASM_STUB1);              \
	}
AT_PAGE("ok", 4089)
AT_PAGE("ok", 4090)
AT_PAGE("page", 4091)
AT_PAGE("page", 4092)
AT_PAGE("page", 4095)
AT_PAGE("ok", 64)

/* The stub of one operand, with a part of it replaced. */
#define STUB(start, operand, call, end)                                              \
	"\t.pushsection .text.bscope,\"ax?\",\"progbits\"\n999:" start               \
	"\tpush %%rdi\n\tpush %%rsi\n" operand call "\tpop %%rsi\n\tpop %%rdi\n" end \
	"\t.popsection\n"
#define START	"\tlea -128(%%rsp),%%rsp\n"
#define OPERAND "\tmov %[bscope_0],%%rsi\n"
#define CALL	BSCOPE_ASM_CALL("bscope_record")
#define END	"\tlea 128(%%rsp),%%rsp\n\tjmp 991b+6\n"

static __attribute__((noinline)) void odd(uint64_t id)
{
	/* As they are. */
	PARTS("ok", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD, STUB(START, OPERAND, CALL, END));
	/* The nop that tracers rewrite. */
	PARTS("odd", "990:\tnop\n991:\t.byte 0x0f,0x1f,0x44,0,0,0x90\n", BSCOPE_ASM_RECORD,
	      BSCOPE_ASM_STUB1);
	/* Not over the whole red zone. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB("\tlea -64(%%rsp),%%rsp\n", OPERAND, CALL, END));
	/* Comes back elsewhere. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, CALL, "\tlea 128(%%rsp),%%rsp\n\tjmp 991b+5\n"));
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, CALL, "\tlea 128(%%rsp),%%rsp\n\tret\n"));
	/* Does not give back what it took of the stack. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, CALL, "\tlea 120(%%rsp),%%rsp\n\tjmp 991b+6\n"));
	/* Passes another record than its own. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND,
		   "\tlea 998b+32(%%rip),%%rdi\n\tcall *bscope_record@GOTPCREL(%%rip)\n", END));
	/* Does something more. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, CALL "\tincq 8(%%rsp)\n", END));
	/* Calls by a register. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, "\tlea 998b(%%rip),%%rdi\n\tcall *%%rax\n", END));
	/* Nothing where the stub should be. */
	PARTS("odd", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      "\t.pushsection .text.bscope,\"ax?\",\"progbits\"\n999:\t.skip 100,0x90\n"
	      "\t.popsection\n");
	/* Right in all, but what they call. */
	PARTS("foreign", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, BSCOPE_ASM_CALL("not_the_runtime"), END));
	/* The entry for another number of operands. */
	PARTS("foreign", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD,
	      STUB(START, OPERAND, BSCOPE_ASM_CALL("bscope_record2"), END));
#pragma push_macro("BSCOPE_ASM_STUB_REF")
#undef BSCOPE_ASM_STUB_REF
#define BSCOPE_ASM_STUB_REF "0"
	PARTS("none", BSCOPE_ASM_CODE, BSCOPE_ASM_RECORD, "");
#pragma pop_macro("BSCOPE_ASM_STUB_REF")
}

/* As programs write them, operands in all sorts of registers, and constants of all widths. */
static __attribute__((noinline)) void plain(uint64_t ok, uint64_t b, uint64_t c, uint64_t d,
					    uint64_t e, uint64_t f)
{
	BSCOPE_NEW(plain, ok);
	BSCOPE_SITE2(BSCOPE_KIND_USE, "use", 0, "plain", "ok", b, c);
	BSCOPE_SITE2(BSCOPE_KIND_USE, "use", 0, "plain", "ok", f, 5);
	BSCOPE_SITE2(BSCOPE_KIND_USE, "use", 0, "plain", "ok", 0x123456789abcdef0, e);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "plain", "ok", d, c, b);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "plain", "ok", 1ul << 63, 0x7fffffffffffffff,
		     0x7f1234567890);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "plain", "ok", e, f, ok);
}

static void pass_all(void)
{
	page_4089(1);
	page_4090(1);
	page_4091(1);
	page_4092(1);
	page_4095(1);
	page_64(1);
	odd(1);
	plain(1, 2, 3, 4, 5, 6);
}

/* --- this test's own file ----------------------------------------------------------------------
 */

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

static struct bs_module *own;
static struct bs_stub *own_stubs;
static bool *own_chosen;
static uint32_t *own_klass;
static uintptr_t own_bias;

static int first_object(struct dl_phdr_info *info, size_t size, void *bias)
{
	(void)size;
	*(uintptr_t *)bias = info->dlpi_addr;
	return 1;
}

static int own_open(void **state)
{
	struct bs_error err = {0};

	(void)state;
	pass_all();
	dl_iterate_phdr(first_object, &own_bias);
	assert_int_equal(
		bs_module_read(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "own", &own, &err), 0);
	assert_int_equal(own->nskipped, 0);
	assert_int_equal(own->nsites, __stop_bscope_sites - __start_bscope_sites);
	own_stubs = bs_stubs_read(own);
	own_chosen = calloc(own->nsites, sizeof(*own_chosen));
	own_klass = calloc(own->nsites, sizeof(*own_klass));
	assert_true(own_stubs && own_chosen && own_klass);
	for (size_t i = 0; i < own->nsites; i++) {
		own_chosen[i] = true;
		own_klass[i] = 3000 + (uint32_t)i; /* more than fit: the low bits count */
	}
	return 0;
}

static int own_close(void **state)
{
	(void)state;
	free(own_stubs);
	free(own_chosen);
	free(own_klass);
	bs_module_free(own);
	return 0;
}

static struct bscope_control *control(void)
{
	return (struct bscope_control *)(uintptr_t)bscope_control();
}

static void test_stubs(void **state)
{
	unsigned seen[BS_JUMP_WHYS] = {0}, foreign = 0;

	(void)state;
	for (size_t i = 0; i < own->nsites; i++) {
		const struct bs_site *s = &own->sites[i];
		enum bs_jump_why want = BS_JUMP_OK;

		if (!strcmp(s->name, "page"))
			want = BS_JUMP_PAGE;
		else if (!strcmp(s->name, "odd"))
			want = BS_JUMP_ODD;
		else if (!strcmp(s->name, "none"))
			want = BS_JUMP_NO_STUB;
		else
			assert_true(!strcmp(s->name, "ok") || !strcmp(s->name, "foreign"));
		if (own_stubs[i].why != want)
			print_message("# line %u: %u\n", s->line, own_stubs[i].why);
		assert_int_equal(own_stubs[i].why, want);
		seen[want]++;
		foreign += !strcmp(s->name, "foreign");
		/* The page test is what the name says. */
		if (!strcmp(s->klass, "part") && want == BS_JUMP_PAGE)
			assert_true((s->probe_vaddr + 1) % PAGE > PAGE - 6);
	}
	assert_int_equal(seen[BS_JUMP_OK], 3 + 1 + 7 + foreign);
	assert_int_equal(seen[BS_JUMP_PAGE], 3);
	assert_int_equal(seen[BS_JUMP_ODD], 9);
	assert_int_equal(seen[BS_JUMP_NO_STUB], 1);
	assert_int_equal(foreign, 2);
	/* In an executable the linker makes the calls direct ones. */
	for (size_t i = 0; i < own->nsites; i++)
		if (own_stubs[i].why == BS_JUMP_OK && !own_stubs[i].indirect &&
		    own->sites[i].nargs == 1 && strcmp(own->sites[i].name, "foreign"))
			assert_int_equal(own_bias + own_stubs[i].target, (uintptr_t)bscope_record);
	for (unsigned why = 0; why < BS_JUMP_WHYS; why++)
		assert_int_equal(!*bs_jump_why(why), why == BS_JUMP_OK);
}

static int find_own(pid_t pid, uint32_t first, struct bs_jumps *j, struct bs_error *err)
{
	const struct bs_jump_module module = {own, own_stubs, own_chosen, own_klass, first};

	memset(err, 0, sizeof(*err));
	return bs_jumps_find(pid, &module, 1, j, err);
}

static bool page_is_new(uint64_t *pages, size_t *n, uint64_t addr)
{
	for (size_t i = 0; i < *n; i++)
		if (pages[i] == addr / PAGE)
			return false;
	pages[(*n)++] = addr / PAGE;
	return true;
}

/* All about the switches of a process, from its memory. */
static void check_jumps(pid_t pid, const struct bs_jumps *j)
{
	static const uint8_t nop[6] = {0x66, 0x0f, 0x1f, 0x44, 0, 0};
	static const uint8_t start[5] = {0x48, 0x8d, 0x64, 0x24, 0x80};
	uint64_t *pages = calloc(j->n * 2 + 1, sizeof(*pages));
	size_t npages = 0;

	assert_non_null(pages);
	for (size_t i = 0; i < j->n; i++) {
		const struct bs_patch *p = &j->v[i];
		const uint64_t stub = p->addr + 5 + (uint64_t)(int64_t)p->rel;
		uint8_t code[6], into[5];
		struct bscope_site record;
		const struct iovec local[] = {{code, 6}, {into, 5}, {&record, sizeof(record)}};
		const struct iovec remote[] = {{(void *)(uintptr_t)p->addr, 6},
					       {(void *)(uintptr_t)stub, 5},
					       {(void *)(uintptr_t)j->record[i], sizeof(record)}};

		assert_int_equal(process_vm_readv(pid, local, 3, remote, 3, 0),
				 6 + 5 + sizeof(record));
		assert_memory_equal(code, nop, 6);
		assert_memory_equal(into, start, 5);
		assert_int_equal(j->record[i] + (uint64_t)(int64_t)record.probe + 1, p->addr);
		assert_int_equal(j->record[i] + 4 + (uint64_t)(int64_t)record.stub, stub);
		assert_int_equal(record.abi, BSCOPE_ABI_VERSION);
		assert_int_equal(p->state, BS_PATCH_DARK);
		assert_true(p->addr % PAGE <= PAGE - 6);
		assert_true(!i || p->addr > j->v[i - 1].addr);
		page_is_new(pages, &npages, p->addr);
		page_is_new(pages, &npages, j->record[i]);
	}
	free(pages);
	assert_int_equal(j->pages, npages);
}

static void test_find_own(void **state)
{
	struct bs_error err;
	struct bs_jumps j;

	(void)state;
	assert_int_equal(find_own(getpid(), 1000, &j, &err), 0);
	assert_int_equal(j.sites, own->nsites);
	assert_int_equal(j.n, 11);
	assert_int_equal(j.foreign, 2);
	assert_int_equal(j.npools, 1);
	assert_int_equal(j.pools[0].addr, control()->pool);
	assert_int_equal(j.pools[0].buffers, control()->buffers);
	check_jumps(getpid(), &j);
	for (size_t i = 0; i < j.n; i++) {
		const struct bs_site *s = &own->sites[(j.index[i] >> 11 & 0xfffff) - 1000];

		assert_string_equal(s->name, "ok");
		assert_int_equal(own_bias + s->probe_vaddr + 1, j.v[i].addr);
		assert_int_equal(own_bias + s->record_vaddr, j.record[i]);
	}
	bs_jumps_fini(&j);
	assert_int_equal(j.n, 0);
	bs_jumps_fini(&j);
}

static void test_number(void **state)
{
	struct bs_error err;
	struct bs_jumps j;
	size_t numbered = 0;
	uint32_t number;
	int32_t probe;

	(void)state;
	assert_int_equal(find_own(getpid(), 70000, &j, &err), 0);
	assert_int_equal(bs_jumps_number(getpid(), &j), 0);
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++) {
		const char *name = (const char *)&s->name + s->name;

		if (strcmp(name, "ok")) {
			assert_int_equal(s->index, BSCOPE_SITE_NO_INDEX);
			continue;
		}
		numbered++;
		number = s->index >> 11 & 0xfffff;
		assert_in_range(number, 70000, 70000 + own->nsites - 1);
		assert_int_equal(own->sites[number - 70000].line, s->line);
		assert_int_equal(own_bias + own->sites[number - 70000].record_vaddr, (uintptr_t)s);
		assert_int_equal(s->index & 0x7ff, (3000 + number - 70000) & 0x7ff);
		assert_int_equal(s->index >> 31, s->kind == BSCOPE_KIND_NEW ||
							 s->kind == BSCOPE_KIND_RESIZE_BEGIN ||
							 s->kind == BSCOPE_KIND_RESIZE_END ||
							 s->kind == BSCOPE_KIND_REGION_ENTER ||
							 s->kind == BSCOPE_KIND_REGION_EXIT);
		s->index = BSCOPE_SITE_NO_INDEX;
	}
	assert_int_equal(numbered, j.n);
	/* Another library is in its place: nothing is written there. */
	probe = __start_bscope_sites->probe;
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		s->probe++;
	assert_int_equal(bs_jumps_number(getpid(), &j), -EFAULT);
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++) {
		assert_int_equal(s->index, BSCOPE_SITE_NO_INDEX);
		s->probe--;
	}
	assert_int_equal(__start_bscope_sites->probe, probe);
	/* Records that cannot be written: nothing may be lit. */
	j.record[j.n / 2] = 8;
	assert_true(bs_jumps_number(getpid(), &j) < 0);
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		s->index = BSCOPE_SITE_NO_INDEX;
	j.n = 0;
	assert_int_equal(bs_jumps_number(getpid(), &j), 0);
	bs_jumps_fini(&j);
}

/* Only what the user has chosen; only numbers that a slot has room for. */
static void test_choice(void **state)
{
	struct bs_error err;
	struct bs_jumps j;
	size_t chosen = 0;

	(void)state;
	for (size_t i = 0; i < own->nsites; i++) {
		own_chosen[i] = own->sites[i].kind == BSCOPE_KIND_USE;
		chosen += own_chosen[i];
	}
	assert_int_equal(chosen, 3);
	assert_int_equal(find_own(getpid(), 1, &j, &err), 0);
	assert_int_equal(j.sites, 3);
	assert_int_equal(j.n, 3);
	assert_int_equal(j.foreign, 0);
	for (size_t i = 0; i < j.n; i++)
		assert_int_equal(own->sites[(j.index[i] >> 11 & 0xfffff) - 1].kind,
				 BSCOPE_KIND_USE);
	check_jumps(getpid(), &j);
	bs_jumps_fini(&j);
	memset(own_chosen, 0, own->nsites);
	assert_int_equal(find_own(getpid(), 1, &j, &err), 0);
	assert_int_equal(j.sites, 0);
	assert_int_equal(j.n, 0);
	bs_jumps_fini(&j);
	memset(own_chosen, 1, own->nsites);
	assert_int_equal(find_own(getpid(), BSCOPE_SLOT_INDEX_MASK - 1, &j, &err), 0);
	assert_int_equal(j.sites, own->nsites);
	assert_true(j.n <= 2);
	for (size_t i = 0; i < j.n; i++)
		assert_in_range(j.index[i] >> 11 & 0xfffff, BSCOPE_SLOT_INDEX_MASK - 1,
				BSCOPE_SLOT_INDEX_MASK);
	bs_jumps_fini(&j);
}

/* The library says that it is not ready, another one, or without memory. */
static void test_unusable(void **state)
{
	struct bscope_control was = *control();
	struct bs_error err;
	struct bs_jumps j;

	(void)state;
	control()->started = 0;
	assert_int_equal(find_own(getpid(), 1, &j, &err), -EAGAIN);
	assert_true(err.text[0]);
	control()->started = 1;
	control()->abi = BSCOPE_CONTROL_ABI + 1;
	assert_int_equal(find_own(getpid(), 1, &j, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "version"));
	control()->abi = BSCOPE_CONTROL_ABI;
	control()->size = sizeof(was) - 1;
	assert_int_equal(find_own(getpid(), 1, &j, &err), -ENOTSUP);
	control()->size = sizeof(was) + 64; /* members are only ever added */
	assert_int_equal(find_own(getpid(), 1, &j, &err), 0);
	bs_jumps_fini(&j);
	control()->size = sizeof(was);
	control()->pool = 0;
	assert_int_equal(find_own(getpid(), 1, &j, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "ulimit"));
	control()->pool = was.pool;
	control()->buffers = UINT64_MAX;
	assert_int_equal(find_own(getpid(), 1, &j, &err), -ENOTSUP);
	control()->buffers = was.buffers;
	/* Entries that nobody calls. */
	control()->entries[0] += 1;
	control()->entries[1] = control()->entries[2] = 0;
	assert_int_equal(find_own(getpid(), 1, &j, &err), 0);
	assert_int_equal(j.n, 0);
	assert_int_equal(j.foreign, 13);
	assert_int_equal(j.pages, 0);
	bs_jumps_fini(&j);
	memcpy(control()->entries, was.entries, sizeof(was.entries));
	assert_int_equal(find_own(getpid(), 1, &j, &err), 0);
	assert_int_equal(j.n, 11);
	bs_jumps_fini(&j);
}

static void test_gone(void **state)
{
	struct bs_error err;
	struct bs_jumps j;
	pid_t child = fork();

	(void)state;
	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(find_own(child, 1, &j, &err), -ESRCH);
	assert_true(err.text[0]);
}

/* --- processes ---------------------------------------------------------------------------------
 */

struct program {
	pid_t pid;
	int in, out;
	struct bs_module **modules;
	struct bs_jump_module *v;
	size_t n;
};

/* What the session does before it asks: reads all modules, and the stubs of each. */
static void program_modules(struct program *p)
{
	struct bs_error err = {0};
	uint32_t first = 1;

	assert_int_equal(bs_process_modules(p->pid, NULL, 0, &p->modules, &p->n, &err), 0);
	p->v = calloc(p->n + 1, sizeof(*p->v));
	assert_non_null(p->v);
	for (size_t i = 0; i < p->n; i++) {
		const struct bs_module *m = p->modules[i];
		bool *chosen = calloc(m->nsites + 1, sizeof(*chosen));

		assert_non_null(chosen);
		memset(chosen, 1, m->nsites);
		uint32_t *klass = calloc(m->nsites + 1, sizeof(*klass));

		assert_non_null(klass);
		p->v[i] = (struct bs_jump_module){m, bs_stubs_read(m), chosen, klass, first};
		assert_non_null(p->v[i].stubs);
		first += (uint32_t)m->nsites;
	}
}

static void program_start(struct program *p, const char *name)
{
	char path[4096], c;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	int in[2], out[2];

	assert_true(n > 0);
	path[n] = '\0';
	snprintf(strrchr(path, '/') + 1, 60, "jump-%s", name);
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	memset(p, 0, sizeof(*p));
	p->pid = fork();
	if (!p->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(path, path, (char *)NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	p->in = in[1];
	p->out = out[0];
	assert_int_equal(read(p->out, &c, 1), 1);
	program_modules(p);
}

static void program_end(struct program *p)
{
	int status;

	for (size_t i = 0; i < p->n; i++) {
		free((void *)(uintptr_t)p->v[i].stubs);
		free((void *)(uintptr_t)p->v[i].chosen);
		free((void *)(uintptr_t)p->v[i].klass);
		bs_module_free(p->modules[i]);
	}
	free(p->v);
	free(p->modules);
	close(p->in);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	close(p->out);
	assert_int_equal(status, 0);
}

/* Three sites with one, two and three operands; each can be lit, whoever linked it. */
static void program_check(const char *name)
{
	struct bs_error err = {0};
	struct program p;
	struct bs_jumps j;
	unsigned nargs = 0;

	program_start(&p, name);
	assert_int_equal(bs_jumps_find(p.pid, p.v, p.n, &j, &err), 0);
	assert_int_equal(j.sites, 3);
	for (size_t i = 0; i < p.n; i++)
		for (size_t k = 0; k < p.modules[i]->nsites; k++) {
			nargs += p.modules[i]->sites[k].nargs;
			if (p.v[i].stubs[k].why)
				print_message("# %s line %u: %u\n", name,
					      p.modules[i]->sites[k].line, p.v[i].stubs[k].why);
		}
	assert_int_equal(nargs, 6);
	assert_int_equal(j.n, 3);
	assert_int_equal(j.foreign, 0);
	assert_int_equal(j.npools, 1);
	check_jumps(p.pid, &j);
	assert_int_equal(bs_jumps_number(p.pid, &j), 0);
	for (size_t i = 0; i < j.n; i++) {
		uint32_t index = 0;
		const struct iovec local = {&index, 4};
		const struct iovec remote = {
			(void *)(uintptr_t)(j.record[i] + offsetof(struct bscope_site, index)), 4};

		assert_int_equal(process_vm_readv(p.pid, &local, 1, &remote, 1, 0), 4);
		assert_int_equal(index, j.index[i]);
	}
	bs_jumps_fini(&j);
	program_end(&p);
}

static void test_pie(void **state)
{
	(void)state;
	program_check("pie");
}

static void test_no_pie(void **state)
{
	(void)state;
	program_check("no-pie");
}

static void test_static(void **state)
{
	(void)state;
	program_check("static");
}

static void test_shared(void **state)
{
	(void)state;
	program_check("shared");
}

static void test_library(void **state)
{
	(void)state;
	program_check("library");
}

/* Where the call of a stub through the GOT finds its target; 0: it is a direct one. */
static uint64_t got_slot(const struct program *p, const struct bs_jumps *j, size_t at)
{
	uint32_t number = j->index[at] >> BSCOPE_INDEX_SITE_SHIFT & BSCOPE_SLOT_INDEX_MASK;

	for (size_t i = 0; i < p->n; i++) {
		const struct bs_jump_module *jm = &p->v[i];
		uint32_t k = number - jm->first;

		if (number >= jm->first && k < jm->m->nsites && jm->stubs[k].indirect)
			return j->record[at] - jm->m->sites[k].record_vaddr + jm->stubs[k].target;
	}
	return 0;
}

/* The dynamic linker has mapped a library, and is about to fill its GOT: that is none to be left.
 */
static void test_linking(void **state)
{
	uint64_t slot = 0, zero = 0, called;
	struct bs_error err = {0};
	struct program p;
	struct bs_jumps j;
	char path[64];
	int mem;

	(void)state;
	program_start(&p, "library");
	assert_int_equal(bs_jumps_find(p.pid, p.v, p.n, &j, &err), 0);
	for (size_t i = 0; i < j.n && !slot; i++)
		slot = got_slot(&p, &j, i);
	assert_true(slot);
	bs_jumps_fini(&j);
	/* It can be written to though the program may not. */
	snprintf(path, sizeof(path), "/proc/%d/mem", p.pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(mem, &called, 8, (off_t)slot), 8);
	assert_int_equal(pwrite(mem, &zero, 8, (off_t)slot), 8);
	assert_int_equal(bs_jumps_find(p.pid, p.v, p.n, &j, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "just loading a library"));
	/* Something else stands there: that is none of ours. */
	zero = 4096;
	assert_int_equal(pwrite(mem, &zero, 8, (off_t)slot), 8);
	assert_int_equal(bs_jumps_find(p.pid, p.v, p.n, &j, &err), 0);
	assert_true(j.foreign);
	bs_jumps_fini(&j);
	assert_int_equal(pwrite(mem, &called, 8, (off_t)slot), 8);
	assert_int_equal(bs_jumps_find(p.pid, p.v, p.n, &j, &err), 0);
	assert_int_equal(j.foreign, 0);
	bs_jumps_fini(&j);
	close(mem);
	program_end(&p);
}

static void test_without_runtime(void **state)
{
	struct bs_error err = {0};
	struct program p;
	struct bs_jumps j;

	(void)state;
	program_start(&p, "none");
	assert_int_equal(p.n, 1);
	assert_int_equal(p.modules[0]->nsites, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(p.v[0].stubs[i].why, BS_JUMP_NO_STUB);
	assert_int_equal(bs_jumps_find(p.pid, p.v, p.n, &j, &err), -ENOENT);
	assert_non_null(strstr(err.text, "BSCOPE_NO_RUNTIME"));
	program_end(&p);
}

/* Its main thread has ended, the others have not. */
static void *others_go_on(void *arg)
{
	const int *fds = arg;
	char c = 0;

	usleep(1000);
	if (write(fds[1], &c, 1) != 1 || read(fds[0], &c, 1) < 0)
		_exit(1);
	_exit(0);
}

static void test_main_thread_ended(void **state)
{
	int to[2], from[2], status;
	struct bs_error err;
	struct bs_jumps j;
	pid_t child;
	char c, path[64], line[512] = "";

	(void)state;
	assert_int_equal(pipe(to) | pipe(from), 0);
	child = fork();
	if (!child) {
		static int fds[2];
		pthread_t thread;

		fds[0] = to[0];
		fds[1] = from[1];
		close(to[1]);
		if (pthread_create(&thread, NULL, others_go_on, fds))
			_exit(1);
		pthread_exit(NULL);
	}
	close(to[0]);
	assert_int_equal(read(from[0], &c, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	while (!strstr(line, ") Z ")) {
		FILE *f = fopen(path, "r");

		assert_true(f && fgets(line, sizeof(line), f));
		fclose(f);
	}
	assert_int_equal(find_own(child, 1, &j, &err), 0);
	assert_int_equal(j.n, 11);
	assert_int_equal(j.pools[0].addr, control()->pool);
	assert_int_equal(bs_jumps_number(child, &j), 0);
	bs_jumps_fini(&j);
	close(to[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(from[0]);
	close(from[1]);
	/* Of the child, not of this process. */
	assert_int_equal(__start_bscope_sites->index, BSCOPE_SITE_NO_INDEX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stubs),
		cmocka_unit_test(test_find_own),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_unusable),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_pie),
		cmocka_unit_test(test_no_pie),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_library),
		cmocka_unit_test(test_linking),
		cmocka_unit_test(test_without_runtime),
		cmocka_unit_test(test_main_thread_ended),
	};

	return cmocka_run_group_tests(tests, own_open, own_close);
}

#else /* no stubs on this architecture */

#include "target/jump.h"

static void test_why(void **state)
{
	(void)state;
	assert_string_equal(bs_jump_why(BS_JUMP_OK), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_why)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
