#include "tasks/recall_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tasks/generated.h"

namespace attnlab::tasks {
namespace {

constexpr double kPower = 0.01;  // a of the weights r^(a - 1)

// The tokens of 0 .. vocab - 1 that are none of the used ones, by rank.
class Fillers {
 public:
  Fillers(int vocab, std::vector<TokenId> used) : count_(vocab - static_cast<int>(used.size())) {
    std::ranges::sort(used);
    for (std::size_t i = 0; i < used.size(); ++i) before_.push_back(used[i] - static_cast<TokenId>(i));
  }
  TokenId draw(SplitMix64& draws) const {
    const auto rank = static_cast<TokenId>(draws.below(static_cast<std::uint64_t>(count_)));
    return rank + static_cast<TokenId>(std::ranges::upper_bound(before_, rank) - before_.begin());
  }

 private:
  int count_;
  std::vector<TokenId> before_;  // of each used token, ascending: how many fillers are below it
};

// `count` different ones of 0 .. places - 1, in the order drawn.
std::vector<int> draw_places(int places, int count, SplitMix64& draws) {
  std::vector<double> weights(places);  // 0: taken
  for (int place = 0; place < places; ++place) weights[place] = std::pow(place + 1.0, kPower - 1);
  std::vector<int> drawn;
  while (static_cast<int>(drawn.size()) < count) {
    double left = draws.uniform() * std::accumulate(weights.begin(), weights.end(), 0.0);
    int chosen = -1;
    for (int place = 0; place < places; ++place) {
      if (weights[place] == 0) continue;
      chosen = place;  // the last free one, should rounding leave something over
      left -= weights[place];
      if (left < 0) break;
    }
    weights[chosen] = 0;
    drawn.push_back(chosen);
  }
  return drawn;
}

}  // namespace

std::optional<Problem> recall_problem(const RecallShape& shape) {
  if (shape.length % 2 != 0)
    return Problem{"", fmt::format("the length {} is odd", shape.length), "pairs and places take two tokens each"};
  if (shape.length / 4 < shape.pairs)
    return Problem{"", fmt::format("{} pairs do not fit into a length of {}", shape.pairs, shape.length),
                   "a pair needs four tokens: its own two and a place for its query"};
  if ((shape.vocab - 1) / 2 < shape.pairs)
    return Problem{"", fmt::format("{} pairs leave nothing of a vocabulary of {}", shape.pairs, shape.vocab),
                   "keys and values are all different, and the other tokens are none of them"};
  return std::nullopt;
}

RecallExample recall_example(const RecallShape& shape, std::uint64_t seed, std::int64_t number) {
  ATTNLAB_CHECK(!recall_problem(shape), "a shape that the reader of the experiment should have refused");
  SplitMix64 draws(seed, static_cast<std::uint64_t>(number));
  return draw_recall(shape, draws);
}

RecallExample draw_recall(const RecallShape& shape, SplitMix64& draws) {
  const std::vector<TokenId> keys = draw_distinct(0, shape.vocab / 2, shape.pairs, draws);
  const std::vector<TokenId> values = draw_distinct(shape.vocab / 2, shape.vocab, shape.pairs, draws);
  std::vector<TokenId> used = keys;
  used.insert(used.end(), values.begin(), values.end());
  const Fillers fillers(shape.vocab, std::move(used));

  const std::vector<int> places = draw_places(shape.places(), shape.pairs, draws);
  RecallExample example;
  for (int pair = 0; pair < shape.pairs; ++pair)
    example.tokens.insert(example.tokens.end(), {keys[pair], values[pair]});
  while (static_cast<int>(example.tokens.size()) < shape.length) example.tokens.push_back(fillers.draw(draws));
  for (int pair = 0; pair < shape.pairs; ++pair) {
    const int position = shape.prompt() + 2 * places[pair];
    example.tokens[position] = keys[pair];
    example.queries.push_back({position, 2 * pair + 1, values[pair]});
  }
  std::ranges::sort(example.queries, {}, &RecallQuery::position);
  return example;
}

}  // namespace attnlab::tasks
