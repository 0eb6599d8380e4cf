// No positions at all: queries and keys are used as projected. Kazemnejad et al. 2023 ("NoPE").
#include <attnlab/plugin.h>

namespace {

class NoPositions final : public attnlab::PositionScheme {
 public:
  NoPositions(const attnlab::NoOptions&, const attnlab::CreateContext&) {}
  static attnlab::Traits traits(const attnlab::NoOptions&) { return {}; }
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, NoPositions>(
        {.id = "none",
         .summary = "No position information; only the causal mask orders tokens.",
         .reference = "arXiv:2305.19466"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "none", .version = "1.0", .position = kPosition);
