#include "control/slots.h"

#include <errno.h>

#include "control/state.h"

/* Due after all sockets that libevent has heard of in this turn. Without memory for that the next table tries again. */
static void turn_wait(struct control *control)
{
	static const struct timeval at_once = { 0, 0 };

	(void)evtimer_add(control->slots_turn, &at_once);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct control *control = ctx;

	(void)fd;
	(void)what;
	if (snapshot_go_on(publisher_read(&control->publisher)->snapshot))
		turn_wait(control);
	else
		settle_mark(control, SETTLE_SLOTS);
}

int slots_open(struct control *control)
{
	control->slots_turn = evtimer_new(control->base, on_turn, control);
	return control->slots_turn ? 0 : -ENOMEM;
}

void slots_close(struct control *control)
{
	if (control->slots_turn)
		event_free(control->slots_turn);
}

void slots_follow(struct control *control, const struct table *table)
{
	if (snapshot_lacks_slots(table->snapshot))
		turn_wait(control);
}
