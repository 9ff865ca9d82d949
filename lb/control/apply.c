#include "control/apply.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "control/apply_parts.h"
#include "control/changes.h"
#include "control/drain.h"
#include "control/state.h"

int apply_refuse(struct apply_step *step, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(step->refusal, sizeof step->refusal, format, args);
	va_end(args);
	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "%s", step->refusal);
	return err;
}

int apply_refuse_address(struct apply_step *step, int err, const char *option, const struct addr *addr)
{
	const char *hint = "";
	char text[ADDR_TEXT_OCTETS];

	if (err == -ENOMEM)
		return apply_refuse(step, err, "out of memory");
	if (err == -EACCES && geteuid() != 0)
		hint = " (that takes root, which cidlb has only while it starts)";
	else if (err == -EADDRINUSE)
		hint = " by another program, perhaps another cidlb";
	return apply_refuse(step, err, "%s: cannot bind %s: %s%s", option, addr_format(addr, text), strerror(-err),
			    hint);
}

const char *apply_refusal(const struct control *control)
{
	return control->refusal;
}

int apply_register(struct control *control, const struct apply_part *part)
{
	if (control->part_count == APPLY_REGISTERED)
		return -ENOSPC;
	control->parts[control->part_count++] = *part;
	return 0;
}

/* The part at position `at`, and the context that it is called with. NULL: there are no more parts. Those of other
 * folders stand before the late ones of ours. */
static const struct apply_part *part_at(struct control *control, size_t at, void **ctx)
{
	*ctx = control;
	if (at < APPLY_EARLY)
		return &apply_parts[at];
	at -= APPLY_EARLY;
	if (at < control->part_count) {
		*ctx = control->parts[at].ctx;
		return &control->parts[at];
	}
	at += APPLY_EARLY - control->part_count;
	return at < APPLY_PARTS ? &apply_parts[at] : NULL;
}

static int prepare(struct control *control, struct apply_step *step)
{
	const struct apply_part *part;
	size_t at = 0;
	void *ctx;
	int err = 0;

	for (; !err && (part = part_at(control, at, &ctx)); at += !err)
		err = part->prepare ? part->prepare(ctx, step) : 0;
	while (err && at-- > 0) {
		part = part_at(control, at, &ctx);
		if (part->abandon)
			part->abandon(ctx, step);
	}
	return err;
}

static void commit(struct control *control, struct apply_step *step)
{
	const struct apply_part *part;
	void *ctx;

	changes_log(control, step);
	for (size_t at = 0; (part = part_at(control, at, &ctx)); at++)
		if (part->commit)
			part->commit(ctx, step);
	apply_take_over(control, step);
}

int apply_conf(struct control *control, struct conf *conf)
{
	struct apply_step step = { .conf = conf };
	const bool first = !control->conf;
	int err = prepare(control, &step);

	memcpy(control->refusal, step.refusal, sizeof control->refusal);
	if (err)
		return err;
	commit(control, &step);
	drain_follow(control);
	if (first)
		drain_recall(control);
	settle_mark_new(control);
	(void)settle(control);
	return 0;
}
