// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_overhead.c - what samples say: shares and their errors, which addresses are tracking, equal
 * stacks counted once; and the names of the kernel's functions.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "overhead/profile.h"
#include "overhead/share.h"
#include "overhead/spans.h"
#include "overhead/where.h"
#include "symbol/index.h"
#include "symbol/kernel.h"
#include "target/jump.h"
#include "target/module.h"
#include "target/process.h"

static void near_to(double value, double want, double within)
{
	if (!(fabs(value - want) <= within))
		fail_msg("%.9g is not %.9g +- %g", value, want, within);
}

/* --- shares ----------------------------------------------------------------------------------- */

/* Wilson's limits as tables give them: 10 of 100 from 5.52 to 17.44 %, 0 of 100 up to 3.70 %. */
static void shares(void **state)
{
	struct bs_share s = bs_share_of(10, 100);

	(void)state;
	near_to(s.percent, 10, 1e-9);
	near_to(s.error, 7.44, 0.01);
	s = bs_share_of(0, 100);
	near_to(s.percent, 0, 0);
	near_to(s.error, 3.70, 0.01);
	s = bs_share_of(100, 100);
	near_to(s.percent, 100, 0);
	near_to(s.error, 3.70, 0.01);
	s = bs_share_of(0, 0);
	near_to(s.percent, 0, 0);
	near_to(s.error, 100, 0);
	/* Where there are many: 1.96 sqrt(p (1 - p) / n). */
	s = bs_share_of(200000, 1000000);
	near_to(s.percent, 20, 1e-9);
	near_to(s.error, 100 * 1.96 * sqrt(0.2 * 0.8 / 1e6), 0.001);
	s = bs_share_of(UINT64_MAX / 2, UINT64_MAX);
	near_to(s.percent, 50, 1e-6);
	/* Of tracking: 0.0784 by chance, and a twentieth of 20. */
	s = bs_share_tracking(200000, 1000000);
	near_to(s.percent, 20, 1e-9);
	near_to(s.error, sqrt(0.0784 * 0.0784 + 1), 0.001);
	/* 0.0195 by chance, and 0.15 of 1; 0.0062 by chance, and a quarter of 0.1. */
	s = bs_share_tracking(10000, 1000000);
	near_to(s.error, sqrt(0.0195 * 0.0195 + 0.15 * 0.15), 0.001);
	s = bs_share_tracking(1000, 1000000);
	near_to(s.error, sqrt(0.0062 * 0.0062 + 0.025 * 0.025), 0.001);
	s = bs_share_tracking(0, 100);
	near_to(s.error, 3.70, 0.01);
}

/* The interval holds the truth in 95 of 100 draws; of another generator than any in the tool. */
static void share_holds(void **state)
{
	static const double truth[] = {0.001, 0.01, 0.2, 0.5};
	unsigned short seed[3] = {1, 2, 3};

	(void)state;
	for (size_t k = 0; k < sizeof(truth) / sizeof(truth[0]); k++) {
		int held = 0, draws = 1000;

		for (int i = 0; i < draws; i++) {
			struct bs_share s;
			uint64_t marked = 0;

			for (int n = 0; n < 3000; n++)
				marked += erand48(seed) < truth[k];
			s = bs_share_of(marked, 3000);
			held += fabs(s.percent - 100 * truth[k]) <= s.error;
		}
		/* 4 standard deviations of 950 +- 7; the farther end holds it more often. */
		assert_in_range(held, 922, draws);
	}
}

static void disagreement(void **state)
{
	const struct bs_share a = {10, 1}, b = {12.5, 1}, c = {11.9, 1};

	(void)state;
	assert_true(bs_share_disagree(&a, &b));
	assert_true(bs_share_disagree(&b, &a));
	assert_false(bs_share_disagree(&a, &c));
	assert_false(bs_share_disagree(&a, &a));
}

/* Newcombe's own example (his table II, method 10): 56/70 - 48/80 from 0.0524 to 0.3339. */
static void differences(void **state)
{
	struct bs_share d = bs_share_difference(56, 70, 48, 80);

	(void)state;
	near_to(d.percent, 20, 1e-9);
	near_to(d.error, fmax(20 - 5.24, 33.39 - 20), 0.01);
	d = bs_share_difference(48, 80, 56, 70);
	near_to(d.percent, -20, 1e-9);
	near_to(d.error, fmax(20 - 5.24, 33.39 - 20), 0.01);
	d = bs_share_difference(0, 0, 0, 0);
	near_to(d.percent, 0, 0);
	assert_true(d.error >= 100);
}

/* --- where ------------------------------------------------------------------------------------ */

#define SITES 4

struct made {
	struct bs_module m;
	struct bs_site sites[SITES];
	struct bs_stub stubs[SITES];
	bool chosen[SITES];
	struct bs_wheres w;
};

/* Stubs in another order than sites; the last site has none. */
static void made_init(struct made *x)
{
	static const uint64_t probe[SITES] = {0x1000, 0x1010, 0x1100, 0x1200};
	static const uint64_t stub[SITES] = {0x3040, 0x3000, 0x3100, 0};
	static const uint8_t bytes[SITES] = {0x30, 0x40, 0x20, 0};

	memset(x, 0, sizeof(*x));
	for (int i = 0; i < SITES; i++) {
		x->sites[i].probe_vaddr = probe[i];
		x->sites[i].stub_vaddr = stub[i];
		x->stubs[i].bytes = bytes[i];
		x->stubs[i].why = i == 3 ? BS_JUMP_NO_STUB : BS_JUMP_OK;
		x->chosen[i] = true;
	}
	x->m.sites = x->sites;
	x->m.nsites = SITES;
	x->m.runtime.code_vaddr = 0x5000;
	x->m.runtime.code_bytes = 0x800;
	assert_int_equal(bs_wheres_init(&x->w, &x->m, x->stubs), 0);
}

static void expect(const struct made *x, bool traps, uint64_t vaddr, enum bs_where want,
		   size_t want_site)
{
	size_t site = 99;
	enum bs_where where = bs_where(&x->w, x->chosen, traps, vaddr, &site);

	if (where != want ||
	    (want != BS_WHERE_PROGRAM && want != BS_WHERE_RECORD && site != want_site))
		fail_msg("0x%llx%s: %d of site %zu", (unsigned long long)vaddr,
			 traps ? " with traps" : "", where, site);
}

static void places(void **state)
{
	struct made x;

	(void)state;
	made_init(&x);
	for (int traps = 0; traps < 2; traps++) {
		/* Both ends of each stub, of the runtime, and what is beside them. */
		expect(&x, traps, 0x2fff, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x3000, BS_WHERE_STUB, 1);
		expect(&x, traps, 0x303f, BS_WHERE_STUB, 1);
		expect(&x, traps, 0x3040, BS_WHERE_STUB, 0);
		expect(&x, traps, 0x306f, BS_WHERE_STUB, 0);
		expect(&x, traps, 0x3070, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x30ff, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x3100, BS_WHERE_STUB, 2);
		expect(&x, traps, 0x311f, BS_WHERE_STUB, 2);
		expect(&x, traps, 0x3120, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x4fff, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x5000, BS_WHERE_RECORD, 0);
		expect(&x, traps, 0x57ff, BS_WHERE_RECORD, 0);
		expect(&x, traps, 0x5800, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, UINT64_MAX, BS_WHERE_PROGRAM, 0);
		/* The nop in front of a jump is the program's; the jump and a trap are not. */
		expect(&x, traps, 0x1010, traps ? BS_WHERE_SITE : BS_WHERE_PROGRAM, 1);
		expect(&x, traps, 0x1011, BS_WHERE_SITE, 1);
		expect(&x, traps, 0x1012, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x1017, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x0fff, BS_WHERE_PROGRAM, 0);
		/* A site that no jump can light has a trap in any case. */
		expect(&x, traps, 0x1200, BS_WHERE_SITE, 3);
		expect(&x, traps, 0x1201, BS_WHERE_SITE, 3);
	}
	/* What is not lit is a no-op. */
	x.chosen[1] = x.chosen[3] = false;
	for (int traps = 0; traps < 2; traps++) {
		expect(&x, traps, 0x1010, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x1011, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x1200, BS_WHERE_PROGRAM, 0);
		expect(&x, traps, 0x1001, BS_WHERE_SITE, 0);
	}
	bs_wheres_fini(&x.w);
}

static void nothing_lit(void **state)
{
	struct made x;
	size_t site;

	(void)state;
	made_init(&x);
	assert_int_equal(bs_where(&x.w, NULL, true, 0x1000, &site), BS_WHERE_PROGRAM);
	assert_int_equal(bs_where(&x.w, NULL, false, 0x1001, &site), BS_WHERE_PROGRAM);
	assert_int_equal(bs_where(&x.w, NULL, false, 0x3000, &site), BS_WHERE_STUB);
	bs_wheres_fini(&x.w);
}

static void returns(void **state)
{
	struct made x;
	size_t site = 99;

	(void)state;
	made_init(&x);
	assert_true(bs_where_returns(&x.w, 0x3020, &site));
	assert_int_equal(site, 1);
	assert_false(bs_where_returns(&x.w, 0x3000, &site));
	assert_false(bs_where_returns(&x.w, 0x5000, &site));
	assert_false(bs_where_returns(&x.w, 0x1000, &site));
	bs_wheres_fini(&x.w);
}

/*
 * Real files, linked in all ways: each stub's end is where its jump back ends, all entries of the
 * runtime are in its code, and symbols or not make no difference.
 */
static const char *build(void)
{
	const char *b = getenv("BUILD");

	return b ? b : "build";
}

static struct bs_module *module_read(const char *name)
{
	struct bs_module *m = NULL;
	struct bs_error err = {0};
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", build(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (bs_module_read(fd, path, &m, &err))
		fail_msg("%s", err.text);
	return m;
}

static void real_files(void **state)
{
	static const char *const names[] = {"tests/unit/jump-pie", "tests/unit/jump-no-pie",
					    "tests/unit/jump-static", "tests/unit/jump-shared"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bs_module *m = module_read(names[i]);
		struct bs_stub *stubs = bs_stubs_read(m);

		assert_non_null(stubs);
		assert_true(m->nsites > 0);
		for (size_t k = 0; k < m->nsites; k++) {
			uint64_t end = m->sites[k].stub_vaddr + stubs[k].bytes;
			uint8_t code[5];
			int32_t rel;

			assert_int_equal(stubs[k].why, BS_JUMP_OK);
			assert_int_equal(bs_module_read_at(m, end - 5, code, 5), 0);
			assert_int_equal(code[0], 0xe9);
			memcpy(&rel, code + 1, 4);
			assert_true(end + (uint64_t)(int64_t)rel == m->sites[k].probe_vaddr + 7);
		}
		assert_int_equal(m->runtime.code_bytes > 0, i < 3);
		free(stubs);
		bs_module_free(m);
	}
}

/* Whatever only stubs call is in the section: nothing of it is left in .text. */
static void record_path(void **state)
{
	static const char *const inside[] = {"bscope_record", "bscope_record2", "bscope_record3",
					     "bs_record1",    "bs_sampled",	"batch"};
	struct bs_module *m = module_read("libbscope.so");
	uint64_t start, vaddr, offset = m->runtime.batch_offset;
	char line[512], command[600];
	size_t found = 0;
	FILE *nm;

	(void)state;
	assert_true(m->runtime.code_bytes > 0x800);
	assert_true(bs_module_vaddr_find(m, offset, &vaddr));
	start = m->runtime.code_vaddr;
	assert_in_range(vaddr, start, start + m->runtime.code_bytes - 1);
	snprintf(command, sizeof(command), "nm %s/libbscope.so.0", build());
	nm = popen(command, "r");
	assert_non_null(nm);
	while (fgets(line, sizeof(line), nm)) {
		unsigned long long addr;
		char type, name[256];

		if (sscanf(line, "%llx %c %255s", &addr, &type, name) != 3)
			continue;
		name[strcspn(name, "@")] = '\0';
		for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
			if (strcmp(name, inside[i]))
				continue;
			found++;
			if (addr < start || addr >= start + m->runtime.code_bytes)
				fail_msg("%s is outside of the record path", name);
		}
		/* And nothing that runs without a lit site is in it. */
		if (!strcmp(name, "bscope_control") || !strcmp(name, "bs_pool_reserve"))
			assert_true(addr < start || addr >= start + m->runtime.code_bytes);
	}
	assert_int_equal(pclose(nm), 0);
	assert_int_equal(found, sizeof(inside) / sizeof(inside[0]));
	bs_module_free(m);
}

/* --- stacks ----------------------------------------------------------------------------------- */

struct seen {
	char text[256];
};

static int see(void *ctx, const uint64_t *frames, size_t n, const uint64_t count[BS_PROFILE_PHASES])
{
	struct seen *s = ctx;
	size_t at = strlen(s->text);

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(s->text + at, sizeof(s->text) - at, "%s%llu", i ? ";" : "",
				       (unsigned long long)frames[i]);
	snprintf(s->text + at, sizeof(s->text) - at, " %llu %llu\n", (unsigned long long)count[0],
		 (unsigned long long)count[1]);
	return 0;
}

static int stop(void *ctx, const uint64_t *frames, size_t n,
		const uint64_t count[BS_PROFILE_PHASES])
{
	(void)frames;
	(void)n;
	(void)count;
	++*(int *)ctx;
	return -ECANCELED;
}

static void stacks(void **state)
{
	static const uint64_t a[] = {1, 2, 3}, b[] = {1, 2}, c[] = {1, 2, 4}, d[] = {2, 1};
	struct bs_profile *p = bs_profile_new();
	struct seen seen = {""};
	int calls = 0;

	(void)state;
	assert_non_null(p);
	assert_int_equal(bs_profile_add(p, a, 3, 1, true), 0);
	assert_int_equal(bs_profile_add(p, b, 2, 1, false), 0);
	assert_int_equal(bs_profile_add(p, a, 3, 0, false), 0);
	assert_int_equal(bs_profile_add(p, c, 3, 1, true), 0);
	assert_int_equal(bs_profile_add(p, a, 3, 1, true), 0);
	assert_int_equal(bs_profile_add(p, d, 2, 0, false), 0);
	assert_int_equal(bs_profile_samples(p, 0), 2);
	assert_int_equal(bs_profile_samples(p, 1), 4);
	assert_int_equal(bs_profile_marked(p, 0), 0);
	assert_int_equal(bs_profile_marked(p, 1), 3);
	assert_int_equal(bs_profile_cut(p), 0);
	assert_int_equal(bs_profile_each(p, see, &seen), 0);
	assert_string_equal(seen.text, "1;2 0 1\n1;2;3 1 2\n1;2;4 0 1\n2;1 1 0\n");
	assert_int_equal(bs_profile_each(p, stop, &calls), -ECANCELED);
	assert_int_equal(calls, 1);
	bs_profile_free(p);
}

/* A program that makes up return addresses: memory is bounded, and no sample is lost. */
static void endless(void **state)
{
	struct bs_profile *p = bs_profile_new();
	uint64_t frames[127], next = 1;
	unsigned n = BS_PROFILE_NODES / 127 + 1000;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		for (size_t k = 0; k < 127; k++)
			frames[k] = next++;
		assert_int_equal(bs_profile_add(p, frames, 127, 1, i % 2), 0);
	}
	assert_int_equal(bs_profile_samples(p, 1), n);
	assert_int_equal(bs_profile_marked(p, 1), n / 2);
	assert_in_range(bs_profile_cut(p), 999, 1002);
	bs_profile_free(p);
}

/* --- where files are mapped ------------------------------------------------------------------- */

/* As many mappings as a process may have: of two files, of others, and not for execution. */
static void spans(void **state)
{
	enum { N = 65530 };
	struct bs_mapping *all = calloc(N, sizeof(*all));
	struct bs_maps maps = {.v = all, .n = N};
	struct bs_index by_file = {0};
	struct bs_span *v = NULL;
	size_t n = 0, expected = 0;

	(void)state;
	assert_non_null(all);
	for (size_t i = 0; i < N; i++)
		all[i] = (struct bs_mapping){
			.start = 0x10000 + i * 0x3000,
			.end = 0x10000 + i * 0x3000 + (i % 2 ? 0x3000 : 0x1000),
			.offset = i * 8,
			.dev = 7,
			.ino = 100 + i % 5,
			.exec = i % 3,
		};
	assert_int_equal(bs_index_set(&by_file, 7, 101, 1), 0);
	assert_int_equal(bs_index_set(&by_file, 7, 103, 9), 0);
	assert_int_equal(bs_index_set(&by_file, 8, 102, 3), 0);
	for (int round = 0; round < 2; round++)
		assert_int_equal(bs_spans_make(&maps, &by_file, &v, &n), 0);
	for (size_t i = 0; i < N; i++) {
		const bool ours = all[i].exec && (all[i].ino == 101 || all[i].ino == 103);
		const struct bs_span *first = bs_spans_find(v, n, all[i].start);

		expected += ours;
		assert_true(first == bs_spans_find(v, n, all[i].end - 1));
		assert_int_equal(first != NULL, ours);
		if (first) {
			assert_int_equal(first->start, all[i].start);
			assert_int_equal(first->offset, all[i].offset);
			assert_int_equal(first->file, all[i].ino == 101 ? 0 : 8);
		}
		if (!(i % 2))
			assert_null(bs_spans_find(v, n, all[i].end));
	}
	assert_int_equal(n, expected);
	assert_null(bs_spans_find(v, n, 0));
	assert_null(bs_spans_find(v, n, UINT64_MAX));
	assert_null(bs_spans_find(v, 0, all[1].start));
	free(v);
	free(all);
	bs_index_fini(&by_file);
}

/* --- the kernel's names ----------------------------------------------------------------------- */

static void kernel_names(void **state)
{
	static const char text[] = "ffffffff81000200 T second\n"
				   "ffffffff81000000 T _text\n"
				   "0000000000000000 T hidden\n"
				   "ffffffff81000100 t first\n"
				   "ffffffff81000180 D data\n"
				   "nonsense\n"
				   "ffffffffc0000000 t in_module\t[ext4]\n";
	FILE *in = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");
	struct bs_kernel_symbols *k = bs_kernel_symbols_new(in);

	(void)state;
	fclose(in);
	assert_non_null(k);
	assert_null(bs_kernel_symbols_find(k, 0xffffffff80ffffffu));
	assert_string_equal(bs_kernel_symbols_find(k, 0xffffffff81000000u), "_text");
	assert_string_equal(bs_kernel_symbols_find(k, 0xffffffff8100017fu), "first");
	assert_null(bs_kernel_symbols_find(k, 0xffffffff810001ffu));
	assert_string_equal(bs_kernel_symbols_find(k, 0xffffffff81000200u), "second");
	assert_string_equal(bs_kernel_symbols_find(k, 0xffffffffc0000010u), "in_module");
	assert_null(bs_kernel_symbols_find(NULL, 0xffffffff81000200u));
	bs_kernel_symbols_free(k);
}

/* Behind the kernel's text, between modules, and behind the last program there are no functions. */
static void kernel_gaps(void **state)
{
	static const char text[] = "ffffffff81000000 T _text\n"
				   "ffffffff81003000 t last\n"
				   "ffffffff81008010 T _etext\n"
				   "ffffffff81400000 T first_init\n"
				   "ffffffff81400800 T _einittext\n"
				   "ffffffffa0000000 t module_one\t[one]\n"
				   "ffffffffa0002100 t module_one_end\t[one]\n"
				   "ffffffffa0002000 t module_one_more\t[one]\n"
				   "ffffffffa0010000 t module_two\t[two]\n"
				   "ffffffffa0020000 t bpf_prog_1\t[bpf]\n"
				   "ffffffffa0020140 t bpf_prog_2\t[bpf]\n"
				   "ffffffffa0030000 t bpf_prog_3\t[bpf]\n";
	static const struct {
		uint64_t addr;
		const char *name;
	} all[] = {
		{0xffffffff81007fff, "last"},
		{0xffffffff8100800f, "last"},
		{0xffffffff81008010, NULL},
		{0xffffffff813fffff, NULL},
		{0xffffffff81400000, "first_init"},
		{0xffffffff81400800, NULL},
		{0xffffffff9fffffff, NULL},
		{0xffffffffa0001fff, "module_one"},
		{0xffffffffa00020ff, "module_one_more"},
		{0xffffffffa0002fff, "module_one_end"},
		{0xffffffffa0003000, NULL},
		{0xffffffffa0010fff, "module_two"},
		{0xffffffffa0011000, NULL},
		{0xffffffffa002013f, "bpf_prog_1"},
		{0xffffffffa0020fff, "bpf_prog_2"},
		{0xffffffffa0021000, NULL},
		{0xffffffffa0030fff, "bpf_prog_3"},
		{0xffffffffa0031000, NULL},
		{0xffffffffffffffff, NULL},
	};
	FILE *in = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");
	struct bs_kernel_symbols *k = bs_kernel_symbols_new(in);

	(void)state;
	fclose(in);
	assert_non_null(k);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const char *name = bs_kernel_symbols_find(k, all[i].addr);

		if (!name != !all[i].name || (name && strcmp(name, all[i].name)))
			fail_msg("%zu: %s is not %s", i, name ? name : "nothing",
				 all[i].name ? all[i].name : "nothing");
	}
	bs_kernel_symbols_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares),	cmocka_unit_test(share_holds),
		cmocka_unit_test(disagreement), cmocka_unit_test(differences),
		cmocka_unit_test(places),	cmocka_unit_test(nothing_lit),
		cmocka_unit_test(returns),	cmocka_unit_test(real_files),
		cmocka_unit_test(record_path),	cmocka_unit_test(stacks),
		cmocka_unit_test(endless),	cmocka_unit_test(spans),
		cmocka_unit_test(kernel_names), cmocka_unit_test(kernel_gaps),
	};

	return cmocka_run_group_tests_name("overhead", tests, NULL, NULL);
}
