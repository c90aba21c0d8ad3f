/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unwind_program.h - what the programs of test_unwind.c know about their own stack.
 *
 * At each stop (int3) rdi points to a struct unwind_truth, which the functions on the stack have
 * filled themselves, by __builtin_return_address.
 */
#ifndef BS_TEST_UNWIND_PROGRAM_H
#define BS_TEST_UNWIND_PROGRAM_H

#include <stdint.h>

#define UNWIND_MAX_TRUTH 128

enum unwind_scene {
	UNWIND_CHAIN = 1,
	UNWIND_ALLOCA,
	UNWIND_ALIGNED,
	UNWIND_CALLBACK, /* functions of libc between ours */
	UNWIND_SIGNAL,
	UNWIND_ALTSTACK, /* the rest of the stack is elsewhere */
	UNWIND_CATCH,
	UNWIND_DESTRUCTOR, /* called by the C++ runtime, which is between ours */
	UNWIND_RECURSION,
	UNWIND_THREAD,
	UNWIND_CONSTRUCTOR, /* before main, in the dynamic loader or libc */
	UNWIND_STEP,	    /* a stretch to be single-stepped begins: ends at the next stop */
	UNWIND_STEPPED,
};

struct unwind_truth {
	uint64_t scene;
	uint64_t n;
	uint64_t addr[UNWIND_MAX_TRUTH]; /* outermost first */
	uint64_t start;			 /* where the program begins */
};

#endif
