/* The probe `none`: the backend counts as alive. */
#include "health/probe.h"

static int none_open(struct probe *probe)
{
	(void)probe;
	return 0;
}

static void none_begin(struct probe *probe)
{
	probe_finish(probe, &(struct health_result){ .ok = true, .reason = "not probed" });
}

static void none_close(struct probe *probe)
{
	(void)probe;
}

const struct probe_kind probe_none = {
	.octets = sizeof(struct probe), .once = true, .open = none_open, .begin = none_begin, .close = none_close
};
