// Broken on purpose: one option is declared twice.
#include "plugins/broken/parts.h"

namespace {

struct Options {
  std::int32_t size = 1;
  std::int32_t other_size = 2;
  static constexpr auto fields() {
    return std::tuple{attnlab::field("size", &Options::size, {.min = 1}),
                      attnlab::field("size", &Options::other_size, {.min = 1})};
  }
};

class TwicePosition final : public attnlab::PositionScheme {
 public:
  TwicePosition(const Options&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const Options&) { return {}; }
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, TwicePosition, Options>(
        {.id = "twice", .summary = "Of a broken plugin.", .reference = "none"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "option_twice", .version = "1.0", .position = kPosition);
