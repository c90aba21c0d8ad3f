/* SPDX-License-Identifier: GPL-2.0-only */
/* preload.c - the preload libraries: which are asked for, and where they are. */
#define _GNU_SOURCE
#include "bscope-trace/preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define PRELOAD_NAME "libbscope-preload"

/* By bit of the set. */
static const struct {
	const char *word, *file;
} libraries[BS_PRELOAD_SETS] = {
	{"malloc", PRELOAD_NAME ".so"},
	{"lock", PRELOAD_NAME "-lock.so"},
	{"fd", PRELOAD_NAME "-fd.so"},
};

int bs_preload_add(unsigned *sets, const char *list, struct bs_error *err)
{
	unsigned bits = 0;

	for (const char *s = list;; s++) {
		size_t n = strcspn(s, ",");
		unsigned one = 0;

		for (unsigned i = 0; i < BS_PRELOAD_SETS; i++)
			if (strlen(libraries[i].word) == n && !memcmp(libraries[i].word, s, n))
				one = 1u << i;
		if (!one)
			return bs_error_set(err, -EINVAL,
					    "%.*s%s: use malloc, lock, fd, or several of them "
					    "separated by commas",
					    n < 100 ? (int)n : 100, s,
					    n ? ": no such library" : "an empty name");
		bits |= one;
		s += n;
		if (!*s)
			break;
	}
	*sets |= bits;
	return 0;
}

/* The folder of a path, which begins with a slash. */
static void folder_of(char *path)
{
	*strrchr(path, '/') = '\0';
}

static int search(unsigned i, char *path, size_t size, struct bs_error *err)
{
	const char *env = getenv("BSCOPE_PRELOAD");
	char dir[PATH_MAX];
	ssize_t n;

	if (env && *env) {
		if (!realpath(env, dir) || access(dir, R_OK))
			return bs_error_set(err, -ENOENT, "BSCOPE_PRELOAD=%s: %s", env,
					    strerror(errno));
		if (!i)
			return snprintf(path, size, "%s", dir) < (int)size ? 0 : -ENAMETOOLONG;
		folder_of(dir);
		if (snprintf(path, size, "%s/%s", dir, libraries[i].file) < (int)size &&
		    !access(path, R_OK))
			return 0;
		return bs_error_set(err, -ENOENT, "BSCOPE_PRELOAD=%s: no %s beside it", env,
				    libraries[i].file);
	}
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	if (n > 0) {
		dir[n] = '\0';
		folder_of(dir);
		if (snprintf(path, size, "%s/%s", dir, libraries[i].file) < (int)size &&
		    !access(path, R_OK))
			return 0;
	}
	if (snprintf(path, size, "%s/%s", BSCOPE_LIBDIR, libraries[i].file) < (int)size &&
	    !access(path, R_OK))
		return 0;
	return bs_error_set(err, -ENOENT,
			    "--preload: no %s beside the tool or in %s: set BSCOPE_PRELOAD to the "
			    "path of " PRELOAD_NAME ".so",
			    libraries[i].file, BSCOPE_LIBDIR);
}

int bs_preload_find(unsigned sets, char *list, size_t size, struct bs_error *err)
{
	size_t used = 0;

	list[0] = '\0';
	for (unsigned i = 0; i < BS_PRELOAD_SETS; i++) {
		char path[PATH_MAX];
		int ret;

		if (!(sets >> i & 1))
			continue;
		ret = search(i, path, sizeof(path), err);
		if (ret)
			return ret;
		/* ld.so splits LD_PRELOAD at both and knows no quoting. */
		if (strpbrk(path, " :"))
			return bs_error_set(
				err, -EINVAL,
				"--preload: %s: LD_PRELOAD cannot name a path with a space or a "
				"colon: move the library",
				path);
		used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ":" : "", path);
		if (used >= size)
			return bs_error_set(err, -ENAMETOOLONG,
					    "--preload: the paths of the libraries are too long");
	}
	return 0;
}

void bs_preload_leave(char **argv)
{
	const char *value = getenv("LD_PRELOAD");

	if (!value || !strstr(value, PRELOAD_NAME) || getenv(BS_PRELOAD_KEPT))
		return;
	if (setenv(BS_PRELOAD_KEPT, value, 1) || unsetenv("LD_PRELOAD"))
		return;
	execv("/proc/self/exe", argv);
}
