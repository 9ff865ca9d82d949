/* CIDs of scheme quic-lb, as the command line has them: in the words of cidlb.conf,
 *   rotation=0..6,server_id_length=1..15,nonce_length=4..18[,key=@FILE|HEX]
 * in any order. A file with the key must be closed to others; cidlb can take it, too. Without a key, ids are readable
 * in the CIDs. */
#ifndef CIDLB_BENCH_BACKEND_CID_OPTION_H
#define CIDLB_BENCH_BACKEND_CID_OPTION_H

#include "common/lbcid.h"

/* *key, which `out` points at, is to be freed when no CID is made any more; NULL: there is none. -errno (said on
 * stderr, without the key): another text, or a file that cannot be taken. */
int cid_option_read(struct lbcid_config *out, struct lbcid_key **key, const char *text);

#endif
