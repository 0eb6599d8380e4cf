// Broken on purpose: a cache of a name that is taken, beside a position of a name that is not. All or nothing.
#include "plugins/broken/parts.h"

ATTNLAB_PLUGIN(.name = "duplicate_full", .version = "1.0", .position = attnlab::broken::kPosition<"beside_duplicate">,
               .cache = attnlab::broken::kCache<"full">);
