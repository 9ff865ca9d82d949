#include "path/forward.h"

/* Mode nat without a table comes first, as its check tells which endpoints are its own. The rows of mode nat share all
 * flows: one stands for both. */
const struct forwarder *const forward_at_endpoints[] = { &forward_nat_stateless, &forward_nat_follow, NULL };
