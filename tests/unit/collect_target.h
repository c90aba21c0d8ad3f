/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * collect_target.h - the traced side of test_collect.c: sites at known addresses, and programs
 * that hit them a known number of times.
 *
 * target() is what runs in `test_collect --target MODE N`.  It talks with the test over its
 * standard input and output: says hello, waits for a byte, hits, says a number, waits again.
 */
#ifndef BS_TESTS_COLLECT_TARGET_H
#define BS_TESTS_COLLECT_TARGET_H

/* --- sites ----------------------------------------------------------------------------------- */

#define MANY 33000

void test_site(uint64_t a, uint64_t b, uint64_t c);
void test_other(uint64_t a);
void test_many(void);
/* Loads register number i of pt_regs with 1000 + i, hits, returns rsp as it was at the hit. */
uint64_t test_registers(void);
extern const char test_registers_probe[];

__asm__(".text\n"
	".globl test_site, test_other, test_many\n"
	".p2align 4\n"
	"test_site:	nop\n"
	"		ret\n"
	".p2align 4\n"
	"test_other:	nop\n"
	"		ret\n"
	".p2align 4\n"
	"test_many:\n"
	".rept 33000\n"
	"		nop\n"
	".endr\n"
	"		ret\n");

#if defined(__x86_64__)
#define REG_ARG0 112 /* rdi */
#define REG_ARG1 104
#define REG_ARG2 96
#define REG_SP	 152
#define NREGS	 15
__asm__(".globl test_registers, test_registers_probe\n"
	".p2align 4\n"
	"test_registers:\n"
	"	push %r15\n	push %r14\n	push %r13\n	push %r12\n"
	"	push %rbp\n	push %rbx\n"
	"	mov $1000, %r15\n	mov $1001, %r14\n	mov $1002, %r13\n"
	"	mov $1003, %r12\n	mov $1004, %rbp\n	mov $1005, %rbx\n"
	"	mov $1006, %r11\n	mov $1007, %r10\n	mov $1008, %r9\n"
	"	mov $1009, %r8\n	mov $1010, %rax\n	mov $1011, %rcx\n"
	"	mov $1012, %rdx\n	mov $1013, %rsi\n	mov $1014, %rdi\n"
	"test_registers_probe:\n"
	"	nop\n"
	"	mov %rsp, %rax\n"
	"	pop %rbx\n	pop %rbp\n"
	"	pop %r12\n	pop %r13\n	pop %r14\n	pop %r15\n"
	"	ret\n");
#elif defined(__aarch64__)
#define REG_ARG0 0
#define REG_ARG1 8
#define REG_ARG2 16
#define REG_SP	 248
#define NREGS	 18
__asm__(".globl test_registers, test_registers_probe\n"
	".p2align 4\n"
	"test_registers:\n"
	"	mov x0, #1000\n	mov x1, #1001\n	mov x2, #1002\n	mov x3, #1003\n"
	"	mov x4, #1004\n	mov x5, #1005\n	mov x6, #1006\n	mov x7, #1007\n"
	"	mov x8, #1008\n	mov x9, #1009\n	mov x10, #1010\n	mov x11, #1011\n"
	"	mov x12, #1012\n	mov x13, #1013\n	mov x14, #1014\n	mov x15, "
	"#1015\n"
	"	mov x16, #1016\n	mov x17, #1017\n"
	"test_registers_probe:\n"
	"	nop\n"
	"	mov x0, sp\n"
	"	ret\n");
#endif

static volatile unsigned short semaphore __attribute__((section(".probes"), used));

static uint64_t file_offset(uintptr_t address)
{
	uint64_t offset = bs_own_offset((const void *)address);

	assert_int_not_equal(offset, 0);
	return offset;
}

/* --- the traced side ------------------------------------------------------------------------- */

struct hello {
	uintptr_t site;
	uintptr_t semaphore;
};

static unsigned long target_n;

static void say_hello(void)
{
	struct hello hello = {(uintptr_t)test_site, (uintptr_t)&semaphore};

	if (write(1, &hello, sizeof(hello)) != sizeof(hello))
		_exit(99);
}

/* Waits for the test's next word; ends with it. */
static void wait_go(void)
{
	char byte;

	if (read(0, &byte, 1) != 1)
		_exit(98);
}

static void say(uint64_t value)
{
	if (write(1, &value, sizeof(value)) != sizeof(value))
		_exit(97);
}

static void *hit_thread(void *arg)
{
	for (unsigned long i = 0; i < target_n; i++)
		test_site((uintptr_t)arg, i, 0xfeedfacecafebeefu);
	return NULL;
}

static void hit(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		test_site(77, i, 0);
}

static void target_threads(void)
{
	pthread_t threads[4];

	wait_go();
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, hit_thread, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	say(4 * target_n);
	wait_go();
}

/* A child by fork, its child, and one by vfork; each hits from its first instruction on. */
static void target_fork(void)
{
	pid_t child;

	wait_go();
	hit(target_n);
	child = fork();
	if (!child) {
		hit(target_n + 1);
		child = fork();
		if (!child) {
			hit(target_n + 2);
			raise(SIGKILL);
		}
		waitpid(child, NULL, 0);
		_exit(7);
	}
	waitpid(child, NULL, 0);
	child = vfork();
	if (!child) {
		test_site(78, 0, 0);
		_exit(3);
	}
	waitpid(child, NULL, 0);
	say(0);
	wait_go();
}

static void target_exec(void)
{
	char n[24];

	wait_go();
	hit(target_n);
	snprintf(n, sizeof(n), "%lu", target_n + 5);
	execl("/proc/self/exe", "test_collect", "--target", "hit", n, NULL);
	_exit(96);
}

static void *late_thread(void *arg)
{
	struct timespec ms = {.tv_nsec = 1000000};
	char path[64], line[512] = "";

	(void)arg;
	/* Until the first thread is a zombie. */
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	while (!strstr(line, ") Z ")) {
		FILE *file = fopen(path, "r");

		if (!file || !fgets(line, sizeof(line), file))
			_exit(95);
		fclose(file);
		nanosleep(&ms, NULL);
	}
	say_hello();
	wait_go();
	hit(target_n);
	say(target_n);
	wait_go();
	exit(0);
	return NULL;
}

static int target(const char *mode, unsigned long n)
{
	target_n = n;
	if (!strcmp(mode, "dead")) {
		pthread_t thread;

		pthread_create(&thread, NULL, late_thread, NULL);
		pthread_exit(NULL);
	}
	if (!strcmp(mode, "hit")) {
		hit(n);
		/* Not exit(): a leak sanitizer would clone a process there. */
		_exit(5);
	}
	say_hello();
	if (!strcmp(mode, "threads"))
		target_threads();
	else if (!strcmp(mode, "fork"))
		target_fork();
	else if (!strcmp(mode, "exec"))
		target_exec();
	else if (!strcmp(mode, "registers")) {
		wait_go();
		say(test_registers());
		wait_go();
	} else if (!strcmp(mode, "many")) {
		wait_go();
		test_many();
		say(MANY);
		wait_go();
	}
	return 0;
}

#endif
