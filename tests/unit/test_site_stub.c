// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_site_stub.c - the stubs of sites: this program switches its own sites on, by writing the
 * jump as a tool would, and has entries of its own (in assembly, spoiling what they may spoil)
 * tell what arrived.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <bscope/bscope.h>

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

static const char *at(const int32_t *member)
{
	return (const char *)member + *member;
}

#if defined(__x86_64__)

/* What the last entry was called with; rdx and rcx whether it takes them or not. */
struct seen {
	uint64_t site, id, a1, a2, nargs, calls;
};
/* volatile: a site does not tell the compiler that it touches memory, because it does not. */
volatile struct seen seen __attribute__((used, visibility("hidden")));

/*
 * The entries.  They spoil what the contract of runtime/record.c allows: the flags and the
 * registers of their own arguments.
 */
#define ENTRY(name, nargs, spoil)                                         \
	".globl " name "\n.type " name ",@function\n" name ":\n"          \
	"mov %rdi,seen(%rip)\nmov %rsi,seen+8(%rip)\n"                    \
	"mov %rdx,seen+16(%rip)\nmov %rcx,seen+24(%rip)\n"                \
	"movq $" nargs ",seen+32(%rip)\naddq $1,seen+40(%rip)\n"          \
	"mov $0xdead,%edi\nmov $0xdeae,%esi\n" spoil "cmp $0,%edi\nret\n" \
	".size " name ",.-" name "\n"
__asm__(".pushsection .text\n" ENTRY("bscope_record", "1", "")
		ENTRY("bscope_record2", "2", "mov $0xdeaf,%edx\n")
			ENTRY("bscope_record3", "3",
			      "mov $0xdeaf,%edx\nmov $0xdeb0,%ecx\n") ".popsection\n");

static void patch(const struct bscope_site *site, const uint8_t bytes[5])
{
	uint8_t *sw = (uint8_t *)at(&site->probe) + 1;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = (uintptr_t)sw & ~(page - 1);
	size_t len = (uintptr_t)sw + 5 - first;

	assert_int_equal(mprotect((void *)first, len, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	memcpy(sw, bytes, 5);
	assert_int_equal(mprotect((void *)first, len, PROT_READ | PROT_EXEC), 0);
}

static void light(const struct bscope_site *site)
{
	static const uint8_t nops[7] = {0x90, 0x66, 0x0f, 0x1f, 0x44, 0, 0};
	const uint8_t *probe = (const uint8_t *)at(&site->probe);
	int32_t rel = (int32_t)((const uint8_t *)at(&site->stub) - (probe + 6));
	uint8_t jmp[5] = {0xe9};

	assert_memory_equal(probe, nops, sizeof(nops));
	memcpy(jmp + 1, &rel, 4);
	patch(site, jmp);
}

static void darken(const struct bscope_site *site)
{
	static const uint8_t nop[5] = {0x66, 0x0f, 0x1f, 0x44, 0};

	patch(site, nop);
}

static void all(void (*what)(const struct bscope_site *site))
{
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		what(s);
}

/* The last call came from the site with this name and had these operands. */
static void expect(const char *name, uint64_t nargs, uint64_t id, uint64_t a1, uint64_t a2)
{
	const struct bscope_site *site = (const struct bscope_site *)(uintptr_t)seen.site;

	assert_true(site >= __start_bscope_sites && site < __stop_bscope_sites);
	assert_string_equal(at(&site->name), name);
	assert_int_equal(site->nargs, nargs);
	assert_int_equal(seen.nargs, nargs);
	assert_int_equal(seen.id, id);
	if (nargs > 1)
		assert_int_equal(seen.a1, a1);
	if (nargs > 2)
		assert_int_equal(seen.a2, a2);
}

/*
 * The sites of site.h with their operands in registers of the test's choice; X, Y, Z are
 * constraint letters.
 */
#define WHAT(nargs, name) BSCOPE_ASM_WHAT(BSCOPE_KIND_NEW, nargs, 0, "test", name)
#define SITE1_IN(X, x)                                                      \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE("test", "8@%[bscope_0]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB1               \
		   :                                                        \
		   : [bscope_0] X(x), WHAT(1, X))
#define SITE2_IN(X, Y, x, y)                                                              \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE("test", "8@%[bscope_0] 8@%[bscope_1]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB2                             \
		   :                                                                      \
		   : [bscope_0] X(x), [bscope_1] Y(y), WHAT(2, X Y))
#define SITE3_IN(X, Y, Z, x, y, z)                                                              \
	BSCOPE_ASM(BSCOPE_ASM_CODE BSCOPE_ASM_NOTE("test",                                      \
						   "8@%[bscope_0] 8@%[bscope_1] 8@%[bscope_2]") \
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB3                                   \
		   :                                                                            \
		   : [bscope_0] X(x), [bscope_1] Y(y), [bscope_2] Z(z), WHAT(3, X Y Z))

/* Values that no part of which can be lost without notice. */
#define VX 0x1122334455667788ull
#define VY 0x99aabbccddeeff01ull
#define VZ 0xf0e1d2c3b4a59687ull

static volatile uint64_t vx = VX, vy = VY, vz = VZ;

#define ONE(X)                          \
	do {                            \
		SITE1_IN(X, vx);        \
		expect(X, 1, VX, 0, 0); \
	} while (0)
#define TWO(X, Y)                          \
	do {                               \
		SITE2_IN(X, Y, vx, vy);    \
		expect(X Y, 2, VX, VY, 0); \
	} while (0)
#define THREE(X, Y, Z)                         \
	do {                                   \
		SITE3_IN(X, Y, Z, vx, vy, vz); \
		expect(X Y Z, 3, VX, VY, VZ);  \
	} while (0)

static void test_one_operand(void **state)
{
	(void)state;
	all(light);
	ONE("D");
	ONE("S");
	ONE("d");
	ONE("c");
	ONE("a");
	ONE("b");
	all(darken);
}

#define TWO_OF_THREE(X, Y, Z) \
	do {                  \
		TWO(X, Y);    \
		TWO(Y, X);    \
		TWO(X, Z);    \
		TWO(Z, X);    \
		TWO(Y, Z);    \
		TWO(Z, Y);    \
	} while (0)

static void test_two_operands(void **state)
{
	(void)state;
	all(light);
	TWO_OF_THREE("D", "S", "d");
	TWO_OF_THREE("D", "c", "a");
	TWO_OF_THREE("S", "c", "b");
	TWO_OF_THREE("d", "a", "b");
	TWO_OF_THREE("D", "d", "b");
	all(darken);
}

#define ORDERS(X, Y, Z)         \
	do {                    \
		THREE(X, Y, Z); \
		THREE(X, Z, Y); \
		THREE(Y, X, Z); \
		THREE(Y, Z, X); \
		THREE(Z, X, Y); \
		THREE(Z, Y, X); \
	} while (0)

/* Every order of every three of the registers that arguments travel in, and of some others. */
static void test_three_operands(void **state)
{
	(void)state;
	all(light);
	ORDERS("D", "S", "d");
	ORDERS("D", "S", "c");
	ORDERS("D", "d", "c");
	ORDERS("S", "d", "c");
	ORDERS("D", "S", "a");
	ORDERS("D", "d", "a");
	ORDERS("D", "c", "b");
	ORDERS("S", "d", "b");
	ORDERS("S", "c", "a");
	ORDERS("d", "c", "a");
	ORDERS("a", "b", "D");
	ORDERS("a", "b", "S");
	all(darken);
}

/* One value in all operands, and registers next to constants. */
static void test_same_and_constant(void **state)
{
	uint64_t x = vx;

	(void)state;
	all(light);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "k", "xxx", x, x, x);
	expect("xxx", 3, VX, VX, VX);
	BSCOPE_USE(k, x, x);
	expect("x", 2, VX, VX, 0);
	SITE3_IN("d", "n", "S", x, 7ul, vz);
	expect("dnS", 3, VX, 7, VZ);
	SITE3_IN("n", "D", "n", 0xfedcba9876543210ul, vy, ~0ul);
	expect("nDn", 3, 0xfedcba9876543210u, VY, UINT64_MAX);
	SITE2_IN("n", "S", 1ul << 63, vy);
	expect("nS", 2, 1ul << 63, VY, 0);
	all(darken);
}

static void test_constants(void **state)
{
	(void)state;
	all(light);
	BSCOPE_NEW(k, 0x123456789abcdef0);
	expect("0x123456789abcdef0", 1, 0x123456789abcdef0, 0, 0);
	BSCOPE_NEW(k, 0x80000000);
	expect("0x80000000", 1, 0x80000000, 0, 0);
	BSCOPE_NEW(k, -2);
	expect("-2", 1, (uint64_t)-2, 0, 0);
	BSCOPE_NEW_SIZED(k, 0xffffffff, 0x7fffffffffffffff);
	expect("0xffffffff", 2, 0xffffffff, INT64_MAX, 0);
	BSCOPE_MOVE(k, INT64_MIN, -1);
	expect("INT64_MIN", 2, (uint64_t)INT64_MIN, UINT64_MAX, 0);
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "k", "three", 1ul << 63, 0, 1ul << 32);
	expect("three", 3, 1ul << 63, 0, 1ul << 32);
	all(darken);
}

/* The whole vocabulary, as programs write it. */
BSCOPE_DECLARE_SCOPED(scoped);

static void test_vocabulary(void **state)
{
	char local[40];
	uint64_t id = (uintptr_t)local, by = (uintptr_t)state;

	all(light);
	BSCOPE_NEW(obj, local);
	expect("local", 1, id, 0, 0);
	BSCOPE_NEW_SIZED(obj, local, sizeof(local));
	expect("local", 2, id, 40, 0);
	BSCOPE_DROP(obj, &local[3]);
	expect("&local[3]", 1, id + 3, 0, 0);
	BSCOPE_RESIZE_BEGIN(obj, local);
	expect("local", 1, id, 0, 0);
	BSCOPE_RESIZE_END(obj, local + 1, 41);
	expect("local + 1", 2, id + 1, 41, 0);
	BSCOPE_MOVE(obj, local, state);
	expect("local", 2, id, by, 0);
	BSCOPE_BORROW(obj, state, local);
	expect("state", 2, by, id, 0);
	BSCOPE_BORROW_MUT(obj, local, 5);
	expect("local", 2, id, 5, 0);
	BSCOPE_UNBORROW(obj, local, local);
	expect("local", 2, id, id, 0);
	BSCOPE_RETAIN(obj, id);
	expect("id", 1, id, 0, 0);
	BSCOPE_RELEASE(obj, id + 1);
	expect("id + 1", 1, id + 1, 0, 0);
	BSCOPE_USE(obj, local, by);
	expect("local", 2, id, by, 0);
	BSCOPE_REGION_ENTER(obj, by);
	expect("by", 1, by, 0, 0);
	BSCOPE_REGION_EXIT(obj, by + 2);
	expect("by + 2", 1, by + 2, 0, 0);
	assert_ptr_equal(BSCOPE_NEW_OF(obj, local + 9), local + 9);
	expect("local + 9", 1, id + 9, 0, 0);
	assert_ptr_equal(BSCOPE_NEW_SIZED_OF(obj, local + 8, 32), local + 8);
	expect("local + 8", 2, id + 8, 32, 0);
	{
		BSCOPE_BORROW_SCOPED(scoped, local, 77);
		expect("local", 2, id, 77, 0);
	}
	expect("(scope)", 2, id, 77, 0);
	{
		BSCOPE_REGION_SCOPED(scoped, local + 2);
		expect("local + 2", 1, id + 2, 0, 0);
	}
	expect("(scope)", 1, id + 2, 0, 0);
	all(darken);
}

/*
 * Around one site: fills the 128 bytes below the stack pointer and all registers, passes the
 * site, and tells what is in them then.  The stack pointer is `off` bytes below a multiple of 16.
 * All of it in one asm statement, which puts back what it used.
 */
struct machine {
	uint64_t reg[15]; /* rax rbx rcx rdx rsi rdi rbp r8-r15 */
	uint8_t pad[8];
	uint8_t xmm[16][16];
	uint8_t red[128];
};
struct machine before __attribute__((used, visibility("hidden"), aligned(16)));
struct machine after __attribute__((used, visibility("hidden"), aligned(16)));
uint64_t own[16] __attribute__((used, visibility("hidden")));
uint64_t stack_off __attribute__((used, visibility("hidden")));

#define REGS(op)                                                                                   \
	op(rax, 0) op(rbx, 8) op(rcx, 16) op(rdx, 24) op(rsi, 32) op(rdi, 40) op(rbp, 48)          \
		op(r8, 56) op(r9, 64) op(r10, 72) op(r11, 80) op(r12, 88) op(r13, 96) op(r14, 104) \
			op(r15, 112)
#define XMMS(op)                                                                                   \
	op(0, 0) op(1, 16) op(2, 32) op(3, 48) op(4, 64) op(5, 80) op(6, 96) op(7, 112) op(8, 128) \
		op(9, 144) op(10, 160) op(11, 176) op(12, 192) op(13, 208) op(14, 224) op(15, 240)
#define KEEP(r, o)   "mov %%" #r ",own+" #o "(%%rip)\n"
#define BACK(r, o)   "mov own+" #o "(%%rip),%%" #r "\n"
#define LOAD(r, o)   "mov before+" #o "(%%rip),%%" #r "\n"
#define STORE(r, o)  "mov %%" #r ",after+" #o "(%%rip)\n"
#define XLOAD(n, o)  "movdqu before+128+" #o "(%%rip),%%xmm" #n "\n"
#define XSTORE(n, o) "movdqu %%xmm" #n ",after+128+" #o "(%%rip)\n"

#define MACHINE_ENTER                                                                   \
	REGS(KEEP)                                                                      \
	"mov %%rsp,own+120(%%rip)\n"                                                    \
	"lea -512(%%rsp),%%rsp\nand $-16,%%rsp\nsub stack_off(%%rip),%%rsp\n"           \
	"lea before+384(%%rip),%%rsi\nlea -128(%%rsp),%%rdi\nmov $128,%%ecx\ncld\nrep " \
	"movsb\n" REGS(LOAD) XMMS(XLOAD)
#define MACHINE_LEAVE                                                                    \
	REGS(STORE)                                                                      \
	XMMS(XSTORE)                                                                     \
	"lea after+384(%%rip),%%rdi\nlea -128(%%rsp),%%rsi\nmov $128,%%ecx\nrep movsb\n" \
	"mov own+120(%%rip),%%rsp\n" REGS(BACK)
#define MACHINE_CLOBBERS                                                                        \
	"memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
		"xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* The operands' registers are named by constraints; their values come from `before`. */
static __attribute__((noinline)) void machine1(void)
{
	BSCOPE_ASM(MACHINE_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE("test", "8@%[bscope_0]")
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB1 MACHINE_LEAVE
		   :
		   : [bscope_0] "D"(0ul), WHAT(1, "machine1")
		   : MACHINE_CLOBBERS);
}

static __attribute__((noinline)) void machine2(void)
{
	BSCOPE_ASM(
		MACHINE_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE("test", "8@%[bscope_0] 8@%[bscope_1]")
			BSCOPE_ASM_RECORD BSCOPE_ASM_STUB2 MACHINE_LEAVE
		:
		: [bscope_0] "d"(0ul), [bscope_1] "D"(0ul), WHAT(2, "machine2")
		: MACHINE_CLOBBERS);
}

static __attribute__((noinline)) void machine3(void)
{
	BSCOPE_ASM(MACHINE_ENTER BSCOPE_ASM_CODE BSCOPE_ASM_NOTE(
			   "test", "8@%[bscope_0] 8@%[bscope_1] 8@%[bscope_2]")
			   BSCOPE_ASM_RECORD BSCOPE_ASM_STUB3 MACHINE_LEAVE
		   :
		   : [bscope_0] "c"(0ul), [bscope_1] "S"(0ul), [bscope_2] "D"(0ul),
		     WHAT(3, "machine3")
		   : MACHINE_CLOBBERS);
}

static void test_machine_state(void **state)
{
	static const unsigned offs[] = {0, 8, 4, 1, 15};
	uint8_t *bytes = (uint8_t *)&before;

	(void)state;
	for (size_t i = 0; i < sizeof(before); i++)
		bytes[i] = (uint8_t)(i * 37 + (i >> 8) + 11);
	for (unsigned lit = 0; lit < 2; lit++) {
		if (lit)
			all(light);
		for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
			void (*const run[])(void) = {machine1, machine2, machine3};

			stack_off = offs[i];
			for (unsigned n = 0; n < 3; n++) {
				uint64_t calls = seen.calls;

				memset(&after, 0, sizeof(after));
				run[n]();
				assert_memory_equal(after.reg, before.reg, sizeof(before.reg));
				assert_memory_equal(after.xmm, before.xmm, sizeof(before.xmm));
				assert_memory_equal(after.red, before.red, sizeof(before.red));
				assert_int_equal(seen.calls, calls + lit);
				if (lit && n == 0)
					expect("machine1", 1, before.reg[5], 0, 0);
				if (lit && n == 1)
					expect("machine2", 2, before.reg[3], before.reg[5], 0);
				if (lit && n == 2)
					expect("machine3", 3, before.reg[2], before.reg[4],
					       before.reg[5]);
			}
		}
	}
	all(darken);
}

/* A leaf function that keeps its locals in the red zone, with a site in their midst. */
static __attribute__((noinline)) uint64_t leaf(uint64_t a, uint64_t b, uint64_t c)
{
	volatile uint64_t local[12];
	uint64_t sum = 0;

	for (unsigned i = 0; i < 12; i++)
		local[i] = a * i + b;
	BSCOPE_SITE3(BSCOPE_KIND_NEW, "new", 3u, "leaf", "leaf", a, c, b);
	for (unsigned i = 0; i < 12; i++)
		sum = sum * 31 + local[i];
	return sum + c;
}

static void test_leaf(void **state)
{
	uint64_t dark = leaf(3, 5, 7);

	(void)state;
	all(light);
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t calls = seen.calls;

		assert_int_equal(leaf(3, 5, 7), dark);
		assert_int_equal(seen.calls, calls + 1);
		expect("leaf", 3, 3, 7, 5);
	}
	all(darken);
}

static void test_dark_sites_do_not_call(void **state)
{
	uint64_t calls = seen.calls;

	BSCOPE_NEW(obj, state);
	BSCOPE_USE(obj, state, 1);
	leaf(1, 2, 3);
	assert_int_equal(seen.calls, calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_operand),
		cmocka_unit_test(test_two_operands),
		cmocka_unit_test(test_three_operands),
		cmocka_unit_test(test_same_and_constant),
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_vocabulary),
		cmocka_unit_test(test_machine_state),
		cmocka_unit_test(test_leaf),
		cmocka_unit_test(test_dark_sites_do_not_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else /* no switch on this architecture: sites are the probe alone */

static void test_no_stub(void **state)
{
	BSCOPE_NEW(obj, state);
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		assert_int_equal(s->stub, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_stub)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
