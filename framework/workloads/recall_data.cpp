#include "workloads/recall_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <attnlab/random.h>

namespace attnlab::experiment {
namespace {

using model::TokenId;

constexpr double kPower = 0.01;  // a of the weights r^(a - 1)

// `count` different ones of first .. end - 1, in the order drawn.
std::vector<TokenId> draw_tokens(int first, int end, int count, SplitMix64& draws) {
  std::vector<TokenId> all(end - first);
  std::iota(all.begin(), all.end(), first);
  for (int i = 0; i < count; ++i) std::swap(all[i], all[i + draws.below(all.size() - i)]);
  all.resize(count);
  return all;
}

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

RecallExample recall_example(const RecallShape& shape, std::uint64_t seed, int number) {
  ATTNLAB_CHECK(!recall_problem(shape), "a shape that the reader of the experiment should have refused");
  SplitMix64 draws(seed, static_cast<std::uint64_t>(number));
  const std::vector<TokenId> keys = draw_tokens(0, shape.vocab / 2, shape.pairs, draws);
  const std::vector<TokenId> values = draw_tokens(shape.vocab / 2, shape.vocab, shape.pairs, draws);

  std::vector<bool> used(shape.vocab, false);
  for (const TokenId key : keys) used[key] = true;
  for (const TokenId value : values) used[value] = true;
  std::vector<TokenId> fillers;
  for (TokenId token = 0; token < shape.vocab; ++token)
    if (!used[token]) fillers.push_back(token);

  const std::vector<int> places = draw_places(shape.places(), shape.pairs, draws);
  RecallExample example;
  for (int pair = 0; pair < shape.pairs; ++pair)
    example.tokens.insert(example.tokens.end(), {keys[pair], values[pair]});
  while (static_cast<int>(example.tokens.size()) < shape.length)
    example.tokens.push_back(fillers[draws.below(fillers.size())]);
  for (int pair = 0; pair < shape.pairs; ++pair) {
    const int position = shape.prompt() + 2 * places[pair];
    example.tokens[position] = keys[pair];
    example.queries.push_back({position, 2 * pair + 1, values[pair]});
  }
  std::ranges::sort(example.queries, {}, &RecallQuery::position);
  return example;
}

}  // namespace attnlab::experiment
