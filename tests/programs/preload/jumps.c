// SPDX-License-Identifier: GPL-2.0-only
/*
 * jumps.c - leaves the allocator by longjmp, as a signal handler may that interrupts it, and
 * goes on allocating: those blocks are to be seen.
 *
 * Usage: jumps ROUNDS; see family.c.  Linked with libnested.so, which has the hook.
 */
#include <setjmp.h>
#include <stdlib.h>

#include "tally.h"

#define JUMP_SIZE 77777

extern void (*nested_hook)(size_t n);

static jmp_buf back;
static struct tally t;

static void hook(size_t n)
{
	if (n == JUMP_SIZE)
		longjmp(back, 1);
}

static void *make(size_t n)
{
	void *p = malloc(n);

	__asm__ volatile("" : "+r"(p) : : "memory");
	if (!p)
		abort();
	t.made++;
	return p;
}

static void one_round(void)
{
	if (!setjmp(back)) {
		make(JUMP_SIZE);
		abort(); /* it does not come back */
	}
	free(make(20));
	t.dropped++;
	make(10);
	t.left++;
	t.left_bytes += 10;
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;

	nested_hook = hook;
	while (rounds--)
		one_round();
	nested_hook = NULL;
	tally_print(&t);
	return 0;
}
