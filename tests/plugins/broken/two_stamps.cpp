// Broken on purpose: one stamp too many, as if two plugins were linked into one file.
#include "plugins/broken/parts.h"

namespace {
__attribute__((used)) constinit const attnlab::Stamp other_stamp = attnlab::make_stamp();
}  // namespace

ATTNLAB_PLUGIN(.name = "two_stamps", .version = "1.0", .cache = attnlab::broken::kCache<"two_stamps_cache">);
