/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * elf_image.h - a small program with sites, laid down byte by byte: what tests of the readers
 * read, and damage.
 *
 * Addresses and file offsets differ by another amount in each segment, so that mixing them
 * up shows.
 *
 *   rodata  offset 0x200  address 0x401000   strings
 *   text    offset 0x400  address 0x402800   nops of probes among int3
 *   data    offset 0x600  address 0x405100   records, then the semaphore at +0x300
 */
#ifndef BS_TESTS_ELF_IMAGE_H
#define BS_TESTS_ELF_IMAGE_H

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bscope/abi.h"

#define IMG_RODATA     0x401000ull
#define IMG_RODATA_OFF 0x200u
#define IMG_TEXT       0x402800ull
#define IMG_TEXT_OFF   0x400u
#define IMG_TEXT_SIZE  0x200u
#define IMG_DATA       0x405100ull
#define IMG_DATA_OFF   0x600u
#define IMG_DATA_SIZE  0x400u
#define IMG_SEM	       (IMG_DATA + 0x300)
#define IMG_SEM_OFF    (IMG_DATA_OFF + 0x300)
#define IMG_BASE       0x401180ull /* .stapsdt.base */
#define IMG_NOTES_OFF  0xa00u
#define IMG_SYM_OFF    0x1000u
#define IMG_STR_OFF    0x1200u
#define IMG_SHSTR_OFF  0x1300u
#define IMG_SH_OFF     0x1400u
#define IMG_SIZE       0x1700u

enum img_section {
	IMG_SH_NULL,
	IMG_SH_TEXT,
	IMG_SH_SITES,
	IMG_SH_NOTES,
	IMG_SH_BASE,
	IMG_SH_SYMTAB,
	IMG_SH_STRTAB,
	IMG_SH_NAMES,
	IMG_SH_COUNT,
};

struct img {
	unsigned char b[IMG_SIZE];
	unsigned nsites;
	unsigned strings; /* used of rodata */
	unsigned notes;	  /* used, bytes */
	unsigned symbols;
	unsigned symstr;
};

static inline void *img_at(struct img *m, size_t offset)
{
	return m->b + offset;
}

static inline Elf64_Ehdr *img_ehdr(struct img *m)
{
	return img_at(m, 0);
}

static inline Elf64_Phdr *img_phdr(struct img *m, unsigned i)
{
	return (Elf64_Phdr *)img_at(m, sizeof(Elf64_Ehdr)) + i;
}

static inline Elf64_Shdr *img_shdr(struct img *m, unsigned i)
{
	return (Elf64_Shdr *)img_at(m, IMG_SH_OFF) + i;
}

static inline struct bscope_site *img_record(struct img *m, unsigned i)
{
	return (struct bscope_site *)img_at(m, IMG_DATA_OFF) + i;
}

static inline void img_segment(struct img *m, unsigned i, uint64_t vaddr, uint64_t off,
			       uint64_t size, uint32_t flags)
{
	*img_phdr(m, i) = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = flags,
		.p_offset = off,
		.p_vaddr = vaddr,
		.p_paddr = vaddr,
		.p_filesz = size,
		.p_memsz = size,
		.p_align = 1,
	};
}

static inline void img_section(struct img *m, unsigned i, const char *name, uint32_t type,
			       uint64_t flags, uint64_t addr, uint64_t off, uint64_t size)
{
	static const char names[] = "\0.text\0bscope_sites\0.note.stapsdt\0.stapsdt.base\0.symtab\0"
				    ".strtab\0.shstrtab";
	unsigned at = 1;

	memcpy(img_at(m, IMG_SHSTR_OFF), names, sizeof(names));
	while (strcmp(names + at, name))
		at += (unsigned)strlen(names + at) + 1;
	*img_shdr(m, i) = (Elf64_Shdr){
		.sh_name = at,
		.sh_type = type,
		.sh_flags = flags,
		.sh_addr = addr,
		.sh_offset = off,
		.sh_size = size,
	};
}

/* An empty program: everything but sites. */
static inline void img_init(struct img *m)
{
	Elf64_Ehdr *h = img_ehdr(m);

	memset(m, 0, sizeof(*m));
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_ident[EI_VERSION] = EV_CURRENT;
	h->e_type = ET_EXEC;
#if defined(__aarch64__)
	h->e_machine = EM_AARCH64;
#else
	h->e_machine = EM_X86_64;
#endif
	h->e_version = EV_CURRENT;
	h->e_entry = IMG_TEXT;
	h->e_phoff = sizeof(*h);
	h->e_shoff = IMG_SH_OFF;
	h->e_ehsize = sizeof(*h);
	h->e_phentsize = sizeof(Elf64_Phdr);
	h->e_phnum = 3;
	h->e_shentsize = sizeof(Elf64_Shdr);
	h->e_shnum = IMG_SH_COUNT;
	h->e_shstrndx = IMG_SH_NAMES;
	img_segment(m, 0, IMG_RODATA, IMG_RODATA_OFF, 0x200, PF_R);
	img_segment(m, 1, IMG_TEXT, IMG_TEXT_OFF, IMG_TEXT_SIZE, PF_R | PF_X);
	img_segment(m, 2, IMG_DATA, IMG_DATA_OFF, IMG_DATA_SIZE, PF_R | PF_W);
	img_section(m, IMG_SH_TEXT, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, IMG_TEXT,
		    IMG_TEXT_OFF, IMG_TEXT_SIZE);
	img_section(m, IMG_SH_SITES, "bscope_sites", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, IMG_DATA,
		    IMG_DATA_OFF, 0);
	img_section(m, IMG_SH_NOTES, ".note.stapsdt", SHT_NOTE, 0, 0, IMG_NOTES_OFF, 0);
	img_section(m, IMG_SH_BASE, ".stapsdt.base", SHT_PROGBITS, SHF_ALLOC, IMG_BASE,
		    IMG_RODATA_OFF + 0x180, 1);
	img_section(m, IMG_SH_SYMTAB, ".symtab", SHT_SYMTAB, 0, 0, IMG_SYM_OFF, sizeof(Elf64_Sym));
	img_shdr(m, IMG_SH_SYMTAB)->sh_link = IMG_SH_STRTAB;
	img_shdr(m, IMG_SH_SYMTAB)->sh_entsize = sizeof(Elf64_Sym);
	img_section(m, IMG_SH_STRTAB, ".strtab", SHT_STRTAB, 0, 0, IMG_STR_OFF, 0x100);
	img_section(m, IMG_SH_NAMES, ".shstrtab", SHT_STRTAB, 0, 0, IMG_SHSTR_OFF, 0x100);
	memset(img_at(m, IMG_TEXT_OFF), 0xcc, IMG_TEXT_SIZE);
	m->symbols = 1;
	m->symstr = 1;
}

/* A string in rodata: its address. */
static inline uint64_t img_string(struct img *m, const char *s)
{
	uint64_t at = IMG_RODATA + m->strings;

	memcpy(img_at(m, IMG_RODATA_OFF + m->strings), s, strlen(s) + 1);
	m->strings += (unsigned)strlen(s) + 1;
	return at;
}

/* Writes the probe's nop at text + at. */
static inline void img_nop(struct img *m, unsigned at)
{
#if defined(__aarch64__)
	memcpy(img_at(m, IMG_TEXT_OFF + at), "\x1f\x20\x03\xd5", 4);
#else
	m->b[IMG_TEXT_OFF + at] = 0x90;
#endif
}

static inline void img_note(struct img *m, uint64_t pc, uint64_t base, uint64_t semaphore,
			    const char *provider, const char *name, const char *args)
{
	unsigned char *p = img_at(m, IMG_NOTES_OFF + m->notes);
	unsigned n = (unsigned)(strlen(provider) + strlen(name) + strlen(args) + 3);
	uint32_t head[3] = {8, 24 + n, 3};
	uint64_t addr[3] = {pc, base, semaphore};

	memcpy(p, head, 12);
	memcpy(p + 12, "stapsdt", 8);
	memcpy(p + 20, addr, 24);
	p += 44;
	strcpy((char *)p, provider);
	p += strlen(provider) + 1;
	strcpy((char *)p, name);
	p += strlen(name) + 1;
	strcpy((char *)p, args);
	m->notes += (44 + n + 3) & ~3u;
	img_shdr(m, IMG_SH_NOTES)->sh_size = m->notes;
}

/* A record for the probe at text + at; strings by address.  No note. */
static inline struct bscope_site *img_add_record(struct img *m, unsigned at, unsigned kind,
						 unsigned nargs, uint64_t klass, uint64_t name,
						 uint64_t file, uint32_t line)
{
	unsigned i = m->nsites++;
	struct bscope_site *s = img_record(m, i);
	uint64_t self = IMG_DATA + i * 32;

	s->probe = (int32_t)(IMG_TEXT + at - self);
	s->stub = (int32_t)(IMG_TEXT + 0x1f0 - (self + 4));
	s->klass = (int32_t)(klass - (self + 8));
	s->name = (int32_t)(name - (self + 12));
	s->file = (int32_t)(file - (self + 16));
	s->line = line;
	s->kind = (uint8_t)kind;
	s->nargs = (uint8_t)nargs;
	s->abi = BSCOPE_ABI_VERSION;
	img_shdr(m, IMG_SH_SITES)->sh_size = m->nsites * 32;
	return s;
}

static inline void img_symbol(struct img *m, const char *name, uint64_t value, uint64_t size,
			      unsigned char info)
{
	Elf64_Sym *s = (Elf64_Sym *)img_at(m, IMG_SYM_OFF) + m->symbols++;

	s->st_name = m->symstr;
	s->st_info = info;
	s->st_shndx = IMG_SH_TEXT;
	s->st_value = value;
	s->st_size = size;
	strcpy(img_at(m, IMG_STR_OFF + m->symstr), name);
	m->symstr += (unsigned)strlen(name) + 1;
	img_shdr(m, IMG_SH_SYMTAB)->sh_size = m->symbols * sizeof(Elf64_Sym);
}

#if defined(__aarch64__)
#define IMG_ARGS1 "8@x19"
#define IMG_ARGS2 "8@x0 8@64"
#define IMG_REG1  152
#define IMG_REG2  0
#else
#define IMG_ARGS1 "8@%rdi"
#define IMG_ARGS2 "8@%rax 8@$64"
#define IMG_REG1  112
#define IMG_REG2  80
#endif

/*
 * Two good sites: new (class conn, name c, src/conn.c:10) at text + 0x10 in function open_conn,
 * and drop (conn, c->next, src/conn.c:20) at text + 0x80 in close_conn.
 */
static inline void img_good(struct img *m)
{
	uint64_t klass, name, next, file;

	img_init(m);
	klass = img_string(m, "conn");
	name = img_string(m, "c");
	next = img_string(m, "c->next");
	file = img_string(m, "src/conn.c");
	img_nop(m, 0x10);
	img_nop(m, 0x80);
	/* The later one first: neither records nor notes come sorted. */
	img_add_record(m, 0x80, BSCOPE_KIND_DROP, 1, klass, next, file, 20);
	img_add_record(m, 0x10, BSCOPE_KIND_NEW, 2, klass, name, file, 10)->flags =
		BSCOPE_SITE_SIZED;
	img_note(m, IMG_TEXT + 0x10, IMG_BASE, IMG_SEM, "bscope", "new", IMG_ARGS2);
	img_note(m, IMG_TEXT + 0x20, IMG_BASE, 0, "other", "thing", "4@-8(%rbp)");
	img_note(m, IMG_TEXT + 0x80, IMG_BASE, IMG_SEM, "bscope", "drop", IMG_ARGS1);
	img_symbol(m, "open_conn", IMG_TEXT, 0x40, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC));
	img_symbol(m, "table", IMG_TEXT, 0x200, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT));
	img_symbol(m, "close_conn", IMG_TEXT + 0x40, 0x60, ELF64_ST_INFO(STB_LOCAL, STT_FUNC));
}

/* A file with these bytes and no name. */
static inline int img_file(const void *bytes, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) {
		perror("memfd");
		abort();
	}
	return fd;
}

#endif
