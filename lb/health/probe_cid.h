/* The CID that a backend gave the probe, held against the pool's layout. Pure. */
#ifndef CIDLB_HEALTH_PROBE_CID_H
#define CIDLB_HEALTH_PROBE_CID_H

#include <stddef.h>
#include <stdint.h>

#include "health/target.h"

/* Sets findings->cid and its reason. `len` is in octets; 0: none was agreed on. A pool whose layout ignores CIDs learns
 * nothing. */
void probe_cid_judge(struct health_findings *findings, const struct health_target *spec, const uint8_t *cid,
		     size_t len);

#endif
