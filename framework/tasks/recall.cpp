// Multi-query associative recall (Arora et al. 2023): the examples of the workload of the same name, with loss at the
// answers only.
#include "tasks/recall_data.h"

#include <string>

#include "tasks/generated.h"

namespace attnlab::tasks {
namespace {

struct RecallOptions {
  int length = 64;
  int pairs = 4;
  int vocab = 8192;

  static constexpr auto fields() {
    using R = RecallOptions;
    return std::tuple{
        field("length", &R::length, {.min = 4, .max = 1 << 20, .unit = "tokens", .doc = "An example; even."}),
        field("pairs", &R::pairs, {.min = 1, .max = 1 << 18, .doc = "Pairs of a key and a value, each asked once."}),
        field("vocab", &R::vocab,
              {.min = 4, .max = 1 << 24, .doc = "Tokens: keys from the lower half, values from the upper."})};
  }
};

std::unique_ptr<Task> make_recall(const RecallOptions& options, const TaskReading& reading) {
  const RecallShape shape{.length = options.length, .pairs = options.pairs, .vocab = options.vocab};
  if (const auto problem = recall_problem(shape)) {
    reading.problems.add(reading.where, "recall: " + problem->what, problem->remedy);
    return nullptr;
  }
  return generated(reading, {.length = shape.length, .vocab_size = shape.vocab},
                   [shape](SplitMix64& draws, Example& to) {
                     RecallExample example = draw_recall(shape, draws);
                     to.input = std::move(example.tokens);
                     to.targets.assign(to.input.size(), kNoTarget);
                     to.optimum.assign(to.input.size(), 0.0);
                     to.question = shape.prompt();
                     for (const RecallQuery& query : example.queries) to.targets[query.position] = query.value;
                   });
}

const RegisteredTask kRecall{task_kind<RecallOptions>(
    {.name = "recall",
     .doc = "Multi-query associative recall: pairs, then the values of all keys are asked for, at the keys.",
     .paper = "Arora et al. 2023, Zoology (arXiv:2312.04927)",
     .keys = {examples_key()}},
    make_recall)};

}  // namespace
}  // namespace attnlab::tasks
