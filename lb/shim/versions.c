#include "shim/versions.h"

void versions_hear(struct versions *versions, int node, enum proxy2_version version, uint32_t now_s)
{
	struct version_heard *heard = &versions->heard[node];

	atomic_store_explicit(version == PROXY2_V1 ? &heard->plain_s : &heard->v2_s, now_s > 0 ? now_s : 1,
			      memory_order_relaxed);
}

enum proxy2_version versions_of(const struct versions *versions, int node)
{
	const struct version_heard *heard = &versions->heard[node];
	const uint32_t plain_s = atomic_load_explicit(&heard->plain_s, memory_order_relaxed);
	const uint32_t v2_s = atomic_load_explicit(&heard->v2_s, memory_order_relaxed);

	if (v2_s == 0 || (plain_s != 0 && (int32_t)(v2_s - plain_s) < VERSIONS_PLAIN_S))
		return PROXY2_V1;
	return PROXY2_V2;
}
