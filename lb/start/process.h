/* What cidlb asks of its process: signals, descriptors, libraries. Called before there are threads. */
#ifndef CIDLB_START_PROCESS_H
#define CIDLB_START_PROCESS_H

/* What comes first, before the configuration is read. From here on, no log line is waited for (base/log.h). A SIGHUP
 * waits until it can be obeyed. Signals that mean nothing to cidlb do not end it. */
void process_prepare(void);

/* Lets a SIGHUP through (SIG_UNBLOCK), or has it wait. */
void process_hang_up(int how);

/* Raises the soft limit of descriptors. Each backend's probe needs a socket, and each address and port needs one per
 * worker. The usual 1,024 are not enough. */
void process_allow_descriptors(void);

/* Asked at run time, because 2.1.10 of libevent has the soname of older versions. 0, or -ENOSYS: it has logged why. */
int process_check_libraries(void);

#endif
