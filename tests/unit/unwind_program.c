// SPDX-License-Identifier: GPL-2.0-only
/*
 * unwind_program.c - functions of all shapes, which write down where they return to, and stops in
 * the midst of them: see unwind_program.h.  C and C++; with C++ exceptions are crossed too.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* REG_RIP */
#endif
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "unwind_program.h"

/* Not to be found from a library. */
#ifdef __cplusplus
extern "C" {
#endif
extern char _start[] __attribute__((weak));
#ifdef __cplusplus
}
#endif

static struct unwind_truth first, second;
static struct unwind_truth *volatile truth = &first;
static volatile uint64_t sink;

#define NOINLINE __attribute__((noinline))
#define ENTER()	 note((uint64_t)__builtin_return_address(0))
#define LEAVE()	 (truth->n--)

static inline __attribute__((always_inline)) void note(uint64_t addr)
{
	struct unwind_truth *t = truth;

	t->addr[t->n++] = addr;
}

static inline __attribute__((always_inline)) void stop(uint64_t scene)
{
	truth->scene = scene;
	__asm__ volatile("int3" : : "D"(truth) : "memory");
}

/* --- shapes ------------------------------------------------------------------------------------
 */

/* Stops with its variables in the red zone. */
static NOINLINE uint64_t leaf(uint64_t x)
{
	volatile uint64_t v[8];

	ENTER();
	for (unsigned i = 0; i < 8; i++)
		v[i] = x * i;
	stop(UNWIND_CHAIN);
	for (unsigned i = 0; i < 8; i++)
		x += v[i];
	LEAVE();
	return x;
}

/* Keeps more across a call than there are registers that survive it. */
static NOINLINE uint64_t crowded(uint64_t a, uint64_t b)
{
	uint64_t c = a * 3, d = b * 5, e = a ^ b, f = a + b, g = a - b, h = a | b, i = a & b;

	ENTER();
	sink = leaf(a);
	sink += c + d + e + f + g + h + i;
	sink = leaf(b);
	a = sink + c * d * e * f * g * h * i;
	LEAVE();
	return a;
}

static NOINLINE uint64_t roomy(uint64_t a)
{
	volatile char buffer[3000];

	ENTER();
	memset((char *)buffer, (int)a, sizeof(buffer));
	a += crowded(a, a + 7) + (uint64_t)buffer[a % sizeof(buffer)];
	LEAVE();
	return a;
}

static NOINLINE uint64_t pushes(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
				uint64_t f, uint64_t g, uint64_t h, uint64_t i)
{
	ENTER();
	a += roomy(a + b + c + d + e + f + g + h + i);
	LEAVE();
	return a;
}

static NOINLINE uint64_t chain(uint64_t a)
{
	ENTER();
	a += pushes(a, a, a, a, a, a, a, a, a);
	LEAVE();
	return a;
}

static NOINLINE uint64_t variable(uint64_t n)
{
	volatile char *p;

	ENTER();
	p = (volatile char *)alloca(n * 16 + 1);
	p[n] = 1;
	stop(UNWIND_ALLOCA);
	n += (uint64_t)p[n];
	LEAVE();
	return n;
}

static NOINLINE uint64_t aligned(uint64_t n)
{
	volatile uint64_t v[16] __attribute__((aligned(64)));

	ENTER();
	for (unsigned i = 0; i < 16; i++)
		v[i] = n + i;
	sink = variable(n & 31);
	stop(UNWIND_ALIGNED);
	n = v[n % 16];
	LEAVE();
	return n;
}

/* Both an aligned variable and one of unknown size: gcc finds the arguments by another register. */
static NOINLINE uint64_t both(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
			      uint64_t e, uint64_t f, uint64_t g)
{
	volatile uint64_t v[16] __attribute__((aligned(128)));
	volatile char *p = (volatile char *)alloca(n % 64 + 1);

	ENTER();
	p[n % 64] = 1;
	v[n % 16] = aligned(n + a + b + c + d + e + f + g);
	n += v[n % 16] + (uint64_t)p[n % 64];
	LEAVE();
	return n;
}

static int compare(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;

	ENTER();
	stop(UNWIND_CALLBACK);
	LEAVE();
	return (left > right) - (left < right);
}

static NOINLINE void callback(void)
{
	int v[2] = {2, 1};

	ENTER();
	qsort(v, 2, sizeof(*v), compare);
	sink += (uint64_t)v[0];
	LEAVE();
}

static NOINLINE uint64_t recursion(unsigned n)
{
	uint64_t v;

	ENTER();
	if (n == 0) {
		stop(UNWIND_RECURSION);
		v = 1;
	} else {
		v = recursion(n - 1) + n;
	}
	LEAVE();
	return v;
}

/* --- signals -----------------------------------------------------------------------------------
 */

static uint64_t signal_scene;
static int at_once; /* the function that was interrupted has not pushed anything */

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = (ucontext_t *)context;

	(void)sig;
	(void)info;
	if (at_once)
		note(*(const uint64_t *)uc->uc_mcontext.gregs[REG_RSP]);
	note((uint64_t)uc->uc_mcontext.gregs[REG_RIP] + 1);
	ENTER();
	stop(signal_scene);
	LEAVE();
	LEAVE();
	if (at_once)
		LEAVE();
	/* Behind the ud2. */
	uc->uc_mcontext.gregs[REG_RIP] += 2;
}

/* The signal comes at an instruction of its own, the first of its function. */
__asm__("\t.pushsection .text,\"ax\",@progbits\n"
	"\t.type fault_at_once,@function\n"
	"fault_at_once:\n\t.cfi_startproc\n\tud2\n\tret\n\t.cfi_endproc\n"
	"\t.size fault_at_once,.-fault_at_once\n"
	"\t.popsection\n");
#ifdef __cplusplus
extern "C"
#endif
	void
	fault_at_once(void);

static NOINLINE uint64_t faults(uint64_t a)
{
	volatile uint64_t v[4];

	ENTER();
	for (unsigned i = 0; i < 4; i++)
		v[i] = a + i;
	__asm__ volatile("ud2" : : : "memory");
	a += v[a % 4];
	LEAVE();
	return a;
}

static NOINLINE void faults_in_callee(void)
{
	ENTER();
	at_once = 1;
	fault_at_once();
	at_once = 0;
	LEAVE();
}

static NOINLINE void signals(void)
{
	static char other[1 << 16];
	stack_t altstack;
	struct sigaction sa;

	ENTER();
	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGILL, &sa, NULL);
	signal_scene = UNWIND_SIGNAL;
	sink = faults(3);
	faults_in_callee();
	memset(&altstack, 0, sizeof(altstack));
	altstack.ss_sp = other;
	altstack.ss_size = sizeof(other);
	sigaltstack(&altstack, NULL);
	sa.sa_flags |= SA_ONSTACK;
	sigaction(SIGILL, &sa, NULL);
	signal_scene = UNWIND_ALTSTACK;
	sink = faults(4);
	LEAVE();
}

/* --- C++ ---------------------------------------------------------------------------------------
 */

#ifdef __cplusplus
struct guard {
	NOINLINE ~guard()
	{
		ENTER();
		stop(UNWIND_DESTRUCTOR);
		LEAVE();
	}
};

static NOINLINE void throws(uint64_t n)
{
	struct guard g;

	ENTER();
	/* Exceptions leave functions without LEAVE. */
	if (n)
		throw n;
	LEAVE();
}

static NOINLINE void catches(void)
{
	uint64_t depth;

	ENTER();
	depth = truth->n;
	try {
		throws(5);
	} catch (uint64_t n) {
		truth->n = depth;
		sink = n;
		stop(UNWIND_CATCH);
	}
	LEAVE();
}
#endif

/* --- stepping ----------------------------------------------------------------------------------
 */

static NOINLINE uint64_t small(uint64_t a)
{
	return a * 3 + 1;
}

static NOINLINE uint64_t saves(uint64_t a, uint64_t b)
{
	uint64_t c = small(a), d = small(b);

	return small(c + d) + a * b + c;
}

static NOINLINE uint64_t sized(uint64_t n)
{
	volatile char *p = (volatile char *)alloca(n + 1);
	volatile uint64_t v[4] __attribute__((aligned(64)));

	p[n] = 3;
	v[n % 4] = n;
	return saves(n, v[n % 4]) + (uint64_t)p[n];
}

static NOINLINE uint64_t early(uint64_t n)
{
	if (n & 1)
		return n;
	sink = saves(n, n + 1);
	if (n & 2)
		return saves(n, sink);
	return sized(n) + sink;
}

static NOINLINE uint64_t by_plt(uint64_t n)
{
	void *p = malloc(n + 100);
	char text[32];

	if (!p)
		return 0;
	memset(p, 'x', n + 1);
	strcpy(text, "what is stepped through");
	n += strlen(text) + (uint64_t)((char *)p)[n];
	free(p);
	return n;
}

/* Everything between the two stops is stepped through. */
static NOINLINE void stepped(void)
{
	ENTER();
	stop(UNWIND_STEP);
	for (uint64_t i = 0; i < 4; i++)
		sink += early(i);
	sink += by_plt(30);
	sink += by_plt(50);
	stop(UNWIND_STEPPED);
	LEAVE();
}

/* --- where stacks begin ------------------------------------------------------------------------
 */

static void *thread(void *arg)
{
	struct unwind_truth *before = truth;

	truth = &second;
	ENTER();
	stop(UNWIND_THREAD);
	sink = chain(9);
	LEAVE();
	truth = before;
	return arg;
}

static __attribute__((constructor)) void constructor(void)
{
	first.start = second.start = (uint64_t)_start;
	ENTER();
	stop(UNWIND_CONSTRUCTOR);
	LEAVE();
}

/* As a library (-shared) it has a main that nobody calls. */
int main(void)
{
	pthread_t other;

	ENTER();
	sink = chain(1);
	sink = both(2, 1, 1, 1, 1, 1, 1, 1);
	callback();
	signals();
	sink = recursion(100);
#ifdef __cplusplus
	catches();
#endif
	stepped();
	if (pthread_create(&other, NULL, thread, NULL))
		return 1;
	pthread_join(other, NULL);
	LEAVE();
	return 0;
}
