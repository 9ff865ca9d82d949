#include "health/way.h"

#include <stdio.h>
#include <string.h>

#include "health/encap.h"

static void turn_to(struct probe *probe, enum probe_way way)
{
	probe->next = way;
	probe->turns = true;
}

bool way_leaves_another(struct probe *probe, const struct health_result *result)
{
	if (result->ok || result->unasked || probe->heard || probe->settled || probe->way != PROBE_OWN ||
	    !encap_is_possible(probe))
		return false;
	snprintf(probe->own_reason, sizeof probe->own_reason, "%s", result->reason);
	turn_to(probe, PROBE_ENCAP);
	return true;
}

static void write_reason(const struct probe *probe, const struct health_result *result,
			 char reason[static HEALTH_REASON_OCTETS])
{
	if (probe->way == PROBE_ENCAP && result->ok)
		snprintf(reason, HEALTH_REASON_OCTETS, "%s%s", result->reason, probe_way(probe));
	else if (probe->way == PROBE_ENCAP && !probe->settled && !probe->heard)
		snprintf(reason, HEALTH_REASON_OCTETS, "%s at its own address; %s", probe->own_reason, result->reason);
	else
		snprintf(reason, HEALTH_REASON_OCTETS, "%s", result->reason);
}

void way_judge(struct probe *probe, const struct health_result *result, char reason[static HEALTH_REASON_OCTETS])
{
	const uint8_t fall = probe->spec.how.fall;

	write_reason(probe, result, reason);
	if (probe->heard) {
		probe->settled = true;
		probe->unheard = 0;
		return;
	}
	if (result->ok || result->unasked)
		return;
	if (probe->way == PROBE_ENCAP && probe->unheard < fall)
		probe->unheard++;
	if (probe->unheard == fall || probe->refusals == fall)
		probe->settled = false;
	if (probe->way == PROBE_ENCAP && !probe->settled)
		turn_to(probe, PROBE_OWN);
}

void way_begin_anew(struct probe *probe)
{
	if (!probe->turns)
		turn_to(probe, probe->way);
}

int way_turn(struct probe *probe)
{
	int err;

	probe->kind->close(probe);
	memset(probe + 1, 0, probe->kind->octets - sizeof *probe);
	probe->way = probe->next;
	probe->unheard = 0;
	err = probe->kind->open(probe);
	probe->turns = err != 0;
	return err;
}

bool way_is_closed(const struct probe *probe)
{
	static const uint8_t none[sizeof probe->spec.encap.from];

	return probe->way == PROBE_ENCAP && memcmp(probe->spec.encap.from, none, sizeof none) == 0;
}

bool way_leads_through(const struct probe *probe)
{
	return encap_is_possible(probe) && !(probe->settled && probe->way == PROBE_OWN);
}
