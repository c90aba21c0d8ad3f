// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_record_stacks.c - the probe bscope:stack of the runtime: this program puts a breakpoint on
 * it, as the kernel does, and looks at the registers there: they must be the site's, and the slot
 * reserved and not committed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <ucontext.h>

#include "record_check.h"

#include <bscope/follow.h>

#if defined(__x86_64__)

#include "target/module.h"

#define INT3 0xcc
#define NOP  0x90

/* What is in registers at the site; the stack pointer is written by the site's function. */
#define RBX 0x1111000000000001ull
#define RBP 0x2222000000000002ull
#define R12 0x3333000000000003ull
#define R13 0x4444000000000004ull
#define R14 0x5555000000000005ull
#define R15 0x6666000000000006ull

uint64_t site_sp __attribute__((used, visibility("hidden")));

static uint8_t *probe;

static struct seen {
	uint64_t buffer, number, site, sp;
	bool right, committed;
} seen[16];
static volatile unsigned nseen;
static void (*nested)(void);

static const char *at(const int32_t *member)
{
	return (const char *)member + *member;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	const greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
	struct seen *s = &seen[nseen++ % ARRAY(seen)];
	void (*inner)(void) = nested;

	(void)sig;
	(void)info;
	must((uint64_t)r[REG_RIP] == (uintptr_t)probe + 1);
	*s = (struct seen){(uint64_t)r[REG_RDI],
			   (uint64_t)r[REG_RSI],
			   (uint64_t)r[REG_RDX],
			   (uint64_t)r[REG_RCX],
			   false,
			   false};
	s->right = r[REG_RBX] == (greg_t)RBX && r[REG_RBP] == (greg_t)RBP &&
		   r[REG_R12] == (greg_t)R12 && r[REG_R13] == (greg_t)R13 &&
		   r[REG_R14] == (greg_t)R14 && r[REG_R15] == (greg_t)R15;
	s->committed = is_committed((const struct bscope_buffer *)(uintptr_t)s->buffer, s->number);
	nested = NULL;
	if (inner)
		inner();
}

/* Around a site: the registers of which a stack is made have values that are known. */
#define KNOWN_ENTER                                                                            \
	"push %%rbx\n\tpush %%rbp\n\tpush %%r12\n\tpush %%r13\n\tpush %%r14\n\tpush %%r15\n\t" \
	"movabs %[rbx],%%rbx\n\tmovabs %[rbp],%%rbp\n\tmovabs %[r12],%%r12\n\t"                \
	"movabs %[r13],%%r13\n\tmovabs %[r14],%%r14\n\tmovabs %[r15],%%r15\n\t"                \
	"mov %%rsp,site_sp(%%rip)\n"
#define KNOWN_LEAVE                                            \
	"\txor %%eax,%%eax\n\t"                                \
	"movabs %[rbx],%%rcx\n\tcmp %%rcx,%%rbx\n\tjne 1f\n\t" \
	"movabs %[rbp],%%rcx\n\tcmp %%rcx,%%rbp\n\tjne 1f\n\t" \
	"movabs %[r12],%%rcx\n\tcmp %%rcx,%%r12\n\tjne 1f\n\t" \
	"movabs %[r13],%%rcx\n\tcmp %%rcx,%%r13\n\tjne 1f\n\t" \
	"movabs %[r14],%%rcx\n\tcmp %%rcx,%%r14\n\tjne 1f\n\t" \
	"movabs %[r15],%%rcx\n\tcmp %%rcx,%%r15\n\tjne 1f\n\t" \
	"inc %%eax\n"                                          \
	"1:\tpop %%r15\n\tpop %%r14\n\tpop %%r13\n\tpop %%r12\n\tpop %%rbp\n\tpop %%rbx\n"
#define KNOWN_IN                                                                        \
	[rbx] "n"(RBX), [rbp] "n"(RBP), [r12] "n"(R12), [r13] "n"(R13), [r14] "n"(R14), \
		[r15] "n"(R15)
#define WHAT(kind, nargs, name) BSCOPE_ASM_WHAT(kind, nargs, 0, "test", name)
#define KNOWN_CLOBBERS		"memory", "cc", "rcx"

/* Each returns whether the registers were the same afterwards.  No red zone: they push. */
static __attribute__((noinline)) int known1(uint64_t id)
{
	int same;

	__asm__ __volatile__(
		"lea -128(%%rsp),%%rsp\n\t" KNOWN_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(
			"test", "8@%[bscope_0]") BSCOPE_ASM_RECORD BSCOPE_ASM_STUB1 KNOWN_LEAVE
		"lea 128(%%rsp),%%rsp"
		: "=&a"(same)
		: [bscope_0] "D"(id), KNOWN_IN, WHAT(BSCOPE_KIND_NEW, 1, "one")
		: KNOWN_CLOBBERS);
	return same;
}

static __attribute__((noinline)) int known2(uint64_t id, uint64_t a1)
{
	int same;

	__asm__ __volatile__(
		"lea -128(%%rsp),%%rsp\n\t" KNOWN_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(
			"test", "8@%[bscope_0] 8@%[bscope_1]")
			BSCOPE_ASM_RECORD BSCOPE_ASM_STUB2 KNOWN_LEAVE "lea 128(%%rsp),%%rsp"
		: "=&a"(same)
		: [bscope_0] "D"(id), [bscope_1] "S"(a1), KNOWN_IN, WHAT(BSCOPE_KIND_NEW, 2, "two")
		: KNOWN_CLOBBERS);
	return same;
}

static __attribute__((noinline)) int known3(uint64_t id, uint64_t a1, uint64_t a2)
{
	int same;

	__asm__ __volatile__(
		"lea -128(%%rsp),%%rsp\n\t" KNOWN_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(
			"test", "8@%[bscope_0] 8@%[bscope_1] 8@%[bscope_2]")
			BSCOPE_ASM_RECORD BSCOPE_ASM_STUB3 KNOWN_LEAVE "lea 128(%%rsp),%%rsp"
		: "=&a"(same)
		: [bscope_0] "D"(id), [bscope_1] "S"(a1), [bscope_2] "d"(a2), KNOWN_IN,
		  WHAT(BSCOPE_KIND_NEW, 3, "three")
		: KNOWN_CLOBBERS);
	return same;
}

/* Of a kind whose stacks nobody wants. */
static __attribute__((noinline)) int other(uint64_t id)
{
	int same;

	__asm__ __volatile__(
		"lea -128(%%rsp),%%rsp\n\t" KNOWN_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(
			"test", "8@%[bscope_0]") BSCOPE_ASM_RECORD BSCOPE_ASM_STUB1 KNOWN_LEAVE
		"lea 128(%%rsp),%%rsp"
		: "=&a"(same)
		: [bscope_0] "D"(id), KNOWN_IN, WHAT(BSCOPE_KIND_USE, 1, "other")
		: KNOWN_CLOBBERS);
	return same;
}

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

static void write_text(void *to, const void *bytes, size_t n)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	assert_true(mem >= 0);
	assert_int_equal(pwrite(mem, bytes, n, (off_t)(uintptr_t)to), n);
	close(mem);
}

static void light(void)
{
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++) {
		const char *nop = at(&s->probe);
		int32_t rel = (int32_t)(at(&s->stub) - (nop + 6));
		uint8_t jump[5] = {0xe9};

		if (strcmp(at(&s->klass), "test"))
			continue;
		memcpy(jump + 1, &rel, sizeof(rel));
		s->index = BSCOPE_INDEX(1 + (s - __start_bscope_sites), 1, s->kind);
		write_text((void *)(uintptr_t)(nop + 1), jump, sizeof(jump));
	}
}

static int own_base(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uint64_t *offset = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && *offset >= p->p_offset &&
		    *offset < p->p_offset + p->p_filesz) {
			probe = (uint8_t *)(info->dlpi_addr + p->p_vaddr + (*offset - p->p_offset));
			return 1;
		}
	}
	return 1; /* the first is this program */
}

static int begin(void **state)
{
	struct sigaction sa = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct bs_module *m = NULL;
	uint8_t breakpoint = INT3;
	int ret = bs_module_read(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "self", &m, NULL);

	(void)state;
	assert_int_equal(ret, 0);
	assert_true(m->runtime.stack_offset != 0);
	dl_iterate_phdr(own_base, &m->runtime.stack_offset);
	bs_module_free(m);
	assert_non_null(probe);
	assert_int_equal(*probe, NOP);
	assert_int_equal(sigaction(SIGTRAP, &sa, NULL), 0);
	write_text(probe, &breakpoint, 1);
	light();
	return 0;
}

static int fresh(void **state)
{
	wipe(state);
	memset(seen, 0, sizeof(seen));
	nseen = 0;
	nested = NULL;
	control()->stacks = 1u << BSCOPE_KIND_NEW;
	control()->follow = BSCOPE_STACKS;
	return 0;
}

static int leave(void **state)
{
	(void)state;
	control()->follow = 0;
	control()->stacks = 0;
	return 0;
}

/* The i-th stack was that of this slot, at the site of that name. */
static void expect_seen(unsigned i, uint64_t number, const char *name)
{
	const struct bscope_site *site = NULL;

	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		if (!strcmp(at(&s->name), name))
			site = s;
	assert_non_null(site);
	assert_true(nseen > i);
	assert_int_equal(seen[i].buffer, (uintptr_t)mine());
	assert_int_equal(seen[i].number, number);
	assert_int_equal(seen[i].site, (uintptr_t)at(&site->probe));
	assert_int_equal(seen[i].sp, site_sp);
	assert_true(seen[i].right);
	assert_false(seen[i].committed);
	assert_true(is_committed(mine(), number));
	assert_int_equal(slot(mine(), number)->head & 0xfffff,
			 site->index >> BSCOPE_INDEX_SITE_SHIFT & 0xfffff);
}

static void one_of_each(void)
{
	assert_true(known1(0x10));
	expect_seen(0, FIRST, "one");
	assert_int_equal(slot(mine(), FIRST)->value, 0x10);
	assert_true(known2(0x20, 21));
	expect_seen(1, FIRST + 1, "two");
	assert_int_equal(slot(mine(), FIRST + 1)->value, 0x20);
	assert_int_equal(slot(mine(), FIRST + 2)->value, 21);
	assert_true(known3(0x30, 31, 32));
	expect_seen(2, FIRST + 3, "three");
	assert_int_equal(slot(mine(), FIRST + 3)->value, 0x30);
	assert_int_equal(slot(mine(), FIRST + 4)->value, 31);
	assert_int_equal(slot(mine(), FIRST + 4)->head >> 24, 32);
	assert_int_equal(mine()->next, FIRST + 5);
	assert_int_equal(mine()->extra, 2);
	assert_int_equal(nseen, 3);
}

static void test_registers_are_the_sites(void **state)
{
	(void)state;
	one_of_each();
}

static void test_with_coarse_stamps(void **state)
{
	(void)state;
	control()->follow = BSCOPE_STACKS | BSCOPE_STAMP_COARSE;
	one_of_each();
}

/* A gap of 0: everybody is followed. */
static void test_with_sampling(void **state)
{
	(void)state;
	control()->follow_gap = 0;
	control()->follow_epoch++;
	control()->follow = BSCOPE_STACKS | BSCOPE_FOLLOW_CHOSEN;
	one_of_each();
}

/* Who is not followed is not recorded, and has no stack. */
static void test_not_followed(void **state)
{
	(void)state;
	control()->follow_gap = 1ull << 62;
	control()->follow_epoch++;
	control()->follow = BSCOPE_STACKS | BSCOPE_FOLLOW_CHOSEN;
	for (uint64_t i = 0; i < 100; i++)
		assert_true(known2(0x1000 + 16 * i, 8));
	assert_int_equal(nseen, 0);
}

static void test_other_kinds_have_none(void **state)
{
	(void)state;
	assert_true(other(7));
	assert_int_equal(nseen, 0);
	assert_int_equal(mine()->next, FIRST + 1);
	assert_int_equal(slot(mine(), FIRST)->value, 7);
	control()->stacks |= 1u << BSCOPE_KIND_USE;
	assert_true(other(8));
	expect_seen(0, FIRST + 1, "other");
}

static void test_nobody_wants_them(void **state)
{
	(void)state;
	control()->follow = 0;
	assert_true(known3(1, 2, 3));
	assert_int_equal(nseen, 0);
	assert_int_equal(mine()->next, FIRST + 2);
}

#ifndef __SANITIZE_THREAD__ /* which has all signals blocked in handlers */

static void record_inside(void)
{
	must(known2(0x99, 98));
}

/* A handler that comes at the probe and records, with a stack of its own. */
static void test_handlers_nest(void **state)
{
	uint64_t sp;

	(void)state;
	nested = record_inside;
	assert_true(known1(0x77));
	assert_int_equal(nseen, 2);
	assert_int_equal(seen[0].number, FIRST);
	assert_int_equal(seen[1].number, FIRST + 1);
	assert_true(seen[0].right && seen[1].right);
	sp = seen[0].sp;
	assert_true(seen[1].sp < sp);
	assert_int_equal(slot(mine(), FIRST)->value, 0x77);
	assert_int_equal(slot(mine(), FIRST + 1)->value, 0x99);
	assert_int_equal(slot(mine(), FIRST + 2)->value, 98);
	for (uint64_t i = 0; i < 3; i++)
		assert_true(is_committed(mine(), FIRST + i));
}

#endif

/* The number is that of the slot in which it is, where two would not have fitted into the half. */
static void test_number_after_a_gap(void **state)
{
	struct bscope_buffer *b;

	(void)state;
	control()->follow = 0;
	b = go_to(BATCH - 1);
	control()->follow = BSCOPE_STACKS;
	assert_true(known2(0x55, 54));
	expect_seen(0, b->next - 2, "two");
	assert_int_equal((b->next - 2) % BATCH, 1);
}

int main(void)
{
#define STACKS_TEST(name) cmocka_unit_test_setup_teardown(name, fresh, leave)
	const struct CMUnitTest tests[] = {
		STACKS_TEST(test_registers_are_the_sites), STACKS_TEST(test_with_coarse_stamps),
		STACKS_TEST(test_with_sampling),	   STACKS_TEST(test_not_followed),
		STACKS_TEST(test_other_kinds_have_none),   STACKS_TEST(test_nobody_wants_them),
		STACKS_TEST(test_number_after_a_gap),
#ifndef __SANITIZE_THREAD__
		STACKS_TEST(test_handlers_nest),
#endif
	};

	test_pid = getpid();
	return cmocka_run_group_tests(tests, begin, NULL);
}

#else
#include "no_entries.h"
#endif
