#include "path/forward.h"

/* Whose check an endpoint passes, that is without flows. Either row of mode nat knows the flows of both. */
const struct forwarder *const forward_at_endpoints[] = { &forward_nat_stateless, &forward_nat_follow, NULL };
