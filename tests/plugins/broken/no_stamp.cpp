// Broken on purpose: a table of components, but no stamp, as if ATTNLAB_PLUGIN were forgotten.
#include "plugins/broken/parts.h"

extern "C" __attribute__((visibility("default"), used)) constinit const ::attnlab::Plugin attnlab_plugin = {
    .name = "no_stamp", .version = "1.0", .cache = attnlab::broken::kCache<"no_stamp_cache">};
