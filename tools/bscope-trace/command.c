/* SPDX-License-Identifier: GPL-2.0-only */
/* command.c - start a COMMAND held at its exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "bscope-trace/command.h"
#include "bscope-trace/preload.h"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* execvp(3)'s search, done before the fork: the sites of the file are read before it runs. */
static int path_search(const char *name, char *path, size_t size, struct bs_error *err)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/')) {
		if ((size_t)snprintf(path, size, "%s", name) >= size)
			return bs_error_set(err, -ENAMETOOLONG, "%.64s...: the path is too long",
					    name);
		if (is_program(path))
			return 0;
		if (access(path, F_OK))
			return bs_error_set(err, -ENOENT, "%s: no such file", name);
		return bs_error_set(err, -EACCES, "%s: not an executable file", name);
	}
	if (!dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	while (*name) {
		const char *end = strchrnul(dirs, ':');
		int len = (int)(end - dirs);

		if ((size_t)snprintf(path, size, "%.*s%s%s", len, dirs, len ? "/" : "", name) <
			    size &&
		    is_program(path))
			return 0;
		if (!*end)
			break;
		dirs = end + 1;
	}
	return bs_error_set(err, -ENOENT, "%s: command not found in PATH", name);
}

int bs_command_env(const char *preload)
{
	const char *before = getenv(BS_PRELOAD_KEPT);
	char *joined = NULL;
	int ret;

	if (!before)
		before = getenv("LD_PRELOAD");
	if (!preload)
		ret = before && *before ? setenv("LD_PRELOAD", before, 1) : 0;
	else if (asprintf(&joined, "%s%s%s", preload, before && *before ? ":" : "",
			  before ? before : "") < 0)
		return -ENOMEM;
	else
		ret = setenv("LD_PRELOAD", joined, 1);
	free(joined);
	unsetenv(BS_PRELOAD_KEPT);
	return ret ? -errno : 0;
}

static _Noreturn void child(const struct bs_command *c, char **argv, const char *preload, int gate,
			    int result)
{
	char b;
	int e;
	ssize_t n;

	do
		n = read(gate, &b, 1);
	while (n < 0 && errno == EINTR);
	/* A byte means go; end of file means that the tool gave up or died. */
	if (n != 1)
		_exit(127);
	e = -bs_command_env(preload);
	if (!e) {
		execv(c->path, argv);
		e = errno;
		if (e == ENOEXEC) {
			/* A script without #!: what a shell would do. */
			execvp(argv[0], argv);
			e = errno;
		}
	}
	n = write(result, &e, sizeof(e));
	_exit(127);
}

int bs_command_start(struct bs_command *c, char **argv, const char *preload, struct bs_error *err)
{
	int gate[2] = {-1, -1}, result[2] = {-1, -1}, ret;

	memset(c, 0, sizeof(*c));
	c->gate = c->result = -1;
	ret = path_search(argv[0], c->path, sizeof(c->path), err);
	if (ret)
		return ret;
	if (pipe2(gate, O_CLOEXEC) || pipe2(result, O_CLOEXEC))
		goto fail;
	c->pid = fork();
	if (c->pid < 0)
		goto fail;
	if (!c->pid) {
		close(gate[1]);
		close(result[0]);
		child(c, argv, preload, gate[0], result[1]);
	}
	close(gate[0]);
	close(result[1]);
	c->gate = gate[1];
	c->result = result[0];
	c->running = true;
	return 0;
fail:
	ret = bs_error_set(err, -errno, "%s: cannot start: %s", argv[0], strerror(errno));
	c->pid = 0;
	for (int i = 0; i < 2; i++) {
		if (gate[i] >= 0)
			close(gate[i]);
		if (result[i] >= 0)
			close(result[i]);
	}
	return ret;
}

int bs_command_release(struct bs_command *c, const char *name, struct bs_error *err)
{
	int e = 0;
	ssize_t n;

	if (write(c->gate, "", 1) != 1)
		e = errno;
	close(c->gate);
	c->gate = -1;
	if (!e) {
		/* End of file: the exec closed the pipe. */
		do
			n = read(c->result, &e, sizeof(e));
		while (n < 0 && errno == EINTR);
		if (n != sizeof(e))
			e = 0;
	}
	close(c->result);
	c->result = -1;
	return e ? bs_error_set(err, -e, "%s: cannot run: %s", name, strerror(e)) : 0;
}

bool bs_command_poll(struct bs_command *c)
{
	if (c->running && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->running = false;
	return !c->running;
}

void bs_command_fini(struct bs_command *c)
{
	if (c->gate >= 0)
		close(c->gate); /* never released: the child sees the end of file and leaves */
	if (c->result >= 0)
		close(c->result);
	if (c->pid && c->gate >= 0)
		waitpid(c->pid, NULL, 0);
	memset(c, 0, sizeof(*c));
	c->gate = c->result = -1;
}
