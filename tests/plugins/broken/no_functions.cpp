// Broken on purpose: the second component of its table has a name and nothing else.
#include "plugins/broken/parts.h"

namespace {
constexpr attnlab::Component<attnlab::PositionScheme> kEmpty[] = {
    {.id = "hollow", .summary = "Of a broken plugin.", .reference = "none"}};
}  // namespace

ATTNLAB_PLUGIN(.name = "no_functions", .version = "1.0", .position = kEmpty,
               .cache = attnlab::broken::kCache<"beside_hollow">);
