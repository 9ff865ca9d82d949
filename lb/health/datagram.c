#include "health/datagram.h"

#include <stdio.h>

#include "common/plural.h"

int datagram_prepare(struct datagram *datagram)
{
	datagram->noise_octets = 0;
	return probe_port_is_open(&datagram->port) ? 0 : probe_port_open(&datagram->port, &datagram->probe);
}

void datagram_sent(struct datagram *datagram, int err)
{
	if (!err)
		probe_wake_in(&datagram->probe, probe_left_us(&datagram->probe));
	else
		probe_fail(&datagram->probe, err);
}

void datagram_received(struct datagram *datagram, const char *life, size_t len)
{
	if (!datagram->probe.asking)
		return;
	if (life)
		probe_finish(&datagram->probe, &(struct health_result){ .ok = true, .reason = life });
	else
		datagram->noise_octets = len;
}

void datagram_give_up(struct datagram *datagram, const char *protocol)
{
	const unsigned ms = datagram->probe.spec.how.timeout_ms;
	char reason[HEALTH_REASON_OCTETS];

	if (datagram->noise_octets == 0)
		snprintf(reason, sizeof reason, "no answer%s for %u ms", probe_way(&datagram->probe), ms);
	else
		snprintf(reason, sizeof reason, "no %s answer for %u ms, but %zu octet%s of something else", protocol,
			 ms, datagram->noise_octets, PLURAL(datagram->noise_octets));
	probe_finish(&datagram->probe, &(struct health_result){ .reason = reason });
}

int datagram_open(struct probe *probe)
{
	(void)probe;
	return 0;
}

void datagram_close(struct probe *probe)
{
	probe_port_close(&((struct datagram *)probe)->port);
}
