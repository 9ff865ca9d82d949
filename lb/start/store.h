/* What systemd keeps for the next start (FileDescriptorStoreMax, sd_pid_notify_with_fds(3)). Control thread.
 *
 * - The sockets of devices and servers, so that what arrives while no cidlb runs waits in them. They are there from the
 *   moment that cidlb serves, so that it may also be killed.
 * - The table of flows, in a memory file that is written when cidlb ends.
 * - Then also the links of the fast path. Whoever is started has them, and the program goes on in the meantime. systemd
 *   gives up what nobody is started for, which takes the program from the interfaces.
 */
#ifndef CIDLB_START_STORE_H
#define CIDLB_START_STORE_H

struct control;
struct fast_links;
struct notify;
struct store;

/* Takes over what this start was given (LISTEN_FDS, LISTEN_FDNAMES, if LISTEN_PID is this process). `notify` is
 * borrowed and may be NULL: nothing is kept. 0 or -errno. */
int store_new(struct store **out, struct notify *notify);
void store_free(struct store *store);

/* Gives the sockets to the control, before it is configured. What else there was is closed. */
void store_hand_over(struct store *store, struct control *control);

/* Puts the flows that were left into the table, which is empty, and the other way round; with the ports that are open
 * for them at single source addresses. A configuration runs, and no worker. What comes of it is logged; without flows
 * cidlb runs as well. Ports are saved last of all: there may be more of them than systemd has room for. */
void store_load_flows(struct store *store, struct control *control);
void store_save_flows(struct store *store, struct control *control);
void store_save_ports(struct store *store, struct control *control);

/* The links that were left, whose descriptors are the caller's from now on, and those that are left. */
void store_load_links(struct store *store, struct fast_links *out);
void store_save_links(struct store *store, const struct fast_links *links);

/* Has systemd keep the sockets that are open now, and no others. */
void store_sync(struct store *store, const struct control *control);

#endif
