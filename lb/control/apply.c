#include "control/apply.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "control/apply_parts.h"
#include "control/state.h"

int apply_refuse(int err, const char *why)
{
	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "%s", why);
	return err;
}

int apply_refuse_address(int err, const struct addr *addr)
{
	char text[ADDR_TEXT_OCTETS];

	if (err == -ENOMEM)
		return apply_refuse(err, "out of memory");
	log_event(LOG_LEVEL_ERROR, "refused", NULL, NULL, "cannot bind %s: %s", addr_format(addr, text),
		  strerror(-err));
	return err;
}

int apply_register(struct control *control, const struct apply_part *part)
{
	if (control->part_count == APPLY_REGISTERED)
		return -ENOSPC;
	control->parts[control->part_count++] = *part;
	return 0;
}

/* The part at position `at`, and the context that it is called with. NULL: there are no more parts. Those of other
 * folders stand before the last of ours. */
static const struct apply_part *part_at(struct control *control, size_t at, void **ctx)
{
	const size_t last = APPLY_PARTS - 1;

	*ctx = control;
	if (at < last)
		return &apply_parts[at];
	if (at - last == control->part_count)
		return &apply_parts[last];
	if (at - last > control->part_count)
		return NULL;
	*ctx = control->parts[at - last].ctx;
	return &control->parts[at - last];
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

	for (size_t at = 0; (part = part_at(control, at, &ctx)); at++)
		if (part->commit)
			part->commit(ctx, step);
	apply_take_over(control, step);
}

int apply_conf(struct control *control, struct conf *conf)
{
	struct apply_step step = { .conf = conf };
	int err = prepare(control, &step);

	if (err)
		return err;
	commit(control, &step);
	settle_mark_new(control);
	(void)settle(control);
	return 0;
}
