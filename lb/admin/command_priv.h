/* What the parts of the commands share. Each gives the whole answer as a new object; NULL: out of memory. */
#ifndef CIDLB_ADMIN_COMMAND_PRIV_H
#define CIDLB_ADMIN_COMMAND_PRIV_H

#include <jansson.h>

#include "control/control_priv.h"

/* {"ok": false, "error": …} */
json_t *command_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* command_view.c */
json_t *command_status(struct control *control, const json_t *request);
json_t *command_backends(struct control *control, const json_t *request);
json_t *command_backend_json(const struct control *control, const struct control_place *backend,
			     const struct stats *sum);

/* command_flows.c */
json_t *command_flows(struct control *control, const json_t *request);
/* Reads 1..LBCID_MAX_OCTETS octets in hex; false if they are anything else. */
bool command_read_cid(uint8_t cid[static LBCID_MAX_OCTETS], size_t *octets, const char *hex);
json_t *command_address_json(const struct addr *addr);
/* The name of a backend by its stable number; null if it is configured no more. */
json_t *command_backend_name(const struct control *control, uint16_t uid);

/* command_trace.c */
json_t *command_trace(struct control *control, struct admin_client *client, const json_t *request);

#endif
