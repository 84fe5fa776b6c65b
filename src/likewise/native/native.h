/* What every compiled file shares. */
#ifndef LIKEWISE_NATIVE_H
#define LIKEWISE_NATIVE_H

#include <stdint.h>

/* Inner loops are compiled once for each instruction set and the machine's best is chosen when the library is
 * loaded, so that one wheel serves every x86-64. Elsewhere the compiler's target is used as it is. OpenMP regions
 * must stay outside such functions: what the compiler outlines from them would not be cloned. */
#if defined(__x86_64__) && defined(__ELF__)
#define FOR_EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), noinline))
#else
#define FOR_EVERY_CPU
#endif

#endif
