// Breaks "can be made and run": it needs what no attention of the kit provides, so there is nothing that it runs with.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class Alone final : public PositionScheme {
 public:
  Alone(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {.needs = {Feature::fixed_state}}; }
};

constexpr Component<PositionScheme> kBroken[] = {component<PositionScheme, Alone>(broken_info("alone"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_alone", .version = "1.0", .position = attnlab::broken::kBroken);
