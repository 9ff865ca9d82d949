/* CIDs of scheme quic-lb, as the command line has them: in the words of cidlb.conf,
 *   rotation=0..6,server_id_length=1..15,nonce_length=4..18[,key=@FILE|HEX]
 * in any order. A file with the key must be closed to others; cidlb can take it, too. Without a key, ids are readable
 * in the CIDs. */
#ifndef CIDLB_BENCH_BACKEND_CID_OPTION_H
#define CIDLB_BENCH_BACKEND_CID_OPTION_H

#include "common/lbcid.h"

/* `out` points at *key, which is to be freed when no CID is made any more. It is NULL if there is no key. Returns 0 or
 * -errno: the text is not of this form, or the file cannot be taken. stderr says why, without the key. */
int cid_option_read(struct lbcid_config *out, struct lbcid_key **key, const char *text);

#endif
