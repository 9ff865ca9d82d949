/* What a trace shows of handshakes: who a device is (the identity of a pre-shared key, a certificate, the name it asks
 * for) stands in the clear there, and is nobody's business. */
#ifndef CIDLB_ADMIN_TRACE_MASK_H
#define CIDLB_ADMIN_TRACE_MASK_H

#include <stddef.h>
#include <stdint.h>

/* Makes zeros of what may tell who the device is, in the handshake records of epoch 0 of a datagram that may be cut
 * short. Headers of records and messages stay, and so do HelloVerifyRequest, ServerHello and ServerHelloDone, and a
 * ClientHello that is no fragment, but for the extensions server_name and pre_shared_key. Returns how many octets are
 * masked. */
size_t trace_mask(uint8_t *data, size_t len);

#endif
