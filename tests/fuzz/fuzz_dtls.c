/* The record walk on any datagram, uplink and downlink. */
#include <stdlib.h>

#include "common/dtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check_cid_record(const struct dtls_view *view, const uint8_t *data, size_t len)
{
	const uint64_t lengths = dtls_cid_lengths(view, data, len);

	require(view->cid_at < len);
	require(view->cid_at == view->record_at + (view->unified ? DTLS_UNIFIED_CID_AT : DTLS_CID_AT));
	require(view->unified ? data[view->record_at] >> 4 == 3 : data[view->record_at] == DTLS_TLS12_CID);
	require(!dtls_cid_fits(view, data, len, 0) && !dtls_cid_fits(view, data, len, DTLS_CID_MAX + 1));
	require((lengths & 1) == 0);
	for (size_t n = 1; n < DTLS_CID_MAX; n++)
		require(!(lengths >> n & 1) || dtls_cid_fits(view, data, len, n));
	dtls_cid_fits(view, data, len, DTLS_CID_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const enum dtls_reply reply = dtls_read_reply(data, len);
	struct dtls_view view, before;

	dtls_walk(&view, data, len);
	require(view.kind <= DTLS_OTHER && reply <= DTLS_REPLY_PROTECTED);
	require(len > 0 || (view.kind == DTLS_MALFORMED && reply == DTLS_REPLY_NONE));
	if (view.kind == DTLS_HELLO || view.kind == DTLS_CID || view.kind == DTLS_OTHER)
		require(reply != DTLS_REPLY_NONE);
	if (view.kind != DTLS_CID)
		return 0;
	check_cid_record(&view, data, len);

	/* All records before it are well-formed and decide nothing. */
	dtls_walk(&before, data, view.record_at);
	require(before.kind == (view.record_at > 0 ? DTLS_OTHER : DTLS_MALFORMED));
	require(before.flight == view.flight);
	return 0;
}
