// SPDX-License-Identifier: GPL-2.0-only
/* elf.c - headers, sections and segments of an ELF file that nobody vouches for. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "target/elf.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || __SIZEOF_POINTER__ != 8
#error "structs of ELF files are used as they are: 64-bit little-endian machines only"
#endif

uint16_t bs_elf_machine_native(void)
{
#if defined(__x86_64__)
	return EM_X86_64;
#elif defined(__aarch64__)
	return EM_AARCH64;
#else
#error "no register table for this architecture"
#endif
}

const char *bs_elf_machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "32-bit ARM";
	case EM_AARCH64:
		return "arm64";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "64-bit POWER";
	case EM_S390:
		return "s390";
	case EM_MIPS:
		return "MIPS";
	case EM_LOONGARCH:
		return "LoongArch";
	}
	return "an unknown architecture";
}

int bs_elf_read(const struct bs_elf *e, uint64_t offset, void *buf, size_t n)
{
	char *to = buf;

	if (offset > e->size || n > e->size - offset)
		return -ENOEXEC;
	while (n) {
		ssize_t got = pread(e->fd, to, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -EIO;
		if (!got) /* cut short since we asked for its size */
			return -ENOEXEC;
		to += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* count elements of size bytes at offset, for free(); NULL and 0 when count is 0. */
static int read_array(const struct bs_elf *e, uint64_t offset, uint64_t count, size_t size,
		      void **out)
{
	uint64_t bytes;
	void *p;
	int ret;

	*out = NULL;
	if (!count)
		return 0;
	if (__builtin_mul_overflow(count, (uint64_t)size, &bytes) || offset > e->size ||
	    bytes > e->size - offset || bytes > BS_ELF_MAX_LOAD)
		return -ENOEXEC;
	p = malloc(bytes);
	if (!p)
		return -ENOMEM;
	ret = bs_elf_read(e, offset, p, bytes);
	if (ret) {
		free(p);
		return ret;
	}
	*out = p;
	return 0;
}

int bs_elf_section_load(const struct bs_elf *e, const struct bs_elf_section *s, char **data)
{
	char *p;
	int ret;

	if (s->type == SHT_NOBITS || (s->flags & SHF_COMPRESSED) || s->offset > e->size ||
	    s->size > e->size - s->offset || s->size > BS_ELF_MAX_LOAD)
		return -ENOEXEC;
	p = malloc(s->size + 1);
	if (!p)
		return -ENOMEM;
	ret = bs_elf_read(e, s->offset, p, s->size);
	if (ret) {
		free(p);
		return ret;
	}
	p[s->size] = '\0';
	*data = p;
	return 0;
}

bool bs_elf_section_is(const struct bs_elf *e, const struct bs_elf_section *s, const char *name)
{
	return s->name < e->names_size && !strcmp(e->names + s->name, name);
}

const struct bs_elf_section *bs_elf_section_find(const struct bs_elf *e, const char *name)
{
	for (size_t i = 0; i < e->nsections; i++)
		if (bs_elf_section_is(e, &e->sections[i], name))
			return &e->sections[i];
	return NULL;
}

static int segment_order(const void *a, const void *b)
{
	const struct bs_elf_segment *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static int read_segments(struct bs_elf *e, const Elf64_Ehdr *h, uint64_t phnum)
{
	Elf64_Phdr *ph;
	void *p;
	int ret;

	if (!h->e_phoff || !phnum)
		return 0;
	if (h->e_phentsize != sizeof(*ph))
		return -ENOEXEC;
	ret = read_array(e, h->e_phoff, phnum, sizeof(*ph), &p);
	if (ret)
		return ret;
	ph = p;
	e->segments = calloc(BS_ELF_MAX_SEGMENTS, sizeof(*e->segments));
	if (!e->segments) {
		ret = -ENOMEM;
		goto out;
	}
	for (uint64_t i = 0; i < phnum; i++) {
		struct bs_elf_segment *s = &e->segments[e->nsegments];
		uint64_t end;

		/* What does not fit the address space or the file cannot be mapped either. */
		if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz || ph[i].p_offset > e->size ||
		    __builtin_add_overflow(ph[i].p_vaddr, ph[i].p_memsz, &end))
			continue;
		if (e->nsegments == BS_ELF_MAX_SEGMENTS) {
			ret = -ENOEXEC;
			goto out;
		}
		s->vaddr = ph[i].p_vaddr;
		s->memsz = ph[i].p_memsz;
		s->offset = ph[i].p_offset;
		s->filesz = ph[i].p_filesz;
		s->flags = ph[i].p_flags;
		if (s->filesz > s->memsz)
			s->filesz = s->memsz;
		if (s->filesz > e->size - s->offset)
			s->filesz = e->size - s->offset;
		e->nsegments++;
	}
	qsort(e->segments, e->nsegments, sizeof(*e->segments), segment_order);
out:
	free(p);
	return ret;
}

static int read_sections(struct bs_elf *e, const Elf64_Ehdr *h, uint64_t shnum, uint32_t names)
{
	Elf64_Shdr *sh;
	void *p;
	int ret;

	if (!shnum)
		return 0;
	if (shnum > BS_ELF_MAX_SECTIONS)
		return -ENOEXEC;
	ret = read_array(e, h->e_shoff, shnum, sizeof(*sh), &p);
	if (ret)
		return ret;
	sh = p;
	e->sections = calloc(shnum, sizeof(*e->sections));
	if (!e->sections) {
		ret = -ENOMEM;
		goto out;
	}
	e->nsections = shnum;
	for (uint64_t i = 0; i < shnum; i++) {
		struct bs_elf_section *s = &e->sections[i];

		s->addr = sh[i].sh_addr;
		s->offset = sh[i].sh_offset;
		s->size = sh[i].sh_size;
		s->flags = sh[i].sh_flags;
		s->entsize = sh[i].sh_entsize;
		s->name = sh[i].sh_name;
		s->type = sh[i].sh_type;
		s->link = sh[i].sh_link;
	}
	if (names && names < shnum) {
		ret = bs_elf_section_load(e, &e->sections[names], &e->names);
		if (!ret)
			e->names_size = e->sections[names].size + 1;
	}
out:
	free(p);
	return ret;
}

static int read_tables(struct bs_elf *e, const Elf64_Ehdr *h)
{
	uint64_t phnum = h->e_phnum, shnum = h->e_shnum;
	uint32_t names = h->e_shstrndx;
	int ret;

	/* Counts that do not fit the header are in the first section header (gABI, chapter 4). */
	if (h->e_shoff) {
		Elf64_Shdr first;

		if (h->e_shentsize != sizeof(first))
			return -ENOEXEC;
		ret = bs_elf_read(e, h->e_shoff, &first, sizeof(first));
		if (ret)
			return ret;
		if (!shnum)
			shnum = first.sh_size;
		if (names == SHN_XINDEX)
			names = first.sh_link;
		if (phnum == PN_XNUM)
			phnum = first.sh_info;
	} else {
		shnum = 0;
	}
	ret = read_segments(e, h, phnum);
	if (ret)
		return ret;
	return read_sections(e, h, shnum, names);
}

int bs_elf_init(struct bs_elf *e, int fd, const char *path, struct bs_error *err)
{
	Elf64_Ehdr h = {0};
	struct stat st;
	size_t want;
	int ret;

	memset(e, 0, sizeof(*e));
	e->fd = fd;
	if (fstat(fd, &st))
		return bs_error_set(err, -EIO, "%s: cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return bs_error_set(err, -ENOEXEC, "%s: not a file", path);
	e->size = (uint64_t)st.st_size;
	e->dev = st.st_dev;
	e->ino = st.st_ino;

	/* The header of a 32-bit file is shorter; what it is for stands in the first 20 bytes. */
	want = e->size < sizeof(h) ? (size_t)e->size : sizeof(h);
	ret = bs_elf_read(e, 0, &h, want);
	if (ret == -EIO)
		return bs_error_set(err, ret, "%s: cannot be read (input/output error)", path);
	if (ret || want < EI_NIDENT || memcmp(h.e_ident, ELFMAG, SELFMAG))
		return bs_error_set(err, -ENOEXEC, "%s: not an ELF program or library", path);
	if (h.e_ident[EI_DATA] == ELFDATA2MSB)
		return bs_error_set(
			err, -EXDEV,
			"%s: made for a big-endian machine; this bscope-trace is for %s", path,
			bs_elf_machine_name(bs_elf_machine_native()));
	if (want >= 20 && h.e_machine != bs_elf_machine_native())
		return bs_error_set(err, -EXDEV, "%s: made for %s; this bscope-trace is for %s",
				    path, bs_elf_machine_name(h.e_machine),
				    bs_elf_machine_name(bs_elf_machine_native()));
	if (h.e_ident[EI_CLASS] == ELFCLASS32)
		return bs_error_set(err, -EXDEV,
				    "%s: a 32-bit program; bscope-trace traces 64-bit ones", path);
	if (want < sizeof(h) || h.e_ident[EI_CLASS] != ELFCLASS64 ||
	    h.e_ident[EI_DATA] != ELFDATA2LSB)
		return bs_error_set(err, -ENOEXEC, "%s: damaged ELF header", path);
	if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
		return bs_error_set(err, -ENOEXEC,
				    "%s: neither a program nor a shared library (link it first?)",
				    path);
	e->machine = h.e_machine;
	ret = read_tables(e, &h);
	if (!ret)
		return 0;
	bs_elf_fini(e);
	switch (ret) {
	case -ENOMEM:
		return bs_error_set(err, ret, "%s: out of memory", path);
	case -EIO:
		return bs_error_set(err, ret, "%s: cannot be read (input/output error)", path);
	}
	return bs_error_set(err, ret, "%s: damaged ELF file (headers point outside of it)", path);
}

void bs_elf_fini(struct bs_elf *e)
{
	if (!e)
		return;
	free(e->sections);
	free(e->segments);
	free(e->names);
	memset(e, 0, sizeof(*e));
	e->fd = -1;
}

bool bs_elf_offset_find(const struct bs_elf *e, uint64_t vaddr, uint32_t flags, uint64_t *offset,
			uint64_t *room)
{
	/* At most BS_ELF_MAX_SEGMENTS, in practice four; overlapping ones do not matter here. */
	for (size_t i = 0; i < e->nsegments && e->segments[i].vaddr <= vaddr; i++) {
		const struct bs_elf_segment *s = &e->segments[i];
		uint64_t at = vaddr - s->vaddr;

		if (at >= s->filesz || (s->flags & flags) != flags)
			continue;
		*offset = s->offset + at;
		if (room)
			*room = s->filesz - at;
		return true;
	}
	return false;
}

bool bs_elf_vaddr_find(const struct bs_elf *e, uint64_t offset, uint32_t flags, uint64_t *vaddr)
{
	for (size_t i = 0; i < e->nsegments; i++) {
		const struct bs_elf_segment *s = &e->segments[i];

		if (offset < s->offset || offset - s->offset >= s->filesz ||
		    (s->flags & flags) != flags)
			continue;
		*vaddr = s->vaddr + (offset - s->offset);
		return true;
	}
	return false;
}
