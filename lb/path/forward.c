#include "path/forward.h"

/* forward_nat_stateless comes first, because its check tells which endpoints are its own. All flows are in one table,
 * so one row of mode nat with flows serves both of its modes. A flow's endpoint may pass that check by chance, once in
 * 65,536 at most. Then an ICMP error there counts for a backend of the pool without flows. */
const struct forwarder *const forward_at_endpoints[] = { &forward_nat_stateless, &forward_nat_follow, NULL };
