// SPDX-License-Identifier: GPL-2.0-only
/* cfi.c - the tool's side of the worker: starts it, asks, and starts another when it is lost. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "unwind/cfi.h"

#define MAX_FILES (1u << 20)

struct bs_cfi {
	pid_t pid; /* 0: there is none */
	int sock;
	uint64_t deaths;
	uint32_t worker; /* which one it is, from 1 */
	struct known {
		uint32_t worker; /* that has the file */
		uint32_t lost;	 /* workers over it, or by chance */
	} * files;
	size_t nfiles;
};

/* Ends the worker, if there is one. */
static void stop(struct bs_cfi *c)
{
	if (!c->pid)
		return;
	close(c->sock);
	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One message.  0, -ETIME (none came), -EIO (it is none). */
static int receive(struct bs_cfi *c, struct bs_cfi_answer *a, struct bs_cfi_op *ops)
{
	int64_t end = now_ms() + BS_CFI_PATIENCE_MS;
	struct pollfd p = {.fd = c->sock, .events = POLLIN};
	struct iovec iov[2] = {{a, sizeof(*a)}, {ops, BS_CFI_MAX_OPS * sizeof(*ops)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t got;

	for (;;) {
		int64_t left = end - now_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			break;
		if (n == 0)
			return -ETIME;
		if (errno != EINTR)
			return -EIO;
	}
	do
		got = recvmsg(c->sock, &msg, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < (ssize_t)sizeof(*a) || a->nops > BS_CFI_MAX_OPS)
		return -EIO;
	if (!a->error && ((size_t)got != sizeof(*a) + a->nops * sizeof(*ops) ||
			  !bs_cfi_row_valid(&a->row, a->nops)))
		return -EIO;
	return 0;
}

static int start(struct bs_cfi *c)
{
	struct bs_cfi_op ops[BS_CFI_MAX_OPS];
	struct bs_cfi_answer a;
	pid_t self = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	c->pid = fork();
	if (!c->pid) {
		/* Others may hold the tool's end of the socket when the tool dies. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		bs_cfi_worker(pair[1]);
	}
	close(pair[1]);
	if (c->pid < 0) {
		int ret = -errno;

		close(pair[0]);
		c->pid = 0;
		return ret;
	}
	c->sock = pair[0];
	c->worker++;
	if (receive(c, &a, ops))
		a.error = -EIO;
	if (a.error)
		stop(c);
	return a.error;
}

int bs_cfi_new(struct bs_cfi **out, struct bs_error *err)
{
	struct bs_cfi *c = calloc(1, sizeof(*c));
	int ret;

	*out = NULL;
	if (!c)
		return bs_error_set(err, -ENOMEM, "out of memory");
	ret = start(c);
	if (ret) {
		free(c);
		return bs_error_set(err, ret,
				    "cannot start the process that reads call frame information: "
				    "%s: use --call-graph=fp",
				    strerror(-ret));
	}
	*out = c;
	return 0;
}

void bs_cfi_free(struct bs_cfi *c)
{
	if (!c)
		return;
	stop(c);
	free(c->files);
	free(c);
}

static struct known *known(struct bs_cfi *c, uint32_t file)
{
	if (file >= c->nfiles) {
		size_t n = (size_t)file + 64;
		struct known *more = file < MAX_FILES ? realloc(c->files, n * sizeof(*more)) : NULL;

		if (!more)
			return NULL;
		memset(more + c->nfiles, 0, (n - c->nfiles) * sizeof(*more));
		c->files = more;
		c->nfiles = n;
	}
	return &c->files[file];
}

static int send_question(const struct bs_cfi *c, struct bs_cfi_question *q, const int *fds,
			 size_t nfds)
{
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {q, sizeof(*q)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (nfds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, nfds * sizeof(int));
	}
	do
		sent = sendmsg(c->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* 0, or -ETIME or -EIO: the worker must be stopped. */
static int ask(struct bs_cfi *c, uint32_t file, int fd, int debug_fd, uint64_t vaddr,
	       struct bs_cfi_answer *a, struct bs_cfi_op *ops)
{
	struct bs_cfi_question q = {.vaddr = vaddr, .file = file};
	struct known *f = &c->files[file];
	int fds[2] = {fd, debug_fd};
	size_t nfds = 0;
	int ret;

	if (f->worker != c->worker)
		nfds = debug_fd < 0 ? 1 : 2;
	f->worker = c->worker;
	ret = send_question(c, &q, fds, nfds);
	return ret ? -EIO : receive(c, a, ops);
}

int bs_cfi_ask(struct bs_cfi *c, uint32_t file, int fd, int debug_fd, uint64_t vaddr,
	       struct bs_cfi_row *row, struct bs_cfi_op ops[BS_CFI_MAX_OPS], size_t *nops)
{
	struct known *f = known(c, file);
	struct bs_cfi_answer a;
	int ret;

	if (!f)
		return -ENOMEM;
	while (f->lost < BS_CFI_LOST) {
		if (!c->pid && c->deaths >= BS_CFI_DEATHS)
			return -EIO;
		if (!c->pid && start(c)) {
			c->deaths++;
			return -EIO;
		}
		ret = ask(c, file, fd, debug_fd, vaddr, &a, ops);
		if (!ret) {
			*row = a.row;
			*nops = a.nops;
			return a.error ? -ENOENT : 0;
		}
		/* It may have died by somebody else's hand, but nobody waits twice. */
		f->lost += ret == -ETIME ? BS_CFI_LOST : 1;
		c->deaths++;
		stop(c);
	}
	return -EIO;
}

uint64_t bs_cfi_deaths(const struct bs_cfi *c)
{
	return c->deaths;
}

int bs_cfi_test_pid(const struct bs_cfi *c)
{
	return c->pid ? c->pid : -1;
}
