/* The fast path. What it forwards and drops is in the families of datagrams as well. */
#include "admin/metrics_parts.h"
#include "admin/metrics_text.h"

static void write_attached(struct evbuffer *out, const struct view_fast *fast)
{
	metrics_head(out, "cidlb_fast_attached", "gauge",
		     "1: the fast path is on this interface, in that mode; 0: it is not, and sockets do it all.");
	for (size_t i = 0; i < fast->interface_count; i++)
		METRICS_SAMPLE(out, "cidlb_fast_attached", fast->interfaces[i].attached,
			       { "interface", fast->interfaces[i].name }, { "mode", fast->interfaces[i].mode });
}

void metrics_fast(struct evbuffer *out, const struct view *view)
{
	const struct view_fast *fast = &view->fast;

	if (!fast->configured)
		return;
	write_attached(out, fast);
	metrics_single(out, "cidlb_fast_resting", "gauge",
		       "1: the fast path passes everything up: a trace runs, the configuration has none, or routes are "
		       "not known.",
		       fast->rests != NULL);
	metrics_head(out, "cidlb_fast_datagrams_total", "counter",
		     "Datagrams from devices that the fast path forwarded or dropped, by what was decided for them.");
	for (size_t i = 0; i < view->listener_count; i++)
		for (enum verdict verdict = 0; verdict < VERDICTS; verdict++)
			METRICS_SAMPLE(out, "cidlb_fast_datagrams_total",
				       fast->verdicts[view->listeners[i].uid][verdict],
				       { "listener", view->listeners[i].name },
				       { "pool", view->listeners[i].pool_name }, { "verdict", verdict_name(verdict) });
	metrics_single(out, "cidlb_fast_replies_total", "counter", "Replies of backends that the fast path took.",
		       fast->replies);
	metrics_head(out, "cidlb_fast_passed_total", "counter",
		     "Datagrams from devices that the fast path passed up to the sockets, by the reason.");
	for (size_t i = 0; i < view->listener_count; i++)
		for (size_t why = 0; fast->passed_names[why]; why++)
			METRICS_SAMPLE(out, "cidlb_fast_passed_total", fast->passed[view->listeners[i].uid][why],
				       { "listener", view->listeners[i].name }, { "reason", fast->passed_names[why] });
}
