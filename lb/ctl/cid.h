/* CIDs minted and opened with a configuration alone: `cidlbctl cid`.
 *
 * Each writes its answer to `out`: lines of text, or one JSON object if options->json. CTL_USAGE: an option or the CID
 * cannot be read. CTL_REFUSED: there is no such configuration, pool, backend, id or rotation, or `out` took no answer.
 * What is wrong with the words or the configuration goes to stderr as a sentence. */
#ifndef CIDLB_CTL_CID_H
#define CIDLB_CTL_CID_H

#include <stdio.h>

#include "conf/conf.h"
#include "ctl/options.h"

/* CIDs as the server would hand them out, one a line: `of` is a backend's name, or an id as NUMBER or 0xHEX. Takes
 * options->rotation (default: the first config) and ->count. */
enum ctl_exit cid_mint(const struct conf *conf, const char *pool, const char *of, const struct ctl_options *options,
		       FILE *out);

/* Whose CID that is, in options->pool (default: the only pool with server ids). CTL_REFUSED also if it is
 * nobody's. `out` then says why. */
enum ctl_exit cid_explain(const struct conf *conf, const char *hex, const struct ctl_options *options, FILE *out);

/* words: "mint", a pool, and what cid_mint() takes as `of`. */
enum ctl_exit cid_mint_run(char **words, const struct ctl_options *options);

/* words: "open", and a CID in hex. */
enum ctl_exit cid_open_run(char **words, const struct ctl_options *options);

#endif
