/* Whether sanitizers of gcc or clang are built in. They need calls that the sandbox refuses, and look for leaks when
 * the process ends. */
#ifndef CIDLB_BASE_SANITIZED_H
#define CIDLB_BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
