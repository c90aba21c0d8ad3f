// SPDX-License-Identifier: GPL-2.0-only
/* step.c - one step of a walk: a row of call frame information applied to registers and a stack. */
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "unwind/cfi.h"

#define STACK_MAX 64

struct machine {
	const struct bs_unwind_stack *stack;
	const struct bs_unwind_regs *in;
	uint64_t cfa;
	bool has_cfa;
	uint64_t v[STACK_MAX];
	size_t n;
};

static int load(const struct bs_unwind_stack *s, uint64_t addr, size_t size, uint64_t *out)
{
	uint64_t at = addr - s->start;

	if (addr < s->start || at > s->size || s->size - at < size)
		return -ENODATA;
	*out = 0;
	memcpy(out, s->bytes + at, size);
	return 0;
}

static int reg(const struct bs_unwind_regs *r, uint64_t number, uint64_t *out)
{
	if (number >= BS_UNWIND_NREGS || !(r->known & 1u << number))
		return -EINVAL;
	*out = r->v[number];
	return 0;
}

static int push(struct machine *m, uint64_t v)
{
	if (m->n == STACK_MAX)
		return -EINVAL;
	m->v[m->n++] = v;
	return 0;
}

/* Two operands, the second on top, become one. */
static int binary(struct machine *m, uint64_t atom)
{
	uint64_t a, b, v;

	if (m->n < 2)
		return -EINVAL;
	b = m->v[--m->n];
	a = m->v[m->n - 1];
	switch (atom) {
	case DW_OP_and:
		v = a & b;
		break;
	case DW_OP_minus:
		v = a - b;
		break;
	case DW_OP_mul:
		v = a * b;
		break;
	case DW_OP_or:
		v = a | b;
		break;
	case DW_OP_plus:
		v = a + b;
		break;
	case DW_OP_shl:
		v = b < 64 ? a << b : 0;
		break;
	case DW_OP_shr:
		v = b < 64 ? a >> b : 0;
		break;
	case DW_OP_shra:
		b = b < 64 ? b : 63;
		v = a >> 63 ? ~(~a >> b) : a >> b;
		break;
	case DW_OP_xor:
		v = a ^ b;
		break;
	case DW_OP_eq:
		v = a == b;
		break;
	case DW_OP_ne:
		v = a != b;
		break;
	case DW_OP_ge:
		v = (int64_t)a >= (int64_t)b;
		break;
	case DW_OP_gt:
		v = (int64_t)a > (int64_t)b;
		break;
	case DW_OP_le:
		v = (int64_t)a <= (int64_t)b;
		break;
	case DW_OP_lt:
		v = (int64_t)a < (int64_t)b;
		break;
	default:
		return -EINVAL;
	}
	m->v[m->n - 1] = v;
	return 0;
}

/* What works on the top of the stack. */
static int unary(struct machine *m, const struct bs_cfi_op *op)
{
	uint64_t *top;

	if (!m->n)
		return -EINVAL;
	top = &m->v[m->n - 1];
	switch (op->atom) {
	case DW_OP_deref:
		return load(m->stack, *top, 8, top);
	case DW_OP_deref_size:
		return op->number <= 8 ? load(m->stack, *top, op->number, top) : -EINVAL;
	case DW_OP_plus_uconst:
		*top += op->number;
		return 0;
	case DW_OP_neg:
		*top = -*top;
		return 0;
	case DW_OP_not:
		*top = ~*top;
		return 0;
	case DW_OP_dup:
		return push(m, *top);
	case DW_OP_drop:
		m->n--;
		return 0;
	case DW_OP_over:
		return m->n < 2 ? -EINVAL : push(m, top[-1]);
	case DW_OP_pick:
		return op->number >= m->n ? -EINVAL : push(m, top[-(ptrdiff_t)op->number]);
	case DW_OP_swap:
		if (m->n < 2)
			return -EINVAL;
		*top ^= top[-1];
		top[-1] ^= *top;
		*top ^= top[-1];
		return 0;
	}
	return binary(m, op->atom);
}

static int operate(struct machine *m, const struct bs_cfi_op *op)
{
	uint64_t v;

	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		return push(m, op->atom - DW_OP_lit0);
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31) {
		int ret = reg(m->in, op->atom - DW_OP_breg0, &v);

		return ret ? ret : push(m, v + op->number);
	}
	switch (op->atom) {
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		return push(m, op->number);
	case DW_OP_call_frame_cfa:
		return m->has_cfa ? push(m, m->cfa) : -EINVAL;
	case DW_OP_nop:
		return 0;
	}
	return unary(m, op);
}

/* No jumps: each operation is done once.  (No compiler's CFI has them.) */
static int expression(struct machine *m, const struct bs_cfi_op *ops, size_t n, uint64_t *out)
{
	m->n = 0;
	for (size_t i = 0; i < n && ops[i].atom != DW_OP_stack_value; i++) {
		int ret = operate(m, &ops[i]);

		if (ret)
			return ret;
	}
	if (!m->n)
		return -EINVAL;
	*out = m->v[m->n - 1];
	return 0;
}

/* -ENOENT: undefined. */
static int value(struct machine *m, const struct bs_cfi_rule *r, const struct bs_cfi_op *ops,
		 uint64_t number, uint64_t *out)
{
	uint64_t addr;
	int ret;

	switch (r->how) {
	case BS_CFI_UNDEFINED:
		return -ENOENT;
	case BS_CFI_SAME:
		return reg(m->in, number, out);
	case BS_CFI_AT_CFA:
		return load(m->stack, m->cfa + (uint64_t)(int64_t)r->n, 8, out);
	case BS_CFI_CFA:
		*out = m->cfa + (uint64_t)(int64_t)r->n;
		return 0;
	case BS_CFI_REG:
		ret = reg(m->in, r->reg, out);
		*out += (uint64_t)(int64_t)r->n;
		return ret;
	case BS_CFI_AT_EXPR:
		ret = expression(m, ops + r->n, r->nops, &addr);
		return ret ? ret : load(m->stack, addr, 8, out);
	case BS_CFI_EXPR:
		return expression(m, ops + r->n, r->nops, out);
	}
	return -EINVAL;
}

int bs_cfi_step(const struct bs_cfi_row *row, const struct bs_cfi_op *ops,
		const struct bs_unwind_stack *stack, const struct bs_unwind_regs *in,
		struct bs_unwind_regs *out)
{
	struct machine m = {.stack = stack, .in = in};
	int ret = value(&m, &row->cfa, ops, 0, &m.cfa);

	if (ret)
		return ret;
	m.has_cfa = true;
	out->known = 0;
	for (unsigned i = 0; i < BS_UNWIND_NREGS; i++) {
		ret = value(&m, &row->reg[i], ops, i, &out->v[i]);
		if (!ret)
			out->known |= 1u << i;
		/* Others may be unknown as long as nobody asks. */
		else if (i == BS_UNWIND_RIP || i == BS_UNWIND_RSP)
			return ret == -ENOENT ? -EINVAL : ret;
	}
	return 0;
}

static bool rule_valid(const struct bs_cfi_rule *r, size_t nops)
{
	if (r->how == BS_CFI_AT_EXPR || r->how == BS_CFI_EXPR)
		return r->n >= 0 && (size_t)r->n <= nops && r->nops <= nops - (size_t)r->n;
	return r->how <= BS_CFI_REG;
}

bool bs_cfi_row_valid(const struct bs_cfi_row *row, size_t nops)
{
	if (nops > BS_CFI_MAX_OPS || (row->cfa.how != BS_CFI_REG && row->cfa.how != BS_CFI_EXPR) ||
	    !rule_valid(&row->cfa, nops))
		return false;
	for (unsigned i = 0; i < BS_UNWIND_NREGS; i++)
		if (!rule_valid(&row->reg[i], nops))
			return false;
	return true;
}
