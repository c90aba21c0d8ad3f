/* SPDX-License-Identifier: GPL-2.0-only */
/* output.c - files that appear whole or not at all. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/output.h"

#define TRIES 1000

/* Of a name, what begins its temporary one: the end of that is to fit whatever has room itself. */
#define TEMP_BASE 100

void bs_streams_fill(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* Closed for output means that writing fails, and says so. */
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", (fd == STDERR_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC) !=
			    fd)
			_exit(EXIT_FAILURE);
	}
}

/* False if it is too long. */
static bool dir_of(const char *name, char dir[PATH_MAX])
{
	const char *slash = strrchr(name, '/');
	/* "/x" is in "/". */
	int n = slash ? (int)(slash - name) + (slash == name) : 1;

	return snprintf(dir, PATH_MAX, "%.*s", n, slash ? name : ".") < PATH_MAX;
}

/* What a name leads to, or where it would be made; false if neither is there. */
struct place {
	struct stat st;
	const char *base; /* NULL: it is there; else st is that of its directory */
};

static bool place_find(const char *name, struct place *p)
{
	const char *slash = name ? strrchr(name, '/') : NULL;
	char dir[PATH_MAX];

	p->base = NULL;
	if (name ? !stat(name, &p->st) : !fstat(STDOUT_FILENO, &p->st))
		return true;
	if (!name)
		return false;
	p->base = slash ? slash + 1 : name;
	return dir_of(name, dir) && !stat(dir, &p->st);
}

bool bs_output_same(const char *a, const char *b)
{
	struct place x, y;

	if (!place_find(a, &x) || !place_find(b, &y))
		return a && b && !strcmp(a, b);
	if (!x.base != !y.base || x.st.st_dev != y.st.st_dev || x.st.st_ino != y.st.st_ino)
		return false;
	return x.base ? !strcmp(x.base, y.base) : !S_ISCHR(x.st.st_mode);
}

/* The suffix takes the place of what is too much. */
static void temp_name(char temp[PATH_MAX], const char *name, const char *suffix)
{
	const char *slash = strrchr(name, '/');
	size_t dir = slash ? (size_t)(slash - name) + 1 : 0, base = strlen(name) - dir;

	snprintf(temp, PATH_MAX, "%.*s%s", (int)(dir + (base < TEMP_BASE ? base : TEMP_BASE)), name,
		 suffix);
}

static int open_failed(const char *name, struct bs_error *err)
{
	int e = errno;

	return bs_error_set(err, -e, "%s: %s: choose a file that can be written", name,
			    strerror(e));
}

#define FD_PATH 64

static void fd_path(char path[FD_PATH], int fd)
{
	snprintf(path, FD_PATH, "/proc/self/fd/%d", fd);
}

/* A file without a name (open(2), O_TMPFILE) where o->name is to be; -1: not there. */
static int open_unnamed(const char *name)
{
	char dir[PATH_MAX], path[FD_PATH];
	int fd;

	if (!dir_of(name, dir))
		return -1;
	fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	fd_path(path, fd);
	/* By it the file will get its name. */
	if (!access(path, F_OK))
		return fd;
	close(fd);
	return -1;
}

static int open_temp(struct bs_output *o)
{
	mode_t mask;
	int fd = mkostemp(o->temp, O_CLOEXEC);

	if (fd < 0)
		return -1;
	/* mkstemp makes files that only their owner can read; a report is an ordinary file. */
	mask = umask(0);
	umask(mask);
	fchmod(fd, 0666 & ~mask);
	return fd;
}

int bs_output_open(struct bs_output *o, const char *name, struct bs_error *err)
{
	struct stat st;
	int fd;

	memset(o, 0, sizeof(*o));
	o->name = name;
	if (!name) {
		o->file = stdout;
		return 0;
	}
	/* As well as its temporary name. */
	if ((stat(name, &st) && errno == ENAMETOOLONG) || strlen(name) + 8 > sizeof(o->temp))
		return bs_error_set(err, -ENAMETOOLONG, "%.64s...: the file name is too long",
				    name);
	if (!stat(name, &st) && !S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode))
			return bs_error_set(err, -EISDIR, "%s: is a directory: name a file in it",
					    name);
		o->file = fopen(name, "we");
		return o->file ? 0 : open_failed(name, err);
	}
	temp_name(o->temp, name, ".XXXXXX");
	fd = open_unnamed(name);
	o->unnamed = fd >= 0;
	if (!o->unnamed)
		fd = open_temp(o);
	if (fd < 0 || o->unnamed)
		o->temp[0] = '\0';
	if (fd < 0)
		return open_failed(name, err);
	o->file = fdopen(fd, "w");
	if (!o->file) {
		close(fd);
		bs_output_abort(o);
		return bs_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/*
 * The file gets a temporary name: linkat replaces nothing, and rename does.  0 or errno.  (The
 * length was checked when it was opened.)
 */
static int name_temp(struct bs_output *o)
{
	char path[FD_PATH], temp[PATH_MAX], suffix[16];

	fd_path(path, fileno(o->file));
	for (int i = 0; i < TRIES; i++) {
		uint32_t n = (uint32_t)bs_now_ns() ^ (uint32_t)getpid() << 16;

		snprintf(suffix, sizeof(suffix), ".%06x", n & 0xffffff);
		temp_name(temp, o->name, suffix);
		if (!linkat(AT_FDCWD, path, AT_FDCWD, temp, AT_SYMLINK_FOLLOW)) {
			memcpy(o->temp, temp, sizeof(temp));
			o->unnamed = false;
			return 0;
		}
		if (errno != EEXIST)
			return errno;
	}
	return EEXIST;
}

int bs_output_commit(struct bs_output *o, const char *what, int write_error, struct bs_error *err)
{
	const char *name = o->name ? o->name : "standard output";
	int e = -write_error;

	if (fflush(o->file) && !e)
		e = errno;
	if (ferror(o->file) && !e)
		e = EIO;
	if (!e && o->unnamed)
		e = name_temp(o);
	if (o->name && fclose(o->file) && !e)
		e = errno;
	o->file = NULL;
	if (!e && o->temp[0] && rename(o->temp, o->name))
		e = errno;
	if (!e) {
		o->temp[0] = '\0';
		return 0;
	}
	bs_output_abort(o);
	return bs_error_set(err, -e, "cannot write the %s to %s: %s%s", what, name, strerror(e),
			    e == ENOSPC ? " (make room or choose another place)" : "");
}

void bs_output_abort(struct bs_output *o)
{
	if (o->file && o->name)
		fclose(o->file);
	o->file = NULL;
	if (o->temp[0])
		unlink(o->temp);
	o->temp[0] = '\0';
}
