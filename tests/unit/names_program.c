// SPDX-License-Identifier: GPL-2.0-only
/*
 * names_program.c - a program that says where its calls return to: for test_names.c.
 *
 * usage: names_program LIBRARY
 *
 * Prints "PLACE ADDRESS" for return addresses in itself and in the library, which it loads, then
 * waits for the end of its input.  In the source a comment with @ and the place stands behind each
 * call, so that the test finds out from here what the line is.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOINLINE     __attribute__((noinline))
#define INLINE	     static inline __attribute__((always_inline))
#define NO_TAIL_CALL __asm__ volatile("" ::: "memory")

void names_note(const char *place);
/* Compiled without debug information: names_symbols.c. */
void names_rust_v0(void) __asm__("_RNvNtCs1234_7mycrate3foo3bar");
void names_rust_legacy(void) __asm__("_ZN7mycrate5thing17h0123456789abcdefE");
void names_bare(void);

NOINLINE void names_note(const char *place)
{
	printf("%s %p\n", place, __builtin_return_address(0));
}

NOINLINE static void plain(void)
{
	names_note("plain"); /* @plain */
	NO_TAIL_CALL;
}

INLINE void innermost(const char *place)
{
	names_note(place); /* @innermost */
	NO_TAIL_CALL;
}

INLINE void middle(const char *place)
{
	NO_TAIL_CALL;
	innermost(place); /* @middle */
}

NOINLINE static void outer(void)
{
	middle("outer"); /* @outer */
	NO_TAIL_CALL;
}

/* The same twice in one function: what is inlined is the same, where is not. */
NOINLINE static void twice(void)
{
	innermost("first");  /* @first */
	innermost("second"); /* @second */
}

static jmp_buf back;

NOINLINE static _Noreturn void names_leave(const char *place)
{
	printf("%s %p\n", place, __builtin_return_address(0));
	longjmp(back, 1);
}

/* The call is the last instruction: its return address is not in the function any more. */
NOINLINE static _Noreturn void last(void)
{
	names_leave("last"); /* @last */
}

#ifdef NAMES_REMOVED
/*
 * At address 0, where the linker leaves it in the debug information, it reaches into the functions
 * that are there, with its own line each 4 bytes.
 */
void names_removed(void);

NOINLINE void names_removed(void)
{
	__asm__ volatile(".rept 4096\n.loc 1 1\nnop\nnop\nnop\nnop\n.endr");
}
#endif

extern char __executable_start[]; /* of the linker: where it is loaded */

int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	void (*in_library)(void (*)(const char *));
	char end;

	if (!library) {
		fprintf(stderr, "names_program: %s\n", argc > 1 ? dlerror() : "which library?");
		return 1;
	}
	*(void **)&in_library = dlsym(library, "names_in_library");
	if (!in_library)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("base %p\n", (void *)__executable_start);
	plain();
	outer();
	twice();
	names_rust_v0();
	names_rust_legacy();
	names_bare();
	in_library(names_note);
	if (!setjmp(back))
		last();
	printf("end %p\n", (void *)0);
	return read(0, &end, 1) < 0;
}
