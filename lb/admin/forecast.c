#include "admin/forecast.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/control.h"
#include "flows/flows_habits.h"
#include "path/worker.h"

enum { KEY_OCTETS = 256 };

static const char *key_of(char key[static KEY_OCTETS], const struct view_backend *backend)
{
	snprintf(key, KEY_OCTETS, "%s/%s", backend->pool_name, backend->name);
	return key;
}

static bool has_forecast(const struct view_backend *backend)
{
	return backend_state_admin(&backend->state) == BACKEND_DRAIN && backend->flows > 0;
}

static json_t *forecast_json(const struct flows_habits *habits)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "half_s", (json_int_t)flows_habit_s(habits, 50), "all_s",
			 (json_int_t)flows_habit_s(habits, 100), "late", (json_int_t)habits->late, "new",
			 (json_int_t)habits->counts[0], "by_s", (json_int_t)(habits->due_ms + 999) / 1000);
}

/* Those for which there is no memory are left out. */
json_t *forecasts_new(struct control *control, const struct view *view)
{
	struct flows_habits *habits[STATS_BACKENDS] = { NULL };
	json_t *forecasts = json_object();
	char key[KEY_OCTETS];
	bool any = false;

	for (size_t at = 0; at < view->backend_count; at++)
		if (has_forecast(&view->backends[at])) {
			habits[view->backends[at].uid] = calloc(1, sizeof *habits[0]);
			any = true;
		}
	if (any)
		flows_habits(control_flows(control), habits, worker_clock_ms());
	for (size_t at = 0; at < view->backend_count; at++) {
		struct flows_habits *of = habits[view->backends[at].uid];

		if (of)
			json_object_set_new(forecasts, key_of(key, &view->backends[at]), forecast_json(of));
		free(of);
	}
	return forecasts;
}

json_t *forecasts_find(const json_t *forecasts, const struct view_backend *backend)
{
	char key[KEY_OCTETS];

	return json_object_get(forecasts, key_of(key, backend));
}
