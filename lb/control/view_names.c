#include "control/view.h"

#include <stdio.h>
#include <string.h>

#include "control/state.h"

/* NULL: it is no longer configured. */
static const struct conf_listener *listener_of(const struct control *control, uint16_t uid)
{
	for (size_t i = 0; i < control->conf->listener_count; i++)
		if (control->listener_uids[i] == uid)
			return &control->conf->listeners[i];
	return NULL;
}

enum view_kept view_kept(const struct control *control, char why[static VIEW_WHY_OCTETS])
{
	const char *file = saved_file(control->saved);
	const int fault = saved_fault(control->saved);

	if (!file)
		return VIEW_NO_STATE_FILE;
	if (!fault)
		return VIEW_KEPT;
	snprintf(why, VIEW_WHY_OCTETS, "%s: %s", file, strerror(-fault));
	return VIEW_UNKEPT;
}

const char *view_listener_name(const struct control *control, uint16_t uid)
{
	const struct conf_listener *listener = listener_of(control, uid);

	return listener ? listener->name : NULL;
}

const char *view_pool_name(const struct control *control, uint16_t uid)
{
	for (size_t i = 0; i < control->spec.pool_count; i++)
		if (control->spec.pools[i].uid == uid)
			return control->spec.pools[i].name;
	return NULL;
}

const char *view_backend_name(const struct control *control, uint16_t uid)
{
	for (size_t at = 0; at < control->spec.backend_count; at++)
		if (control->spec.backends[at].uid == uid)
			return control->spec.backends[at].name;
	return NULL;
}

const char *view_service_name(const struct control *control, uint16_t service)
{
	return view_listener_name(control, service_addrs_get(control->service_addrs, service).listener);
}

bool view_service_addr(const struct control *control, uint16_t number, const uint8_t *local, struct addr *out)
{
	const struct service_addr service = service_addrs_get(control->service_addrs, number);
	const struct conf_listener *listener = listener_of(control, service.listener);

	if (!listener)
		return false;
	*out = listener->addr;
	if (service.local || local)
		memcpy(out->ip, local ? local : service.local, sizeof out->ip);
	return true;
}
