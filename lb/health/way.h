/* Which way a probe goes to a server of mode dsr. It may listen at its own address, or at the service address alone,
 * and no option says so. So the probe finds out: what its own address leaves unanswered, or refuses, is asked again
 * through the encapsulation, before it is reported. Once something comes on a way, the probe keeps to it.
 *
 * It looks anew when the server is down: its own address has refused `fall` times in a row, or nothing has come through
 * the encapsulation as many times. An own address that is silent may be that of a host that is gone. So it is left at
 * that, and `coaps` keeps its session. Control thread. */
#ifndef CIDLB_HEALTH_WAY_H
#define CIDLB_HEALTH_WAY_H

#include <stdbool.h>

#include "health/probe.h"

/* Whether this is not the last word: the probe has to ask again, on the other way, and then tell that. */
bool way_leaves_another(struct probe *probe, const struct health_result *result);

/* What a last word says of the way. `reason` becomes what to report. */
void way_judge(struct probe *probe, const struct health_result *result, char reason[static HEALTH_REASON_OCTETS]);

/* The probe has to begin anew on the way that it goes, from another address. */
void way_begin_anew(struct probe *probe);

/* Whether it has to, or to take another way, before it asks. */
static inline bool way_is_due(const struct probe *probe)
{
	return probe->turns;
}

/* Does that. What the kind knew is forgotten. 0 or -errno: it is still due. */
int way_turn(struct probe *probe);

/* Whether it goes through the encapsulation, and there is no next hop now. */
bool way_is_closed(const struct probe *probe);

/* Whether something may come through the encapsulation, now or soon. */
bool way_leads_through(const struct probe *probe);

#endif
