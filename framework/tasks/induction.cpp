// Induction heads as a task (Fu et al. 2023, H3; Gu and Dao 2023): random tokens, among which a special one stands
// once, and again at the end; asked for is the token that came after it.
#include "tasks/generated.h"

namespace attnlab::tasks {
namespace {

struct InductionOptions {
  int length = 256;
  int vocab = 16;

  static constexpr auto fields() {
    using I = InductionOptions;
    return std::tuple{
        field("length", &I::length, {.min = 3, .max = 1 << 20, .unit = "tokens", .doc = "An example."}),
        field("vocab", &I::vocab, {.min = 3, .max = 1 << 24, .doc = "Tokens; the highest is the special one."})};
  }
};

std::unique_ptr<Task> make_induction(const InductionOptions& options, const TaskReading& reading) {
  return generated(reading, {.length = options.length, .vocab_size = options.vocab},
                   [options](SplitMix64& draws, Example& to) {
                     const auto special = static_cast<std::uint64_t>(options.vocab - 1);
                     for (int i = 0; i < options.length; ++i)
                       to.input.push_back(static_cast<TokenId>(draws.below(special)));
                     const std::uint64_t first = draws.below(static_cast<std::uint64_t>(options.length - 2));
                     to.input[first] = to.input.back() = options.vocab - 1;
                     to.targets.assign(to.input.size(), kNoTarget);
                     to.targets.back() = to.input[first + 1];
                     to.optimum.assign(to.input.size(), 0.0);
                   });
}

const RegisteredTask kInduction{
    task_kind<InductionOptions>({.name = "induction",
                                 .doc = "The token after the special one is asked for when that comes again.",
                                 .paper = "Fu et al. 2023, H3 (arXiv:2212.14052)",
                                 .keys = {examples_key()}},
                                make_induction)};

}  // namespace
}  // namespace attnlab::tasks
