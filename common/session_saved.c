#include <errno.h>

#include "session_priv.h"

/* A saved session is the number of the newest record, and then what mbedTLS writes. That part has the window of the
 * records seen, but mbedTLS keeps it hidden. */
enum { SAVED_NEWEST_OCTETS = 8 };

int session_save(struct session *session, uint8_t *out, size_t size, size_t *len)
{
	bool fits = size > SAVED_NEWEST_OCTETS;
	size_t octets = 0;

	if (session->state != SESSION_ESTABLISHED)
		return -ENOTCONN;
	int err = mbedtls_ssl_context_save(&session->ssl, fits ? out + SAVED_NEWEST_OCTETS : NULL,
					   fits ? size - SAVED_NEWEST_OCTETS : 0, &octets);
	if (err == MBEDTLS_ERR_SSL_BAD_INPUT_DATA)
		return -ENOTSUP;
	*len = SAVED_NEWEST_OCTETS + octets;
	if (err == MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL)
		return -ENOSPC;
	session->state = !err ? SESSION_CLOSED : SESSION_FAILED;
	for (int i = 0; i < SAVED_NEWEST_OCTETS; i++)
		out[i] = (uint8_t)(session->newest >> 8 * (SAVED_NEWEST_OCTETS - 1 - i));
	return !err ? 0 : -EIO;
}

int session_load(struct session *session, const uint8_t *data, size_t len)
{
	int err;

	if (len < SAVED_NEWEST_OCTETS)
		return -EBADMSG;
	err = mbedtls_ssl_context_load(&session->ssl, data + SAVED_NEWEST_OCTETS, len - SAVED_NEWEST_OCTETS);
	if (err)
		return err == MBEDTLS_ERR_SSL_ALLOC_FAILED ? -ENOMEM : -EBADMSG;
	for (int i = 0; i < SAVED_NEWEST_OCTETS; i++)
		session->newest = session->newest << 8 | data[i];
	session->state = SESSION_ESTABLISHED;
	return 0;
}
