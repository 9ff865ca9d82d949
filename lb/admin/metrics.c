#include "admin/metrics.h"

#include <stddef.h>
#include <string.h>

#include "admin/metrics_parts.h"
#include "admin/metrics_text.h"
#include "base/log.h"

static void write_listeners(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_received_total", "counter", "Datagrams received from devices.");
	for (size_t i = 0; i < view->listener_count; i++) {
		const struct view_listener *l = &view->listeners[i];
		METRICS_SAMPLE(out, "cidlb_received_total", stats_read(&view->sum->received[l->uid]),
			       { "listener", l->name }, { "pool", l->pool_name });
	}
	metrics_head(out, "cidlb_datagrams_total", "counter",
		     "Datagrams received from devices, by what was decided for them.");
	for (size_t i = 0; i < view->listener_count; i++) {
		const struct view_listener *l = &view->listeners[i];
		for (enum verdict v = 0; v < VERDICTS; v++)
			METRICS_SAMPLE(out, "cidlb_datagrams_total", stats_read(&view->sum->verdicts[l->uid][v]),
				       { "listener", l->name }, { "pool", l->pool_name },
				       { "verdict", verdict_name(v) });
	}
	metrics_head(out, "cidlb_kernel_drops_total", "counter",
		     "Datagrams that the kernel dropped before cidlb read them.");
	for (size_t i = 0; i < view->listener_count; i++) {
		const struct view_listener *l = &view->listeners[i];
		METRICS_SAMPLE(out, "cidlb_kernel_drops_total", stats_read(&view->sum->kernel_drops[l->uid]),
			       { "listener", l->name });
	}
}

static void write_refused(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_refused_total", "counter",
		     "Routed datagrams (up) and replies (down) that were not sent, by reason.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		for (enum refused r = 0; r < REFUSED_REASONS; r++) {
			METRICS_SAMPLE(out, "cidlb_refused_total", stats_read(&view->sum->refused_up[p->uid][r]),
				       { "pool", p->name }, { "direction", "up" }, { "reason", refused_name(r) });
			METRICS_SAMPLE(out, "cidlb_refused_total", stats_read(&view->sum->refused_down[p->uid][r]),
				       { "pool", p->name }, { "direction", "down" }, { "reason", refused_name(r) });
		}
	}
}

/* One counter per pool. */
static void write_pool_counter(struct evbuffer *out, const struct view *view, const char *name, const char *help,
			       const stats_counter *counters)
{
	metrics_head(out, name, "counter", help);
	for (size_t i = 0; i < view->pool_count; i++)
		METRICS_SAMPLE(out, name, stats_read(&counters[view->pools[i].uid]), { "pool", view->pools[i].name });
}

static void write_dsr(struct evbuffer *out, const struct view *view)
{
	metrics_head(
		out, "cidlb_dsr_fragmented_total", "counter",
		"Datagrams that left in fragments, because with what is before them they are larger than the MTU of "
		"the link.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].dsr)
			METRICS_SAMPLE(out, "cidlb_dsr_fragmented_total",
				       stats_read(&view->sum->dsr_fragmented[view->pools[i].uid]),
				       { "pool", view->pools[i].name });
}

static void write_tunnels(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_tunnel_dropped_total", "counter",
		     "Datagrams from servers that came to a tunnel and were dropped, by reason.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		for (unsigned r = PROXY2_GOOD + 1; p->tunnel && r < TUNNEL_DROPS; r++)
			METRICS_SAMPLE(out, "cidlb_tunnel_dropped_total",
				       stats_read(&view->sum->tunnel_dropped[p->uid][r]), { "pool", p->name },
				       { "reason", tunnel_drop_name(r) });
	}
	metrics_head(out, "cidlb_tunnel_segmented_total", "counter",
		     "Datagrams to servers that left several in one UDP_SEGMENT send.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].tunnel)
			METRICS_SAMPLE(out, "cidlb_tunnel_segmented_total",
				       stats_read(&view->sum->tunnel_segmented[view->pools[i].uid]),
				       { "pool", view->pools[i].name });
	metrics_head(out, "cidlb_tunnel_fragmented_total", "counter",
		     "Datagrams to servers that were, with their header, too large for the interface or the path, and "
		     "left in fragments.");
	for (size_t i = 0; i < view->pool_count; i++)
		if (view->pools[i].tunnel)
			METRICS_SAMPLE(out, "cidlb_tunnel_fragmented_total",
				       stats_read(&view->sum->tunnel_fragmented[view->pools[i].uid]),
				       { "pool", view->pools[i].name });
}

static void write_stateless(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_stateless_dropped_total", "counter",
		     "Datagrams at endpoints of a pool without a table: whose address fails its check, or that are no "
		     "backend's.");
	for (size_t i = 0; i < view->pool_count; i++) {
		const struct view_pool *p = &view->pools[i];
		for (enum stateless_drop reason = 0; p->stateless && reason < STATELESS_DROPS; reason++)
			METRICS_SAMPLE(out, "cidlb_stateless_dropped_total",
				       stats_read(&view->sum->stateless_dropped[p->uid][reason]), { "pool", p->name },
				       { "reason", stateless_drop_name(reason) });
	}
}

/* What shortages have cost. See also cidlb_refused_total. */
static void write_shortages(struct evbuffer *out, uint64_t http_stalls)
{
	metrics_single(out, "cidlb_admin_stalls_total", "counter",
		       "Times that admin.http could accept nobody for want of descriptors.", http_stalls);
	metrics_single(out, "cidlb_log_lines_lost_total", "counter", "Log lines that could not be written.",
		       log_lost());
}

static void write_buffers(struct evbuffer *out, const struct view *view)
{
	metrics_head(out, "cidlb_receive_buffer_octets", "gauge", "Smallest receive buffer of the sockets of a kind.");
	for (enum slot_kind kind = 0; kind <= SLOT_TUNNEL; kind++)
		if (view->rcvbuf[kind] != UINT32_MAX)
			METRICS_SAMPLE(out, "cidlb_receive_buffer_octets", view->rcvbuf[kind],
				       { "kind", slot_kind_name(kind) });
	metrics_single(out, "cidlb_receive_buffer_asked_octets", "gauge", "What rcvbuf_octets asks for.",
		       view->rcvbuf_asked);
}

/* What the sum of the backends of each pool has, at `of` in struct view_pool. */
static void write_sum(struct evbuffer *out, const struct view *view, const char *name, const char *help, size_t of)
{
	metrics_head(out, name, "counter", help);
	for (size_t i = 0; i < view->pool_count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&view->pools[i] + of, sizeof value);
		METRICS_SAMPLE(out, name, value, { "pool", view->pools[i].name });
	}
}

static void write_errors(struct evbuffer *out, const struct view *view)
{
	write_sum(out, view, "cidlb_icmp_errors_total", "ICMP errors about datagrams sent to backends.",
		  offsetof(struct view_pool, icmp_errors));
	write_sum(out, view, "cidlb_wrong_interface_total",
		  "Datagrams with the address of a backend that came in through another interface than leads there.",
		  offsetof(struct view_pool, wrong_interface));
	write_sum(out, view, "cidlb_foreign_cids_total",
		  "Handshakes in which a backend gave out a CID that leads to another backend, or to none.",
		  offsetof(struct view_pool, foreign_cids));
	write_sum(out, view, "cidlb_silent_sessions_total",
		  "Sessions that their backend has not answered right after their handshake.",
		  offsetof(struct view_pool, silent));
	metrics_single(out, "cidlb_endpoint_kernel_drops_total", "counter",
		       "Datagrams from backends that the kernel dropped before cidlb read them.",
		       stats_read(&view->sum->endpoint_drops));
}

static void write_configuration(struct evbuffer *out, const struct view *view)
{
	metrics_single(out, "cidlb_config_last_reload_successful", "gauge",
		       "1: the last configuration was taken on; 0: the last reload was refused.",
		       !view->reload_refused);
	metrics_single(out, "cidlb_config_last_reload_success_timestamp_seconds", "gauge",
		       "When the running configuration was taken on, Unix time.", (uint64_t)view->applied_at);
	metrics_head(out, "cidlb_config_fingerprint", "gauge",
		     "Always 1; the label is the same on nodes whose configurations agree.");
	METRICS_SAMPLE(out, "cidlb_config_fingerprint", 1, { "fingerprint", view->fingerprint });
	metrics_single(out, "cidlb_snapshot_generation", "gauge",
		       "Number of the published routing table; it grows with every change.", view->generation);
}

void metrics_write(struct evbuffer *out, const struct view *view, uint64_t http_stalls)
{
	write_listeners(out, view);
	metrics_backends(out, view);
	write_refused(out, view);
	write_errors(out, view);
	write_pool_counter(out, view, "cidlb_replies_total",
			   "Datagrams from backends that belong to a flow, or have a good header.", view->sum->replies);
	write_pool_counter(
		out, view, "cidlb_copies_total",
		"Further sends of one reply: to the proven address of a session and to others that show its CID.",
		view->sum->copies);
	write_pool_counter(out, view, "cidlb_withheld_total",
			   "Copies that were not sent to addresses that still speak, because these may get no more.",
			   view->sum->withheld);
	write_pool_counter(out, view, "cidlb_own_endpoint_total",
			   "Datagrams of sessions that left through an endpoint of their source's own.",
			   view->sum->own_endpoint);
	write_pool_counter(out, view, "cidlb_reflected_total",
			   "Replies beyond three times what their address had sent, before it had shown anything.",
			   view->sum->reflected);
	metrics_single(out, "cidlb_strays_total", "counter",
		       "Datagrams and ICMP errors that reached an endpoint and belong to no flow.",
		       stats_read(&view->sum->strays));
	write_tunnels(out, view);
	write_dsr(out, view);
	write_stateless(out, view);
	metrics_fast(out, view);
	metrics_flows(out, view);
	write_shortages(out, http_stalls);
	metrics_probes(out, view);
	write_buffers(out, view);
	metrics_single(out, "cidlb_ready", "gauge",
		       "1: devices should be led to this node, as /readyz says; 0: they should not.", view->ready);
	metrics_single(out, "cidlb_left", "gauge", "1: this node was told to leave; 0: it was not.", view->left);
	write_configuration(out, view);
	metrics_process(out, view);
}
