// SPDX-License-Identifier: GPL-2.0-only
/*
 * deaths.c - makes marks that it counts where they outlive it, and dies.
 *
 * usage: deaths HOW FILE [THREADS [MARKS [now]]]
 *
 * It waits until the sites of its process are lit (their bytes differ from the file's), unless
 * "now" is said.  Then THREADS (4) threads make MARKS (100000) marks each, MARKS 0: until SIGTERM.
 * Then it dies, the threads of the last four while marking on:
 *
 *   exit          main returns, all threads having ended
 *   pthread_exit  main has left before, and each thread ends by itself
 *   kill          SIGKILL to itself
 *   segv          a thread writes to address 0
 *   abort         abort()
 *   exec          /bin/true takes its place
 *
 * FILE is mapped and shared: 64-bit numbers, for each thread one cache line of 8, of which the
 * first is the number of marks it has completed (new, drop, in turns), written after each mark.
 * `deaths count FILE` prints them as one JSON line: marks, threads (of a mark per thread it cannot
 * be known whether it was made, if it died in the middle), new, drop.
 */
#define _GNU_SOURCE
#include "unhurt.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define THREADS_MAX 64

struct line {
	_Atomic uint64_t marks;
	uint64_t unused[7];
};

static struct line *lines;
static unsigned nthreads;
static uint64_t marks_each;
static bool goes_on; /* marking until death */
static atomic_uint done;
static const char *how;

static bool dies(const char *name)
{
	return !strcmp(how, name);
}

static void die(void)
{
	static char word[] = "true";
	char *argv[] = {word, NULL};

	if (dies("kill"))
		kill(getpid(), SIGKILL);
	else if (dies("segv"))
		*(volatile int *)NULL = 1;
	else if (dies("abort"))
		abort();
	else if (dies("exec"))
		execv("/bin/true", argv);
}

/* volatile: a count is there before the next mark begins. */
static inline void count(struct line *l)
{
	__asm__ __volatile__("incq %0" : "+m"(l->marks) : : "memory", "cc");
}

static void *run(void *arg)
{
	struct line *l = arg;
	uint64_t id = (uint64_t)(l - lines + 1) << 32;
	bool told = false;

	for (uint64_t n = 0;; n += 2, id++) {
		if (!told && (n >= marks_each || (!marks_each && unhurt_termed))) {
			told = true;
			atomic_fetch_add(&done, 1);
			if (!goes_on)
				return NULL;
		}
		BSCOPE_NEW_SIZED(mortal, id, 16);
		count(l);
		BSCOPE_DROP(mortal, id);
		count(l);
	}
}

static int print_counts(const char *path)
{
	uint64_t marks = 0, new = 0, threads = 0;
	int fd = open(path, O_RDONLY);
	struct line l;

	if (fd < 0)
		return 1;
	while (read(fd, &l, sizeof(l)) == sizeof(l)) {
		threads++;
		marks += l.marks;
		new += (l.marks + 1) / 2;
	}
	close(fd);
	printf("{\"threads\": %llu, \"marks\": %llu, \"new\": %llu, \"drop\": %llu}\n",
	       (unsigned long long)threads, (unsigned long long)marks, (unsigned long long)new,
	       (unsigned long long)(marks - new));
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	int fd;

	if (argc < 3)
		return 64;
	how = argv[1];
	if (dies("count"))
		return print_counts(argv[2]);
	unhurt_begin();
	nthreads = (unsigned)unhurt_arg(argc, argv, 3, 4);
	marks_each = (uint64_t)unhurt_arg(argc, argv, 4, 100000);
	if (nthreads < 1 || nthreads > THREADS_MAX)
		return 64;
	goes_on = !dies("exit") && !dies("pthread_exit");
	fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)(nthreads * sizeof(*lines)))) {
		perror(argv[2]);
		return 1;
	}
	lines = mmap(NULL, nthreads * sizeof(*lines), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (lines == MAP_FAILED)
		return 1;
	/* In trap mode breakpoints differ from the file as well. */
	while (argc <= 5 && unhurt_text_same() && !unhurt_term(1))
		;
	if (argc <= 5)
		unhurt_sleep_us(100000); /* all of them lit, and the tool ready */
	for (unsigned i = 0; i < nthreads; i++)
		unhurt_start(&threads[i], run, &lines[i]);
	if (dies("pthread_exit") && marks_each)
		pthread_exit(NULL);
	while (atomic_load(&done) < nthreads)
		unhurt_term(1);
	die();
	unhurt_join(threads, nthreads);
	return 0;
}
