// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile.c - a program whose short name and class hold what could hurt a terminal, a browser or a
 * parser; its functions get such names when it is built (tests.mk).  Makes 100 objects and ends.
 */
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <bscope/bscope.h>

/* Markup, quotes, what separates frames and values, control characters, invalid UTF-8. */
#define CLASS \
	"c<b>&amp;\"'`;\\ 7\n\r\t\033[31m\033]0;x\007\xff\xc0\x80\xed\xa0\x80]]>\xe2\x80\xae-->"
#define COMM "<i>\"';\n\033[7m\xff&"

/* What calls nothing has no frame of its own. */
__attribute__((noinline)) static void nothing(void)
{
	__asm__ __volatile__("" : : : "memory");
}

__attribute__((noinline)) static void innermost(uintptr_t id)
{
	nothing();
	BSCOPE_SITE2(BSCOPE_KIND_NEW, "new", BSCOPE_SITE_SIZED, CLASS, "<object>\033[5m", id, 64);
	__asm__ __volatile__("" : : : "memory");
}

__attribute__((noinline)) static void middle(uintptr_t id)
{
	innermost(id);
	__asm__ __volatile__("" : : : "memory");
}

int main(void)
{
	prctl(PR_SET_NAME, COMM, 0, 0, 0);
	/* A new name is seen when processes are looked at the next time. */
	usleep(700000);
	for (uintptr_t i = 1; i <= 100; i++)
		middle(16 * i);
	/* Its code is looked for while it is there. */
	usleep(300000);
	return 0;
}
