// SPDX-License-Identifier: GPL-2.0-only
/* look.c - children that look names up, and what is to be done when one dies. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbol/look.h"
#include "target/elf.h"

#define POLL_MS 100
#define ASK_NS	(POLL_MS * 1000000ull)

/* --- in the child ----------------------------------------------------------------------------- */

struct bs_look_out {
	int fd;
	size_t n;
	unsigned char buf[65536];
};

static void flush(struct bs_look_out *o)
{
	size_t at = 0;

	while (at < o->n) {
		ssize_t done = write(o->fd, o->buf + at, o->n - at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			_exit(1);
		at += (size_t)done;
	}
	o->n = 0;
}

void bs_look_write(struct bs_look_out *o, const struct bs_wire_msg *m, const char *text)
{
	size_t n = m->kind == BS_WIRE_STRING ? m->a : 0;

	if (sizeof(o->buf) - o->n < sizeof(*m) + n)
		flush(o);
	memcpy(o->buf + o->n, m, sizeof(*m));
	o->n += sizeof(*m);
	if (n)
		memcpy(o->buf + o->n, text, n);
	o->n += n;
	/* A sign of life is for now; what stands before a file stays when that is the end. */
	if (m->kind == BS_WIRE_WORK || m->kind == BS_WIRE_FILE || m->kind == BS_WIRE_END)
		flush(o);
}

static _Noreturn void child(const struct bs_look *look, size_t from, int pipe_fd, pid_t parent)
{
	size_t n = 0, room = (look->nfiles - from) * 3 + 1;
	static struct bs_look_out out;
	struct bs_wire_msg m = {.kind = BS_WIRE_END};
	int *fds = calloc(room, sizeof(*fds));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!fds || getppid() != parent)
		_exit(1);
	for (size_t i = from; i < look->nfiles; i++) {
		fds[n++] = look->files[i].elf->fd;
		fds[n++] = look->files[i].debug_fd;
		fds[n++] = look->files[i].alt_fd;
	}
	fds[n++] = pipe_fd;
	if (bs_look_shut_in(fds, n))
		_exit(1);
	out.fd = pipe_fd;
	for (size_t i = from; i < look->nfiles; i++) {
		struct bs_wire_msg file = {.kind = BS_WIRE_FILE, .a = (uint32_t)i};

		bs_look_write(&out, &file, NULL);
		look->work(&out, look, &look->files[i]);
	}
	bs_look_write(&out, &m, NULL);
	_exit(0);
}

/* --- in the tool ------------------------------------------------------------------------------ */

struct run {
	struct bs_look *look;
	size_t from, at; /* files: the first one of this child, the one it is at */
	bool began;
};

static int on_file(void *ctx, uint32_t at)
{
	struct run *r = ctx;

	if (at != (r->began ? r->at + 1 : r->from) || at >= r->look->nfiles)
		return -EPROTO;
	r->at = at;
	r->began = true;
	return 0;
}

static int on_address(void *ctx, uint32_t at, const struct bs_wire_found *found)
{
	struct run *r = ctx;
	const struct bs_look_file *file = &r->look->files[r->at];

	if (!r->began || at < file->first || at - file->first >= file->n)
		return -EPROTO;
	return r->look->found(r->look->ctx, at, found);
}

/* Reads until the child has ended.  0, -EPROTO (it talks nonsense), -ETIME, -ECANCELED, ... */
static int listen(struct run *r, int fd, struct bs_wire *wire)
{
	static unsigned char buf[65536];
	uint64_t heard = bs_now_ns(), asked = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, POLL_MS), ret;
		uint64_t now = bs_now_ns();

		if (r->look->more && now - asked >= ASK_NS) {
			asked = now;
			if (!r->look->more(r->look->ctx))
				return -ECANCELED;
		}
		if (now >= r->look->until_ns)
			return -ETIME;
		if (ready > 0) {
			ssize_t n = read(fd, buf, sizeof(buf));

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return n ? -errno : 0;
			heard = now;
			ret = bs_wire_take(wire, buf, (size_t)n);
			if (ret)
				return ret;
		} else if (now - heard >= r->look->stall_ns) {
			return -EPROTO;
		}
	}
}

/* One child, from the first file that has not been looked at on. */
static int run_child(struct run *r)
{
	const struct bs_wire_ops ops = {on_address, on_file, r};
	struct bs_wire wire = {.ops = &ops};
	pid_t pid, parent = getpid();
	int fds[2], ret, status = 0;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid)
		child(r->look, r->from, fds[1], parent);
	ret = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (!ret)
		ret = listen(r, fds[0], &wire);
	close(fds[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (!ret && !wire.ended)
		ret = -EPROTO;
	bs_wire_fini(&wire);
	return ret;
}

int bs_look_run(struct bs_look *look)
{
	struct run r = {.look = look};
	int ret = 0;

	while (r.from < look->nfiles) {
		r.began = false;
		ret = run_child(&r);
		if (ret != -EPROTO)
			break;
		/* It did not even begin: so will the next one. */
		if (!r.began)
			return -ECHILD;
		look->files[r.at].failed = true;
		r.from = r.at + 1;
		ret = 0;
	}
	return ret;
}
