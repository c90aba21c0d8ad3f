// SPDX-License-Identifier: GPL-2.0-only
/* test_sites.c - numbers of sites, places and classes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bscope/abi.h"
#include "target/filter.h"
#include "target/module.h"
#include "target/sites.h"

static struct bs_site make(uint64_t vaddr, unsigned kind, const char *klass, const char *name,
			   const char *file, uint32_t line)
{
	return (struct bs_site){.probe_vaddr = vaddr,
				.kind = (uint8_t)kind,
				.klass = klass,
				.name = name,
				.file = file,
				.line = line,
				.nargs = 1};
}

static void numbers(void **state)
{
	struct bs_site a[] = {
		make(0x10, BSCOPE_KIND_NEW, "conn", "c", "a.c", 1),
		make(0x20, BSCOPE_KIND_DROP, "conn", "c", "a.c", 2),
		/* The same place as the first, inlined. */
		make(0x30, BSCOPE_KIND_NEW, "conn", "c", "a.c", 1),
		/* Two on one line; other kind, name, file, class each. */
		make(0x40, BSCOPE_KIND_NEW, "conn", "d", "a.c", 1),
		make(0x50, BSCOPE_KIND_USE, "conn", "c", "a.c", 1),
		make(0x60, BSCOPE_KIND_NEW, "conn", "c", "b.c", 1),
		make(0x70, BSCOPE_KIND_NEW, "buf", "c", "a.c", 1),
	};
	struct bs_site b[] = {make(0x10, BSCOPE_KIND_NEW, "conn", "c", "a.c", 1)};
	struct bs_module ma = {.path = "/bin/a", .sites = a, .nsites = 7};
	struct bs_module mb = {.path = "/lib/b.so", .sites = b, .nsites = 1};
	struct bs_module empty = {.path = "/lib/c.so"};
	struct bs_sites *s = bs_sites_new();
	const struct bs_place *p;
	uint32_t first, n;

	(void)state;
	a[2].function = "inlined";
	assert_int_equal(bs_sites_count(s), 0);
	assert_null(bs_sites_get(s, 0));
	assert_null(bs_sites_get(s, 1));
	assert_null(bs_places_get(s, 1));
	assert_null(bs_classes_get(s, 1));
	assert_int_equal(bs_sites_add(s, &ma, NULL, &first, &n), 0);
	assert_int_equal(first, 1);
	assert_int_equal(n, 7);
	assert_int_equal(bs_sites_add(s, &empty, NULL, &first, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(bs_sites_add(s, &mb, NULL, &first, &n), 0);
	assert_int_equal(first, 8);
	assert_int_equal(n, 1);
	assert_int_equal(bs_sites_count(s), 8);
	assert_int_equal(bs_places_count(s), 7);
	assert_int_equal(bs_classes_count(s), 2);
	assert_null(bs_sites_get(s, 0));
	assert_null(bs_sites_get(s, 9));
	assert_null(bs_places_get(s, 0));
	assert_null(bs_places_get(s, 8));
	assert_null(bs_classes_get(s, 0));
	assert_null(bs_classes_get(s, 3));
	assert_null(bs_sites_get(s, UINT32_MAX));

	assert_ptr_equal(bs_sites_get(s, 3)->site, &a[2]);
	assert_ptr_equal(bs_sites_get(s, 8)->module, &mb);
	assert_int_equal(bs_sites_get(s, 1)->place, bs_sites_get(s, 3)->place);
	/* Another binary is another place, with the same class. */
	assert_int_not_equal(bs_sites_get(s, 1)->place, bs_sites_get(s, 8)->place);
	p = bs_places_get(s, bs_sites_get(s, 8)->place);
	assert_string_equal(p->binary, "/lib/b.so");
	assert_int_equal(p->klass_id, bs_places_get(s, bs_sites_get(s, 1)->place)->klass_id);
	p = bs_places_get(s, bs_sites_get(s, 1)->place);
	assert_string_equal(p->binary, "/bin/a");
	assert_string_equal(p->klass, "conn");
	assert_string_equal(p->name, "c");
	assert_string_equal(p->file, "a.c");
	assert_string_equal(p->function, "inlined");
	assert_int_equal(p->line, 1);
	assert_int_equal(p->kind, BSCOPE_KIND_NEW);
	assert_true(p->lit);
	assert_int_equal(p->naddresses, 2);
	assert_int_equal(p->addresses[0], 0x10);
	assert_int_equal(p->addresses[1], 0x30);
	assert_string_equal(bs_classes_get(s, p->klass_id), "conn");
	bs_sites_free(s);
	bs_sites_free(NULL);
}

static void filtered(void **state)
{
	struct bs_site a[] = {
		make(0x10, BSCOPE_KIND_NEW, "conn", "c", "a.c", 1),
		make(0x20, BSCOPE_KIND_DROP, "conn", "c", "a.c", 2),
	};
	struct bs_module m = {.path = "/bin/a", .sites = a, .nsites = 2};
	struct bs_sites *s = bs_sites_new();
	struct bs_filter *f = NULL;
	uint32_t first, n;

	(void)state;
	assert_int_equal(bs_filter_add(&f, "kind=drop", NULL), 0);
	assert_int_equal(bs_sites_add(s, &m, f, &first, &n), 0);
	assert_int_equal(n, 2);
	assert_false(bs_sites_get(s, 1)->chosen);
	assert_true(bs_sites_get(s, 2)->chosen);
	assert_false(bs_places_get(s, bs_sites_get(s, 1)->place)->lit);
	assert_true(bs_places_get(s, bs_sites_get(s, 2)->place)->lit);
	bs_filter_free(f);
	bs_sites_free(s);
}

/* Many places and classes: the tables grow, numbers stay dense and right. */
static void many(void **state)
{
	enum { N = 20000 };
	struct bs_site *v = calloc(N, sizeof(*v));
	char(*names)[16] = calloc(N, sizeof(*names));
	struct bs_module m = {.path = "/bin/a", .sites = v, .nsites = N};
	struct bs_sites *s = bs_sites_new();
	uint32_t first, n;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "k%u", i % 700);
		v[i] = make(i, BSCOPE_KIND_NEW, names[i], "x", "f.c", i / 2);
	}
	assert_int_equal(bs_sites_add(s, &m, NULL, &first, &n), 0);
	assert_int_equal(n, N);
	assert_int_equal(bs_classes_count(s), 700);
	assert_int_equal(bs_places_count(s), N);
	for (unsigned i = 0; i < N; i++) {
		const struct bs_place *p = bs_places_get(s, bs_sites_get(s, i + 1)->place);

		assert_int_equal(p->line, i / 2);
		assert_string_equal(p->klass, names[i]);
		assert_string_equal(bs_classes_get(s, p->klass_id), names[i]);
	}
	bs_sites_free(s);
	free(names);
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(filtered),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests_name("sites", tests, NULL, NULL);
}
