// SPDX-License-Identifier: GPL-2.0-only
/*
 * session_stacks.c - stacks as they come from the kernel: addresses become numbers of code while
 * their process lives, and lists of these one number each.
 *
 * A walk by frame pointers goes wrong where code has none: it then reads whatever lies where they
 * should be.  What is no code ends a stack, and the report says so.  Copies of stacks are unwound
 * here, at once: the rows of call frame information that this needs are mostly known (unwind.h),
 * and a process may be gone later.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "bpf/event.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "decode/stacks.h"
#include "symbol/symbol.h"
#include "unwind/unwind.h"

#define MAX_STACK_FILE "/proc/sys/kernel/perf_event_max_stack"

_Static_assert(BS_STACK_MAX <= BS_STACK_FRAMES, "what the kernel gives fits");
_Static_assert(BS_STACK_RED_ZONE == BS_UNWIND_RED_ZONE, "one ABI");

enum { TEXT_NO = 1, TEXT_YES = 2 };

static uint32_t kernel_most(void)
{
	FILE *f = fopen(MAX_STACK_FILE, "re");
	uint32_t most = BS_STACK_MAX;
	unsigned n;

	if (!f)
		return most;
	if (fscanf(f, "%u", &n) == 1 && n < most)
		most = n;
	fclose(f);
	return most;
}

int bs_session_stacks_new(struct bs_session *s, struct bs_error *err)
{
	if (!s->options->stack_kinds)
		return 0;
	s->stacks = bs_stacks_new();
	if (!s->stacks)
		return bs_error_set(err, -ENOMEM, "out of memory");
	s->stack_most = s->options->dwarf ? BS_STACK_MAX : kernel_most();
	s->decoder.stacks = s->stacks;
	s->decoder.stack_kinds = s->options->stack_kinds;
	return s->options->dwarf ? bs_unwind_new(&s->unwind, bs_now_ns(), err) : 0;
}

void bs_session_stacks_free(struct bs_session *s)
{
	bs_unwind_free(s->unwind);
	bs_stacks_free(s->stacks);
	free(s->text);
}

void bs_session_unwind_tick(struct bs_session *s, uint64_t now)
{
	if (s->unwind)
		bs_unwind_tick(s->unwind, now);
}

/* Numbers of code are dense: each is looked at once. */
static bool is_text(struct bs_session *s, uint32_t code, uint32_t pid, uint64_t addr)
{
	if (code >= s->ntext) {
		size_t n = s->ntext ? 2 * s->ntext : 4096;
		uint8_t *text;

		while (n <= code)
			n *= 2;
		text = realloc(s->text, n);
		if (!text)
			return false;
		memset(text + s->ntext, 0, n - s->ntext);
		s->text = text;
		s->ntext = n;
	}
	if (!s->text[code])
		s->text[code] = bs_code_text(s->code, pid, addr) ? TEXT_YES : TEXT_NO;
	return s->text[code] == TEXT_YES;
}

/* Addresses of a record, to room, and how many; *flags as in struct bs_stack. */
static uint32_t walked(const struct bs_session *s, const struct bs_ring_stack *rec, size_t size,
		       uint64_t *room, uint8_t *flags)
{
	size_t n = (size - offsetof(struct bs_ring_stack, ip)) / sizeof(rec->ip[0]);

	if (n > BS_STACK_MAX)
		n = BS_STACK_MAX;
	if (n > rec->n)
		n = rec->n;
	if (n >= s->stack_most)
		*flags = BS_STACK_TRUNCATED;
	for (size_t i = 0; i < n; i++)
		room[i] = rec->ip[i];
	return (uint32_t)n;
}

/* Likewise, of a copy. */
static uint32_t unwound(struct bs_session *s, const struct bs_ring_copy *rec, size_t size,
			uint64_t *room, uint8_t *flags)
{
	const struct bs_unwind_regs regs = {
		.v = {[BS_UNWIND_RBX] = rec->bx,
		      [BS_UNWIND_RBP] = rec->bp,
		      [BS_UNWIND_RSP] = rec->sp,
		      [BS_UNWIND_R12] = rec->r12,
		      [BS_UNWIND_R13] = rec->r13,
		      [BS_UNWIND_R14] = rec->r14,
		      [BS_UNWIND_R15] = rec->r15,
		      [BS_UNWIND_RIP] = rec->ip},
		.known = 1u << BS_UNWIND_RBX | 1u << BS_UNWIND_RBP | 1u << BS_UNWIND_RSP |
			 1u << BS_UNWIND_R12 | 1u << BS_UNWIND_R13 | 1u << BS_UNWIND_R14 |
			 1u << BS_UNWIND_R15 | 1u << BS_UNWIND_RIP,
	};
	struct bs_unwind_stack stack = {rec->start, rec->bytes, size - sizeof(*rec)};
	enum bs_unwind_end end;
	size_t n;
	bool low;

	if (stack.size > rec->n)
		stack.size = rec->n;
	/* It may read the maps of the process, or fork. */
	low = bs_priority_normal(s->priority);
	n = bs_unwind(s->unwind, rec->event.pid, &regs, &stack, room, BS_STACK_MAX, &end);
	if (low)
		bs_priority_low(s->priority);
	if (end == BS_UNWIND_TRUNCATED || end == BS_UNWIND_DEEP)
		*flags = BS_STACK_TRUNCATED;
	if (end == BS_UNWIND_NO_CFI || end == BS_UNWIND_BROKEN)
		*flags = BS_STACK_BROKEN;
	return (uint32_t)n;
}

uint32_t bs_session_stack(struct bs_session *s, const void *data, size_t size)
{
	const struct bs_ring_stack *rec = data;
	const struct bs_process *p;
	uint32_t codes[BS_STACK_MAX], n = 0, most, number;
	uint64_t room[BS_STACK_MAX];
	uint8_t flags = 0;

	if (!s->stacks || size < offsetof(struct bs_ring_stack, ip))
		return 0;
	if (rec->form == BS_STACK_WALKED) {
		most = walked(s, rec, size, room, &flags);
	} else if (rec->form == BS_STACK_COPIED && s->unwind &&
		   size >= sizeof(struct bs_ring_copy)) {
		most = unwound(s, data, size, room, &flags);
	} else {
		return 0;
	}
	while (n < most) {
		uint32_t code = bs_session_code(s, rec->event.pid, room[n]);

		/* The site's own is none of the walk's. */
		if (!code || (n && !is_text(s, code, rec->event.pid, room[n]))) {
			flags = BS_STACK_BROKEN;
			break;
		}
		codes[n++] = code;
	}
	p = bs_followed_find(&s->followed, (pid_t)rec->event.pid);
	number = bs_stacks_intern(s->stacks, p ? bs_stacks_name(s->stacks, p->comm) : 0, codes, n,
				  flags);
	s->stacks_taken += number != 0;
	return number;
}

uint32_t bs_session_caller(void *ctx, uint32_t code)
{
	const struct bs_session *s = ctx;

	return bs_stacks_caller(s->stacks, code);
}
