// SPDX-License-Identifier: GPL-2.0-only
/* test_elf.c - the ELF reader: headers, addresses, symbols, notes; good files and lies. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "elf_image.h"
#include "target/elf.h"
#include "target/stapsdt.h"
#include "target/strings.h"

static int open_image(struct bs_elf *e, const struct img *m)
{
	int fd = img_file(m->b, sizeof(m->b));
	int ret = bs_elf_init(e, fd, "image", NULL);

	if (ret)
		close(fd);
	return ret;
}

static void close_image(struct bs_elf *e)
{
	close(e->fd);
	bs_elf_fini(e);
}

static void headers(void **state)
{
	static struct img m;
	struct bs_elf e;

	(void)state;
	img_good(&m);
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(e.nsections, IMG_SH_COUNT);
	assert_int_equal(e.nsegments, 3);
	assert_true(bs_elf_section_is(&e, &e.sections[IMG_SH_SITES], "bscope_sites"));
	assert_false(bs_elf_section_is(&e, &e.sections[IMG_SH_SITES], "bscope_site"));
	assert_true(e.sections[IMG_SH_SITES].addr == IMG_DATA);
	close_image(&e);
}

static void addresses(void **state)
{
	static struct img m;
	struct bs_elf e;
	uint64_t at, room;

	(void)state;
	img_good(&m);
	/* Zeros behind the file's part, as .bss is; segments in no order. */
	img_phdr(&m, 2)->p_memsz = 0x1000;
	Elf64_Phdr swap = *img_phdr(&m, 0);
	*img_phdr(&m, 0) = *img_phdr(&m, 2);
	*img_phdr(&m, 2) = swap;
	assert_int_equal(open_image(&e, &m), 0);
	assert_true(bs_elf_offset_find(&e, IMG_TEXT + 0x10, PF_X, &at, &room));
	assert_int_equal(at, 0x410);
	assert_int_equal(room, 0x1f0);
	assert_true(bs_elf_offset_find(&e, IMG_TEXT + 0x1ff, 0, &at, &room));
	assert_int_equal(room, 1);
	assert_false(bs_elf_offset_find(&e, IMG_TEXT + 0x200, 0, &at, NULL));
	assert_false(bs_elf_offset_find(&e, IMG_TEXT - 1, 0, &at, NULL));
	assert_false(bs_elf_offset_find(&e, IMG_TEXT, PF_W, &at, NULL));
	assert_true(bs_elf_offset_find(&e, IMG_DATA + 0x3ff, PF_W, &at, NULL));
	assert_int_equal(at, 0x9ff);
	assert_false(bs_elf_offset_find(&e, IMG_DATA + 0x400, 0, &at, NULL));
	assert_false(bs_elf_offset_find(&e, 0, 0, &at, NULL));
	assert_false(bs_elf_offset_find(&e, UINT64_MAX, 0, &at, NULL));
	assert_true(bs_elf_vaddr_find(&e, 0x410, PF_X, &at));
	assert_true(at == IMG_TEXT + 0x10);
	assert_false(bs_elf_vaddr_find(&e, 0x3ff, PF_X, &at));
	assert_true(bs_elf_vaddr_find(&e, 0x3ff, 0, &at));
	assert_true(at == IMG_RODATA + 0x1ff);
	assert_false(bs_elf_vaddr_find(&e, 0xa00, 0, &at));
	close_image(&e);
}

static void not_ours_file(const void *bytes, size_t size, int code, const char *says)
{
	int fd = img_file(bytes, size);
	struct bs_error err = {0};
	struct bs_elf e;

	assert_int_equal(bs_elf_init(&e, fd, "/bin/thing", &err), code);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, "/bin/thing: "));
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	close(fd);
}

static void not_ours(void **state)
{
	static struct img m;
	struct bs_error err;
	struct bs_elf e;
	int fd;

	(void)state;
	not_ours_file("", 0, -ENOEXEC, "not an ELF");
	not_ours_file("#!/bin/sh\nexit 0\n", 17, -ENOEXEC, "not an ELF");
	not_ours_file("\177ELF", 4, -ENOEXEC, "not an ELF");

	img_good(&m);
	img_ehdr(&m)->e_type = ET_REL;
	not_ours_file(m.b, sizeof(m.b), -ENOEXEC, "link it");
	img_good(&m);
	img_ehdr(&m)->e_machine = EM_386;
	img_ehdr(&m)->e_ident[EI_CLASS] = ELFCLASS32;
	not_ours_file(m.b, sizeof(m.b), -EXDEV, "32-bit x86");
	not_ours_file(m.b, 52, -EXDEV, "32-bit x86");
	img_good(&m);
	img_ehdr(&m)->e_machine = bs_elf_machine_native() == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
	not_ours_file(m.b, sizeof(m.b), -EXDEV,
		      bs_elf_machine_native() == EM_AARCH64 ? "x86-64" : "arm64");
	img_good(&m);
	img_ehdr(&m)->e_ident[EI_CLASS] = ELFCLASS32; /* x32 */
	not_ours_file(m.b, sizeof(m.b), -EXDEV, "32-bit");
	img_good(&m);
	img_ehdr(&m)->e_ident[EI_DATA] = ELFDATA2MSB;
	not_ours_file(m.b, sizeof(m.b), -EXDEV, "big-endian");
	img_good(&m);
	img_ehdr(&m)->e_ident[EI_CLASS] = 9;
	not_ours_file(m.b, sizeof(m.b), -ENOEXEC, "damaged");
	img_good(&m);
	not_ours_file(m.b, 63, -ENOEXEC, "damaged");

	fd = open("/", O_RDONLY | O_DIRECTORY);
	assert_int_equal(bs_elf_init(&e, fd, "/", &err), -ENOEXEC);
	close(fd);
}

static void lying_headers(void **state)
{
	static struct img m;
	struct bs_elf e;
	uint64_t at;

	(void)state;
	img_good(&m);
	img_ehdr(&m)->e_shoff = UINT64_MAX - 10;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_good(&m);
	img_ehdr(&m)->e_shoff = IMG_SIZE - 64;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_good(&m);
	img_ehdr(&m)->e_shnum = 0xfeff;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_good(&m);
	img_ehdr(&m)->e_shnum = 0; /* the count is in the first header's size */
	img_shdr(&m, 0)->sh_size = UINT64_MAX / 32;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_shdr(&m, 0)->sh_size = IMG_SH_COUNT;
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(e.nsections, IMG_SH_COUNT);
	close_image(&e);
	img_good(&m);
	img_ehdr(&m)->e_phnum = 0xfffe;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_good(&m);
	img_ehdr(&m)->e_phentsize = 32;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_good(&m);
	img_ehdr(&m)->e_shentsize = 40;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);
	img_good(&m);
	img_shdr(&m, IMG_SH_NAMES)->sh_size = UINT64_MAX;
	assert_int_equal(open_image(&e, &m), -ENOEXEC);

	/* A segment longer than the file is what the file has of it; one past the end of memory
	 * is not there. */
	img_good(&m);
	img_phdr(&m, 1)->p_filesz = img_phdr(&m, 1)->p_memsz = 1ull << 40;
	img_phdr(&m, 2)->p_vaddr = UINT64_MAX - 0x10;
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(e.nsegments, 2);
	assert_true(bs_elf_offset_find(&e, IMG_TEXT + IMG_SIZE - 0x401, PF_X, &at, NULL));
	assert_int_equal(at, IMG_SIZE - 1);
	assert_false(bs_elf_offset_find(&e, IMG_TEXT + IMG_SIZE - 0x400, PF_X, &at, NULL));
	close_image(&e);

	/* No section headers at all is no error. */
	img_good(&m);
	img_ehdr(&m)->e_shoff = 0;
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(e.nsections, 0);
	close_image(&e);

	/* Names without a terminator at the end of the file. */
	img_good(&m);
	img_shdr(&m, IMG_SH_NAMES)->sh_offset = IMG_SIZE - 3;
	img_shdr(&m, IMG_SH_NAMES)->sh_size = 3;
	memcpy(m.b + IMG_SIZE - 3, "abc", 3);
	img_shdr(&m, IMG_SH_TEXT)->sh_name = 0;
	assert_int_equal(open_image(&e, &m), 0);
	assert_true(bs_elf_section_is(&e, &e.sections[IMG_SH_TEXT], "abc"));
	close_image(&e);
}

/* 300 PT_LOADs: more than any linker makes. */
static void many_segments(void **state)
{
	size_t size = sizeof(Elf64_Ehdr) + 300 * sizeof(Elf64_Phdr);
	unsigned char *b = calloc(1, size);
	static struct img m;

	(void)state;
	img_init(&m);
	img_ehdr(&m)->e_shoff = 0;
	img_ehdr(&m)->e_phnum = 300;
	memcpy(b, m.b, sizeof(Elf64_Ehdr));
	for (unsigned i = 0; i < 300; i++)
		((Elf64_Phdr *)(b + sizeof(Elf64_Ehdr)))[i] = *img_phdr(&m, 1);
	not_ours_file(b, size, -ENOEXEC, "damaged");
	free(b);
}

#define FUNC(bind) ELF64_ST_INFO(STB_##bind, STT_FUNC)

static const char *name_at(struct bs_elf_symbols *s, uint64_t vaddr, uint64_t want_start)
{
	uint64_t start = 0;
	const char *name = bs_elf_symbols_find(s, vaddr, &start);

	if (name)
		assert_true(start == want_start);
	return name;
}

static void symbols(void **state)
{
	static struct img m;
	struct bs_elf_symbols *s;
	struct bs_elf e;

	(void)state;
	img_init(&m);
	img_symbol(&m, "outer", 0x1000, 0x100, FUNC(LOCAL));
	img_symbol(&m, "inner", 0x1020, 0x20, FUNC(LOCAL));
	img_symbol(&m, "next", 0x1100, 0x10, FUNC(LOCAL));
	img_symbol(&m, "straddle", 0x10f0, 0x18, FUNC(LOCAL));
	img_symbol(&m, "no_size", 0x1200, 0, FUNC(GLOBAL));
	img_symbol(&m, "object", 0x1300, 0x10, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT));
	img_symbol(&m, "__alias", 0x1400, 0x10, FUNC(GLOBAL));
	img_symbol(&m, "alias", 0x1400, 0x10, FUNC(WEAK));
	img_symbol(&m, "wraps", UINT64_MAX - 4, 0x10, FUNC(GLOBAL));
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(bs_elf_symbols_new(&e, &s), 0);
	assert_int_equal(bs_elf_symbols_count(s), 6);
	assert_null(name_at(s, 0xfff, 0));
	assert_string_equal(name_at(s, 0x1000, 0x1000), "outer");
	assert_string_equal(name_at(s, 0x101f, 0x1000), "outer");
	assert_string_equal(name_at(s, 0x1020, 0x1020), "inner");
	assert_string_equal(name_at(s, 0x103f, 0x1020), "inner");
	assert_string_equal(name_at(s, 0x1040, 0x1000), "outer");
	assert_string_equal(name_at(s, 0x10ef, 0x1000), "outer");
	assert_string_equal(name_at(s, 0x10f0, 0x10f0), "straddle");
	assert_string_equal(name_at(s, 0x1100, 0x1100), "next");
	assert_string_equal(name_at(s, 0x110f, 0x1100), "next");
	assert_null(name_at(s, 0x1110, 0));
	assert_null(name_at(s, 0x1200, 0));
	assert_null(name_at(s, 0x1300, 0));
	assert_string_equal(name_at(s, 0x140f, 0x1400), "alias");
	assert_null(name_at(s, UINT64_MAX, 0));
	bs_elf_symbols_free(s);
	close_image(&e);
}

static void symbol_names(void **state)
{
	static struct img m;
	struct bs_elf_symbols *s;
	struct bs_elf e;

	(void)state;
	/* A name past its table, one that does not end in it. */
	img_init(&m);
	img_symbol(&m, "good", 0x1000, 0x10, FUNC(GLOBAL));
	img_symbol(&m, "tail", 0x2000, 0x10, FUNC(GLOBAL));
	img_symbol(&m, "far", 0x3000, 0x10, FUNC(GLOBAL));
	((Elf64_Sym *)img_at(&m, IMG_SYM_OFF))[3].st_name = 0x7fffffff;
	img_shdr(&m, IMG_SH_STRTAB)->sh_size = 1 + 5 + 4; /* "tail" without its end */
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(bs_elf_symbols_new(&e, &s), 0);
	assert_string_equal(name_at(s, 0x1000, 0x1000), "good");
	assert_null(name_at(s, 0x2000, 0));
	assert_null(name_at(s, 0x3000, 0));
	bs_elf_symbols_free(s);
	close_image(&e);

	/* The table of names is no table of strings, or not in the file. */
	img_shdr(&m, IMG_SH_SYMTAB)->sh_link = 1000;
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(bs_elf_symbols_new(&e, &s), 0);
	assert_int_equal(bs_elf_symbols_count(s), 0);
	assert_null(name_at(s, 0x1000, 0));
	bs_elf_symbols_free(s);
	close_image(&e);
}

/* A long name is cut; .dynsym serves where .symtab has nothing. */
static void long_name(void **state)
{
	static struct img m;
	struct bs_elf_symbols *s;
	struct bs_elf e;
	const char *name;

	(void)state;
	img_init(&m);
	img_symbol(&m, "x", 0x1000, 0x10, FUNC(GLOBAL));
	memset(m.b + 0xa00, 'n', 0x600);
	img_shdr(&m, IMG_SH_STRTAB)->sh_offset = 0x9ff;
	img_shdr(&m, IMG_SH_STRTAB)->sh_size = 0x600;
	img_shdr(&m, IMG_SH_SYMTAB)->sh_type = SHT_DYNSYM;
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(bs_elf_symbols_new(&e, &s), 0);
	name = name_at(s, 0x1008, 0x1000);
	assert_non_null(name);
	assert_int_equal(strlen(name), BS_ELF_MAX_NAME);
	bs_elf_symbols_free(s);
	close_image(&e);
}

/* Random intervals against the definition: of those around an address, the one that began last,
 * and of these the shortest. */
static void symbols_overlap(void **state)
{
	uint64_t seed = 1234567;
	static struct img m;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		uint64_t start[12], size[12];
		struct bs_elf_symbols *s;
		struct bs_elf e;

		img_init(&m);
		for (unsigned i = 0; i < 12; i++) {
			char name[8];

			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			start[i] = 0x1000 + (seed >> 33) % 40;
			size[i] = 1 + (seed >> 50) % 20;
			snprintf(name, sizeof(name), "f%u", i);
			img_symbol(&m, name, start[i], size[i], FUNC(LOCAL));
		}
		assert_int_equal(open_image(&e, &m), 0);
		assert_int_equal(bs_elf_symbols_new(&e, &s), 0);
		for (uint64_t at = 0xff0; at < 0x1050; at++) {
			int best = -1;
			uint64_t found = 0;

			for (int i = 0; i < 12; i++) {
				if (at < start[i] || at >= start[i] + size[i])
					continue;
				if (best < 0 || start[i] > start[best] ||
				    (start[i] == start[best] && size[i] < size[best]))
					best = i;
			}
			if (best < 0) {
				assert_null(bs_elf_symbols_find(s, at, NULL));
				continue;
			}
			assert_non_null(bs_elf_symbols_find(s, at, &found));
			assert_true(found == start[best]);
		}
		bs_elf_symbols_free(s);
		close_image(&e);
	}
}

struct seen {
	unsigned n;
	uint64_t pc[8], semaphore[8];
	char text[8][64];
};

static int see(void *ctx, const struct bs_stapsdt_note *n)
{
	struct seen *s = ctx;

	if (s->n == 8)
		return 42;
	s->pc[s->n] = n->pc;
	s->semaphore[s->n] = n->semaphore;
	snprintf(s->text[s->n], sizeof(s->text[0]), "%s:%s %s", n->provider, n->name, n->args);
	s->n++;
	return 0;
}

static void notes(void **state)
{
	struct seen seen = {0};
	static struct img m;
	struct bs_elf e;
	uint64_t bad;

	(void)state;
	img_good(&m);
	img_shdr(&m, IMG_SH_BASE)->sh_addr += 0x10000; /* prelink moved the file */
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(bs_stapsdt_walk(&e, see, &seen, &bad), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(seen.n, 3);
	assert_true(seen.pc[0] == IMG_TEXT + 0x10 + 0x10000);
	assert_true(seen.semaphore[0] == IMG_SEM + 0x10000);
	assert_true(seen.semaphore[1] == 0);
	assert_string_equal(seen.text[1], "other:thing 4@-8(%rbp)");
	close_image(&e);

	/* Without the base section nothing is added. */
	memset(&seen, 0, sizeof(seen));
	img_shdr(&m, IMG_SH_BASE)->sh_name = 0;
	assert_int_equal(open_image(&e, &m), 0);
	assert_int_equal(bs_stapsdt_walk(&e, see, &seen, &bad), 0);
	assert_true(seen.pc[0] == IMG_TEXT + 0x10);
	close_image(&e);
}

static unsigned walk_bad(struct img *m, unsigned want_seen)
{
	struct seen seen = {0};
	struct bs_elf e;
	uint64_t bad;

	assert_int_equal(open_image(&e, m), 0);
	assert_int_equal(bs_stapsdt_walk(&e, see, &seen, &bad), 0);
	assert_int_equal(seen.n, want_seen);
	close_image(&e);
	return (unsigned)bad;
}

static void notes_damaged(void **state)
{
	static struct img m;
	uint32_t *head = img_at(&m, IMG_NOTES_OFF);

	(void)state;
	img_good(&m);
	head[0] = 0xffffffff;
	assert_int_equal(walk_bad(&m, 0), 1);
	img_good(&m);
	head[1] = 0xffffffff;
	assert_int_equal(walk_bad(&m, 0), 1);
	img_good(&m);
	head[1] = 23; /* shorter than three addresses; what follows is not a note either */
	assert_int_not_equal(walk_bad(&m, 0), 0);
	img_good(&m);
	head[2] = 4; /* another type: not ours, not bad */
	assert_int_equal(walk_bad(&m, 2), 0);
	img_good(&m);
	memcpy(head + 3, "stapsdX", 8);
	assert_int_equal(walk_bad(&m, 2), 0);
	/* The last string of the last note does not end. */
	img_good(&m);
	img_shdr(&m, IMG_SH_NOTES)->sh_size -= 4;
	assert_int_equal(walk_bad(&m, 2), 1);
	img_good(&m);
	img_shdr(&m, IMG_SH_NOTES)->sh_size = 1ull << 40;
	assert_int_equal(walk_bad(&m, 0), 1);
	img_good(&m);
	img_shdr(&m, IMG_SH_NOTES)->sh_flags = SHF_COMPRESSED;
	assert_int_equal(walk_bad(&m, 0), 1);
	/* The same bytes under several headers: only as much as the file is long. */
	img_good(&m);
	*img_shdr(&m, IMG_SH_TEXT) = *img_shdr(&m, IMG_SH_NOTES);
	img_shdr(&m, IMG_SH_TEXT)->sh_size = IMG_SIZE - IMG_NOTES_OFF;
	*img_shdr(&m, IMG_SH_BASE) = *img_shdr(&m, IMG_SH_TEXT);
	assert_true(walk_bad(&m, 6) >= 1);
}

static void strings(void **state)
{
	static unsigned char big[200000];
	static struct img m;
	struct bs_strings s = {0};
	struct bs_elf e;

	(void)state;
	/* Two strings 130,000 bytes apart, one as long as can be, one a byte longer. */
	img_init(&m);
	memcpy(big, m.b, sizeof(m.b));
	memcpy(big + 0x2000, "first", 6);
	memset(big + 0x3000, 'm', 4096);
	memset(big + 0x6000, 'x', 4097);
	memcpy(big + 140000, "second", 7);
	memcpy(big + sizeof(big) - 3, "end", 3);
	e.fd = img_file(big, sizeof(big));
	assert_int_equal(bs_elf_init(&e, e.fd, "big", NULL), 0);
	assert_int_equal(bs_strings_add(&s, 140000, 100), 0);
	assert_int_equal(bs_strings_add(&s, 0x2000, 100), 0);
	assert_int_equal(bs_strings_add(&s, 0x2002, 4), 0);
	assert_int_equal(bs_strings_add(&s, 0x2001, 3), 0); /* ends behind its room */
	assert_int_equal(bs_strings_add(&s, 140000, 100), 0);
	assert_int_equal(bs_strings_add(&s, 0x3000, 10000), 0);
	assert_int_equal(bs_strings_add(&s, 0x6000, 10000), 0);
	assert_int_equal(bs_strings_add(&s, sizeof(big) - 3, 100), 0);
	assert_int_equal(bs_strings_add(&s, sizeof(big), 100), 0);
	assert_int_equal(bs_strings_add(&s, UINT64_MAX, 100), 0);
	assert_int_equal(bs_strings_read(&s, &e), 0);
	assert_string_equal(bs_strings_find(&s, 0x2000), "first");
	assert_string_equal(bs_strings_find(&s, 0x2002), "rst");
	assert_null(bs_strings_find(&s, 0x2001));
	assert_string_equal(bs_strings_find(&s, 140000), "second");
	assert_int_equal(strlen(bs_strings_find(&s, 0x3000)), 4096);
	assert_null(bs_strings_find(&s, 0x6000));
	assert_null(bs_strings_find(&s, sizeof(big) - 3));
	assert_null(bs_strings_find(&s, sizeof(big)));
	assert_null(bs_strings_find(&s, UINT64_MAX));
	assert_null(bs_strings_find(&s, 0x2003));
	bs_strings_fini(&s);
	close_image(&e);
}

/* 4,000 overlapping strings in a file of 6 KB would be 8 MB: no more than the file is long. */
static void strings_overlap(void **state)
{
	struct bs_strings s = {0};
	static struct img m;
	struct bs_elf e;
	size_t total = 0;

	(void)state;
	img_init(&m);
	memset(m.b + 0x400, 'a', 4000);
	assert_int_equal(open_image(&e, &m), 0);
	for (unsigned i = 0; i < 4000; i++)
		assert_int_equal(bs_strings_add(&s, 0x400 + i, 8000), 0);
	assert_int_equal(bs_strings_read(&s, &e), 0);
	for (unsigned i = 0; i < 4000; i++) {
		const char *text = bs_strings_find(&s, 0x400 + i);

		total += text ? strlen(text) + 1 : 0;
	}
	assert_true(total > 4000 && total <= IMG_SIZE);
	bs_strings_fini(&s);
	close_image(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),	   cmocka_unit_test(addresses),
		cmocka_unit_test(not_ours),	   cmocka_unit_test(lying_headers),
		cmocka_unit_test(many_segments),   cmocka_unit_test(symbols),
		cmocka_unit_test(symbol_names),	   cmocka_unit_test(long_name),
		cmocka_unit_test(symbols_overlap), cmocka_unit_test(notes),
		cmocka_unit_test(notes_damaged),   cmocka_unit_test(strings),
		cmocka_unit_test(strings_overlap),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
