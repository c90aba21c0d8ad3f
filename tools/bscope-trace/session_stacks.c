// SPDX-License-Identifier: GPL-2.0-only
/*
 * session_stacks.c - stacks as they come from the kernel: addresses become numbers of code while
 * their process lives, and lists of these one number each.
 *
 * A walk by frame pointers goes wrong where code has none: it then reads whatever lies where they
 * should be.  What is no code ends a stack, and the report says so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "bpf/event.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "decode/stacks.h"
#include "symbol/symbol.h"

#define MAX_STACK_FILE "/proc/sys/kernel/perf_event_max_stack"

_Static_assert(BS_STACK_MAX <= BS_STACK_FRAMES, "what the kernel gives fits");

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

int bs_session_stacks_new(struct bs_session *s)
{
	if (!s->options->stack_kinds)
		return 0;
	s->stacks = bs_stacks_new();
	s->stack_most = kernel_most();
	s->decoder.stacks = s->stacks;
	s->decoder.stack_kinds = s->options->stack_kinds;
	return s->stacks ? 0 : -ENOMEM;
}

void bs_session_stacks_free(struct bs_session *s)
{
	bs_stacks_free(s->stacks);
	free(s->text);
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

uint32_t bs_session_stack(struct bs_session *s, const void *data, size_t size)
{
	const struct bs_ring_stack *rec = data;
	const struct bs_process *p;
	uint32_t codes[BS_STACK_MAX], n = 0, most, number;
	uint8_t flags = 0;

	if (!s->stacks || size < offsetof(struct bs_ring_stack, ip) || rec->form != BS_STACK_WALKED)
		return 0;
	most = (uint32_t)((size - offsetof(struct bs_ring_stack, ip)) / sizeof(rec->ip[0]));
	if (most > BS_STACK_MAX)
		most = BS_STACK_MAX;
	if (most > rec->n)
		most = rec->n;
	if (most >= s->stack_most)
		flags = BS_STACK_TRUNCATED;
	while (n < most) {
		uint32_t code = bs_session_code(s, rec->event.pid, rec->ip[n]);

		/* The site's own is none of the walk's. */
		if (!code || (n && !is_text(s, code, rec->event.pid, rec->ip[n]))) {
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
