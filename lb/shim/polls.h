/* What syscall() is told to wait for. */
#ifndef CIDLB_SHIM_POLLS_H
#define CIDLB_SHIM_POLLS_H

/* Marks the descriptors that this system call waits for, if it is one that waits. Any thread. */
void polls_note(long number, const long *arguments);

#endif
