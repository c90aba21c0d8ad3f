/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * command.h - a COMMAND, forked at once and held before its exec until everything is lit, so
 * that its first event is seen.
 */
#ifndef BS_TRACE_COMMAND_H
#define BS_TRACE_COMMAND_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct bs_error;

struct bs_command {
	pid_t pid;	     /* 0: none */
	int gate;	     /* closing it lets the child go; -1 */
	int result;	     /* the child's errno if exec fails; -1 */
	bool running;	     /* not waited for yet */
	int status;	     /* wait(2) status, once !running */
	char path[PATH_MAX]; /* the file that will be executed */
};

/*
 * Finds COMMAND in PATH and forks.  preload: path of the library that goes to the front of its
 * LD_PRELOAD, or NULL.  The child inherits the tool's standard streams, its signal mask and the
 * dispositions it had before the tool set its own.  -ENOENT, -EACCES, ... with err.
 */
int bs_command_start(struct bs_command *c, char **argv, const char *preload, struct bs_error *err);

/*
 * Makes this process's environment what that of a COMMAND is: with preload in front of its
 * LD_PRELOAD, if it is not NULL.  0 or -errno.
 */
int bs_command_env(const char *preload);

/* Lets it exec.  0, or the error of exec with err. */
int bs_command_release(struct bs_command *c, const char *name, struct bs_error *err);

/* Takes notice of its end, without waiting for it.  True once it has ended. */
bool bs_command_poll(struct bs_command *c);

/* A command that was never released is killed; one that runs is left alone. */
void bs_command_fini(struct bs_command *c);

#endif
