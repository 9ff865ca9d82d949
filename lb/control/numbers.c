#include "control/numbers.h"

#include <errno.h>

int numbers_new(struct numbers *out)
{
	out->listeners = uids_new(STATS_LISTENERS);
	out->pools = uids_new(STATS_POOLS);
	out->backends = uids_new(STATS_BACKENDS);
	return out->listeners && out->pools && out->backends ? 0 : -ENOMEM;
}

void numbers_free(struct numbers *numbers)
{
	uids_free(numbers->listeners);
	uids_free(numbers->pools);
	uids_free(numbers->backends);
	*numbers = (struct numbers){ 0 };
}

int numbers_give(struct numbers *numbers, const struct conf *conf, struct table_spec *spec,
		 uint16_t listener_uids[static CONF_MAX_LISTENERS])
{
	char text[ADDR_TEXT_OCTETS];
	int err = table_spec_make(spec, conf, numbers->pools, numbers->backends);

	for (size_t i = 0; !err && i < conf->listener_count; i++) {
		listener_uids[i] = uids_give(numbers->listeners, 0, addr_format(&conf->listeners[i].addr, text));
		if (listener_uids[i] != UIDS_FULL)
			continue;
		table_spec_free(spec);
		err = -ENOSPC;
	}
	return err;
}

void numbers_take_back(struct numbers *numbers, const struct uids_in_use *used)
{
	uids_take_back(numbers->listeners, used->listeners);
	uids_take_back(numbers->pools, used->pools);
	uids_take_back(numbers->backends, used->backends);
}
