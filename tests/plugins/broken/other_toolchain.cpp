// Broken on purpose: its stamp names another compiler and standard library.
#include <attnlab/fingerprint.h>

#undef ATTNLAB_TOOLCHAIN
#define ATTNLAB_TOOLCHAIN "clang 99 libc++"

#include "plugins/broken/parts.h"

ATTNLAB_PLUGIN(.name = "other_toolchain", .version = "1.0", .cache = attnlab::broken::kCache<"other_toolchain_cache">);
