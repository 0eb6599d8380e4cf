// Broken on purpose: its stamp says that it was built for another version of the SDK.
#include <attnlab/fingerprint.h>

#undef ATTNLAB_SDK_VERSION
#define ATTNLAB_SDK_VERSION "99.0.0"

#include "plugins/broken/parts.h"

ATTNLAB_PLUGIN(.name = "other_version", .version = "1.0", .cache = attnlab::broken::kCache<"other_version_cache">);
