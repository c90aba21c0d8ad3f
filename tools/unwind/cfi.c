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
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "unwind/cfi.h"

#define MAX_FILES (1u << 20)

#define NSEC_PER_MSEC 1000000ull
/* An answer that comes as soon is waited for; what takes longer is paid from an allowance. */
#define FREE_NS	     (5 * NSEC_PER_MSEC)
#define ALLOWANCE_NS (50 * NSEC_PER_MSEC)
#define REFILL	     10 /* one ns in so many */
#define PATIENCE_NS  (BS_CFI_PATIENCE_MS * NSEC_PER_MSEC)

struct bs_cfi {
	pid_t pid; /* 0: there is none */
	int sock;
	/* What it has not said yet: that it is there, or the answer to a question. */
	enum { NOTHING, GREETING, ANSWER } awaited;
	bool late; /* and is not waited for any more */
	struct bs_cfi_question asked;
	uint64_t asked_ns;
	uint64_t allowance_ns, refilled_ns;
	struct bs_cfi_stats stats;
	pid_t dying[BS_CFI_DEATHS + 1]; /* killed, and not waited for yet */
	size_t ndying;
	uint32_t worker; /* which one it is, from 1 */
	struct known {
		uint32_t worker; /* that has the file */
		uint32_t lost;	 /* workers over it, or by chance */
	} * files;
	size_t nfiles;
};

/* One that reads a file far away may take its time to die. */
static void bury(struct bs_cfi *c, int flags)
{
	size_t left = 0;

	for (size_t i = 0; i < c->ndying; i++) {
		pid_t got;

		do
			got = waitpid(c->dying[i], NULL, flags);
		while (got < 0 && errno == EINTR);
		if (!got)
			c->dying[left++] = c->dying[i];
	}
	c->ndying = left;
}

/* Ends the worker, if there is one. */
static void stop(struct bs_cfi *c)
{
	if (!c->pid)
		return;
	close(c->sock);
	kill(c->pid, SIGKILL);
	bury(c, WNOHANG);
	c->dying[c->ndying++] = c->pid;
	c->pid = 0;
	c->awaited = NOTHING;
}

/* One message.  0, -EAGAIN (none came within wait_ns), -EIO (it is none). */
static int receive(struct bs_cfi *c, struct bs_cfi_answer *a, struct bs_cfi_op *ops,
		   uint64_t wait_ns)
{
	uint64_t end = bs_now_ns() + wait_ns;
	struct pollfd p = {.fd = c->sock, .events = POLLIN};
	/* What is received into need not have been written before. */
	/* cppcheck-suppress ctuuninitvar */
	struct iovec iov[2] = {{a, sizeof(*a)}, {ops, BS_CFI_MAX_OPS * sizeof(*ops)}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t got;

	for (;;) {
		uint64_t now = bs_now_ns(), left = now < end ? end - now : 0;
		int n = poll(&p, 1, (int)((left + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC));

		if (n > 0)
			break;
		if (n == 0)
			return -EAGAIN;
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

static void allowance_refill(struct bs_cfi *c, uint64_t now)
{
	c->allowance_ns += (now - c->refilled_ns) / REFILL;
	if (c->allowance_ns > ALLOWANCE_NS)
		c->allowance_ns = ALLOWANCE_NS;
	c->refilled_ns = now;
}

/*
 * What is awaited.  0, -EAGAIN (it takes longer than the allowance, and is not waited for again),
 * -ETIME (longer than anybody should wait), -EIO (the worker is lost).
 */
static int await(struct bs_cfi *c, struct bs_cfi_answer *a, struct bs_cfi_op *ops)
{
	uint64_t began = bs_now_ns(), waited;
	int ret;

	allowance_refill(c, began);
	ret = receive(c, a, ops, c->late ? 0 : FREE_NS + c->allowance_ns);
	waited = bs_now_ns() - began;
	c->stats.waited_ns += waited;
	waited = waited > FREE_NS ? waited - FREE_NS : 0;
	c->allowance_ns -= waited < c->allowance_ns ? waited : c->allowance_ns;
	c->late = ret == -EAGAIN;
	if (c->late)
		return bs_now_ns() - c->asked_ns < PATIENCE_NS ? -EAGAIN : -ETIME;
	c->awaited = NOTHING;
	return ret;
}

static int start(struct bs_cfi *c)
{
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
	c->awaited = GREETING;
	c->asked_ns = bs_now_ns();
	c->late = false;
	return 0;
}

static int start_first(struct bs_cfi *c)
{
	struct bs_cfi_op ops[BS_CFI_MAX_OPS];
	struct bs_cfi_answer a;
	int ret = start(c);

	if (ret)
		return ret;
	if (receive(c, &a, ops, PATIENCE_NS))
		a.error = -EIO;
	c->awaited = NOTHING;
	c->allowance_ns = ALLOWANCE_NS;
	c->refilled_ns = bs_now_ns();
	return a.error;
}

int bs_cfi_new(struct bs_cfi **out, struct bs_error *err)
{
	struct bs_cfi *c = calloc(1, sizeof(*c));
	int ret;

	*out = NULL;
	if (!c)
		return bs_error_set(err, -ENOMEM, "out of memory");
	ret = start_first(c);
	if (ret) {
		bs_cfi_free(c);
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
	bury(c, 0);
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

/* 0 or -EIO. */
static int ask(struct bs_cfi *c, uint32_t file, int fd, int debug_fd, uint64_t vaddr)
{
	struct known *f = &c->files[file];
	int fds[2] = {fd, debug_fd};
	size_t nfds = 0;

	if (f->worker != c->worker)
		nfds = debug_fd < 0 ? 1 : 2;
	f->worker = c->worker;
	c->asked = (struct bs_cfi_question){.vaddr = vaddr, .file = file};
	c->asked_ns = bs_now_ns();
	c->awaited = ANSWER;
	return send_question(c, &c->asked, fds, nfds) ? -EIO : 0;
}

/* The question was too much for the worker, or it died by somebody else's hand. */
static void lost(struct bs_cfi *c, int why)
{
	/* Nobody waits twice. */
	c->files[c->asked.file].lost += why == -ETIME ? BS_CFI_LOST : 1;
	c->stats.deaths++;
	stop(c);
}

int bs_cfi_ask(struct bs_cfi *c, uint32_t file, int fd, int debug_fd, uint64_t vaddr,
	       struct bs_cfi_row *row, struct bs_cfi_op ops[BS_CFI_MAX_OPS], size_t *nops)
{
	struct known *f = known(c, file);
	struct bs_cfi_answer a;

	if (!f)
		return -ENOMEM;
	while (f->lost < BS_CFI_LOST) {
		bool greeting, ours;
		int ret = 0;

		if (!c->pid && c->stats.deaths >= BS_CFI_DEATHS)
			return -EIO;
		if (!c->pid && start(c)) {
			c->stats.deaths++;
			return -EIO;
		}
		if (c->awaited == NOTHING)
			ret = ask(c, file, fd, debug_fd, vaddr);
		greeting = c->awaited == GREETING;
		ours = !greeting && c->asked.file == file && c->asked.vaddr == vaddr;
		if (!ret)
			ret = await(c, &a, ops);
		if (ret == -EAGAIN) {
			c->stats.late++;
			return ret;
		}
		if (greeting && (ret || a.error)) {
			c->stats.deaths++;
			stop(c);
			return -EIO;
		}
		if (ret) {
			lost(c, ret);
			continue;
		}
		/* Else it is what somebody had waited for too long. */
		if (!ours)
			continue;
		*row = a.row;
		*nops = a.nops;
		return a.error ? -ENOENT : 0;
	}
	return -EIO;
}

void bs_cfi_stats(const struct bs_cfi *c, struct bs_cfi_stats *out)
{
	*out = c->stats;
}

int bs_cfi_test_pid(const struct bs_cfi *c)
{
	return c->pid ? c->pid : -1;
}
