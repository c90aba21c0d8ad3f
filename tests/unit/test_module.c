// SPDX-License-Identifier: GPL-2.0-only
/* test_module.c - the sites of one file: what a good one gives, and what liars get. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/error.h"
#include "elf_image.h"
#include "target/module.h"

static struct bs_module *read_bytes(const void *bytes, size_t size)
{
	int fd = img_file(bytes, size);
	struct bs_error err = {0};
	struct bs_module *m = NULL;
	int ret = bs_module_read(fd, "/bin/thing", &m, &err);

	if (ret) {
		/* The descriptor is still ours. */
		assert_int_equal(close(fd), 0);
		assert_int_equal(err.code, ret);
		assert_true(strlen(err.text) > 0);
		return NULL;
	}
	return m;
}

static struct bs_module *read_image(const struct img *m)
{
	struct bs_module *module = read_bytes(m->b, sizeof(m->b));

	assert_non_null(module);
	return module;
}

static void good(void **state)
{
	static struct img img;
	struct bs_module *m;
	struct bs_site *s;
	struct stat st;
	uint64_t start = 0;

	(void)state;
	img_good(&img);
	m = read_image(&img);
	assert_string_equal(m->path, "/bin/thing");
	assert_int_equal(fstat(m->fd, &st), 0);
	assert_true(st.st_ino == m->ino && st.st_dev == m->dev);
	assert_int_equal(m->nskipped, 0);
	assert_string_equal(m->skipped, "");
	assert_int_equal(m->nsites, 2);

	s = &m->sites[0];
	assert_true(s->probe_vaddr == 0x402810);
	assert_int_equal(s->probe_offset, 0x410);
	assert_true(s->stub_vaddr == 0x4029f0);
	assert_true(s->record_vaddr == 0x405120);
	assert_int_equal(s->semaphore_offset, 0x900);
	assert_string_equal(s->klass, "conn");
	assert_string_equal(s->name, "c");
	assert_string_equal(s->file, "src/conn.c");
	assert_string_equal(s->function, "open_conn");
	assert_int_equal(s->line, 10);
	assert_int_equal(s->kind, BSCOPE_KIND_NEW);
	assert_int_equal(s->nargs, 2);
	assert_int_equal(s->flags, BSCOPE_SITE_SIZED);
	assert_int_equal(s->spec.where[0], BS_ARG_REG);
	assert_int_equal(s->spec.reg[0], IMG_REG2);
	assert_int_equal(s->spec.where[1], BS_ARG_CONST);
	assert_int_equal(s->spec.value[1], 64);
	assert_int_equal(s->spec.where[2], BS_ARG_NONE);

	s = &m->sites[1];
	assert_true(s->probe_vaddr == 0x402880);
	assert_string_equal(s->name, "c->next");
	assert_string_equal(s->function, "close_conn");
	assert_int_equal(s->kind, BSCOPE_KIND_DROP);
	assert_int_equal(s->spec.reg[0], IMG_REG1);

	assert_string_equal(bs_module_function_find(m, 0x43f, &start), "open_conn");
	assert_int_equal(start, 0x400);
	assert_string_equal(bs_module_function_find(m, 0x440, &start), "close_conn");
	assert_int_equal(start, 0x440);
	assert_null(bs_module_function_find(m, 0x4a0, &start));
	assert_null(bs_module_function_find(m, 0x600, NULL));
	assert_null(bs_module_function_find(m, UINT64_MAX, NULL));
	bs_module_free(m);
	bs_module_free(NULL);
}

/* A program without sites, and one without section headers. */
static void none(void **state)
{
	static struct img img;
	struct bs_module *m;

	(void)state;
	img_init(&img);
	m = read_image(&img);
	assert_int_equal(m->nsites, 0);
	assert_int_equal(m->nskipped, 0);
	bs_module_free(m);
	img_good(&img);
	img_ehdr(&img)->e_shoff = 0;
	img_ehdr(&img)->e_shnum = 0;
	m = read_image(&img);
	assert_int_equal(m->nsites, 0);
	assert_int_equal(m->nskipped, 0);
	bs_module_free(m);
}

static void stripped(void **state)
{
	static struct img img;
	struct bs_module *m;

	(void)state;
	img_good(&img);
	img_shdr(&img, IMG_SH_SYMTAB)->sh_type = SHT_NULL;
	m = read_image(&img);
	assert_int_equal(m->nsites, 2);
	assert_null(m->sites[0].function);
	assert_string_equal(m->sites[0].klass, "conn");
	bs_module_free(m);
}

/* The image has two good sites of which the change spoils so many; says is in the reason. */
static void expect(const struct img *img, size_t nsites, size_t nskipped, const char *says)
{
	struct bs_module *m = read_image(img);

	assert_int_equal(m->nsites, nsites);
	assert_int_equal(m->nskipped, nskipped);
	if (!strstr(m->skipped, says))
		fail_msg("\"%s\" does not say \"%s\"", m->skipped, says);
	bs_module_free(m);
}

static void bad_records(void **state)
{
	static struct img img;

	(void)state;
	img_good(&img);
	img_record(&img, 0)->abi = 2;
	expect(&img, 1, 2, "newer bscope-trace");
	img_good(&img);
	img_record(&img, 0)->abi = 0;
	expect(&img, 1, 2, "damaged");
	img_good(&img);
	img_record(&img, 0)->kind = 0;
	expect(&img, 1, 2, "no such kind");
	img_good(&img);
	img_record(&img, 0)->kind = BSCOPE_KIND_END;
	expect(&img, 1, 2, "no such kind");
	img_good(&img);
	img_record(&img, 0)->nargs = 0;
	expect(&img, 1, 2, "number of operands");
	img_good(&img);
	img_record(&img, 0)->nargs = 4;
	expect(&img, 1, 2, "number of operands");
	img_good(&img);
	img_record(&img, 1)->nargs = 1; /* SIZED */
	expect(&img, 1, 2, "too few operands");
	img_good(&img);
	img_record(&img, 0)->nargs = 2; /* its note has one */
	expect(&img, 1, 1, "more operands than its note");
	img_good(&img);
	img_record(&img, 0)->kind = BSCOPE_KIND_RELEASE;
	expect(&img, 1, 1, "says release, its note says drop");
	img_good(&img);
	img_record(&img, 0)->probe += 0x10000000;
	expect(&img, 1, 2, "no code");
	img_good(&img);
	img_record(&img, 0)->probe = (int32_t)(IMG_DATA - IMG_DATA) + 4; /* data */
	expect(&img, 1, 2, "no code");
	img_good(&img);
	img_record(&img, 0)->stub = INT32_MIN;
	expect(&img, 1, 2, "no code");
	img_good(&img);
	img_record(&img, 0)->probe += 1; /* code, but no note says so */
	expect(&img, 1, 2, "has no note");
	img_good(&img);
	img_record(&img, 0)->probe = img_record(&img, 1)->probe + 32;
	img_record(&img, 0)->kind = BSCOPE_KIND_NEW;
	expect(&img, 1, 2, "shares its probe");
	img_good(&img);
	img.b[IMG_TEXT_OFF + 0x80] = 0xc3;
	expect(&img, 1, 1, "no nop");
	/* Flags that this version does not know are not passed on. */
	img_good(&img);
	img_record(&img, 0)->flags = 0x80;
	struct bs_module *m = read_image(&img);
	assert_int_equal(m->nsites, 2);
	assert_int_equal(m->sites[1].flags, 0);
	bs_module_free(m);
	/* No stub is a site that traps alone can light. */
	img_good(&img);
	img_record(&img, 0)->stub = 0;
	m = read_image(&img);
	assert_int_equal(m->nsites, 2);
	assert_true(m->sites[1].stub_vaddr == 0);
	bs_module_free(m);
}

static void bad_strings(void **state)
{
	static struct img img;

	(void)state;
	img_good(&img);
	img_record(&img, 0)->klass = INT32_MAX;
	expect(&img, 1, 2, "outside of the file");
	img_good(&img);
	img_record(&img, 0)->name = INT32_MIN;
	expect(&img, 1, 2, "outside of the file");
	/* Up to the last byte of its segment, without a terminator there. */
	img_good(&img);
	memset(img_at(&img, IMG_RODATA_OFF + 0x1f0), 'e', 0x10);
	img_record(&img, 0)->file = (int32_t)(IMG_RODATA + 0x1f0 - (IMG_DATA + 16));
	expect(&img, 1, 1, "does not end");
	/* An empty class is none; an empty name is allowed. */
	img_good(&img);
	img_record(&img, 0)->klass = (int32_t)(IMG_RODATA + 0x1f0 - (IMG_DATA + 8));
	expect(&img, 1, 1, "has no class");
	img_good(&img);
	img_record(&img, 0)->name = (int32_t)(IMG_RODATA + 0x1f0 - (IMG_DATA + 12));
	expect(&img, 2, 0, "");
}

static void bad_notes(void **state)
{
	static struct img img;
	char *args;

	(void)state;
	/* Somebody else's probes of that name. */
	img_good(&img);
	img_note(&img, IMG_TEXT + 0x100, IMG_BASE, 0, "bscope", "use", IMG_ARGS1);
	expect(&img, 2, 1, "bscope:use at 0x402900 has no record");
	/* The runtime's own probes are no sites. */
	img_good(&img);
	img_note(&img, IMG_TEXT + 0x100, IMG_BASE, 0, "bscope", "batch", IMG_ARGS1);
	img_note(&img, IMG_TEXT + 0x110, IMG_BASE, 0, "bscope", "stack", "");
	expect(&img, 2, 0, "");
	/* A semaphore that is not in the file, or in text. */
	img_good(&img);
	img_phdr(&img, 2)->p_filesz = 0x300;
	expect(&img, 0, 2, "semaphore");
	img_good(&img);
	img.b[IMG_NOTES_OFF + 20 + 16 + 1] = 0x28; /* 0x4054.. becomes 0x4028..: text */
	expect(&img, 1, 1, "semaphore");
	/* An operand that cannot be read. */
	img_good(&img);
	args = memmem(img.b + IMG_NOTES_OFF, img.notes, "new\0", 4);
	memcpy(args + 4, "4@", 2);
	expect(&img, 1, 1, "part of a register");
	/* No notes at all; no records at all. */
	img_good(&img);
	img_shdr(&img, IMG_SH_NOTES)->sh_type = SHT_PROGBITS;
	expect(&img, 0, 2, "has no note");
	img_good(&img);
	img_shdr(&img, IMG_SH_SITES)->sh_name = 0;
	expect(&img, 0, 2, "has no record");
}

static void bad_sections(void **state)
{
	static struct img img;

	(void)state;
	img_good(&img);
	img_shdr(&img, IMG_SH_SITES)->sh_type = SHT_NOBITS;
	expect(&img, 0, 3, "no contents");
	img_good(&img);
	img_shdr(&img, IMG_SH_SITES)->sh_flags = 0;
	expect(&img, 0, 3, "no contents");
	img_good(&img);
	img_shdr(&img, IMG_SH_SITES)->sh_size = UINT64_MAX;
	expect(&img, 0, 3, "overlap");
	img_good(&img);
	img_shdr(&img, IMG_SH_SITES)->sh_addr = UINT64_MAX - 8;
	expect(&img, 0, 3, "no contents");
	img_good(&img);
	img_shdr(&img, IMG_SH_SITES)->sh_size += 5;
	expect(&img, 2, 1, "part of a record");
	/* The same records under two headers: each probe counts once. */
	img_good(&img);
	*img_shdr(&img, IMG_SH_TEXT) = *img_shdr(&img, IMG_SH_SITES);
	expect(&img, 2, 2, "shares its probe");
}

static void errors(void **state)
{
	struct bs_error err = {0};
	static struct img img;
	struct bs_module *m = NULL;
	int fd;

	(void)state;
	img_good(&img);
	img_ehdr(&img)->e_machine = EM_RISCV;
	fd = img_file(img.b, sizeof(img.b));
	assert_int_equal(bs_module_read(fd, "/bin/x", &m, &err), -EXDEV);
	assert_non_null(strstr(err.text, "/bin/x: made for RISC-V"));
	assert_null(m);
	close(fd);
}

/* What a site must be, whatever the file says. */
static void check_sane(const struct bs_module *m)
{
	for (size_t i = 0; i < m->nsites; i++) {
		const struct bs_site *s = &m->sites[i];

		assert_true(i == 0 || s->probe_vaddr > s[-1].probe_vaddr);
		assert_true(s->probe_offset < IMG_SIZE && s->semaphore_offset < IMG_SIZE);
		assert_true(s->kind > 0 && s->kind < BSCOPE_KIND_END);
		assert_true(s->nargs >= 1 && s->nargs <= BSCOPE_MAX_ARGS);
		assert_true(strlen(s->klass) > 0 && strlen(s->klass) <= 4096);
		assert_true(strlen(s->name) <= 4096 && strlen(s->file) <= 4096);
		assert_true(!s->function || strlen(s->function) <= 1024);
		for (unsigned k = 0; k < 3; k++) {
			if (k < s->nargs)
				assert_true(s->spec.where[k] == BS_ARG_CONST ||
					    s->spec.where[k] == BS_ARG_REG);
			else
				assert_int_equal(s->spec.where[k], BS_ARG_NONE);
			assert_true(s->spec.reg[k] <= 248);
		}
		bs_module_function_find(m, s->probe_offset, NULL);
	}
}

static void truncated(void **state)
{
	static struct img img;

	(void)state;
	img_good(&img);
	for (size_t size = 0; size < IMG_SIZE; size++) {
		struct bs_module *m = read_bytes(img.b, size);

		/* Section headers come last: without them no site can be found. */
		if (size < IMG_SH_OFF + IMG_SH_COUNT * sizeof(Elf64_Shdr))
			assert_null(m);
		if (m)
			check_sane(m);
		bs_module_free(m);
	}
}

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void flipped(void **state)
{
	static struct img img;
	size_t survived = 0, reduced = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct bs_module *m;

		img_good(&img);
		for (unsigned k = 0; k <= i % 4; k++) {
			uint64_t r = rnd();

			img.b[(r >> 8) % IMG_SIZE] ^= (unsigned char)(1u << (r & 7));
		}
		m = read_bytes(img.b, sizeof(img.b));
		if (!m)
			continue;
		check_sane(m);
		survived++;
		reduced += m->nsites < 2;
		bs_module_free(m);
	}
	/* The damage does reach what is read, and does not always end it. */
	assert_true(survived > 1000 && reduced > 500);
}

/* Damage where it hurts: whole words of headers, records and notes take odd values. */
static void odd_words(void **state)
{
	static const uint64_t odd[] = {
		0,	    1,		0x7f,	    0xff,	  0x7fff,     0xffff,
		0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,	  UINT64_MAX, UINT64_MAX - 7,
		IMG_TEXT,   IMG_DATA,	IMG_SIZE,   IMG_SIZE - 1, 1ull << 32, 1ull << 63,
	};
	static struct img img;

	(void)state;
	img_good(&img);
	for (size_t at = 0; at + 8 <= IMG_SIZE; at += 4) {
		/* Only where there is something. */
		if (at >= IMG_NOTES_OFF + img.notes && at < IMG_SYM_OFF)
			continue;
		for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
			struct bs_module *m;

			img_good(&img);
			memcpy(img.b + at, &odd[i], i & 1 ? 8 : 4);
			m = read_bytes(img.b, sizeof(img.b));
			if (m)
				check_sane(m);
			bs_module_free(m);
		}
	}
}

/* --- the runtime: its two probes and its control block -----------------------------------------
 */

#define RT_BATCH  0x60u /* of text */
#define RT_BUFFER 0x70u

/* 0 in a member: as it should be, else what is wrong with it. */
struct wrong {
	uint64_t batch, buffer, semaphore;
	bool no_batch, no_buffer, no_nop, no_buffer_nop;
	const char *provider;
};

static struct bs_module *with_runtime(struct img *img, bool sites, const struct wrong *w)
{
	uint64_t semaphore = w->semaphore ? w->semaphore : IMG_SEM + 0x20;
	const char *provider = w->provider ? w->provider : "bscope";

	if (sites)
		img_good(img);
	else
		img_init(img);
	if (!w->no_nop)
		img_nop(img, RT_BATCH);
	if (!w->no_buffer_nop)
		img_nop(img, RT_BUFFER);
	if (!w->no_batch)
		img_note(img, w->batch ? w->batch : IMG_TEXT + RT_BATCH, IMG_BASE, semaphore,
			 provider, "batch", "8@%rdi 8@%rsi");
	if (!w->no_buffer)
		img_note(img, w->buffer ? w->buffer : IMG_TEXT + RT_BUFFER, IMG_BASE, semaphore,
			 provider, "buffer", "8@%rdi 8@%rsi");
	return read_image(img);
}

static void runtime(void **state)
{
	static struct img img;

	(void)state;
	for (unsigned sites = 0; sites < 2; sites++) {
		struct bs_module *m = with_runtime(&img, sites, &(struct wrong){0});
		uint64_t vaddr = 0;
		char byte = 0;

		assert_int_equal(m->nsites, sites ? 2 : 0);
		/* The probes are no sites that lack their record. */
		assert_int_equal(m->nskipped, 0);
		assert_int_equal(m->runtime.batch_offset, IMG_TEXT_OFF + RT_BATCH);
		assert_int_equal(m->runtime.buffer_offset, IMG_TEXT_OFF + RT_BUFFER);
		assert_int_equal(m->runtime.semaphore_offset, IMG_SEM_OFF + 0x20);
		assert_true(m->runtime.control_vaddr == IMG_SEM + 0x20);

		assert_true(bs_module_vaddr_find(m, IMG_TEXT_OFF + RT_BATCH, &vaddr));
		assert_true(vaddr == IMG_TEXT + RT_BATCH);
		assert_false(bs_module_vaddr_find(m, IMG_DATA_OFF, &vaddr)); /* no code */
		assert_false(bs_module_vaddr_find(m, UINT64_MAX, &vaddr));

		assert_int_equal(bs_module_read_at(m, IMG_TEXT + RT_BATCH, &byte, 1), 0);
		assert_memory_equal(&byte, &img.b[IMG_TEXT_OFF + RT_BATCH], 1);
		assert_int_equal(bs_module_read_at(m, IMG_TEXT + IMG_TEXT_SIZE - 1, &byte, 1), 0);
		assert_int_equal(bs_module_read_at(m, IMG_TEXT + IMG_TEXT_SIZE, &byte, 1),
				 -ENOEXEC);
		assert_int_equal(bs_module_read_at(m, IMG_TEXT + IMG_TEXT_SIZE - 1, &byte, 2),
				 -ENOEXEC);
		assert_int_equal(bs_module_read_at(m, 0, &byte, 1), -ENOEXEC);
		assert_int_equal(bs_module_read_at(m, UINT64_MAX, &byte, 1), -ENOEXEC);
		bs_module_free(m);
	}
}

static void no_runtime(void **state)
{
	static const struct wrong wrong[] = {
		{.no_batch = true},
		{.no_buffer = true},
		{.no_batch = true, .no_buffer = true},
		{.no_nop = true},
		{.no_buffer_nop = true},
		{.batch = IMG_DATA},
		{.buffer = IMG_DATA},
		{.batch = IMG_TEXT + IMG_TEXT_SIZE},
		{.buffer = 1},
		{.semaphore = IMG_TEXT + 8},   /* cannot be written */
		{.semaphore = IMG_RODATA + 8}, /* nor this */
		{.semaphore = UINT64_MAX},
		{.provider = "bscop"},
		{.provider = "bscope2"},
	};
	static struct img img;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct bs_module *m = with_runtime(&img, true, &wrong[i]);

		assert_int_equal(m->nsites, 2);
		assert_int_equal(m->runtime.batch_offset, 0);
		bs_module_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),		cmocka_unit_test(none),
		cmocka_unit_test(stripped),	cmocka_unit_test(bad_records),
		cmocka_unit_test(bad_strings),	cmocka_unit_test(bad_notes),
		cmocka_unit_test(bad_sections), cmocka_unit_test(errors),
		cmocka_unit_test(truncated),	cmocka_unit_test(flipped),
		cmocka_unit_test(odd_words),	cmocka_unit_test(runtime),
		cmocka_unit_test(no_runtime),
	};

	return cmocka_run_group_tests_name("module", tests, NULL, NULL);
}
