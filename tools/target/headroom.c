// SPDX-License-Identifier: GPL-2.0-only
/*
 * headroom.c - is there room in a process's memory cgroup for what lighting its sites takes?
 *
 * Both kinds of hierarchy may be mounted at once (cgroups(7)); the memory controller is in one of
 * them.  A directory that lacks the files (the root, a hierarchy without the controller) sets no
 * limit.  What a limit further up leaves counts as well, so every level up to the mount is looked
 * at; what lies above the mount (in a container) is not visible and not counted.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/num.h"
#include "target/headroom.h"
#include "target/proc.h"

/*
 * What must stay free besides.  The kernel charges in batches of 64 pages per processor
 * (MEMCG_CHARGE_BATCH), so usage is only known to some 256 KiB per processor; page tables are
 * charged too; and the program itself goes on allocating, and dies of its own allocation then.
 */
#define MARGIN_BYTES (4ull << 20)

/* A file of one hierarchy that says a limit, and the one that says what is used of it. */
struct limit {
	const char *limit, *usage;
	bool ends_process; /* past it: killed; else: slowed down until it is below again */
};

struct hierarchy {
	const char *fstype, *controller; /* in /proc/self/mountinfo; NULL: the type says it all */
	struct limit limits[2];
	const char *reclaimable; /* of memory.stat */
};

/* Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of the kernel. */
static const struct hierarchy v2 = {
	.fstype = "cgroup2",
	.limits = {{"memory.max", "memory.current", true},
		   {"memory.high", "memory.current", false}},
	.reclaimable = "inactive_file",
};
static const struct hierarchy v1 = {
	.fstype = "cgroup",
	.controller = "memory",
	.limits = {{"memory.limit_in_bytes", "memory.usage_in_bytes", true},
		   {"memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", true}},
	.reclaimable = "total_inactive_file",
};

/* Is word in a list with commas? */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;;) {
		if (!strncmp(list, word, len) && (!list[len] || list[len] == ','))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
		list++;
	}
}

/* Undoes \040 and the like in place: proc_pid_mountinfo(5). */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* Where a hierarchy is mounted: *point, and which of its directories stands there: *top. */
static bool find_mount(char *mountinfo, const struct hierarchy *h, char **top, char **point)
{
	char *save_line = NULL;

	/* 36 35 98:0 /top /point rw,relatime optional... - fstype source super,options */
	for (char *line = strtok_r(mountinfo, "\n", &save_line); line;
	     line = strtok_r(NULL, "\n", &save_line)) {
		char *save = NULL, *rest = strstr(line, " - "), *type, *options;

		if (!rest)
			continue;
		*rest = '\0';
		type = strtok_r(rest + 3, " ", &save);
		strtok_r(NULL, " ", &save);
		options = strtok_r(NULL, " ", &save);
		if (!type || !options || strcmp(type, h->fstype) ||
		    (h->controller && !has_word(options, h->controller)))
			continue;
		save = NULL;
		strtok_r(line, " ", &save);
		strtok_r(NULL, " ", &save);
		strtok_r(NULL, " ", &save);
		*top = strtok_r(NULL, " ", &save);
		*point = strtok_r(NULL, " ", &save);
		if (!*top || !*point)
			continue;
		unescape(*top);
		unescape(*point);
		return true;
	}
	return false;
}

/* The process's directory in a hierarchy, from the text of /proc/PID/cgroup; NULL: none. */
static char *find_path(char *cgroup, const struct hierarchy *h)
{
	char *save = NULL;

	/* number:controllers:path; the path may hold colons */
	for (char *line = strtok_r(cgroup, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':'), *path;

		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		if (h->controller ? has_word(controllers + 1, h->controller)
				  : !strcmp(line, "0:") && !controllers[1])
			return path;
	}
	return NULL;
}

static int read_text(char **text, const char *root, const char *a, const char *b, const char *c)
{
	char path[PATH_MAX];
	size_t size;
	int n = snprintf(path, sizeof(path), "%s%s%s%s%s", root, a, b, *c ? "/" : "", c);

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	return bs_proc_read(path, text, &size);
}

/* One number; false where there is no such file, or it says "max". */
static bool read_number(const char *root, const char *mount, const char *dir, const char *file,
			uint64_t *value)
{
	char *text;
	int ret;

	if (read_text(&text, root, mount, dir, file))
		return false;
	text[strcspn(text, "\n")] = '\0';
	ret = bs_num_u64(text, 0, UINT64_MAX, value);
	free(text);
	return !ret;
}

/* A line of memory.stat; 0 if there is none. */
static uint64_t read_stat(const char *root, const char *mount, const char *dir, const char *name)
{
	uint64_t value = 0;
	char *text, *save = NULL;
	size_t len = strlen(name);

	if (read_text(&text, root, mount, dir, "memory.stat"))
		return 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, name, len) && line[len] == ' ' &&
		    bs_num_u64(line + len + 1, 0, UINT64_MAX, &value))
			value = 0;
	free(text);
	return value;
}

struct question {
	const char *root;
	pid_t pid;
	uint64_t need;
	struct bs_error *err;
};

/* One directory's limits.  dir: below the mount, "" for its top. */
static int check_level(const struct question *q, const struct hierarchy *h, const char *mount,
		       const char *dir)
{
	for (size_t i = 0; i < 2; i++) {
		const struct limit *l = &h->limits[i];
		uint64_t limit, used, cache, left;

		if (!read_number(q->root, mount, dir, l->limit, &limit) ||
		    !read_number(q->root, mount, dir, l->usage, &used))
			continue;
		/* Cached pages of files that nobody has used lately make room without harm. */
		cache = read_stat(q->root, mount, dir, h->reclaimable);
		used -= cache < used ? cache : used;
		left = limit > used ? limit - used : 0;
		if (left >= MARGIN_BYTES && left - MARGIN_BYTES >= q->need)
			continue;
		return bs_error_set(
			q->err, -ENOMEM,
			"pid %d: its memory cgroup %s has %.1f of %.1f MiB left, lighting "
			"its sites takes %.1f and %.0f must stay free (else it would be %s): "
			"raise %s, light fewer sites with --filter, or use --mode=trap",
			(int)q->pid, *dir ? dir : "/", (double)left / 1048576,
			(double)limit / 1048576, (double)q->need / 1048576,
			(double)MARGIN_BYTES / 1048576, l->ends_process ? "killed" : "slowed down",
			l->limit);
	}
	return 0;
}

/* Does a limit of dir count for the directories below it?  Always but in old kernels' v1. */
static bool is_inherited(const struct question *q, const char *mount, const char *dir)
{
	uint64_t inherited;

	return !read_number(q->root, mount, dir, "memory.use_hierarchy", &inherited) || inherited;
}

static int check_up(const struct question *q, const struct hierarchy *h, const char *mount,
		    char *dir)
{
	bool own = true;

	for (;;) {
		char *slash;
		int ret;

		if (own || is_inherited(q, mount, dir)) {
			ret = check_level(q, h, mount, dir);
			if (ret)
				return ret;
		}
		own = false;
		slash = strrchr(dir, '/');
		if (!slash)
			return 0;
		*slash = '\0';
	}
}

static int check_hierarchy(const struct question *q, const struct hierarchy *h,
			   const char *cgroup_text, const char *mountinfo_text)
{
	char *cgroup = strdup(cgroup_text), *mountinfo = strdup(mountinfo_text);
	char *path, *top, *point;
	size_t len;
	int ret = 0;

	if (!cgroup || !mountinfo) {
		ret = bs_error_set(q->err, -ENOMEM, "out of memory");
		goto out;
	}
	path = find_path(cgroup, h);
	if (!path || !find_mount(mountinfo, h, &top, &point))
		goto out;
	/* Below what is mounted?  "/../x" is outside of our cgroup namespace. */
	len = strcmp(top, "/") ? strlen(top) : 0;
	if (strncmp(path, top, len) || (path[len] && path[len] != '/') || strstr(path, "/.."))
		goto out;
	path += len;
	if (!strcmp(path, "/"))
		path++;
	ret = check_up(q, h, point, path);
out:
	free(cgroup);
	free(mountinfo);
	return ret;
}

int bs_headroom_check_at(const char *root, pid_t pid, pid_t tid, uint64_t need_bytes,
			 struct bs_error *err)
{
	const struct question q = {.root = root, .pid = pid, .need = need_bytes, .err = err};
	char number[64], *cgroup = NULL, *mountinfo = NULL;
	int ret;

	snprintf(number, sizeof(number), "/proc/%d/cgroup", (int)tid);
	ret = read_text(&cgroup, root, number, "", "");
	if (ret == -ESRCH)
		return bs_error_set(err, -ESRCH, "pid %d: has exited", (int)pid);
	/* A kernel without cgroups has no such file. */
	if (ret || read_text(&mountinfo, root, "/proc/self/mountinfo", "", "")) {
		free(cgroup);
		return 0;
	}
	ret = check_hierarchy(&q, &v2, cgroup, mountinfo);
	if (!ret)
		ret = check_hierarchy(&q, &v1, cgroup, mountinfo);
	free(cgroup);
	free(mountinfo);
	return ret;
}

int bs_headroom_check(pid_t pid, uint64_t need_bytes, struct bs_error *err)
{
	pid_t tid = bs_proc_live_thread(pid);

	if (tid < 0)
		return bs_error_set(err, -ESRCH, "pid %d: has exited", (int)pid);
	return bs_headroom_check_at("", pid, tid, need_bytes, err);
}
