#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# collect.bats - the collect stage with perf events, as on kernels without uprobe_multi.

load common

@test "perf events instead of uprobe_multi: counts, losses, fork, exec, SIGKILL" {
	need_bpf
	need_trace_events
	cd "$ROOT"
	CMOCKA_MESSAGE_OUTPUT=TAP "$BUILD/tests/unit/test_collect" perf
}
