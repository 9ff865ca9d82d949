/* The commands of admin.socket: one JSON object in, one out. Control thread.
 *
 *   {"command": "status"}                                     {"ok": true, "version": …}
 *   {"command": "backends", "name": "b"}                      {"ok": true, "backends": [{…}]}; all without a name
 *   {"command": "drain", "name": "lwm2m/b"}                   {"ok": true, "backend": {…}}
 *   {"command": "weight", "name": "x", "weight": 50}          {"ok": false, "error": "no backend is called x; …"}
 *   {"command": "flows", "from": "10.1.2.3", "limit": 10}     {"ok": true, "matched": 1, "flows": [{…}]}
 *
 *   {"command": "trace", "cid": "0102…", "seconds": 60}       {"ok": true, …}, then a line per datagram,
 *                                                             and one at the end
 *   {"command": "events", "follow": true}                     {"ok": true, "events": [{…}]}, then a line per event
 *
 * The commands are status, backends, drain, ready, maint, weight, reload, leave, join, flows, device, events and trace.
 * A name is that of a backend, or POOL/BACKEND if several pools have a backend of that name.
 */
#ifndef CIDLB_ADMIN_COMMAND_H
#define CIDLB_ADMIN_COMMAND_H

#include <event2/event.h>

struct admin_client;
struct control;

struct commands;

/* For a control thread, on its event loop. A configuration must be applied before the first command. NULL: out of
 * memory. */
struct commands *commands_new(struct control *control, struct event_base *base);

/* Ends the running trace and tells its client, and lets those go who follow events. Called before the clients are let
 * go, and while there still are workers. NULL is fine. */
void commands_free(struct commands *commands);

/* Answers one line. An admin_socket_source.answer; ctx: the commands. client: who asks; NULL: nobody to send a trace
 * to. */
char *commands_answer(void *ctx, struct admin_client *client, const char *line);

#endif
