// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_collect_programs.c - what the kernel makes of the BPF programs.  Needs root and BPF.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/event.h"
#include "bpf/sample.h"
#include "trace.skel.h"

#if defined(__x86_64__)

/* What the machine executes; of no length where the kernel shows it to nobody. */
static size_t machine_code(const struct bpf_program *p, unsigned char **code)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info), bytes;

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size), 0);
	bytes = info.jited_prog_len;
	*code = malloc(bytes + 1);
	assert_non_null(*code);
	info = (struct bpf_prog_info){.jited_prog_len = bytes,
				      .jited_prog_insns = (uintptr_t)*code};
	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(p), &info, &size), 0);
	return info.jited_prog_insns ? bytes : 0;
}

/*
 * Another task may hit a site while a program is at work for one (bpf/state.h): none has its stack
 * in memory of the CPU.  Such a program adds what is the CPU's to the address of its stack:
 * add %gs:this_cpu_off,%r9 (Linux, arch/x86/net/bpf_jit_comp.c, emit_priv_frame_ptr).
 */
static void test_stack_of_task(void **state)
{
	static const unsigned char of_cpu[] = {0x65, 0x4c, 0x03, 0x0c, 0x25};
	struct trace_bpf *skel = trace_bpf__open();
	struct bpf_program *p;
	unsigned int seen = 0;

	(void)state;
	assert_non_null(skel);
	bpf_object__for_each_program(p, skel->obj)
		bpf_program__set_autoload(p, !strcmp(bpf_program__section_name(p), "uprobe"));
	assert_int_equal(trace_bpf__load(skel), 0);
	bpf_object__for_each_program(p, skel->obj)
	{
		unsigned char *code;
		size_t bytes;

		if (!bpf_program__autoload(p))
			continue;
		bytes = machine_code(p, &code);
		if (memmem(code, bytes, of_cpu, sizeof(of_cpu)))
			fail_msg("%s has the stack of its CPU", bpf_program__name(p));
		free(code);
		seen++;
	}
	assert_int_equal(seen, 4);
	trace_bpf__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_of_task),
	};

	return cmocka_run_group_tests_name("programs", tests, NULL, NULL);
}

#else
#include "no_entries.h"
#endif
