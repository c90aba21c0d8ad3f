// SPDX-License-Identifier: GPL-2.0-only
/*
 * patch.c - writes the switches of a process's sites while it stands still.
 *
 * Before the stop: the bytes are read (and with them the pages of text are in memory), and each
 * page that will change is made a private copy by writing one byte of it as it is: the last of a
 * switch's six, which is 0 lit or dark and where no probe can be.  What is left for the stop is to
 * read again, check, and write.
 *
 * By page, because a write costs as much for 5 bytes as for 4,096: everything from the first to
 * the last switch of a page in one write, the bytes between them as just read.  Somebody else may
 * put a breakpoint among those, or take one away, between our reading and our writing, and
 * written back afterwards a stale one kills the program.  So a page is written switch by switch if
 * it shows an int3 more than its file has.
 *
 * Memory is reached through one descriptor of /proc/PID/mem, which stays with the memory it was
 * opened for: after an exec it reads as nothing, and nothing of the new program is touched.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "target/patch.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/stop.h"

#define SWITCH	  5    /* bytes that change */
#define LAST_BYTE 5    /* the one behind them, always 0 */
#define PAGE	  4096 /* of x86-64 text, hugepages or not: what one write copies */
#define BATCH	  64   /* pages read at once */
#define INT3	  0xcc

bool bs_patch_test_no_mem;

static const uint8_t nop[SWITCH] = {0x66, 0x0f, 0x1f, 0x44, 0x00};

/* Neighbours of v on one page, in order of address; some of them are to change. */
struct page {
	size_t first, n; /* in v */
	uint32_t int3;	 /* between the switches, in the file */
};

struct patch {
	int mem;
	bool light;
	const struct bs_patch_how *how;
	struct bs_patch *v;
	size_t n;
	struct page *page;
	size_t npages;
	uint8_t (*batch)[PAGE]; /* BATCH of them */
	uint8_t *numbers;	/* a page of records, n_numbers bytes from numbers_at on */
	uint64_t numbers_at;
	size_t n_numbers;
	bool no_mem; /* /proc/PID/mem refuses to write: by ptrace */
	bool gone;   /* the memory is no process's any more */
	bool unfit;  /* nothing was to be written */
	uint32_t written;
};

static void jump_of(const struct bs_patch *p, uint8_t jump[SWITCH])
{
	jump[0] = 0xe9;
	memcpy(jump + 1, &p->rel, 4);
}

static enum bs_patch_state state_of(const struct bs_patch *p, const uint8_t *bytes)
{
	uint8_t jump[SWITCH];

	if (!memcmp(bytes, nop, SWITCH))
		return BS_PATCH_DARK;
	jump_of(p, jump);
	return memcmp(bytes, jump, SWITCH) ? BS_PATCH_FOREIGN : BS_PATCH_LIT;
}

static bool to_change(const struct patch *p, size_t i)
{
	return p->v[i].state == (p->light ? BS_PATCH_DARK : BS_PATCH_LIT);
}

static bool crosses(const struct bs_patch *p)
{
	return (p->addr & (PAGE - 1)) > PAGE - SWITCH;
}

/*
 * How many switches from i on are on one page, one behind the other.  Where v is not as promised
 * (not in order, overlapping) it ends there and what follows counts as another page, read anew.
 */
static size_t run_length(const struct patch *p, size_t i)
{
	size_t n = 1;

	while (i + n < p->n && !crosses(&p->v[i + n]) &&
	       p->v[i + n].addr / PAGE == p->v[i].addr / PAGE &&
	       p->v[i + n].addr >= p->v[i + n - 1].addr + SWITCH)
		n++;
	return n;
}

static size_t span_of(const struct patch *p, const struct page *page)
{
	return (size_t)(p->v[page->first + page->n - 1].addr - p->v[page->first].addr) + SWITCH;
}

/* buf: the page from its first switch on; NULL: it is gone. */
static void say_states(struct patch *p, const struct page *page, const uint8_t *buf)
{
	uint64_t start = p->v[page->first].addr;

	for (size_t i = page->first; i < page->first + page->n; i++)
		p->v[i].state =
			buf ? state_of(&p->v[i], buf + (p->v[i].addr - start)) : BS_PATCH_GONE;
}

/*
 * Reads a page from its first switch to its last into buf (PAGE bytes) and says what each is.
 * False if it cannot be read: gone.
 */
static bool look(struct patch *p, const struct page *page, uint8_t *buf)
{
	size_t len = span_of(p, page);
	ssize_t got = pread(p->mem, buf, len, (off_t)p->v[page->first].addr);

	if (!got)
		p->gone = true;
	say_states(p, page, got == (ssize_t)len ? buf : NULL);
	return got == (ssize_t)len;
}

/* Counts int3 between the switches of a page; mem: its bytes from the first on. */
static uint32_t count_int3(const struct patch *p, const struct page *page, const uint8_t *mem)
{
	uint64_t start = p->v[page->first].addr;
	uint32_t n = 0;

	for (size_t i = page->first; i + 1 < page->first + page->n; i++) {
		const uint8_t *s = mem + (p->v[i].addr - start) + SWITCH;
		const uint8_t *end = mem + (p->v[i + 1].addr - start);

		while (s < end && (s = memchr(s, INT3, (size_t)(end - s)))) {
			n++;
			s++;
		}
	}
	return n;
}

/* --- before the stop -------------------------------------------------------------------------- */

/* The file behind the page looked at last: pages come in order, files are few. */
struct source {
	pid_t pid;
	struct bs_maps maps;
	bool has_maps;
	const struct bs_mapping *map;
	int fd;
};

/* How many int3 the page has between its switches in its file; 0 if that cannot be told. */
static uint32_t int3_in_file(const struct patch *p, const struct page *page, struct source *src)
{
	uint64_t start = p->v[page->first].addr;
	const struct bs_mapping *map;
	size_t len = span_of(p, page);
	uint8_t buf[PAGE];

	if (!src->has_maps) {
		if (bs_maps_read(src->pid, &src->maps, NULL))
			return 0;
		src->has_maps = true;
	}
	map = bs_maps_find(&src->maps, start);
	if (!map || !map->ino)
		return 0;
	if (map != src->map) {
		if (src->fd >= 0)
			close(src->fd);
		src->fd = bs_mapping_open(src->pid, map, NULL);
		src->map = map;
	}
	if (src->fd < 0 ||
	    pread(src->fd, buf, len, (off_t)(map->offset + (start - map->start))) != (ssize_t)len)
		return 0;
	return count_int3(p, page, buf);
}

/*
 * Makes the page a private copy.  The byte is read once more right before: if this library was
 * unmapped and something else mapped in its place, it is not ours to write.
 */
static void copy_page(const struct patch *p, const struct page *page)
{
	for (size_t i = page->first; i < page->first + page->n; i++) {
		uint64_t addr = p->v[i].addr;
		uint8_t now[SWITCH + 1];

		if (!to_change(p, i) || (addr & (PAGE - 1)) > PAGE - sizeof(now))
			continue;
		if (pread(p->mem, now, sizeof(now), (off_t)addr) != sizeof(now) ||
		    state_of(&p->v[i], now) == BS_PATCH_FOREIGN || now[LAST_BYTE])
			continue;
		/* Refused: the copy is made while it stands still, then. */
		if (pwrite(p->mem, &now[LAST_BYTE], 1, (off_t)(addr + LAST_BYTE)) == 1)
			return;
	}
}

/* Looks at all switches; with room for pages keeps those where some are to change. */
static size_t look_at_all(struct patch *p)
{
	uint8_t buf[PAGE];
	size_t changes = 0;

	for (size_t i = 0; i < p->n;) {
		struct page page = {.first = i};
		size_t here = 0;

		if (crosses(&p->v[i])) {
			p->v[i++].state = BS_PATCH_FOREIGN;
			continue;
		}
		page.n = run_length(p, i);
		i += page.n;
		look(p, &page, buf);
		for (size_t k = page.first; k < i; k++)
			here += to_change(p, k);
		changes += here;
		if (!here || !p->page)
			continue;
		page.int3 = count_int3(p, &page, buf);
		p->page[p->npages++] = page;
	}
	return changes;
}

static void prepare_pages(struct patch *p, pid_t pid)
{
	struct source src = {.pid = pid, .fd = -1};

	for (size_t i = 0; i < p->npages; i++) {
		struct page *page = &p->page[i];

		/* What is a foreign one's and what the file's is told apart only where needed. */
		if (page->int3)
			page->int3 = int3_in_file(p, page, &src);
		copy_page(p, page);
	}
	if (src.fd >= 0)
		close(src.fd);
	if (src.has_maps)
		bs_maps_fini(&src.maps);
}

/* --- while everybody stands still ------------------------------------------------------------- */

/*
 * By ptrace: eight bytes at a time, within the page.  What is around the switch is read and written
 * back; this is for kernels that leave no other way (CONFIG_PROC_MEM_NO_FORCE, Linux 6.12).
 */
static bool poke(pid_t tid, const struct bs_patch *one, const uint8_t *from, const uint8_t *to)
{
	uint64_t last = (one->addr & ~(uint64_t)(PAGE - 1)) + PAGE - sizeof(long);
	uint64_t at = one->addr < last ? one->addr : last;
	uint8_t bytes[sizeof(long)];
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, tid, (void *)(uintptr_t)at, NULL);
	if (errno)
		return false;
	memcpy(bytes, &word, sizeof(bytes));
	if (memcmp(bytes + (one->addr - at), from, SWITCH))
		return false;
	memcpy(bytes + (one->addr - at), to, SWITCH);
	memcpy(&word, bytes, sizeof(bytes));
	return !ptrace(PTRACE_POKETEXT, tid, (void *)(uintptr_t)at, (void *)word);
}

static bool put(struct patch *p, const void *bytes, size_t len, uint64_t addr)
{
	ssize_t put;

	if (p->no_mem)
		return false;
	put = pwrite(p->mem, bytes, len, (off_t)addr);
	return put == (ssize_t)len;
}

/* One switch by itself. */
static void write_one(struct patch *p, struct bs_patch *one, pid_t tid)
{
	uint8_t jump[SWITCH];
	const uint8_t *from = p->light ? nop : jump, *to = p->light ? jump : nop;

	jump_of(one, jump);
	if (!put(p, to, SWITCH, one->addr)) {
		if (!poke(tid, one, from, to)) {
			one->state = BS_PATCH_GONE;
			return;
		}
		/* Only now is it known that the page is there and the way through mem is barred. */
		p->no_mem = true;
	}
	one->state = p->light ? BS_PATCH_LIT : BS_PATCH_DARK;
	p->written++;
}

/* buf: the page from its first switch to its last, as read by look() or look_at_batch(). */
static void write_page(struct patch *p, const struct page *page, uint8_t *buf, pid_t tid)
{
	uint64_t start = p->v[page->first].addr;
	size_t low = 0, high = 0, changes = 0;

	for (size_t i = page->first; i < page->first + page->n; i++) {
		if (!to_change(p, i))
			continue;
		if (!changes++)
			low = i;
		high = i;
	}
	if (!changes)
		return;
	if (changes > 1 && !p->no_mem && count_int3(p, page, buf) == page->int3) {
		size_t from = (size_t)(p->v[low].addr - start);
		size_t end = (size_t)(p->v[high].addr - start) + SWITCH;

		for (size_t i = low; i <= high; i++) {
			uint8_t *at = buf + (p->v[i].addr - start);

			if (!to_change(p, i))
				continue;
			if (p->light)
				jump_of(&p->v[i], at);
			else
				memcpy(at, nop, SWITCH);
		}
		if (put(p, buf + from, end - from, p->v[low].addr)) {
			for (size_t i = low; i <= high; i++)
				if (to_change(p, i))
					p->v[i].state = p->light ? BS_PATCH_LIT : BS_PATCH_DARK;
			p->written += (uint32_t)changes;
			return;
		}
	}
	for (size_t i = low; i <= high; i++)
		if (to_change(p, i))
			write_one(p, &p->v[i], tid);
}

/*
 * Reads many pages at once, each into its place in p->batch: a third of the time of as many reads
 * of /proc/PID/mem.  False if not all can be read that way (one is gone, or may not be read by
 * others).
 */
static bool look_at_batch(struct patch *p, const struct page *page, size_t n, pid_t tid)
{
	struct iovec local[BATCH], remote[BATCH];
	ssize_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = span_of(p, &page[i]);

		local[i] = (struct iovec){.iov_base = p->batch[i], .iov_len = len};
		remote[i] = (struct iovec){.iov_base = (void *)(uintptr_t)p->v[page[i].first].addr,
					   .iov_len = len};
		sum += (ssize_t)len;
	}
	if (process_vm_readv(tid, local, n, remote, n, 0) != sum)
		return false;
	for (size_t i = 0; i < n; i++)
		say_states(p, &page[i], p->batch[i]);
	return true;
}

static int by_addr(const void *a, const void *b)
{
	const struct bs_patch *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/*
 * A thread behind the trap and in front of the switch has been counted and must not be recorded
 * as well.  It is not in a system call: what stands before a switch is the nop that is the trap.
 */
static void step_over(const struct patch *p, pid_t tid)
{
#if defined(__x86_64__)
	const size_t rip = offsetof(struct user_regs_struct, rip);
	struct bs_patch key = {0};
	const struct bs_patch *at;

	errno = 0;
	key.addr = (uint64_t)ptrace(PTRACE_PEEKUSER, tid, rip, NULL);
	if (errno)
		return;
	at = bsearch(&key, p->v, p->n, sizeof(*p->v), by_addr);
	if (at && at->state == BS_PATCH_LIT)
		ptrace(PTRACE_POKEUSER, tid, rip, (void *)(uintptr_t)(key.addr + LAST_BYTE + 1));
#else
	(void)p;
	(void)tid;
	(void)by_addr;
#endif
}

/* Records lie side by side, mostly in the order of their switches. */
static bool has_number(struct patch *p, const struct bs_patch *one)
{
	uint32_t number;
	uint64_t in_page = one->number_at & (PAGE - 1);
	ssize_t got;

	if (!one->number_at)
		return true;
	if (one->number_at - in_page != p->numbers_at) {
		p->numbers_at = one->number_at - in_page;
		got = pread(p->mem, p->numbers, PAGE, (off_t)p->numbers_at);
		p->n_numbers = got > 0 ? (size_t)got : 0;
	}
	if (in_page + sizeof(number) > p->n_numbers)
		return false;
	memcpy(&number, p->numbers + in_page, sizeof(number));
	return number == one->number;
}

/*
 * A library that was unloaded and loaded anew after its records were numbered (or another one in
 * its place) may have the same bytes at the same addresses.  Lit without a number, its marks would
 * be lost, and nobody would know of it.
 */
static void leave_unnumbered(struct patch *p, const struct page *page)
{
	for (size_t i = page->first; i < page->first + page->n; i++)
		if (to_change(p, i) && !has_number(p, &p->v[i]))
			p->v[i].state = BS_PATCH_GONE;
}

static void write_all(void *arg, const pid_t *tids, size_t n)
{
	struct patch *p = arg;
	uint8_t byte;

	/* After an exec the thread's memory is not what we have open, and that reads as nothing. */
	if (!pread(p->mem, &byte, 1, PAGE)) {
		p->gone = true;
		return;
	}
	if (p->how->fit && !p->how->fit(p->how->done_ctx)) {
		p->unfit = true;
		return;
	}
	for (size_t i = 0; i < p->npages && !p->gone; i += BATCH) {
		size_t pages = p->npages - i < BATCH ? p->npages - i : BATCH;
		bool read = look_at_batch(p, &p->page[i], pages, tids[0]);

		for (size_t k = 0; k < pages; k++)
			if (read || look(p, &p->page[i + k], p->batch[k])) {
				if (p->light)
					leave_unnumbered(p, &p->page[i + k]);
				write_page(p, &p->page[i + k], p->batch[k], tids[0]);
			}
	}
	if (p->gone)
		return;
	for (size_t i = 0; i < n && p->light && p->how->trapped; i++)
		step_over(p, tids[i]);
	if (p->how->done)
		p->how->done(p->how->done_ctx);
}

/* --- as a whole ------------------------------------------------------------------------------- */

/* Opens the memory for reading, or for both.  A descriptor, -ESRCH, -EPERM or -errno. */
static int mem_open(pid_t pid, int flags)
{
	/* The memory of a main thread that has exited is not there; that of another one is. */
	pid_t tid = bs_proc_live_thread(pid);
	char path[64];
	int fd;

	if (tid < 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ESRCH)
		return -ESRCH;
	return errno == EACCES ? -EPERM : -errno;
}

ssize_t bs_patch_look(pid_t pid, bool light, struct bs_patch *v, size_t n)
{
	struct patch p = {.light = light, .v = v, .n = n};
	ssize_t changes;

	p.mem = mem_open(pid, O_RDONLY);
	if (p.mem < 0)
		return p.mem;
	changes = (ssize_t)look_at_all(&p);
	close(p.mem);
	return p.gone ? -ESRCH : changes;
}

static int fail(struct bs_patch_result *result, int code)
{
	result->code = code;
	snprintf(result->why, sizeof(result->why), "%s",
		 code == -ESRCH	   ? "has exited, or started another program"
		 : code == -EPERM  ? "not permitted to write to its memory: run as root, or with "
				     "CAP_SYS_PTRACE"
		 : code == -ENOMEM ? "out of memory"
				   : strerror(-code));
	return code;
}

static void patch(struct patch *p, pid_t pid, struct bs_patch_result *result)
{
	struct bs_stop_ask ask = {.pid = pid,
				  .shares = p->how->shares,
				  .ctx = p->how->shares_ctx,
				  .still = write_all,
				  .arg = p};
	size_t changes;

	p->page = malloc((p->n ? p->n : 1) * sizeof(*p->page));
	p->batch = malloc(BATCH * sizeof(*p->batch));
	p->numbers = malloc(PAGE);
	if (!p->page || !p->batch || !p->numbers) {
		fail(result, -ENOMEM);
		return;
	}
	/* Memory that is there, when it is needed. */
	memset(p->batch, 0, BATCH * sizeof(*p->batch));
	memset(p->numbers, 0, PAGE);
	changes = look_at_all(p);
	if (p->gone) {
		fail(result, -ESRCH);
		return;
	}
	if (!changes && !p->how->done)
		return;
	prepare_pages(p, pid);
	bs_stop_and(&ask, result);
	result->written = p->written;
	if (!result->code && p->gone)
		fail(result, -ESRCH);
	if (!result->code && p->unfit) {
		fail(result, -EAGAIN);
		snprintf(result->why, sizeof(result->why), "it executes another program");
	}
}

void bs_patch_as(pid_t pid, const struct bs_patch_how *how, struct bs_patch *v, size_t n,
		 struct bs_patch_result *result)
{
	struct patch p = {
		.light = how->light, .how = how, .v = v, .n = n, .no_mem = bs_patch_test_no_mem};

	memset(result, 0, sizeof(*result));
#if !defined(__x86_64__)
	result->code = -ENOTSUP;
	snprintf(result->why, sizeof(result->why), "sites have no switch on this architecture");
	return;
#endif
	p.mem = mem_open(pid, O_RDWR);
	if (p.mem < 0) {
		fail(result, p.mem);
		return;
	}
	patch(&p, pid, result);
	close(p.mem);
	free(p.page);
	free(p.batch);
	free(p.numbers);
}

void bs_patch(pid_t pid, bool light, struct bs_patch *v, size_t n, uint64_t (*shares)(void *ctx),
	      void *ctx, struct bs_patch_result *result)
{
	const struct bs_patch_how how = {.light = light, .shares = shares, .shares_ctx = ctx};

	bs_patch_as(pid, &how, v, n, result);
}
