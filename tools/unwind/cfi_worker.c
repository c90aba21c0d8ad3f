// SPDX-License-Identifier: GPL-2.0-only
/* cfi_worker.c - the process that has libdw read call frame information: see cfi.h. */
#define _GNU_SOURCE /* MSG_CMSG_CLOEXEC */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "symbol/look.h"
#include "unwind/cfi.h"

#define MAX_FILES (1u << 20)

/* Memory is of the heap; libdw frees what belongs to a file with the process. */
struct file {
	Elf *elf;
	int debug_fd;
	Dwarf_CFI *eh;			 /* .eh_frame */
	Dwarf_CFI *own, *debug;		 /* .debug_frame of the file and of its debug file */
	bool has_eh, has_own, has_debug; /* have been looked for */
};

static struct file **files;
static size_t nfiles;

/* Nothing is left to it but its socket, what comes through that, and some memory. */
static int settle(int sock)
{
	struct rlimit limit;

	/* All files that the tool has open for this, while it opens others. */
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	prctl(PR_SET_NAME, "bscope-cfi");
	return bs_look_shut_in(&sock, 1);
}

/* --- libdw --------------------------------------------------------------------------------------
 */

/* libdw writes the register of a CFA with its number as an operand. */
static struct bs_cfi_op op_of(const Dwarf_Op *from)
{
	if (from->atom == DW_OP_bregx && from->number < BS_UNWIND_NREGS)
		return (struct bs_cfi_op){from->number2, DW_OP_breg0 + from->number};
	return (struct bs_cfi_op){from->number, from->atom};
}

static int expression(struct bs_cfi_rule *r, const Dwarf_Op *from, size_t n, struct bs_cfi_op *ops,
		      uint32_t *nops)
{
	if (n > BS_CFI_MAX_OPS - *nops)
		return -ENOENT;
	r->how = n && from[n - 1].atom == DW_OP_stack_value ? BS_CFI_EXPR : BS_CFI_AT_EXPR;
	r->n = (int32_t)*nops;
	r->nops = (uint16_t)n;
	for (size_t i = 0; i < n; i++)
		ops[(*nops)++] = op_of(&from[i]);
	return 0;
}

static bool fits(int64_t v)
{
	return v == (int32_t)v;
}

/* What dwarf_frame_register says, in its commonest forms without an expression. */
static int rule(struct bs_cfi_rule *r, const Dwarf_Op *from, size_t n, const Dwarf_Op *mem,
		struct bs_cfi_op *ops, uint32_t *nops)
{
	int64_t offset = 0;
	size_t at = 1;

	if (!n) {
		r->how = from == mem ? BS_CFI_UNDEFINED : BS_CFI_SAME;
		return 0;
	}
	if (n == 1 && from[0].atom == DW_OP_regx && from[0].number < BS_UNWIND_NREGS) {
		r->how = BS_CFI_REG;
		r->reg = (uint8_t)from[0].number;
		return 0;
	}
	if (from[0].atom == DW_OP_call_frame_cfa) {
		if (at < n && from[at].atom == DW_OP_plus_uconst)
			offset = (int64_t)from[at++].number;
		r->how = BS_CFI_AT_CFA;
		if (at < n && from[at].atom == DW_OP_stack_value) {
			r->how = BS_CFI_CFA;
			at++;
		}
		if (at == n && fits(offset)) {
			r->n = (int32_t)offset;
			return 0;
		}
	}
	return expression(r, from, n, ops, nops);
}

static int row_of(Dwarf_Frame *frame, struct bs_cfi_answer *a, struct bs_cfi_op *ops)
{
	Dwarf_Op *from, mem[3];
	struct bs_cfi_op first;
	bool signal_frame;
	size_t n;
	int ret;

	if (dwarf_frame_info(frame, NULL, NULL, &signal_frame) != BS_UNWIND_RIP)
		return -ENOENT;
	a->row.signal = signal_frame;
	if (dwarf_frame_cfa(frame, &from, &n) || !n)
		return -ENOENT;
	first = op_of(from);
	if (n == 1 && first.atom >= DW_OP_breg0 && first.atom < DW_OP_breg0 + BS_UNWIND_NREGS &&
	    fits((int64_t)first.number)) {
		a->row.cfa.how = BS_CFI_REG;
		a->row.cfa.reg = (uint8_t)(first.atom - DW_OP_breg0);
		a->row.cfa.n = (int32_t)first.number;
	} else {
		ret = expression(&a->row.cfa, from, n, ops, &a->nops);
		if (ret)
			return ret;
		a->row.cfa.how = BS_CFI_EXPR;
	}
	for (int i = 0; i < BS_UNWIND_NREGS; i++) {
		if (dwarf_frame_register(frame, i, mem, &from, &n))
			return -ENOENT;
		ret = rule(&a->row.reg[i], from, n, mem, ops, &a->nops);
		if (ret)
			return ret;
	}
	/*
	 * What the ABI says of registers that the CFI says nothing of: functions keep rbx.  libdw
	 * 0.188 takes 0 for its number, which is that of rax.
	 */
	if (a->row.reg[BS_UNWIND_RBX].how == BS_CFI_UNDEFINED)
		a->row.reg[BS_UNWIND_RBX].how = BS_CFI_SAME;
	if (a->row.reg[BS_UNWIND_RAX].how == BS_CFI_SAME)
		a->row.reg[BS_UNWIND_RAX].how = BS_CFI_UNDEFINED;
	return 0;
}

/* The row from one source of CFI, if it has any for this address. */
static int try_source(Dwarf_CFI *cfi, uint64_t vaddr, struct bs_cfi_answer *a,
		      struct bs_cfi_op *ops)
{
	Dwarf_Frame *frame;
	int ret;

	if (!cfi || dwarf_cfi_addrframe(cfi, vaddr, &frame))
		return -ENOENT;
	memset(a, 0, sizeof(*a));
	ret = row_of(frame, a, ops);
	free(frame);
	return ret;
}

static Dwarf_CFI *debug_frame(Elf *elf)
{
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;

	return dwarf ? dwarf_getcfi(dwarf) : NULL;
}

/*
 * .eh_frame first: it is what the program itself unwinds by.  .debug_frame is where there is none,
 * and only then looked for, since that has libdw go through all debug information.
 */
static int answer(struct file *f, uint64_t vaddr, struct bs_cfi_answer *a, struct bs_cfi_op *ops)
{
	int ret;

	if (!f->has_eh) {
		f->has_eh = true;
		f->eh = f->elf ? dwarf_getcfi_elf(f->elf) : NULL;
	}
	ret = try_source(f->eh, vaddr, a, ops);
	if (!ret)
		return 0;
	if (!f->has_own) {
		f->has_own = true;
		f->own = debug_frame(f->elf);
	}
	ret = try_source(f->own, vaddr, a, ops);
	if (!ret)
		return 0;
	if (!f->has_debug) {
		f->has_debug = true;
		if (f->debug_fd >= 0)
			f->debug = debug_frame(elf_begin(f->debug_fd, ELF_C_READ_MMAP, NULL));
	}
	return try_source(f->debug, vaddr, a, ops);
}

/* --- messages -----------------------------------------------------------------------------------
 */

/* fds[2]: -1 where none came.  False at the end. */
static bool receive(int sock, struct bs_cfi_question *q, int fds[2])
{
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {q, sizeof(*q)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	const struct cmsghdr *c;
	ssize_t got;

	do
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*q))
		return false;
	fds[0] = fds[1] = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return true;
}

static struct file *file_of(uint32_t number, const int fds[2])
{
	if (number >= nfiles) {
		size_t n = (size_t)number + 64;
		struct file **more = number < MAX_FILES ? realloc(files, n * sizeof(*files)) : NULL;

		if (!more)
			return NULL;
		memset(more + nfiles, 0, (n - nfiles) * sizeof(*files));
		files = more;
		nfiles = n;
	}
	if (!files[number] && fds[0] >= 0) {
		files[number] = calloc(1, sizeof(**files));
		if (!files[number])
			return NULL;
		files[number]->elf = elf_begin(fds[0], ELF_C_READ_MMAP, NULL);
		files[number]->debug_fd = fds[1];
	}
	return files[number];
}

void bs_cfi_worker(int sock)
{
	struct bs_cfi_op ops[BS_CFI_MAX_OPS];
	struct bs_cfi_question q;
	struct bs_cfi_answer a = {.error = settle(sock), .row.cfa.how = BS_CFI_REG};
	struct iovec iov[2] = {{&a, sizeof(a)}, {ops, 0}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	int fds[2];

	elf_version(EV_CURRENT);
	/* The first message, a row like any other, says whether there is a worker. */
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 || a.error)
		_exit(1);
	while (receive(sock, &q, fds)) {
		struct file *f = file_of(q.file, fds);

		memset(&a, 0, sizeof(a));
		a.error = f ? answer(f, q.vaddr, &a, ops) : -ENOENT;
		iov[1].iov_len = a.error ? 0 : a.nops * sizeof(*ops);
		if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}
