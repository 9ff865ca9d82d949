#include "verdict.h"

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICTS] = {
		[VERDICT_CID] = "cid",
		[VERDICT_CID_DRAINING] = "cid_draining",
		[VERDICT_CID_DOWN] = "cid_down",
		[VERDICT_HASH] = "hash",
		[VERDICT_HINT] = "hint",
		[VERDICT_CID_HASHED] = "cid_hashed",
		[VERDICT_BAD_SOURCE] = "bad_source",
		[VERDICT_MALFORMED] = "malformed",
		[VERDICT_TYPE] = "type",
		[VERDICT_EPOCH0_DATA] = "epoch0_data",
		[VERDICT_MIXED] = "mixed",
		[VERDICT_UNKNOWN_CID] = "unknown_cid",
		[VERDICT_MAINT] = "maint",
		[VERDICT_NO_BACKEND] = "no_backend",
		[VERDICT_LIMITED] = "limited",
	};
	return names[verdict];
}
