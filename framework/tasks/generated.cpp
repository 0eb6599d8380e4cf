#include "tasks/generated.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace attnlab::tasks {
namespace {

constexpr std::uint64_t kHeldOutOf = 8;  // one in so many inputs
constexpr int kTries = 4096;             // after which a split is taken to be empty

// The draws of one attempt at an example.
SplitMix64 draws_of(std::uint64_t seed, Split split, std::int64_t index, std::uint64_t attempt) {
  SplitMix64 stream(seed, static_cast<std::uint64_t>(split));
  return {stream.next() + attempt, static_cast<std::uint64_t>(index)};
}

class GeneratedTask final : public Task {
 public:
  GeneratedTask(TaskFacts facts, const GeneratedShape& shape, std::int64_t examples, DrawExample draw)
      : facts_(std::move(facts)), shape_(shape), examples_(examples), draw_(std::move(draw)) {}

  int length() const override { return shape_.length; }
  int vocab_size() const override { return shape_.vocab_size; }
  std::int64_t examples(Split split) const override { return split == Split::train ? examples_ : kEndless; }
  const TaskFacts& facts() const override { return facts_; }

  void example(std::uint64_t seed, Split split, std::int64_t index, Example& to) const override {
    for (std::uint64_t attempt = 0; !draw(draws_of(seed, split, index, attempt), split, to);) ++attempt;
  }

  // Whether the split has any input.
  bool has(Split split) const {
    Example tried;
    for (std::uint64_t attempt = 0; attempt < kTries; ++attempt)
      if (draw(draws_of(0, split, 0, attempt), split, tried)) return true;
    return false;
  }

 private:
  bool draw(SplitMix64 draws, Split split, Example& to) const {
    to.clear();
    draw_(draws, to);
    return !shape_.has_answers || split_of(to.input) == split;
  }

  TaskFacts facts_;
  GeneratedShape shape_;
  std::int64_t examples_;
  DrawExample draw_;
};

}  // namespace

std::unique_ptr<Task> generated(const TaskReading& reading, const GeneratedShape& shape, DrawExample draw) {
  TaskFacts facts = reading.facts();
  facts.has_answers = shape.has_answers;
  facts.knows_optimum = true;
  facts.ids_are_bytes = shape.ids_are_bytes;
  facts.tokenizer = shape.tokenizer;
  auto task = std::make_unique<GeneratedTask>(std::move(facts), shape, reading.examples, std::move(draw));
  if (task->has(Split::train) && task->has(Split::validation)) return task;
  reading.problems.add(reading.where,
                       fmt::format("{}: it has so few different inputs that none are left for one of training and "
                                   "validation",
                                   reading.kind.name),
                       "give it more tokens, or a greater length");
  return nullptr;
}

Split split_of(std::span<const TokenId> input) noexcept {
  std::uint64_t hash = input.size();
  for (const TokenId id : input) hash = SplitMix64::mixed(hash + static_cast<std::uint64_t>(id) + 1);
  return hash % kHeldOutOf == 0 ? Split::validation : Split::train;
}

// Fisher and Yates, of whose array only the entries are held that are not in their own place.
std::vector<TokenId> draw_distinct(TokenId first, TokenId end, int count, SplitMix64& draws) {
  std::unordered_map<TokenId, TokenId> moved;  // by place
  const auto at = [&](TokenId place) {
    const auto found = moved.find(place);
    return found == moved.end() ? place : found->second;
  };
  std::vector<TokenId> drawn;
  drawn.reserve(static_cast<std::size_t>(count));
  for (TokenId place = 0; place < count; ++place) {
    const auto other = static_cast<TokenId>(place + draws.below(static_cast<std::uint64_t>(end - first - place)));
    drawn.push_back(first + at(other));
    moved.insert_or_assign(other, at(place));
  }
  return drawn;
}

void ask(std::span<const TokenId> answer, TokenId marker, Feed feed, TokenId blank, Example& to) {
  to.targets.assign(to.input.size(), kNoTarget);
  to.question = std::ssize(to.input);
  to.input.push_back(marker);
  if (feed == Feed::blank) to.targets.push_back(kNoTarget);
  for (std::size_t i = 0; i < answer.size(); ++i) {
    to.targets.push_back(answer[i]);
    if (feed == Feed::blank)
      to.input.push_back(blank);
    else if (i + 1 < answer.size())
      to.input.push_back(answer[i]);
  }
  to.optimum.assign(to.input.size(), 0.0);
}

}  // namespace attnlab::tasks
