#include "admin/fast_json.h"

json_t *fast_json(const struct view *view)
{
	const struct view_fast *fast = &view->fast;
	json_t *interfaces = json_array();
	uint64_t datagrams = 0, all = 0, all_replies = 0;

	if (!fast->configured) {
		json_decref(interfaces);
		return json_null();
	}
	for (size_t i = 0; i < fast->interface_count; i++)
		json_array_append_new(interfaces,
				      json_pack("{s:s, s:s, s:s}", "name", fast->interfaces[i].name, "mode",
						fast->interfaces[i].mode, "reason", fast->interfaces[i].reason));
	for (size_t i = 0; i < view->listener_count; i++) {
		for (enum verdict verdict = 0; verdict < VERDICTS; verdict++)
			datagrams += fast->verdicts[view->listeners[i].uid][verdict];
		all += stats_read(&view->sum->received[view->listeners[i].uid]);
	}
	for (size_t i = 0; i < view->pool_count; i++)
		all_replies += stats_read(&view->sum->replies[view->pools[i].uid]);
	return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "interfaces", interfaces, "rests",
			 fast->rests ? fast->rests : "", "datagrams", (json_int_t)datagrams, "of_datagrams",
			 (json_int_t)all, "replies", (json_int_t)fast->replies, "of_replies", (json_int_t)all_replies);
}
