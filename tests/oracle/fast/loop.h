/* What the loop and the program that times it share. */
#ifndef CIDLB_TESTS_ORACLE_FAST_LOOP_H
#define CIDLB_TESTS_ORACLE_FAST_LOOP_H

#include <linux/types.h>

enum {
	LOOP_FRAMES = 1 << 17,   /* at most */
	LOOP_FRAME_OCTETS = 160, /* of a frame's beginning; it is longer, and the rest is the same in all */
	LOOP_ACTIONS = 8,
};

struct loop_frame {
	__u64 words[LOOP_FRAME_OCTETS / 8];
};

struct loop {
	__u64 dice;
	__u32 mask;   /* number of frames, a power of two, less one */
	__u32 octets; /* of each of them */
	__u32 empty;  /* not 0: the frame is put there, and that is all */
	__u32 none;   /* 0 */
	__s32 grown;  /* octets that the last frame had more when it was forwarded */
	__u32 unused;
	__u64 actions[LOOP_ACTIONS];
};

#endif
