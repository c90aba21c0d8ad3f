#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# preload.sh PAIR LIBRARY - malloc+free under the idle preload library against plain, in one run.
set -eu
pair=$1 library=$2
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	echo "$("$pair") $(LD_PRELOAD=$library "$pair") $i"
done | awk '{ r[NR] = $2 / $1 } END {
	for (i = 1; i <= NR; i++) for (j = i + 1; j <= NR; j++) if (r[j] < r[i]) { t = r[i]; r[i] = r[j]; r[j] = t }
	printf "preload: malloc+free under the idle library / plain: median %.3f (quartiles %.3f to %.3f, %d rounds)\n",
		r[int((NR + 1) / 2)], r[int((NR + 3) / 4)], r[int((3 * NR + 1) / 4)], NR }'
