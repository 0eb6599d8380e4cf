// Breaks "options out of bounds are refused": its option has no bounds, so every number is taken.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

struct Options {
  double strength = 1;
  static constexpr auto fields() {
    return std::tuple{field("strength", &Options::strength, {.doc = "Any number at all."})};
  }
};

class Unbounded final : public PositionScheme {
 public:
  Unbounded(const Options&, const CreateContext&) {}
  static Traits traits(const Options&) { return {}; }
};

constexpr Component<PositionScheme> kBroken[] = {
    component<PositionScheme, Unbounded, Options>(broken_info("unbounded_option"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_unbounded_option", .version = "1.0", .position = attnlab::broken::kBroken);
