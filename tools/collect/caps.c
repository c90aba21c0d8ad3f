// SPDX-License-Identifier: GPL-2.0-only
/* caps.c - why the kernel said no, and what the user can do about it. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/capability.h>

#include "base/error.h"
#include "collect/light.h"

static bool effective(unsigned int cap)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[cap / 32].effective & (1u << (cap % 32));
}

/* Capabilities in a user namespace of its own do not count for BPF. */
static bool in_user_namespace(void)
{
	unsigned int inside = 0, outside = 0, count = 0;
	FILE *file = fopen("/proc/self/uid_map", "re");
	bool initial;

	if (!file)
		return false;
	/* Empty in a new one that has no mapping yet. */
	initial = fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
		  outside == 0 && count == 0xffffffffu;
	fclose(file);
	return !initial;
}

static bool file_has(const char *path, const char *word)
{
	char text[256] = "";
	FILE *file = fopen(path, "re");
	bool has;

	if (!file)
		return false;
	has = fgets(text, sizeof(text), file) && strstr(text, word);
	fclose(file);
	return has;
}

static int explain_refusal(struct bs_error *err, int code, const char *what)
{
	bool admin = effective(CAP_SYS_ADMIN);
	bool bpf = admin || effective(CAP_BPF);
	bool perfmon = admin || effective(CAP_PERFMON);

	if (!bpf || !perfmon)
		return bs_error_set(
			err, -EPERM,
			"%s: not permitted: %s%s%s missing (run as root, or give the tool "
			"cap_bpf,cap_perfmon,cap_sys_ptrace by setcap)",
			what, bpf ? "" : "CAP_BPF", !bpf && !perfmon ? " and " : "",
			perfmon ? " is" : (bpf ? "CAP_PERFMON is" : "CAP_PERFMON are"));
	if (in_user_namespace())
		return bs_error_set(err, -EPERM,
				    "%s: not permitted: root of a user namespace (a rootless "
				    "container?) may not load BPF; run on the host as root",
				    what);
	if (file_has("/sys/kernel/security/lockdown", "[confidentiality]"))
		return bs_error_set(err, -EPERM,
				    "%s: not permitted: the kernel is locked down (lockdown="
				    "confidentiality), which forbids tracing",
				    what);
	if (!admin)
		return bs_error_set(
			err, -EPERM,
			"%s: not permitted: on this kernel CAP_BPF and CAP_PERFMON are not "
			"enough, CAP_SYS_ADMIN is missing (run as root)",
			what);
	return bs_error_set(err, code,
			    "%s: %s although the capabilities are there: a seccomp profile, a "
			    "security module or kernel.perf_event_paranoid forbids bpf(2) or "
			    "perf_event_open(2)",
			    what, strerror(-code));
}

int bs_caps_explain(struct bs_error *err, int code, const char *what)
{
	if (code == -EPERM || code == -EACCES)
		return explain_refusal(err, code, what);
	if (code == -ENOMEM)
		return bs_error_set(err, code,
				    "%s: out of memory (a smaller --buffer=SIZE may help)", what);
	if (code == -EMFILE || code == -ENFILE)
		return bs_error_set(
			err, code,
			"%s: too many open files: raise ulimit -n (before Linux 6.6 each "
			"site takes one, so light fewer with --filter)",
			what);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return bs_error_set(err, -ENOSYS,
				    "%s: this kernel shows no BTF (/sys/kernel/btf/vmlinux), which "
				    "following fork, exec and exit needs: use one built with "
				    "CONFIG_DEBUG_INFO_BTF",
				    what);
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, NULL) == 0)
		return bs_error_set(err, -ENOSYS,
				    "%s: this kernel has no BPF attach cookies: Linux 5.15 or "
				    "later is needed",
				    what);
	return bs_error_set(err, code, "%s: %s (-v shows what the kernel said)", what,
			    strerror(-code));
}
