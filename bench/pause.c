// SPDX-License-Identifier: GPL-2.0-only
/*
 * pause.c - how long a process stands still while its sites are lit by jumps and darkened again,
 * and how long attaching and leaving take in all.
 *
 *	pause [CYCLES]
 *
 * By the real guardian (tools/target/guardian.h), on children of this program that execute text of
 * a file with that many sites: 8 busy threads with 2,000 and with 20,000 sites, 500 threads with
 * 2,000 sites that sleep for some ms, pass all sites, and sleep again.  The threads check what they
 * compute; in the end their text is compared with the file.
 *
 * The pause is held to the aims of the design.  It depends on who else uses the machine, so the
 * longest time that a busy thread waited for its turn, in a second before anybody attached, is
 * printed with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "target/guardian.h"

#define PLAN	   1
#define STRIDE	   64 /* bytes from site to site: 64 sites in a page */
#define SITES_MAX  20000
#define CYCLES_MAX 100000
#define TRIES	   100

struct shared {
	_Atomic uint32_t ready;
	_Atomic uint64_t passes, wrong, longest_ns;
};

static struct shared *shared;
static pid_t target;
static uint8_t *text;
static size_t text_bytes;

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* --- the target ------------------------------------------------------------------------------- */

static void put_rel(uint8_t *at, int64_t to)
{
	int32_t rel = (int32_t)(to - (int64_t)(uintptr_t)(at + 4));

	memcpy(at, &rel, sizeof(rel));
}

/*
 * A function of n steps x = 3x + 1, a site before each:
 *
 *	nop; 66 0f 1f 44 00 00; lea 1(%rax,%rax,2),%rax; jmp to the next
 *
 * and behind it the stubs, which only jump back.  Mapped as the text of programs is: private, of
 * a file.
 */
static int text_make(size_t n)
{
	static const uint8_t site[] = {0x90, 0x66, 0x0f, 0x1f, 0x44, 0, 0, 0x48, 0x8d,
				       0x44, 0x40, 0x01, 0xe9, 0,    0, 0, 0};
	static const uint8_t start[] = {0x48, 0x89, 0xf8}; /* mov %rdi,%rax */
	int fd = memfd_create("bench-pause", MFD_CLOEXEC);
	uint8_t *to;

	text_bytes = (STRIDE * (n + 1) + 16 * n + 4095) & ~(size_t)4095;
	if (fd < 0 || ftruncate(fd, (off_t)text_bytes))
		return -1;
	to = mmap(NULL, text_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		return -1;
	memset(to, 0xcc, text_bytes);
	/* The first step is entered from above its site, in the padding of its predecessor. */
	for (size_t i = 0; i < n; i++) {
		uint8_t *at = to + STRIDE * i + 16, *stub = to + STRIDE * (n + 1) + 16 * i;

		memcpy(at, site, sizeof(site));
		put_rel(at + 13, (int64_t)(uintptr_t)(at + STRIDE));
		stub[0] = 0xe9;
		put_rel(stub + 1, (int64_t)(uintptr_t)(at + 7));
	}
	to[STRIDE * n + 16] = 0xc3; /* ret */
	memcpy(to, start, sizeof(start));
	memset(to + sizeof(start), 0x90, 16 - sizeof(start));
	munmap(to, text_bytes);
	text = mmap(NULL, text_bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	return text == MAP_FAILED ? -1 : 0;
}

static void switches(struct bs_patch *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t at = (uintptr_t)text + STRIDE * i + 17;
		uint64_t stub = (uintptr_t)text + STRIDE * (n + 1) + 16 * i;

		v[i] = (struct bs_patch){.addr = at, .rel = (int32_t)(stub - at - 5)};
	}
}

struct work {
	size_t sites;
	unsigned nap_us;
};

static void *work(void *arg)
{
	const struct work *w = arg;
	uint64_t (*steps)(uint64_t) = (uint64_t(*)(uint64_t))(uintptr_t)text;
	uint64_t expected = 7;
	double last = now_ms();

	for (size_t i = 0; i < w->sites; i++)
		expected = 3 * expected + 1;
	atomic_fetch_add(&shared->ready, 1);
	for (;;) {
		uint64_t gap;
		double now;

		if (steps(7) != expected)
			atomic_fetch_add(&shared->wrong, 1);
		atomic_fetch_add_explicit(&shared->passes, 1, memory_order_relaxed);
		now = now_ms();
		gap = (uint64_t)((now - last) * 1e6);
		if (!w->nap_us && gap > atomic_load(&shared->longest_ns))
			atomic_store(&shared->longest_ns, gap);
		last = now;
		if (w->nap_us)
			usleep(w->nap_us);
	}
	return NULL;
}

static pid_t target_start(size_t sites, unsigned threads, unsigned nap_us)
{
	pid_t pid, parent = getpid();

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (!pid) {
		static struct work w;
		pthread_attr_t attr;
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		w = (struct work){sites, nap_us};
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 65536);
		for (unsigned i = 1; i < threads; i++)
			if (pthread_create(&thread, &attr, work, &w))
				_exit(1);
		work(&w);
	}
	for (int i = 0; pid > 0 && i < 1000 && atomic_load(&shared->ready) < threads; i++)
		usleep(10000);
	return pid;
}

/* --- cycles ----------------------------------------------------------------------------------- */

static size_t traced(void *ctx, struct bs_guarded *out, size_t max)
{
	(void)ctx;
	if (!max || !target)
		return 0;
	*out = (struct bs_guarded){.pid = target, .plan = PLAN};
	return 1;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* An aim of 0 is none. */
static void print(const char *name, double *v, size_t n, double aim)
{
	qsort(v, n, sizeof(*v), compare);
	printf("  %-12s median %8.3f ms   p99 %8.3f   max %8.3f", name, v[n / 2],
	       v[(n - 1) * 99 / 100], v[n - 1]);
	if (aim > 0)
		printf("   aim %.0f: %s", aim, v[n - 1] <= aim ? "met" : "MISSED");
	printf("\n");
}

struct times {
	double *light_pause, *dark_pause, *attach, *detach;
	unsigned late;
};

static int cycle(struct bs_guard *g, struct bs_patch *v, size_t n, struct times *t, size_t i)
{
	struct bs_patch_result lit;
	struct bs_dark_result dark;
	double start = now_ms();
	int ret = -EAGAIN;

	/* As the tool: what was only unlucky is tried again. */
	for (int k = 0; k < TRIES && (ret == -ETIMEDOUT || ret == -EAGAIN); k++) {
		ret = bs_guard_light(g, PLAN, target, 0, v, n, false, &lit);
		t->late += ret == -ETIMEDOUT;
	}
	if (ret || lit.written != n) {
		fprintf(stderr, "pause: %u of %zu lit: %s\n", lit.written, n, lit.why);
		return -1;
	}
	t->attach[i] = now_ms() - start;
	t->light_pause[i] = (double)lit.pause_ns / 1e6;
	usleep(2000 + (unsigned)rand() % 8000);
	start = now_ms();
	ret = bs_guard_dark(g);
	if (!ret)
		ret = bs_guard_dark_wait(g, &dark);
	if (ret || dark.stuck || dark.processes != 1) {
		fprintf(stderr, "pause: not dark: %s\n", ret ? strerror(-ret) : dark.why);
		return -1;
	}
	t->detach[i] = now_ms() - start;
	t->dark_pause[i] = (double)dark.pause_ns / 1e6;
	usleep(2000 + (unsigned)rand() % 8000);
	return 0;
}

/* Is its text what the file says? */
static bool text_same(void)
{
	char path[64];
	uint8_t *copy = malloc(text_bytes);
	FILE *mem;
	bool same;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)target);
	mem = fopen(path, "r");
	/* This process's own mapping was never written to. */
	same = mem && copy && !fseek(mem, (long)(uintptr_t)text, SEEK_SET) &&
	       fread(copy, 1, text_bytes, mem) == text_bytes && !memcmp(copy, text, text_bytes);
	if (mem)
		fclose(mem);
	free(copy);
	return same;
}

static int cycles_run(size_t sites, size_t n, struct times *t)
{
	const struct bs_guard_ops ops = {.traced = traced};
	struct bs_patch *v = calloc(sites, sizeof(*v));
	struct bs_guard *g = NULL;
	struct bs_error err = {0};
	int ret = -1;

	if (!v)
		return -1;
	switches(v, sites);
	if (bs_guard_new(&ops, &g, &err))
		fprintf(stderr, "pause: %s\n", err.text);
	else
		ret = 0;
	for (size_t i = 0; i < n && !ret; i++)
		ret = cycle(g, v, sites, t, i);
	bs_guard_free(g);
	free(v);
	return ret;
}

static int one_case(const char *name, size_t sites, unsigned threads, unsigned nap_us, size_t n,
		    const double aims[3])
{
	struct times t = {0};
	uint64_t alone, passes;
	bool right, same;
	int ret = -1;

	t.light_pause = calloc(4 * n, sizeof(double));
	if (!t.light_pause || text_make(sites))
		goto out;
	t.dark_pause = t.light_pause + n;
	t.attach = t.dark_pause + n;
	t.detach = t.attach + n;
	target = target_start(sites, threads, nap_us);
	if (target < 0)
		goto out;
	atomic_store(&shared->longest_ns, 0);
	sleep(1);
	alone = atomic_load(&shared->longest_ns);
	passes = atomic_load(&shared->passes);
	ret = cycles_run(sites, n, &t);
	if (ret)
		goto out;
	printf("%s: %zu cycles\n", name, n);
	print("pause, light", t.light_pause, n, aims[0]);
	print("pause, dark", t.dark_pause, n, aims[0]);
	print("attach", t.attach, n, aims[1]);
	print("detach", t.detach, n, aims[2]);
	if (alone)
		printf("  longest wait of a thread for its turn, before: %.3f ms\n",
		       (double)alone / 1e6);
	right = !atomic_load(&shared->wrong) && atomic_load(&shared->passes) > passes;
	same = text_same();
	ret = right && same ? 0 : -1;
	printf("  %u stops given up at their deadline and repeated; results %s, text %s\n", t.late,
	       right ? "right" : "WRONG", same ? "same" : "CHANGED");
	fflush(stdout);
out:
	if (target > 0) {
		kill(target, SIGKILL);
		waitpid(target, NULL, 0);
	}
	target = 0;
	if (text && text != MAP_FAILED)
		munmap(text, text_bytes);
	text = NULL;
	free(t.light_pause);
	return ret;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	const double few[3] = {5, 300, 600}, many[3] = {20, 0, 0}, threads[3] = {20, 300, 600};

	if (n < 1 || n > CYCLES_MAX) {
		fprintf(stderr, "usage: pause [CYCLES]\n");
		return 64;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	return one_case("8 busy threads, 2,000 sites", 2000, 8, 0, n, few) ||
	       one_case("8 busy threads, 20,000 sites", SITES_MAX, 8, 0, n, many) ||
	       one_case("500 threads, 2,000 sites", 2000, 500, 20000, n, threads);
}
