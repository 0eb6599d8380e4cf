// Broken on purpose: it needs a function that is not defined anywhere.
#include "plugins/broken/parts.h"

extern "C" int attnlab_test_function_that_nobody_has();

namespace {

class NeedyPosition final : public attnlab::PositionScheme {
 public:
  NeedyPosition(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {}; }
  attnlab::Position max_positions() const override { return attnlab_test_function_that_nobody_has(); }
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, NeedyPosition>(
        {.id = "needy", .summary = "Of a broken plugin.", .reference = "none"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "undefined_symbol", .version = "1.0", .position = kPosition);
