// SPDX-License-Identifier: GPL-2.0-only
/* main.c - what the proof's programs call; always built without LTO, so that it stays opaque. */
#include "shared.h"

typedef void (*any_function)(void);
extern any_function volatile functions[];
long second_use(struct obj *o);

static const void *volatile last;

void sink(const void *p)
{
	last = p;
}

long number(const void *p, const char *text)
{
	last = text;
	return (long)(intptr_t)p;
}

int main(void)
{
	struct obj o = {.refs = 1};

	return functions[0] == NULL || second_use(&o) != 1;
}
