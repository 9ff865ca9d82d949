#include "control/host.h"

#include <string.h>

#include "base/log.h"
#include "control/state.h"

static bool has_wildcard(const struct conf *conf)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if (addr_is_wildcard(&conf->listeners[i].addr))
			return true;
	return false;
}

static void read_note(struct control *control, int err)
{
	if (err && !control->host_unknown)
		log_fields(&(struct log_what){ LOG_LEVEL_WARNING, "host_addresses", NULL, NULL,
					       LOG_FIELDS(LOG_TEXT("error", strerror(-err)),
							  LOG_TEXT("reason",
								   "a loop over a wildcard listener is not seen")) },
			   "the addresses of this host are not known: %s; a loop over a wildcard listener is not seen",
			   strerror(-err));
	control->host_unknown = err;
}

void host_open(struct control *control)
{
	read_note(control, host_addrs_read(&control->host));
}

void host_tick(struct control *control)
{
	struct host_addrs now;

	if (!control->conf || !has_wildcard(control->conf))
		return;
	read_note(control, host_addrs_read(&now));
	if (host_addrs_equal(&now, &control->host)) {
		host_addrs_free(&now);
		return;
	}
	host_addrs_free(&control->host);
	control->host = now;
	settle_mark(control, SETTLE_TABLE);
}
