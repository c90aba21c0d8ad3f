// SPDX-License-Identifier: GPL-2.0-only
/* test_module_args.c - argument strings of stapsdt notes. */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <sys/user.h>
#endif
#include <cmocka.h>

#include "target/args.h"

static int parse(const char *args, uint16_t machine, struct bs_site_spec *spec)
{
	const char *why = "unset";
	int ret = bs_args_parse(args, machine, spec, &why);

	if (ret < 0)
		assert_non_null(why);
	return ret;
}

static void constant_is(const char *args, uint16_t machine, uint64_t want)
{
	struct bs_site_spec spec;

	assert_int_equal(parse(args, machine, &spec), 1);
	assert_int_equal(spec.where[0], BS_ARG_CONST);
	assert_true(spec.value[0] == want);
	assert_int_equal(spec.where[1], BS_ARG_NONE);
}

static void register_is(const char *args, uint16_t machine, unsigned offset)
{
	struct bs_site_spec spec;

	assert_int_equal(parse(args, machine, &spec), 1);
	assert_int_equal(spec.where[0], BS_ARG_REG);
	assert_int_equal(spec.reg[0], offset);
}

static void refused(const char *args, uint16_t machine, int code)
{
	struct bs_site_spec spec;

	assert_int_equal(parse(args, machine, &spec), code);
}

static void constants(void **state)
{
	(void)state;
	constant_is("8@$123", EM_X86_64, 123);
	constant_is("8@$0", EM_X86_64, 0);
	constant_is("8@$-5", EM_X86_64, (uint64_t)-5);
	constant_is("-8@$-5", EM_X86_64, (uint64_t)-5);
	constant_is("8@$1311768467294899695", EM_X86_64, 0x1234567890abcdef);
	constant_is("8@$18446744073709551615", EM_X86_64, UINT64_MAX);
	constant_is("8@$-9223372036854775808", EM_X86_64, (uint64_t)1 << 63);
	constant_is("8@$0xfF", EM_X86_64, 255);
	constant_is("  8@$7  ", EM_X86_64, 7);
	/* Narrow ones are widened as their sign says. */
	constant_is("-4@$-5", EM_X86_64, (uint64_t)-5);
	constant_is("4@$-5", EM_X86_64, 0xfffffffb);
	constant_is("1@$511", EM_X86_64, 255);
	constant_is("-1@$255", EM_X86_64, (uint64_t)-1);
	constant_is("2@$65537", EM_X86_64, 1);
	constant_is("8@3", EM_AARCH64, 3);
	constant_is("8@-1", EM_AARCH64, UINT64_MAX);

	refused("8@$", EM_X86_64, -EINVAL);
	refused("8@$-", EM_X86_64, -EINVAL);
	refused("8@$0x", EM_X86_64, -EINVAL);
	refused("8@$12a", EM_X86_64, -EINVAL);
	refused("8@$18446744073709551616", EM_X86_64, -EINVAL);
	refused("8@$-9223372036854775809", EM_X86_64, -EINVAL);
	refused("8@$99999999999999999999999999", EM_X86_64, -EINVAL);
	refused("8@$symbol", EM_X86_64, -EINVAL);
}

#if defined(__x86_64__)
/* The kernel's pt_regs and the user_regs_struct of <sys/user.h> agree up to ss. */
static void registers_x86(void **state)
{
	(void)state;
	register_is("8@%rax", EM_X86_64, offsetof(struct user_regs_struct, rax));
	register_is("8@%rbx", EM_X86_64, offsetof(struct user_regs_struct, rbx));
	register_is("8@%rcx", EM_X86_64, offsetof(struct user_regs_struct, rcx));
	register_is("8@%rdx", EM_X86_64, offsetof(struct user_regs_struct, rdx));
	register_is("8@%rsi", EM_X86_64, offsetof(struct user_regs_struct, rsi));
	register_is("8@%rdi", EM_X86_64, offsetof(struct user_regs_struct, rdi));
	register_is("8@%rbp", EM_X86_64, offsetof(struct user_regs_struct, rbp));
	register_is("8@%rsp", EM_X86_64, offsetof(struct user_regs_struct, rsp));
	register_is("8@%r8", EM_X86_64, offsetof(struct user_regs_struct, r8));
	register_is("8@%r9", EM_X86_64, offsetof(struct user_regs_struct, r9));
	register_is("8@%r10", EM_X86_64, offsetof(struct user_regs_struct, r10));
	register_is("8@%r11", EM_X86_64, offsetof(struct user_regs_struct, r11));
	register_is("8@%r12", EM_X86_64, offsetof(struct user_regs_struct, r12));
	register_is("8@%r13", EM_X86_64, offsetof(struct user_regs_struct, r13));
	register_is("8@%r14", EM_X86_64, offsetof(struct user_regs_struct, r14));
	register_is("8@%r15", EM_X86_64, offsetof(struct user_regs_struct, r15));
	register_is("8@%eax", EM_X86_64, offsetof(struct user_regs_struct, rax));
	register_is("8@%sil", EM_X86_64, offsetof(struct user_regs_struct, rsi));
	register_is("-8@%r10d", EM_X86_64, offsetof(struct user_regs_struct, r10));
	register_is("8@%bp", EM_X86_64, offsetof(struct user_regs_struct, rbp));
}
#endif

static void registers_arm64(void **state)
{
	(void)state;
	register_is("8@x0", EM_AARCH64, 0);
	register_is("8@x3", EM_AARCH64, 24);
	register_is("8@x30", EM_AARCH64, 240);
	register_is("8@sp", EM_AARCH64, 248);
	register_is("8@w9", EM_AARCH64, 72);
	refused("8@x31", EM_AARCH64, -EINVAL);
	refused("8@x", EM_AARCH64, -EINVAL);
	refused("8@x03", EM_AARCH64, -EINVAL);
	refused("8@x100", EM_AARCH64, -EINVAL);
	refused("8@xzr", EM_AARCH64, -EINVAL);
	refused("8@[sp, 16]", EM_AARCH64, -ENOTSUP);
	refused("8@%rax", EM_AARCH64, -EINVAL);
}

static void not_for_sites(void **state)
{
	(void)state;
	/* Upper bits of the register are anything. */
	refused("4@%eax", EM_X86_64, -ENOTSUP);
	refused("-4@%eax", EM_X86_64, -ENOTSUP);
	refused("1@%al", EM_X86_64, -ENOTSUP);
	refused("4@w3", EM_AARCH64, -ENOTSUP);
	refused("8@-16(%rbp)", EM_X86_64, -ENOTSUP);
	refused("8@(%rax,%rbx,8)", EM_X86_64, -ENOTSUP);
	refused("8@global(%rip)", EM_X86_64, -ENOTSUP);
	refused("8@%fs:16", EM_X86_64, -ENOTSUP);
	refused("8@%ah", EM_X86_64, -EINVAL);
	refused("8@%xmm0", EM_X86_64, -EINVAL);
	refused("8@%rip", EM_X86_64, -EINVAL);
	refused("8f@%xmm0", EM_X86_64, -EINVAL);
	refused("8@%", EM_X86_64, -EINVAL);
	refused("8@", EM_X86_64, -EINVAL);
	refused("%rax", EM_X86_64, -EINVAL);
	refused("16@%rax", EM_X86_64, -EINVAL);
	refused("3@%rax", EM_X86_64, -EINVAL);
	refused("@%rax", EM_X86_64, -EINVAL);
	refused("--8@%rax", EM_X86_64, -EINVAL);
	refused("-", EM_X86_64, -EINVAL);
	refused("8@%rax 8", EM_X86_64, -EINVAL);
	refused("8@%rax,8@%rbx", EM_X86_64, -EINVAL);
	refused("8@%rax", EM_RISCV, -ENOTSUP);
}

static void several(void **state)
{
	struct bs_site_spec spec;
	char longer[2000];

	(void)state;
	assert_int_equal(parse("", EM_X86_64, &spec), 0);
	assert_int_equal(spec.where[0], BS_ARG_NONE);
	assert_int_equal(parse("8@%rdi 8@$5 8@%r15", EM_X86_64, &spec), 3);
	assert_int_equal(spec.where[0], BS_ARG_REG);
	assert_int_equal(spec.reg[0], 112);
	assert_int_equal(spec.where[1], BS_ARG_CONST);
	assert_int_equal(spec.value[1], 5);
	assert_int_equal(spec.where[2], BS_ARG_REG);
	assert_int_equal(spec.reg[2], 0);
	/* What sites do not use is counted, whatever it is. */
	assert_int_equal(parse("8@%rdi 8@$5 8@%r15 4@-8(%rbp) x", EM_X86_64, &spec), 5);
	memset(longer, ' ', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	refused(longer, EM_X86_64, -EINVAL);
}

/* Nothing is read past the terminator and nothing but the three outcomes comes back. */
static void random_strings(void **state)
{
	static const char alphabet[] = "0123456789@$%-raxdis ()[]wx";
	uint64_t seed = 88172645463325252ull;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		size_t len = i % 24;
		char *s = malloc(len + 1); /* exactly, for the address sanitizer */
		struct bs_site_spec spec;
		const char *why;
		int ret;

		for (size_t k = 0; k < len; k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			s[k] = alphabet[seed % (sizeof(alphabet) - 1)];
		}
		s[len] = '\0';
		ret = bs_args_parse(s, i & 1 ? EM_X86_64 : EM_AARCH64, &spec, &why);
		assert_true(ret >= 0 || ret == -EINVAL || ret == -ENOTSUP);
		for (unsigned k = 0; k < 3; k++)
			assert_true(spec.reg[k] <= 248 && spec.reg[k] % 8 == 0 &&
				    spec.where[k] <= BS_ARG_REG);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants),
#if defined(__x86_64__)
		cmocka_unit_test(registers_x86),
#endif
		cmocka_unit_test(registers_arm64),
		cmocka_unit_test(not_for_sites),
		cmocka_unit_test(several),
		cmocka_unit_test(random_strings),
	};

	return cmocka_run_group_tests_name("module_args", tests, NULL, NULL);
}
