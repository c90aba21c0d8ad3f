/* SPDX-License-Identifier: GPL-2.0-only */
/* session.c - wires the stages together and runs them. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "bscope-trace/command.h"
#include "bscope-trace/options.h"
#include "bscope-trace/session_state.h"
#include "bscope/buffer.h"
#include "model/model.h"
#include "order/order.h"
#include "symbol/symbol.h"
#include "target/module.h"
#include "target/sites.h"

/*
 * How long after its clock was read an event may still arrive and be put in order.  A thread can be
 * descheduled between reading the clock and reserving its record; what takes longer than this
 * is counted late by the order stage.
 */
#define ORDER_SLACK_NS (50 * NS_PER_MS)
/*
 * As many events are held as a full ring can bring twice, and no fewer than this: at the end a look
 * that was under way has brought what was in it, and then it is full again.  They take 16 to 48
 * bytes, half a kilobyte where a thread has but one.
 */
#define ORDER_MAX_HELD (1u << 22)
/*
 * Buffers are looked at this often: an event of a thread that makes few is no older when it is
 * seen.  One that is on its way for longer than this holds nothing up any more.
 */
#define DRAIN_NS (100 * NS_PER_MS)
/* More often where there is much: what is held back until then should fit into the cache. */
#define DRAIN_BUSY_NS	  (50 * NS_PER_MS)
#define DRAIN_BUSY_EVENTS 5000
/* After the last site is dark, events on their way are waited for so long. */
#define LAST_NS (200 * NS_PER_MS)
#define POLL_MS 50
/* Events of so long are let go at once. */
#define RELEASE_NS    (50 * NS_PER_MS)
#define TICK_NS	      (250 * NS_PER_MS)
#define MODEL_TICK_NS (50 * NS_PER_MS)

/* CPU time counts from when sites are lit. */
static void cpu_begin(struct bs_session *s)
{
	for (size_t i = 0; i < s->followed.n; i++) {
		struct bs_process *p = s->followed.v[i];

		bs_followed_refresh(p);
		p->cpu_first_ns = p->cpu_last_ns;
	}
}

int bs_session_new(const struct bs_options *o, struct bs_command *command, const char *preload,
		   const volatile sig_atomic_t *stop, struct bs_session **out, struct bs_error *err)
{
	struct bs_collect_opts co = {.ring_bytes = o->buffer_bytes,
				     .stack_kinds = o->stack_kinds,
				     .stack_bytes = o->stack_bytes,
				     .profile_hz = o->profile_hz,
				     .log = o->verbose ? bs_session_log : NULL};
	struct bs_session *s = calloc(1, sizeof(*s));
	const struct bs_buffers_ops bo = {bs_session_slots,	 bs_session_owner,
					  bs_session_buffer_end, bs_session_batch_lost,
					  bs_session_executes,	 s};
	struct bs_model_opts mo = {0};
	int ret = -ENOMEM;
	size_t held;

	if (!s)
		return bs_error_set(err, -ENOMEM, "out of memory");
	s->options = o;
	s->command = command;
	s->sites = bs_sites_new();
	s->buffers = bs_buffers_new(&bo);
	s->code = bs_code_new(bs_now_ns());
	bs_tsc_sync(&s->tsc);
	if (!s->sites || !s->buffers || !s->code) {
		bs_error_set(err, ret, "out of memory");
		goto fail;
	}
	if (o->sysroot) {
		ret = bs_code_sysroot(s->code, o->sysroot, err);
		if (ret)
			goto fail;
	}
	s->decoder = (struct bs_decoder){.sites = s->sites, .code = bs_session_code, .code_ctx = s};
	ret = bs_session_stacks_new(s, err);
	if (ret)
		goto fail;
	ret = bs_session_check(s, err);
	if (ret)
		goto fail;
	ret = bs_collect_new(&co, &s->collect, err);
	if (ret)
		goto fail;
	held = 2 * bs_collect_ring_bytes(s->collect) / sizeof(struct bscope_slot);
	s->order = bs_order_new(held > ORDER_MAX_HELD ? held : ORDER_MAX_HELD);
	if (!s->order) {
		ret = bs_error_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	/* First the set of processes, then the sites: from the first hit on every count is exact.
	 */
	ret = bs_session_trace(s, err);
	if (ret)
		goto fail;
	ret = bs_lighting_init(&s->lighting, o, s->sites, s->collect, s->buffers, err);
	if (ret)
		goto fail;
	if (preload)
		ret = bs_session_file(s, preload, true, err);
	if (!ret && command)
		ret = bs_session_command(s, command->path, preload, err);
	/* First what is loaded from now on, then what is. */
	if (!ret && bs_session_loads_new(s))
		ret = bs_error_set(err, -ENOMEM, "out of memory");
	if (!ret)
		ret = bs_session_take(s, err);
	if (!ret && s->nmodules && !bs_session_any_chosen(s))
		ret = bs_error_set(err, -ENOENT, "-f: no site matches: see the sites with --list");
	if (!ret)
		ret = bs_session_overhead_new(s, err);
	if (!ret && o->compare_ns)
		ret = bs_session_compare(s, stop, err);
	if (!ret && o->compare_ns)
		ret = bs_session_loads_skip(s);
	if (!ret)
		ret = bs_session_light(s, err);
	if (!ret)
		ret = bs_session_overhead_begin(s, err);
	if (ret)
		goto fail;
	cpu_begin(s);
	if (s->lighting.trapped)
		bs_session_bystanders(s);
	s->start_real_ns = bs_clock_ns(CLOCK_REALTIME);
	s->start_ns = bs_collect_start(s->collect);
	/* Jumps count from the moment they are written. */
	for (size_t i = 0; i < s->followed.n; i++) {
		uint64_t lit_ns = s->followed.v[i]->lit_ns;

		if (!lit_ns || lit_ns >= s->start_ns)
			continue;
		s->start_real_ns -= s->start_ns - lit_ns;
		s->start_ns = lit_ns;
	}
	s->watermark_ns = s->stamped_ns = mo.start_ns = s->start_ns;
	mo.coarse_ns = o->coarse ? BS_COARSE_NS : 0;
	s->tool_cpu_ns = bs_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	s->tool_ns = bs_now_ns();
	mo.lasting = bs_session_lasting;
	mo.lasting_ctx = s;
	mo.caller = s->stacks ? bs_session_caller : NULL;
	mo.caller_ctx = s;
	s->model = bs_model_new(&mo);
	if (!s->model) {
		ret = bs_error_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	if (s->lighting.sample.by != BS_SAMPLE_NOT)
		ret = bs_model_sample(s->model, s->start_ns, &s->lighting.sample);
	if (!ret)
		ret = bs_session_classes(s, 1, 0);
	if (ret) {
		bs_error_set(err, ret, "out of memory");
		goto fail;
	}
	ret = bs_session_steering_new(s);
	if (ret) {
		bs_error_set(err, ret, "out of memory");
		goto fail;
	}
	s->priority = bs_priority_new(bs_collect_ring_fd(s->collect));
	*out = s;
	return 0;
fail:
	bs_session_free(s);
	return ret;
}

/* A loss may be of any time up to when it is found, not only up to the last look at the clock. */
static int loss_check(struct bs_session *s)
{
	uint64_t lost, unread = s->jumps.at_most;
	bool bound = !s->jumps.no_bound;
	struct bs_collect_counts c;
	int ret = bs_collect_counts(s->collect, &c);

	if (ret)
		return ret;
	if (c.sum.life_lost > s->life_lost) {
		s->life_lost = c.sum.life_lost;
		ret = bs_session_lost_lives(s);
		if (ret)
			return ret;
		/* What is known of a process may have been of the program before, or of its child.
		 */
		bs_model_loss(s->model, bs_now_ns(), 0);
	}
	bs_buffers_counts(s->buffers, &s->jumps);
	/* A process has gone before its last events could be read: they may be missing. */
	if (s->jumps.at_most > unread || (bound && s->jumps.no_bound))
		bs_model_loss(s->model, bs_now_ns(), 0);
	lost = c.sum.lost_ring + c.sum.lost_spec + c.missed + s->jumps.skipped +
	       s->jumps.abandoned + s->jumps.no_buffer;
	if (lost > s->lost) {
		bs_model_loss(s->model, bs_now_ns(), lost - s->lost);
		s->lost = lost;
	}
	return 0;
}

/* Stops where the session is to end: who is traced is not kept waiting for our work. */
static int release_until(struct bs_session *s, uint64_t until)
{
	uint64_t at = s->watermark_ns;
	int ret;

	do {
		at = until - at > RELEASE_NS && at < until ? at + RELEASE_NS : until;
		ret = bs_session_release(s, at);
	} while (!ret && at < until && !bs_session_over(s));
	return ret;
}

int bs_session_run(struct bs_session *s, const volatile sig_atomic_t *stop,
		   void (*tick)(void *ctx, const struct bs_session *s), void *ctx,
		   struct bs_error *err)
{
	uint64_t next_tick = 0, next_model = 0, drained = 0, now;
	uint64_t before = s->start_ns, until;
	struct bs_error trouble;
	size_t waiting;
	int ret = 0;

	if (s->command && !s->options->compare_ns) {
		ret = bs_command_release(s->command, s->command->path, err);
		if (ret)
			return ret;
	}
	s->stop = stop;
	s->deadline_ns =
		s->options->duration_ns ? s->start_ns + s->options->duration_ns : UINT64_MAX;
	s->next_scan_ns = s->start_ns + SCAN_EXEC_NS;
	/* What was loaded while nothing was lit. */
	if (s->options->compare_ns && bs_session_scan(s, bs_now_ns()))
		return bs_error_set(err, -ENOMEM, "out of memory");
	/*
	 * The first two pairs are some ms apart, and it may be seconds since: what comes before the
	 * first look at buffers would be dated up to 1 us per second otherwise than what is in
	 * them.
	 */
	bs_tsc_sync(&s->tsc);
	while (!*stop && s->followed.nalive) {
		int timeout = POLL_MS;

		now = bs_clock_ns(CLOCK_MONOTONIC);
		if (now >= s->deadline_ns)
			break;
		if ((s->deadline_ns - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((s->deadline_ns - now) / NS_PER_MS) + 1;
		if (s->next_scan_ns > now &&
		    (s->next_scan_ns - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((s->next_scan_ns - now) / NS_PER_MS) + 1;
		if (s->next_drain_ns > now &&
		    (s->next_drain_ns - now) / NS_PER_MS < (uint64_t)timeout)
			timeout = (int)((s->next_drain_ns - now) / NS_PER_MS) + 1;
		ret = bs_collect_poll(s->collect, timeout, bs_session_record, s, &before);
		bs_priority_normal(s->priority);
		if (ret < 0 && ret != -EINTR)
			break;
		if (ret >= 0)
			bs_lighting_settle(&s->lighting, before);
		now = bs_clock_ns(CLOCK_MONOTONIC);
		bs_code_tick(s->code, now);
		bs_session_unwind_tick(s, now);
		ret = bs_session_overhead_read(s);
		if (ret)
			break;
		if (now >= s->next_drain_ns || bs_order_held(s->order) > ORDER_MAX_HELD / 2) {
			ret = bs_session_drain(s, false, &waiting);
			if (ret || s->look.under_way)
				break;
			s->next_drain_ns =
				now +
				(s->marks - drained > DRAIN_BUSY_EVENTS ? DRAIN_BUSY_NS : DRAIN_NS);
			drained = s->marks;
		}
		until = before - ORDER_SLACK_NS < s->drained_ns ? before - ORDER_SLACK_NS
								: s->drained_ns;
		/* What was lost up to there must be known before anything is concluded. */
		ret = loss_check(s);
		if (!ret)
			ret = bs_session_loads(s, true);
		if (until > bs_session_loads_hold(s))
			until = bs_session_loads_hold(s);
		if (!ret && until > s->start_ns)
			ret = release_until(s, until);
		bs_priority_normal(s->priority);
		if (ret)
			break;
		now = bs_clock_ns(CLOCK_MONOTONIC);
		if (now >= next_model || !s->followed.nalive) {
			ret = bs_model_tick(s->model, s->watermark_ns);
			if (ret)
				break;
			next_model = now + MODEL_TICK_NS;
		}
		if (now >= s->next_scan_ns)
			ret = bs_session_scan(s, now);
		if (!ret)
			ret = bs_session_steer(s, now);
		if (ret)
			break;
		memset(&trouble, 0, sizeof(trouble));
		if (bs_lighting_check(&s->lighting, &trouble))
			bs_session_trouble(s, &trouble);
		if (s->command)
			bs_command_poll(s->command);
		if (tick && now >= next_tick) {
			tick(ctx, s);
			next_tick = now + TICK_NS;
		}
	}
	return ret < 0 ? bs_error_set(err, ret, "cannot read events: %s", strerror(-ret)) : 0;
}

/* What threads had not sent when the last site went dark, and the events that were on their way. */
static int drain_last(struct bs_session *s)
{
	uint64_t until = bs_clock_ns(CLOCK_MONOTONIC) + LAST_NS;
	size_t waiting;
	int ret;

	for (;;) {
		ret = bs_session_drain(s, false, &waiting);
		if (ret || !waiting || bs_clock_ns(CLOCK_MONOTONIC) >= until)
			break;
		usleep(1000);
	}
	return ret ? ret : bs_session_drain(s, true, &waiting);
}

/*
 * Where blocks of births are known: what did not come, or of a buffer that nobody has seen, may
 * have been one that was followed.  What began in programs before their jumps were written was not.
 */
static void blocks_tell(struct bs_session *s)
{
	bool all = !s->jumps.at_most && !s->jumps.no_bound && !s->counts.sum.life_lost &&
		   !s->decoder.bad && !s->lighting.sampled_again && !s->strange_births;
	bool dark = s->lighting.lit_late || s->lighting.unlooked;

	bs_model_blocks(s->model,
			all ? s->jumps.buffers + bs_collect_sample_places(s->collect) : 0);
	for (uint32_t i = 1; i <= bs_sites_count(s->sites); i++)
		if (dark || bs_lighting_unfollowed(&s->lighting, i))
			bs_model_class_missed(s->model, bs_sites_get(s->sites, i)->klass_id);
}

/* All that is held goes to the model, in some hundred pieces. */
static int release_all(struct bs_session *s, void (*left)(void *ctx, size_t done, size_t total),
		       void *ctx)
{
	size_t total = bs_order_held(s->order);
	uint64_t step = s->end_ns > s->watermark_ns ? (s->end_ns - s->watermark_ns) / 100 : 0;
	int ret = 0;

	while (total && step && !ret && s->watermark_ns + step < s->end_ns) {
		ret = bs_session_release(s, s->watermark_ns + step);
		left(ctx, total - bs_order_held(s->order), total);
	}
	return ret ? ret : bs_session_release(s, UINT64_MAX);
}

int bs_session_end(struct bs_session *s, void (*left)(void *ctx, size_t done, size_t total),
		   void *ctx, struct bs_error *err)
{
	struct bs_error dark = {0};
	uint64_t before;
	int ret;

	/* From here on somebody waits for us. */
	s->stop = NULL;
	bs_priority_free(s->priority);
	s->priority = NULL;
	for (size_t i = 0; i < s->followed.n; i++)
		if (s->followed.v[i]->alive)
			bs_followed_refresh(s->followed.v[i]);
	ret = bs_session_overhead_end(s);
	if (ret)
		return bs_error_set(err, ret, "cannot take the last samples: %s", strerror(-ret));
	/* First the switches, then whoever listens to what they say. */
	if (bs_lighting_dark(&s->lighting, bs_session_drain_meanwhile, s, &dark))
		bs_session_trouble(s, &dark);
	s->sample_full = bs_lighting_sample_full(&s->lighting, &s->followed);
	s->end_ns = bs_collect_dark(s->collect);
	if (s->lighting.dark_ns && s->lighting.jumped)
		s->end_ns = s->lighting.dark_ns;
	do
		ret = bs_collect_poll(s->collect, 0, bs_session_record, s, &before);
	while (ret > 0 || ret == -EINTR);
	if (!ret)
		ret = bs_session_ended(s);
	/* Of the last one's end we may have heard much later. */
	if (!s->followed.nalive && s->exit_ns > s->start_ns && s->exit_ns < s->end_ns)
		s->end_ns = s->exit_ns;
	if (!ret)
		ret = drain_last(s);
	bs_buffers_release(s->buffers);
	if (!ret)
		ret = bs_collect_counts(s->collect, &s->counts);
	if (!ret)
		ret = loss_check(s);
	if (!ret)
		ret = bs_session_loads(s, false);
	if (!ret)
		ret = release_all(s, left, ctx);
	if (!ret)
		ret = bs_session_steering_end(s);
	if (!ret)
		ret = bs_model_tick(s->model, s->end_ns);
	if (!ret)
		ret = bs_model_end(s->model);
	blocks_tell(s);
	s->tool_cpu_ns = bs_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - s->tool_cpu_ns;
	s->tool_ns = bs_now_ns() - s->tool_ns;
	if (s->command)
		bs_command_poll(s->command);
	return ret ? bs_error_set(err, ret, "cannot finish the trace: %s", strerror(-ret)) : 0;
}

void bs_session_free(struct bs_session *s)
{
	if (!s)
		return;
	bs_priority_free(s->priority);
	bs_session_steering_free(s);
	bs_session_overhead_free(s);
	bs_session_loads_free(s);
	/* Switches before probes, here too. */
	bs_lighting_fini(&s->lighting);
	bs_collect_free(s->collect);
	bs_buffers_free(s->buffers);
	bs_model_free(s->model);
	bs_order_free(s->order);
	bs_decoder_fini(&s->decoder);
	bs_code_free(s->code);
	bs_session_stacks_free(s);
	bs_sites_free(s->sites);
	for (size_t i = 0; i < s->nmodules; i++)
		bs_module_free(s->modules[i]);
	free(s->modules);
	bs_followed_fini(&s->followed);
	free(s->trouble);
	free(s);
}
