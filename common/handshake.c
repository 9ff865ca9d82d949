#include "handshake.h"

#include "dtls.h"

static void earn(struct handshake *handshake, const struct handshake_datagram *up)
{
	ownership_account_earn(&handshake->account, (uint32_t)up->len);
}

/* What the ServerHello of an earlier handshake gave out stays until another ServerHello comes, because anybody can send
 * a ClientHello in the name of the source. */
enum hello_step handshake_hello(struct handshake *handshake, const struct hello_key *key,
				const struct handshake_datagram *up)
{
	const enum hello_step step = hello_take(&handshake->hello, key, up->data, up->len, up->now_s);

	handshake->begun = true;
	handshake->confirmed = handshake->confirmed || hello_confirmed(&handshake->hello);
	earn(handshake, up);
	return step;
}

void handshake_follow(struct handshake *handshake, const struct handshake_datagram *up)
{
	if (!handshake->given)
		handshake->followed = true;
	earn(handshake, up);
}

static bool is_cid(const struct handshake *handshake, const uint8_t *cid, uint8_t cid_len)
{
	return handshake->cid.len == cid_len && memcmp(handshake->cid.octets, cid, cid_len) == 0;
}

bool handshake_has(const struct handshake *handshake, const uint8_t *cid, uint8_t cid_len, bool flight, bool guess)
{
	if (handshake->given)
		return is_cid(handshake, cid, cid_len) && (flight || !handshake->over);
	if (handshake->refused || !flight || !guess)
		return false;
	return handshake->cid.len == 0 || is_cid(handshake, cid, cid_len);
}

bool handshake_gave(const struct handshake *handshake, const uint8_t *cid, uint8_t cid_len)
{
	return handshake->given && is_cid(handshake, cid, cid_len);
}

void handshake_show(struct handshake *handshake, const uint8_t *cid, uint8_t cid_len,
		    const struct handshake_datagram *up)
{
	if (handshake->given) {
		handshake->followed = true;
	} else {
		handshake->cid.len = cid_len;
		memcpy(handshake->cid.octets, cid, cid_len);
	}
	earn(handshake, up);
}

/* A ServerHello that says the same as the last one may be its repetition. */
static void serve(struct handshake *handshake, enum hello_said said)
{
	const struct hello_cid *reading = &handshake->reading;

	handshake->served = true;
	handshake->followed = false;
	if (said == HELLO_SAID_CID) {
		if (!handshake->given || !is_cid(handshake, reading->octets, reading->len))
			handshake->over = handshake->early = false;
		handshake->cid = *reading;
		handshake->given = true;
		handshake->refused = false;
	} else if (said == HELLO_SAID_NO_CID) {
		if (!handshake->refused)
			handshake->over = handshake->early = false;
		handshake->cid.len = 0;
		handshake->given = false;
		handshake->refused = true;
	}
	handshake->repeated = handshake->early;
}

/* A downlink under application keys. True: it shows that the device has them, too. */
static bool ends(struct handshake *handshake)
{
	const bool repeated = handshake->repeated;

	handshake->repeated = false;
	if (!handshake->followed)
		handshake->early = handshake->served;
	return handshake->followed && !repeated;
}

/* Without a cookie it is sent in any case, so it takes nothing from what others need. */
static enum handshake_pass reflect(struct handshake *handshake, uint32_t octets)
{
	if (octets > handshake->account.credit)
		return HANDSHAKE_REFLECTED;
	handshake->account.credit = (uint16_t)(handshake->account.credit - octets);
	return HANDSHAKE_SENT;
}

static enum handshake_pass pass(struct handshake *handshake, uint32_t octets, const struct ownership_pair *to,
				const struct ownership_purse *purse)
{
	if (!handshake->begun || handshake->confirmed || handshake->over)
		return HANDSHAKE_SENT;
	if (handshake->served && !hello_asked(&handshake->hello))
		return reflect(handshake, octets);
	return ownership_account_pay(&handshake->account, to, octets, purse) ? HANDSHAKE_SENT : HANDSHAKE_WITHHELD;
}

struct handshake_news handshake_reply(struct handshake *handshake, const struct hello_key *key,
				      const struct handshake_datagram *down, const struct ownership_pair *to,
				      const struct ownership_purse *purse)
{
	const struct handshake before = *handshake;
	struct handshake_news news = { HANDSHAKE_SENT, false, false, false };
	const enum hello_said said = hello_reply(&handshake->hello, key, down->data, down->len, &handshake->reading);

	if (said >= HELLO_SAID_BEGUN) {
		serve(handshake, said);
		news.served = true;
		news.gave = said == HELLO_SAID_CID;
	}
	if (!handshake->over && dtls_read_reply(down->data, down->len) == DTLS_REPLY_PROTECTED)
		handshake->over = news.over = ends(handshake);
	news.pass = pass(handshake, (uint32_t)down->len, to, purse);
	/* What the device never gets says nothing of it. */
	if (news.pass == HANDSHAKE_WITHHELD) {
		*handshake = before;
		news.served = news.gave = news.over = false;
	}
	return news;
}
