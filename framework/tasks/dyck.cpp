// Nested brackets of several kinds up to a depth (Hewitt et al. 2020, Dyck-(k, m)), as a walk without an end: at the
// bottom a bracket opens, at the greatest depth the last one closes, between them it opens with a fixed chance. What
// has been read says what the walk knows, so the chance of each token is known exactly. Not here: an end token, and
// walks that are forced back to the bottom at the end of the sequence.
#include <cmath>

#include "tasks/generated.h"

namespace attnlab::tasks {
namespace {

struct DyckOptions {
  int kinds = 2;
  int depth = 8;
  int length = 64;
  double open = 0.5;

  static constexpr auto fields() {
    using D = DyckOptions;
    return std::tuple{
        field("kinds", &D::kinds,
              {.min = 1, .max = 1 << 20, .doc = "Of brackets: ids open in the lower half and close in the upper."}),
        field("depth", &D::depth, {.min = 1, .max = 1 << 20, .doc = "Brackets that may be open at once."}),
        field("length", &D::length, {.min = 1, .max = 1 << 20, .unit = "tokens", .doc = "Fed of a sequence."}),
        field("open", &D::open, {.min = 0.01, .max = 0.99, .doc = "The chance of opening one where both is allowed."})};
  }
};

void draw_brackets(const DyckOptions& options, SplitMix64& draws, Example& to) {
  std::vector<TokenId> opened;  // kinds, the innermost last
  for (int position = 0; position <= options.length; ++position) {
    const double open = opened.empty() ? 1 : static_cast<int>(opened.size()) == options.depth ? 0 : options.open;
    TokenId token = 0;
    double chance = 1 - open;
    if (draws.uniform() < open) {
      token = static_cast<TokenId>(draws.below(static_cast<std::uint64_t>(options.kinds)));
      chance = open / options.kinds;
      opened.push_back(token);
    } else {
      token = options.kinds + opened.back();
      opened.pop_back();
    }
    if (position < options.length) to.input.push_back(token);
    if (position == 0) continue;
    to.targets.push_back(token);
    to.optimum.push_back(-std::log(chance));
  }
}

std::unique_ptr<Task> make_dyck(const DyckOptions& options, const TaskReading& reading) {
  return generated(reading, {.length = options.length, .vocab_size = 2 * options.kinds, .has_answers = false},
                   [options](SplitMix64& draws, Example& to) { draw_brackets(options, draws, to); });
}

const RegisteredTask kDyck{task_kind<DyckOptions>({.name = "dyck",
                                                   .doc = "Nested brackets of several kinds, up to a depth.",
                                                   .paper = "Hewitt et al. 2020 (arXiv:2010.07515)",
                                                   .keys = {examples_key()}},
                                                  make_dyck)};

}  // namespace
}  // namespace attnlab::tasks
