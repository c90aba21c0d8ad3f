/* SPDX-License-Identifier: GPL-2.0-only */
/* output.c - files that appear whole or not at all. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/output.h"

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

/* What a name leads to, or where it would be made; false if neither is there. */
struct place {
	struct stat st;
	const char *base; /* NULL: it is there; else st is that of its directory */
};

static bool place_find(const char *name, struct place *p)
{
	const char *slash = name ? strrchr(name, '/') : NULL;
	char dir[PATH_MAX] = ".";

	p->base = NULL;
	if (name ? !stat(name, &p->st) : !fstat(STDOUT_FILENO, &p->st))
		return true;
	if (!name)
		return false;
	p->base = slash ? slash + 1 : name;
	if (slash && (size_t)(slash - name) >= sizeof(dir) - 1)
		return false;
	/* "/x" is in "/". */
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - name) + (slash == name), name);
	return !stat(dir, &p->st);
}

bool bs_output_same(const char *a, const char *b)
{
	struct place x, y;

	if (a && b && !strcmp(a, b))
		return true;
	if (!place_find(a, &x) || !place_find(b, &y))
		return false;
	if (!x.base != !y.base || x.st.st_dev != y.st.st_dev || x.st.st_ino != y.st.st_ino)
		return false;
	return x.base ? !strcmp(x.base, y.base) : !S_ISCHR(x.st.st_mode);
}

static int open_failed(const char *name, struct bs_error *err)
{
	int e = errno;

	return bs_error_set(err, -e, "%s: %s: choose a file that can be written", name,
			    strerror(e));
}

int bs_output_open(struct bs_output *o, const char *name, struct bs_error *err)
{
	struct stat st;
	mode_t mask;
	int fd;

	memset(o, 0, sizeof(*o));
	o->name = name;
	if (!name) {
		o->file = stdout;
		return 0;
	}
	if (!stat(name, &st) && !S_ISREG(st.st_mode)) {
		if (S_ISDIR(st.st_mode))
			return bs_error_set(err, -EISDIR, "%s: is a directory: name a file in it",
					    name);
		o->file = fopen(name, "we");
		return o->file ? 0 : open_failed(name, err);
	}
	if ((size_t)snprintf(o->temp, sizeof(o->temp), "%s.XXXXXX", name) >= sizeof(o->temp)) {
		o->temp[0] = '\0';
		return bs_error_set(err, -ENAMETOOLONG, "%.64s...: the file name is too long",
				    name);
	}
	fd = mkostemp(o->temp, O_CLOEXEC);
	if (fd < 0) {
		o->temp[0] = '\0';
		return open_failed(name, err);
	}
	/* mkstemp makes files that only their owner can read; a report is an ordinary file. */
	mask = umask(0);
	umask(mask);
	fchmod(fd, 0666 & ~mask);
	o->file = fdopen(fd, "w");
	if (!o->file) {
		close(fd);
		bs_output_abort(o);
		return bs_error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

int bs_output_commit(struct bs_output *o, const char *what, int write_error, struct bs_error *err)
{
	const char *name = o->name ? o->name : "standard output";
	int e = -write_error;

	if (fflush(o->file) && !e)
		e = errno;
	if (ferror(o->file) && !e)
		e = EIO;
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
