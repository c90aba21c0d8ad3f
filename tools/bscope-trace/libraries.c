/* SPDX-License-Identifier: GPL-2.0-only */
/* libraries.c - asks the dynamic linker which libraries it will map for a program. */
#define _GNU_SOURCE
#include "bscope-trace/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "bscope-trace/command.h"
#include "target/elf.h"

/* It takes milliseconds. */
#define ANSWER_NS  2000000000ull
#define ANSWER_MAX (1u << 20)

/* The linker that the program names.  False: it has none, or not one that knows --list. */
static bool linker_of(const char *program, char *linker, size_t size)
{
	int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool found = false;
	const char *name;
	struct bs_elf e;

	if (fd < 0)
		return false;
	if (!bs_elf_init(&e, fd, program, NULL)) {
		const struct bs_elf_section *s = bs_elf_section_find(&e, ".interp");

		if (s && s->size >= 2 && s->size <= size) {
			found = !bs_elf_read(&e, s->offset, linker, s->size);
			linker[found ? s->size - 1 : 0] = '\0';
		}
		bs_elf_fini(&e);
	}
	close(fd);
	if (!found || linker[0] != '/')
		return false;
	name = strrchr(linker, '/') + 1;
	return !strncmp(name, "ld-linux", 8) || !strncmp(name, "ld-musl", 7);
}

static _Noreturn void child(const char *linker, const char *program, const char *preload, int out)
{
	char *argv[] = {(char *)linker, (char *)"--list", (char *)program, NULL};
	static const char *const quiet[] = {"LD_AUDIT", "LD_DEBUG", "LD_DEBUG_OUTPUT",
					    "LD_PROFILE"};
	int null = open("/dev/null", O_RDWR);

	/* Nobody listens to those, and auditors would be run. */
	for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++)
		unsetenv(quiet[i]);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0 ||
	    bs_command_env(preload))
		_exit(127);
	execv(linker, argv);
	_exit(127);
}

/* All that it says, for free(); NULL if that does not end, or is too much. */
static char *answer_read(int fd)
{
	uint64_t until = bs_now_ns() + ANSWER_NS;
	char *text = malloc(ANSWER_MAX);
	size_t n = 0;

	while (text) {
		uint64_t now = bs_now_ns();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (now >= until || n == ANSWER_MAX - 1)
			break;
		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) <= 0)
			continue;
		got = read(fd, text + n, ANSWER_MAX - 1 - n);
		if (got < 0 && errno != EINTR)
			break;
		if (!got) {
			text[n] = '\0';
			return text;
		}
		n += got > 0 ? (size_t)got : 0;
	}
	free(text);
	return NULL;
}

/* "	NAME => PATH (0xADDRESS)", or without the first part where the name is a path. */
static char *path_in(char *line)
{
	char *path = strstr(line, "=> "), *end;

	path = path ? path + 3 : line + strspn(line, " \t");
	for (end = NULL, line = path; (line = strstr(line, " (0x")); line++)
		end = line;
	if (!end || !strchr(path, '/'))
		return NULL;
	*end = '\0';
	return path;
}

int bs_libraries(const char *program, const char *preload, int (*fn)(void *ctx, const char *path),
		 void *ctx)
{
	char linker[PATH_MAX], *answer, *line, *rest;
	int pipe_fds[2], ret = 0;
	pid_t pid;

	if (!linker_of(program, linker, sizeof(linker)) || pipe2(pipe_fds, O_CLOEXEC))
		return 0;
	pid = fork();
	if (!pid)
		child(linker, program, preload, pipe_fds[1]);
	close(pipe_fds[1]);
	answer = pid > 0 ? answer_read(pipe_fds[0]) : NULL;
	close(pipe_fds[0]);
	if (pid > 0) {
		/* It has said all that it has to say, or will not. */
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (line = answer; line && *line && !ret; line = rest) {
		char *path;

		rest = strchrnul(line, '\n');
		if (*rest)
			*rest++ = '\0';
		path = path_in(line);
		if (path)
			ret = fn(ctx, path);
	}
	free(answer);
	return ret;
}
