#include "bench/programs/fleet/report.h"

#include <inttypes.h>

#include "common/hex.h"

static void print_number(FILE *out, const char *name, uint64_t value)
{
	fprintf(out, ",\"%s\":%" PRIu64, name, value);
}

static void print_times(FILE *out, const char *name, const struct fleet_times *times)
{
	fprintf(out, ",\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, times->p50_ms, times->p99_ms,
		times->max_ms);
}

static void print_tally(FILE *out, const struct device_tally *t)
{
	print_number(out, "sessions", t->sessions);
	print_number(out, "handshakes", t->handshakes);
	print_number(out, "extra_handshakes", t->extra_handshakes);
	print_number(out, "rebinds", t->rebinds);
	print_number(out, "exchanges_ok", t->exchanges_ok);
	print_number(out, "exchanges_lost", t->exchanges_lost);
	print_number(out, "notifications", t->notifications);
	print_number(out, "observations_lost", t->observations_lost);
	print_number(out, "octets_up", t->octets_up);
	print_number(out, "octets_down", t->octets_down);
	print_number(out, "datagrams_up", t->datagrams_up);
	print_number(out, "datagrams_down", t->datagrams_down);
	print_number(out, "first_octets", t->first_octets);
	print_number(out, "first_datagrams", t->first_datagrams);
	print_number(out, "first_octets_up", t->first_octets_up);
	print_number(out, "first_datagrams_up", t->first_datagrams_up);
	print_number(out, "recoveries", t->recoveries);
	print_number(out, "recoveries_at_once", t->recoveries_at_once);
	print_number(out, "recovering", t->recovering);
}

void report_result(FILE *out, const struct fleet_result *result)
{
	const struct device_tally *t = &result->tally;
	double octets = (double)(t->octets_up + t->octets_down);
	fprintf(out, "{\"devices\":%u", result->devices);
	print_tally(out, t);
	print_number(out, "survived", t->survived);
	print_times(out, "latency_ms", &result->latency);
	print_times(out, "recovery_ms", &result->recovery);
	fprintf(out, ",\"octets_per_exchange\":%.1f", t->exchanges_ok ? octets / (double)t->exchanges_ok : 0);
	fprintf(out, ",\"duration_s\":%.3f", result->duration_s);
	fprintf(out, ",\"before_end\":{\"devices\":%u", result->devices);
	print_tally(out, &result->before_end);
	fputs("}}\n", out);
	fflush(out);
}

void report_second(FILE *out, double t_s, unsigned devices, const struct device_tally *tally)
{
	fprintf(out, "{\"t\":%.3f,\"devices\":%u", t_s, devices);
	print_number(out, "alive", tally->first_alive);
	print_tally(out, tally);
	fputs("}\n", out);
	fflush(out);
}

void report_news(FILE *out, double t_s, const struct device *device, enum device_news news, uint16_t old_port)
{
	fprintf(out, "{\"t\":%.3f,\"device\":%u", t_s, device_number(device));
	switch (news) {
	case DEVICE_MOVED:
		fprintf(out, ",\"event\":\"moved\",\"from\":%u,\"to\":%u,\"session\":%u}\n", old_port,
			device_port(device), device_sessions(device));
		break;
	case DEVICE_JOINED: {
		uint8_t cid[SESSION_CID_MAX];
		size_t len = device_cid(device, cid);
		char text[HEX_TEXT_OCTETS(SESSION_CID_MAX)];
		fprintf(out, ",\"event\":\"joined\",\"port\":%u,\"session\":%u,\"cid\":\"%s\"}\n", device_port(device),
			device_sessions(device), hex_write(text, sizeof text, cid, len));
		break;
	}
	}
	fflush(out);
}
