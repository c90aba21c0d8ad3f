#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# The JSON documents against their schemas, by a validator that is not ours; and that the schemas
# refuse what they should.

setup() {
	cd "$BATS_TEST_DIRNAME/../.."
	report=tools/render/bscope-report-1.schema.json
	sites=tools/render/bscope-sites-1.schema.json
	golden=tests/golden
	validate=tests/validate-json
	B=${B:-build}
}

@test "golden documents follow their schemas" {
	"$validate" "$report" "$golden/leak.json" "$golden/hostile.json" "$golden/empty.json" \
		"$golden/wrong.json"
	"$validate" "$sites" "$golden/sites.json"
}

@test "random reports follow the schema" {
	make -s "$B/tests/unit/test_render_json"
	BSCOPE_RENDER_DIR=$BATS_TEST_TMPDIR "$B/tests/unit/test_render_json"
	set -- "$BATS_TEST_TMPDIR"/random-*.json
	[ $# -eq 200 ]
	"$validate" "$report" "$@"
	jq -es 'map(.schema == "bscope-report/1") | all' "$@" >/dev/null
}

# refused FILTER [NAME]: a golden report, changed by a jq filter, is not valid any more.
refused() {
	jq "$1" "$golden/${2:-leak}.json" >"$BATS_TEST_TMPDIR/changed.json"
	jq . "$golden/${2:-leak}.json" >"$BATS_TEST_TMPDIR/same.json"
	if cmp -s "$BATS_TEST_TMPDIR/same.json" "$BATS_TEST_TMPDIR/changed.json"; then
		echo "$1 changes nothing"
		return 1
	fi
	run "$validate" "$report" "$BATS_TEST_TMPDIR/changed.json"
	echo "$1: $output"
	[ "$status" -eq 1 ]
}

@test "the schema of the report refuses what it should" {
	refused 'del(.overhead.sampled.error)' wrong
	refused '.overhead.sampled.hz = 0' wrong
	refused '.overhead.sampled.surprise = 1' wrong
	refused '.overhead.sampled.percent = 100.1' wrong
	refused '.schema = "bscope-report/2"'
	refused '.surprise = 1'
	refused '.events.by_kind.surprise = 1'
	refused '.sites[0].surprise = 1'
	refused 'del(.growth[0].error)'
	refused 'del(.notes)'
	refused 'del(.verdicts)'
	refused 'del(.events.by_kind.move)'
	refused '.duration_ns = 30001200300'
	refused '.start_ns = "0x12"'
	refused '.sites[0].addresses[0] = 4198800'
	refused '.sites[0].addresses[0] = "401190"'
	refused '.sites[0].kind = "renew"'
	refused '.events.received = "1234567"'
	refused '.events.lost = -1'
	refused '.processes[0].pid = 812.5'
	refused '.mode = "magic"'
	refused '.classes[0].lifetime_ns.p50 = null'
	refused '.growth[0].error = -1'
	refused '.verdicts = "none"'
	refused '.verdicts = null'
	refused 'del(.objects.undecided)'
	refused '.older_than = {"seconds": 0, "origins": []}'
	refused '.overhead.pause_us = null'
	refused '.events.written = "1234567"'
	refused 'del(.events.written)'
	refused '.events.written = null | .events.written_at_most = null'
	refused '.events.written = null | .events.written_at_most = "1234567"'
	# Not the schema but the sums.
	refused '.events.written_at_most = .events.written'
	refused '.events.written = null | .events.written_at_most = .events.received - 1'
	refused '.events.lost = 1'
}

@test "the schema of verdicts refuses what it should" {
	refused '.verdicts[0].verdict = "live-at-exit"' wrong
	refused '.verdicts[0].surprise = 1' wrong
	refused '.verdicts[0].at.surprise = 1' wrong
	refused 'del(.verdicts[0].since)' wrong
	refused 'del(.verdicts[0].at.line)' wrong
	refused '.verdicts[0].at.kind = "renew"' wrong
	refused '.verdicts[0].id = 42' wrong
	refused '.verdicts[0].id = "42"' wrong
	refused '.verdicts[0].time_ns = 7403000000' wrong
	refused '.verdicts[0].thread = "4711"' wrong
	refused '.verdicts[0].count = 0' wrong
	# A balance is what an unbalanced-count is about, and nothing else.
	refused '.verdicts[0].balance = 1' wrong
	refused '.verdicts[5].balance = null' wrong
	refused '.verdicts[5].balance = 0' wrong
	jq -e '.verdicts[0].balance == null and .verdicts[5].balance == 2' "$golden/wrong.json"
}

@test "the schema of the list refuses what it should" {
	for filter in '.sites[0].hits = 1' 'del(.sites[0].name)' '.sites[0].line = "41"' '.schema = "bscope-report/1"'; do
		jq "$filter" "$golden/sites.json" >"$BATS_TEST_TMPDIR/changed.json"
		run "$validate" "$sites" "$BATS_TEST_TMPDIR/changed.json"
		echo "$filter: $output"
		[ "$status" -eq 1 ]
	done
}

@test "the validator refuses what is no strict JSON" {
	printf '{"schema": "bscope-sites/1", "schema": "bscope-sites/1", "sites": []}' >"$BATS_TEST_TMPDIR/twice.json"
	printf '{"schema": "bscope-sites/1", "sites": NaN}' >"$BATS_TEST_TMPDIR/nan.json"
	printf '{"schema": "bscope-sites/1", "sites": []' >"$BATS_TEST_TMPDIR/cut.json"
	printf '{"schema": "\xff", "sites": []}' >"$BATS_TEST_TMPDIR/latin.json"
	for name in twice nan cut latin; do
		run "$validate" "$sites" "$BATS_TEST_TMPDIR/$name.json"
		[ "$status" -eq 1 ]
	done
}

@test "golden reports add up" {
	for name in leak hostile empty wrong; do
		jq -e '.events | .written == .received + .lost
			and .lost == ([.lost_by_reason[]] | add // 0)
			and .received == ([.by_kind[]] | add)' "$golden/$name.json"
	done
	jq -e '(.objects.live == .objects.created - .objects.dropped)
		and (.objects.created == ([.classes[].created] | add))
		and (.objects.live_bytes == ([.classes[].live_bytes] | add))
		and (.events.received == ([.sites[].hits] | add))' "$golden/leak.json"
}
