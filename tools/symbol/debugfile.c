// SPDX-License-Identifier: GPL-2.0-only
/* debugfile.c - where separate debug files lie, and whether they are of the same build. */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "symbol/debugfile.h"
#include "target/elf.h"
#include "target/process.h"

#define NROOTS (sizeof(((struct bs_debug_roots *)0)->fds) / sizeof(int))
/* Larger files are not read as a whole for their CRC. */
#define MAX_CRC	  (1ull << 30)
#define MAX_NOTES 65536u

/* Of a build id only some bytes stand in a note, of a link a name: not more than so many is read.
 */
static char *load(const struct bs_elf *e, const struct bs_elf_section *s)
{
	char *data;

	return s->size <= MAX_NOTES && !bs_elf_section_load(e, s, &data) ? data : NULL;
}

static bool id_in_notes(const char *data, size_t size, struct bs_build_id *id)
{
	Elf64_Nhdr h;

	for (size_t at = 0; size - at >= sizeof(h);) {
		size_t name = at + sizeof(h), desc;

		memcpy(&h, data + at, sizeof(h));
		if (h.n_namesz > size || h.n_descsz > size)
			return false;
		desc = name + (((size_t)h.n_namesz + 3) & ~(size_t)3);
		at = desc + (((size_t)h.n_descsz + 3) & ~(size_t)3);
		if (desc > size || h.n_descsz > size - desc)
			return false;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 &&
		    !memcmp(data + name, "GNU", 4) && h.n_descsz >= 2 &&
		    h.n_descsz <= BS_BUILD_ID_MAX) {
			id->size = (uint8_t)h.n_descsz;
			memcpy(id->bytes, data + desc, h.n_descsz);
			return true;
		}
		if (at > size)
			return false;
	}
	return false;
}

void bs_build_id_read(const struct bs_elf *e, struct bs_build_id *id)
{
	memset(id, 0, sizeof(*id));
	for (size_t i = 0; i < e->nsections && !id->size; i++) {
		const struct bs_elf_section *s = &e->sections[i];
		char *data = s->type == SHT_NOTE ? load(e, s) : NULL;

		if (data)
			id_in_notes(data, s->size, id);
		free(data);
	}
}

static const struct bs_elf_section *section(const struct bs_elf *e, const char *name)
{
	for (size_t i = 0; i < e->nsections; i++)
		if (e->sections[i].type != SHT_NOBITS &&
		    bs_elf_section_is(e, &e->sections[i], name))
			return &e->sections[i];
	return NULL;
}

bool bs_elf_has_dwarf(const struct bs_elf *e)
{
	return section(e, ".debug_info") || section(e, ".zdebug_info");
}

static bool has_symbols(const struct bs_elf *e)
{
	for (size_t i = 0; i < e->nsections; i++)
		if (e->sections[i].type == SHT_SYMTAB)
			return true;
	return false;
}

static bool crc_is(const struct bs_elf *e, uint32_t crc)
{
	unsigned char chunk[65536];
	uLong sum = crc32(0, NULL, 0);

	if (e->size > MAX_CRC)
		return false;
	for (uint64_t at = 0; at < e->size; at += sizeof(chunk)) {
		size_t n = e->size - at < sizeof(chunk) ? (size_t)(e->size - at) : sizeof(chunk);

		if (bs_elf_read(e, at, chunk, n))
			return false;
		sum = crc32(sum, chunk, (uInt)n);
	}
	return sum == crc;
}

/* What is searched for. */
struct wanted {
	struct bs_build_id id;
	bool symbols; /* are worth it without DWARF */
	bool has_crc;
	uint32_t crc;
};

/* Opens path if it is what is wanted: -ENOENT if not. */
static int try_file(int root, const char *path, const struct wanted *w)
{
	struct bs_build_id id;
	struct bs_elf e;
	bool same;
	int fd = bs_root_open(root, path);

	if (fd < 0)
		return -ENOENT;
	if (bs_elf_init(&e, fd, path, NULL)) {
		close(fd);
		return -ENOENT;
	}
	bs_build_id_read(&e, &id);
	same = bs_elf_has_dwarf(&e) || (w->symbols && has_symbols(&e));
	if (w->id.size)
		same = same && id.size == w->id.size && !memcmp(id.bytes, w->id.bytes, id.size);
	else
		same = same && w->has_crc && crc_is(&e, w->crc);
	bs_elf_fini(&e);
	if (same)
		return fd;
	close(fd);
	return -ENOENT;
}

/* ".build-id/ab/cdef.debug", as below a directory of debug files. */
static void id_path(const struct bs_build_id *id, char *path, size_t size)
{
	int n = snprintf(path, size, "/usr/lib/debug/.build-id/%02x/", id->bytes[0]);

	for (unsigned i = 1; i < id->size; i++)
		n += snprintf(path + n, size - (size_t)n, "%02x", id->bytes[i]);
	snprintf(path + n, size - (size_t)n, ".debug");
}

/* A link's name is that of a file, without folders. */
static bool link_read(const struct bs_elf *e, char *name, size_t size, uint32_t *crc)
{
	const struct bs_elf_section *s = section(e, ".gnu_debuglink");
	char *data = s ? load(e, s) : NULL;
	size_t len, at;
	bool ok = false;

	if (!data)
		return false;
	len = strlen(data);
	at = (len + 4) & ~(size_t)3;
	if (len && len < size && !strchr(data, '/') && at <= s->size &&
	    sizeof(*crc) <= s->size - at) {
		memcpy(name, data, len + 1);
		memcpy(crc, data + at, sizeof(*crc));
		ok = true;
	}
	free(data);
	return ok;
}

static int try_link(int root, const char *path, const char *name, const struct wanted *w)
{
	static const char *const forms[] = {"%.*s/%s", "%.*s/.debug/%s", "/usr/lib/debug%.*s/%s"};
	const char *slash = strrchr(path, '/');
	char full[PATH_MAX];
	int fd = -ENOENT;

	if (path[0] != '/')
		return -ENOENT;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && fd < 0; i++) {
		int n = snprintf(full, sizeof(full), forms[i], (int)(slash - path), path, name);

		if (n > 0 && (size_t)n < sizeof(full))
			fd = try_file(root, full, w);
	}
	return fd;
}

int bs_debug_open(const struct bs_elf *e, const char *path, const struct bs_debug_roots *roots)
{
	char by_id[2 * BS_BUILD_ID_MAX + 64] = "", link[256] = "";
	struct wanted w = {0};
	int fd = -ENOENT;

	w.symbols = !has_symbols(e);
	bs_build_id_read(e, &w.id);
	if (w.id.size)
		id_path(&w.id, by_id, sizeof(by_id));
	w.has_crc = link_read(e, link, sizeof(link), &w.crc);
	for (size_t i = 0; i < NROOTS && fd < 0; i++) {
		int root = roots->fds[i];

		if (root < 0)
			continue;
		if (by_id[0])
			fd = try_file(root, by_id, &w);
		if (fd < 0 && link[0])
			fd = try_link(root, path, link, &w);
		/* The whole program, as it was before it was stripped. */
		if (fd < 0 && w.id.size && path[0] == '/')
			fd = try_file(root, path, &w);
	}
	return fd;
}

int bs_debug_alt_open(const struct bs_elf *e, const struct bs_debug_roots *roots)
{
	const struct bs_elf_section *s = section(e, ".gnu_debugaltlink");
	char by_id[2 * BS_BUILD_ID_MAX + 64] = "", *name = s ? load(e, s) : NULL;
	struct bs_build_id id = {0};
	size_t len;
	int fd = -ENOENT;

	if (!name)
		return -ENOENT;
	len = strlen(name);
	if (len < s->size && s->size - len - 1 >= 2 && s->size - len - 1 <= BS_BUILD_ID_MAX) {
		id.size = (uint8_t)(s->size - len - 1);
		memcpy(id.bytes, name + len + 1, id.size);
		id_path(&id, by_id, sizeof(by_id));
	}
	/* Whether it is the right one libdw finds out: it need not be a file that can be loaded. */
	for (size_t i = 0; i < NROOTS && fd < 0 && by_id[0]; i++) {
		if (roots->fds[i] < 0)
			continue;
		fd = bs_root_open(roots->fds[i], by_id);
		if (fd < 0 && name[0] == '/')
			fd = bs_root_open(roots->fds[i], name);
	}
	free(name);
	return fd < 0 ? -ENOENT : fd;
}
