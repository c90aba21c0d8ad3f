// SPDX-License-Identifier: GPL-2.0-only
/* args.c - the argument string of a stapsdt note: where a probe's operands are. */
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "target/args.h"

/* Far above what three operands need; a longer string is no site's. */
#define ARGS_MAX_CHARS 1024

/*
 * Offsets in struct pt_regs as the kernel has it: arch/x86/include/asm/ptrace.h (in order r15
 * r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss).  They are also
 * those of struct user_regs_struct, so user space ABI.
 */
static const struct {
	const char names[4][5]; /* 64, 32, 16, 8 bits */
	uint16_t offset;
} x86_regs[] = {
	{{"r15", "r15d", "r15w", "r15b"}, 0},  {{"r14", "r14d", "r14w", "r14b"}, 8},
	{{"r13", "r13d", "r13w", "r13b"}, 16}, {{"r12", "r12d", "r12w", "r12b"}, 24},
	{{"rbp", "ebp", "bp", "bpl"}, 32},     {{"rbx", "ebx", "bx", "bl"}, 40},
	{{"r11", "r11d", "r11w", "r11b"}, 48}, {{"r10", "r10d", "r10w", "r10b"}, 56},
	{{"r9", "r9d", "r9w", "r9b"}, 64},     {{"r8", "r8d", "r8w", "r8b"}, 72},
	{{"rax", "eax", "ax", "al"}, 80},      {{"rcx", "ecx", "cx", "cl"}, 88},
	{{"rdx", "edx", "dx", "dl"}, 96},      {{"rsi", "esi", "si", "sil"}, 104},
	{{"rdi", "edi", "di", "dil"}, 112},    {{"rsp", "esp", "sp", "spl"}, 152},
};

/* A word: the text up to the next space. */
struct word {
	const char *s;
	size_t len;
};

static bool word_is(const struct word *w, const char *s)
{
	return strlen(s) == w->len && !memcmp(w->s, s, w->len);
}

/* 0 and the offset, or -EINVAL. */
static int reg_x86(const struct word *w, uint16_t *offset)
{
	for (size_t i = 0; i < sizeof(x86_regs) / sizeof(x86_regs[0]); i++)
		for (size_t k = 0; k < 4; k++)
			if (word_is(w, x86_regs[i].names[k])) {
				*offset = x86_regs[i].offset;
				return 0;
			}
	return -EINVAL;
}

/* struct user_pt_regs, arch/arm64/include/uapi/asm/ptrace.h: regs[31], sp, pc, pstate. */
static int reg_arm64(const struct word *w, uint16_t *offset)
{
	unsigned n;

	if (word_is(w, "sp")) {
		*offset = 31 * 8;
		return 0;
	}
	if (w->len < 2 || w->len > 3 || (w->s[0] != 'x' && w->s[0] != 'w'))
		return -EINVAL;
	if (w->len == 3 && w->s[1] == '0')
		return -EINVAL;
	n = 0;
	for (size_t i = 1; i < w->len; i++) {
		if (w->s[i] < '0' || w->s[i] > '9')
			return -EINVAL;
		n = n * 10 + (unsigned)(w->s[i] - '0');
	}
	if (n > 30)
		return -EINVAL;
	*offset = (uint16_t)(n * 8);
	return 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Any integer that fits 64 bits, signed or unsigned; 0 or -EINVAL. */
static int constant(const struct word *w, uint64_t *out)
{
	size_t i = 0;
	bool negative = false;
	uint64_t base = 10, v = 0;

	if (i < w->len && w->s[i] == '-') {
		negative = true;
		i++;
	}
	if (w->len - i > 2 && w->s[i] == '0' && (w->s[i + 1] == 'x' || w->s[i + 1] == 'X')) {
		base = 16;
		i += 2;
	}
	if (i == w->len)
		return -EINVAL;
	for (; i < w->len; i++) {
		uint64_t d = (uint64_t)digit(w->s[i]);

		if (d >= base || __builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, d, &v))
			return -EINVAL;
	}
	if (negative && v > (uint64_t)1 << 63)
		return -EINVAL;
	*out = negative ? 0 - v : v;
	return 0;
}

/* The value as an operand of that size holds it, widened as its sign says. */
static uint64_t widen(uint64_t v, unsigned size, bool is_signed)
{
	unsigned shift = 64 - size * 8;

	if (!shift)
		return v;
	v <<= shift;
	return is_signed ? (uint64_t)((int64_t)v >> shift) : v >> shift;
}

static int operand(const struct word *w, unsigned size, bool is_signed, uint16_t machine,
		   struct bs_site_spec *spec, unsigned at, const char **why)
{
	struct word rest = *w;
	bool is_const, is_reg;
	int ret;

	if (machine == EM_X86_64) {
		is_const = w->s[0] == '$';
		is_reg = w->s[0] == '%' && !memchr(w->s, ':', w->len);
		if (is_const || is_reg) {
			rest.s++;
			rest.len--;
		}
	} else {
		is_const = w->s[0] == '-' || digit(w->s[0]) < 10;
		is_reg = !is_const && w->s[0] != '[';
	}
	if (is_const) {
		uint64_t v;

		if (constant(&rest, &v)) {
			*why = "an argument of its note is no number";
			return -EINVAL;
		}
		spec->where[at] = BS_ARG_CONST;
		spec->value[at] = widen(v, size, is_signed);
		return 0;
	}
	if (!is_reg) {
		*why = "an argument of its note is in memory";
		return -ENOTSUP;
	}
	ret = machine == EM_X86_64 ? reg_x86(&rest, &spec->reg[at])
				   : reg_arm64(&rest, &spec->reg[at]);
	if (ret) {
		*why = "an argument of its note is in an unknown register";
		return ret;
	}
	/* The upper bits of a narrower operand's register are anything. */
	if (size != 8) {
		*why = "an argument of its note is part of a register";
		return -ENOTSUP;
	}
	spec->where[at] = BS_ARG_REG;
	return 0;
}

int bs_args_parse(const char *args, uint16_t machine, struct bs_site_spec *spec, const char **why)
{
	size_t total = strnlen(args, ARGS_MAX_CHARS + 1);
	const char *s = args, *end = args + total;
	int n = 0;

	memset(spec, 0, sizeof(*spec));
	*why = "the arguments of its note are not understood";
	if (total > ARGS_MAX_CHARS)
		return -EINVAL;
	if (machine != EM_X86_64 && machine != EM_AARCH64) {
		*why = "the registers of its architecture are not known";
		return -ENOTSUP;
	}
	for (;;) {
		struct word w;
		bool is_signed = false;
		unsigned size;
		int ret;

		while (s < end && *s == ' ')
			s++;
		if (s == end)
			break;
		if (n >= BS_ARGS_MAX) {
			while (s < end && *s != ' ')
				s++;
			n++;
			continue;
		}
		if (*s == '-') {
			is_signed = true;
			s++;
		}
		if (end - s < 2 || !strchr("1248", s[0]) || s[1] != '@')
			return -EINVAL;
		size = (unsigned)(s[0] - '0');
		s += 2;
		w.s = s;
		while (s < end && *s != ' ')
			s++;
		w.len = (size_t)(s - w.s);
		if (!w.len)
			return -EINVAL;
		ret = operand(&w, size, is_signed, machine, spec, (unsigned)n, why);
		if (ret)
			return ret;
		n++;
	}
	*why = NULL;
	return n;
}
