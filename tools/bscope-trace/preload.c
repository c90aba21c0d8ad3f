/* SPDX-License-Identifier: GPL-2.0-only */
/* preload.c - the preload libraries: which is asked for, and where it is. */
#define _GNU_SOURCE
#include "bscope-trace/preload.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define PRELOAD_NAME "libbscope-preload"

/* By bit of the sets. */
static const char *const words[BS_PRELOAD_SETS] = {"malloc", "lock", "fd"};

int bs_preload_add(unsigned *sets, const char *list, struct bs_error *err)
{
	unsigned bits = 0;

	for (const char *s = list;; s++) {
		size_t n = strcspn(s, ",");
		unsigned one = 0;

		for (unsigned i = 0; i < BS_PRELOAD_SETS; i++)
			if (strlen(words[i]) == n && !memcmp(words[i], s, n))
				one = 1u << i;
		if (!one)
			return bs_error_set(err, -EINVAL,
					    "%.*s%s: use malloc, lock, fd, or several of them "
					    "separated by commas",
					    n < 100 ? (int)n : 100, s,
					    n ? ": no such functions" : "an empty name");
		bits |= one;
		s += n;
		if (!*s)
			break;
	}
	*sets |= bits;
	return 0;
}

/* "libbscope-preload-lock-fd.so"; malloc alone is not named. */
static void file_name(unsigned sets, char *name, size_t size)
{
	size_t used = (size_t)snprintf(name, size, PRELOAD_NAME);

	for (unsigned i = 0; i < BS_PRELOAD_SETS; i++)
		if (sets >> i & 1 && sets != BS_PRELOAD_MALLOC)
			used += (size_t)snprintf(name + used, size - used, "-%s", words[i]);
	snprintf(name + used, size - used, ".so");
}

/* The folder of a path, which begins with a slash. */
static void folder_of(char *path)
{
	*strrchr(path, '/') = '\0';
}

static bool is_there(char *path, size_t size, const char *dir, const char *name)
{
	return snprintf(path, size, "%s/%s", dir, name) < (int)size && !access(path, R_OK);
}

static int search(unsigned sets, char *path, size_t size, struct bs_error *err)
{
	const char *env = getenv("BSCOPE_PRELOAD");
	char dir[PATH_MAX], name[64];
	ssize_t n;

	file_name(sets, name, sizeof(name));
	if (env && *env) {
		if (!realpath(env, dir) || access(dir, R_OK))
			return bs_error_set(err, -ENOENT, "BSCOPE_PRELOAD=%s: %s", env,
					    strerror(errno));
		if (sets == BS_PRELOAD_MALLOC)
			return snprintf(path, size, "%s", dir) < (int)size ? 0 : -ENAMETOOLONG;
		folder_of(dir);
		return is_there(path, size, dir, name)
			       ? 0
			       : bs_error_set(err, -ENOENT, "BSCOPE_PRELOAD=%s: no %s beside it",
					      env, name);
	}
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	if (n > 0) {
		dir[n] = '\0';
		folder_of(dir);
		if (is_there(path, size, dir, name))
			return 0;
	}
	if (is_there(path, size, BSCOPE_LIBDIR, name))
		return 0;
	return bs_error_set(err, -ENOENT,
			    "--preload: no %s beside the tool or in %s: set BSCOPE_PRELOAD to the "
			    "path of " PRELOAD_NAME ".so",
			    name, BSCOPE_LIBDIR);
}

int bs_preload_find(unsigned sets, char *path, size_t size, struct bs_error *err)
{
	int ret = search(sets, path, size, err);

	/* ld.so splits LD_PRELOAD at both and knows no quoting. */
	if (!ret && strpbrk(path, " :"))
		return bs_error_set(
			err, -EINVAL,
			"--preload: %s: LD_PRELOAD cannot name a path with a space or a "
			"colon: move the library",
			path);
	return ret;
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
