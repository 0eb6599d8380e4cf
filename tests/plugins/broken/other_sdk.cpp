// Broken on purpose: its stamp says that it was built against other SDK headers.
#include <attnlab/fingerprint.h>

#undef ATTNLAB_SDK_FINGERPRINT
#define ATTNLAB_SDK_FINGERPRINT "0123456789abcdef"

#include "plugins/broken/parts.h"

ATTNLAB_PLUGIN(.name = "other_sdk", .version = "1.0", .cache = attnlab::broken::kCache<"other_sdk_cache">);
