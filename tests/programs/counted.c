/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * counted.c - a program that knows its own counts, and which of its marks were made while lit.
 *
 * usage: counted THREADS MARKS_PER_SECOND_AND_THREAD SECONDS [fork|exec|headless]
 *
 * A rate of 0 is full speed; a thread that had to wait for a CPU does not catch up.  Each thread
 * goes round all kinds of marks.  Before and after each mark it reads two bytes of the site in its
 * own text, the probe's and the first of the switch: a breakpoint (0xcc) or a jump (0xe9) both
 * times means that the mark was hit (sure), one of the two that nobody can tell (unsure).
 *
 * With COUNTED_LOG=PREFIX in its environment it also writes to PREFIX.PID the time after each mark
 * that found a breakpoint or a jump.  Afterwards
 *
 *   counted count START END FILE...
 *
 * (CLOCK_MONOTONIC ns) prints how many marks of each kind were over within the interval, and how
 * many threads made any: at most one mark per thread and end can have been on either side.  That is
 * knowledge of its own, independent of any tool.
 *
 *   fork      a child goes on with the same work, then the parent waits for it
 *   exec      after half of the time the program replaces itself by itself (work starts anew)
 *   headless  the main thread leaves with pthread_exit, the last thread prints
 *
 * SIGTERM ends the work early, not in fork and exec: tests that must let go before the end do not
 * race with it on a slow machine.
 *
 * At the end it prints one JSON line per process: counts by kind, whether its results are right,
 * whether its text is what its file says, and its semaphore.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bscope/bscope.h>

#define THREADS_MAX 64
#define MIX	    6364136223846793005ull

static const char *const kind_names[BSCOPE_KIND_END] = {
	[BSCOPE_KIND_NEW] = "new",
	[BSCOPE_KIND_DROP] = "drop",
	[BSCOPE_KIND_RESIZE_BEGIN] = "resize_begin",
	[BSCOPE_KIND_RESIZE_END] = "resize_end",
	[BSCOPE_KIND_MOVE] = "move",
	[BSCOPE_KIND_BORROW] = "borrow",
	[BSCOPE_KIND_BORROW_MUT] = "borrow_mut",
	[BSCOPE_KIND_UNBORROW] = "unborrow",
	[BSCOPE_KIND_RETAIN] = "retain",
	[BSCOPE_KIND_RELEASE] = "release",
	[BSCOPE_KIND_USE] = "use",
	[BSCOPE_KIND_REGION_ENTER] = "region_enter",
	[BSCOPE_KIND_REGION_EXIT] = "region_exit",
};

struct counts {
	uint64_t sure[BSCOPE_KIND_END], unsure[BSCOPE_KIND_END], total[BSCOPE_KIND_END];
};

/* Room for the log of one thread: address space that nobody touches until it is used. */
#define LOG_MAX (1u << 24)

struct worker {
	pthread_t thread;
	uint64_t number, marks, sum;
	struct counts counts;
	uint64_t *log; /* time in ns * 16 + kind */
	size_t nlog;
};

static struct worker workers[THREADS_MAX];
static unsigned nworkers;
static double rate, seconds;
static _Atomic uint64_t end_ns;
static atomic_uint working;
static const char *how = "", *log_prefix;
/* The probe byte of each kind's only site. */
static const volatile unsigned char *probes[BSCOPE_KIND_END];

extern struct bscope_site __start_bscope_sites[], __stop_bscope_sites[];

/* One site each, so that its probe can be found by its kind. */
#define SITE(name, ...)                                                              \
	static __attribute__((noinline)) void site_##name(uint64_t id, uint64_t arg) \
	{                                                                            \
		(void)arg;                                                           \
		__VA_ARGS__;                                                         \
	}
SITE(new, BSCOPE_NEW_SIZED(thing, id, arg))
SITE(drop, BSCOPE_DROP(thing, id))
SITE(resize_begin, BSCOPE_RESIZE_BEGIN(thing, id))
SITE(resize_end, BSCOPE_RESIZE_END(thing, id, arg))
SITE(move, BSCOPE_MOVE(thing, id, arg))
SITE(borrow, BSCOPE_BORROW(thing, id, arg))
SITE(borrow_mut, BSCOPE_BORROW_MUT(thing, id, arg))
SITE(unborrow, BSCOPE_UNBORROW(thing, id, arg))
SITE(retain, BSCOPE_RETAIN(thing, id))
SITE(release, BSCOPE_RELEASE(thing, id))
SITE(use, BSCOPE_USE(thing, id, arg))
SITE(region_enter, BSCOPE_REGION_ENTER(thing, id))
SITE(region_exit, BSCOPE_REGION_EXIT(thing, id))

static void (*const sites[BSCOPE_KIND_END])(uint64_t, uint64_t) = {
	[BSCOPE_KIND_NEW] = site_new,
	[BSCOPE_KIND_DROP] = site_drop,
	[BSCOPE_KIND_RESIZE_BEGIN] = site_resize_begin,
	[BSCOPE_KIND_RESIZE_END] = site_resize_end,
	[BSCOPE_KIND_MOVE] = site_move,
	[BSCOPE_KIND_BORROW] = site_borrow,
	[BSCOPE_KIND_BORROW_MUT] = site_borrow_mut,
	[BSCOPE_KIND_UNBORROW] = site_unborrow,
	[BSCOPE_KIND_RETAIN] = site_retain,
	[BSCOPE_KIND_RELEASE] = site_release,
	[BSCOPE_KIND_USE] = site_use,
	[BSCOPE_KIND_REGION_ENTER] = site_region_enter,
	[BSCOPE_KIND_REGION_EXIT] = site_region_exit,
};

/* One life of an object, every kind at least once. */
static const uint8_t life[] = {
	BSCOPE_KIND_REGION_ENTER, BSCOPE_KIND_NEW,	   BSCOPE_KIND_MOVE,
	BSCOPE_KIND_BORROW,	  BSCOPE_KIND_USE,	   BSCOPE_KIND_UNBORROW,
	BSCOPE_KIND_BORROW_MUT,	  BSCOPE_KIND_UNBORROW,	   BSCOPE_KIND_RETAIN,
	BSCOPE_KIND_RESIZE_BEGIN, BSCOPE_KIND_RESIZE_END,  BSCOPE_KIND_RELEASE,
	BSCOPE_KIND_DROP,	  BSCOPE_KIND_REGION_EXIT,
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static bool is_lit(unsigned kind)
{
	return probes[kind][0] == 0xcc || probes[kind][1] == 0xe9;
}

static void mark(struct worker *w, unsigned kind, uint64_t id, uint64_t arg)
{
	bool before = is_lit(kind), after;
	struct counts *c = &w->counts;

	sites[kind](id, arg);
	after = is_lit(kind);
	c->total[kind]++;
	if ((before || after) && w->log && w->nlog < LOG_MAX)
		w->log[w->nlog++] = now_ns() * 16 + kind;
	if (before && after)
		c->sure[kind]++;
	else if (before != after)
		c->unsure[kind]++;
}

/* The results of a worker: what the marks stand beside, and must not change. */
static uint64_t work(uint64_t sum, uint64_t i)
{
	sum = sum * MIX + i;
	return sum ^ (sum >> 29);
}

static void end_now(int sig)
{
	(void)sig;
	atomic_store(&end_ns, 0);
}

static void print(void);

static void *run(void *arg)
{
	struct worker *w = arg;
	uint64_t start = now_ns(), id = w->number << 48;

	for (uint64_t n = 0;; n++) {
		unsigned kind = life[n % sizeof(life)];

		if (n % sizeof(life) == 0)
			id++;
		w->sum = work(w->sum, n);
		mark(w, kind, id, kind == BSCOPE_KIND_NEW ? 64 : w->number);
		w->marks++;
		if (n % 16 == 15) {
			uint64_t now = now_ns();

			if (now >= end_ns)
				break;
			if (rate > 0) {
				uint64_t due = start + (uint64_t)((double)n * 1e9 / rate);
				struct timespec ts = {(time_t)(due / 1000000000ull),
						      (long)(due % 1000000000ull)};

				if (due + 10000000ull < now)
					start += now - due;
				if (due > now)
					clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
			}
		}
	}
	if (!strcmp(how, "headless") && atomic_fetch_sub(&working, 1) == 1) {
		print();
		exit(0);
	}
	return NULL;
}

/*
 * Compares every executable segment of the program with its file.  thread-self, because
 * /proc/self is empty once the main thread has left.
 */
static int text_check(struct dl_phdr_info *info, size_t size, void *ctx)
{
	int fd = open("/proc/thread-self/exe", O_RDONLY | O_CLOEXEC);
	const char **verdict = ctx;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		char *file;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		file = malloc(ph->p_filesz);
		if (!file ||
		    pread(fd, file, ph->p_filesz, (off_t)ph->p_offset) != (ssize_t)ph->p_filesz)
			*verdict = "unreadable";
		else if (memcmp(file, (char *)info->dlpi_addr + ph->p_vaddr, ph->p_filesz))
			*verdict = "changed";
		free(file);
	}
	close(fd);
	return 1; /* the first object is the program itself */
}

static void print_counts(const char *name, size_t offset)
{
	printf(", \"%s\": {", name);
	for (unsigned k = 1; k < BSCOPE_KIND_END; k++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < nworkers; i++)
			sum += *(uint64_t *)((char *)&workers[i].counts + offset +
					     k * sizeof(uint64_t));
		printf("%s\"%s\": %llu", k > 1 ? ", " : "", kind_names[k], (unsigned long long)sum);
	}
	printf("}");
}

static void log_write(void)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%d", log_prefix, (int)getpid());
	f = fopen(path, "a");
	if (!f)
		abort();
	/* Each thread's part: its length, then its entries. */
	for (unsigned i = 0; i < nworkers; i++) {
		uint64_t n = workers[i].nlog;

		if (workers[i].nlog == LOG_MAX || fwrite(&n, sizeof(n), 1, f) != 1 ||
		    fwrite(workers[i].log, sizeof(uint64_t), n, f) != n)
			abort();
	}
	if (fclose(f))
		abort();
}

static int count_interval(int argc, char **argv)
{
	uint64_t start = strtoull(argv[2], NULL, 10), end = strtoull(argv[3], NULL, 10);
	uint64_t in[BSCOPE_KIND_END] = {0}, n, entry, threads = 0;

	for (int i = 4; i < argc; i++) {
		FILE *f = fopen(argv[i], "r");

		if (!f)
			return 1;
		while (fread(&n, sizeof(n), 1, f) == 1) {
			threads += n > 0;
			while (n-- && fread(&entry, sizeof(entry), 1, f) == 1)
				if (entry / 16 > start && entry / 16 <= end)
					in[entry % 16]++;
		}
		fclose(f);
	}
	printf("{\"threads\": %llu", (unsigned long long)threads);
	for (unsigned k = 1; k < BSCOPE_KIND_END; k++)
		printf(", \"%s\": %llu", kind_names[k], (unsigned long long)in[k]);
	printf("}\n");
	return 0;
}

static void print(void)
{
	const char *text = "same", *results = "right";

	dl_iterate_phdr(text_check, &text);
	if (log_prefix)
		log_write();
	for (unsigned i = 0; i < nworkers; i++) {
		uint64_t sum = workers[i].number;

		for (uint64_t n = 0; n < workers[i].marks; n++)
			sum = work(sum, n);
		if (sum != workers[i].sum)
			results = "wrong";
	}
	printf("{\"pid\": %d", (int)getpid());
	print_counts("sure", offsetof(struct counts, sure));
	print_counts("unsure", offsetof(struct counts, unsure));
	print_counts("total", offsetof(struct counts, total));
	printf(", \"results\": \"%s\", \"text\": \"%s\", \"semaphore\": %u}\n", results, text,
	       (unsigned)bscope_semaphore);
	fflush(stdout);
}

static void work_all(void)
{
	for (unsigned i = 0; i < nworkers; i++)
		if (workers[i].log)
			munmap(workers[i].log, LOG_MAX * sizeof(uint64_t));
	memset(workers, 0, sizeof(workers));
	atomic_store(&working, nworkers);
	for (unsigned i = 0; i < nworkers; i++) {
		workers[i].number = workers[i].sum = i + 1;
		if (log_prefix)
			workers[i].log =
				mmap(NULL, LOG_MAX * sizeof(uint64_t), PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (workers[i].log == MAP_FAILED)
			abort();
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			abort();
	}
	if (!strcmp(how, "headless"))
		pthread_exit(NULL);
	for (unsigned i = 0; i < nworkers; i++)
		pthread_join(workers[i].thread, NULL);
}

int main(int argc, char **argv)
{
	pid_t child = 0;

	if (argc < 4)
		return 64;
	if (!strcmp(argv[1], "count"))
		return count_interval(argc, argv);
	log_prefix = getenv("COUNTED_LOG");
	nworkers = (unsigned)atoi(argv[1]);
	rate = atof(argv[2]);
	seconds = atof(argv[3]);
	if (argc > 4)
		how = argv[4];
	if (nworkers < 1 || nworkers > THREADS_MAX)
		return 64;
	for (struct bscope_site *s = __start_bscope_sites; s < __stop_bscope_sites; s++)
		probes[s->kind] = (const unsigned char *)&s->probe + s->probe;
	end_ns = now_ns() + (uint64_t)(seconds * 1e9);
	if (!*how || !strcmp(how, "headless"))
		signal(SIGTERM, end_now);
	if (!strcmp(how, "exec"))
		end_ns = now_ns() + (uint64_t)(seconds * 0.5e9);
	if (!strcmp(how, "fork")) {
		/* First alone for a third, so that the fork falls into the time of tracing. */
		end_ns = now_ns() + (uint64_t)(seconds * 0.3e9);
		work_all();
		print();
		end_ns = now_ns() + (uint64_t)(seconds * 0.7e9);
		child = fork();
	}
	work_all();
	print();
	if (!strcmp(how, "exec")) {
		argv[3] = "0.5";
		argv[4] = NULL;
		execv("/proc/self/exe", argv);
		return 1;
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	return 0;
}
