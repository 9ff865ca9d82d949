/* The commands of admin.socket: one JSON object in, one out. Control thread.
 *
 *   {"command": "status"}                                     {"ok": true, "version": …}
 *   {"command": "drain", "name": "lwm2m/b"}                   {"ok": true, "backend": {…}}
 *   {"command": "weight", "name": "x", "weight": 50}          {"ok": false, "error": "no backend is called x; …"}
 *   {"command": "flows", "from": "10.1.2.3", "limit": 10}     {"ok": true, "matched": 1, "flows": [{…}]}
 *
 *   {"command": "trace", "cid": "0102…", "seconds": 60}       {"ok": true, …}, then a line per datagram,
 *                                                             and one at the end
 *
 * status, backends, drain, ready, maint, weight, reload, flows, trace. A name is a backend's, or POOL/BACKEND where
 * several pools have it.
 */
#ifndef CIDLB_ADMIN_COMMAND_H
#define CIDLB_ADMIN_COMMAND_H

#include <event2/event.h>

struct admin_client;
struct control;

struct commands;

/* For a control thread that has applied a configuration, on its event loop. NULL: out of memory. */
struct commands *commands_new(struct control *control, struct event_base *base);

/* Ends the trace that runs, and tells its client. Before the clients are let go, and while there still are workers.
 * NULL is fine. */
void commands_free(struct commands *commands);

/* admin_socket_answer; ctx: the commands. client: who asks; NULL: nobody who can be sent a trace. */
char *commands_answer(void *ctx, struct admin_client *client, const char *line);

#endif
