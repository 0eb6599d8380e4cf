// In-context Markov chains (Edelman et al. 2024): every sequence has a chain of its own, whose rows are drawn from a
// Dirichlet prior, so what comes next can only be learned from what the sequence has shown so far. The first `order`
// tokens are uniform: they say nothing about the chain, and the predictor below is exactly Bayes-optimal.
#include <cmath>
#include <unordered_map>

#include "tasks/generated.h"

namespace attnlab::tasks {
namespace {

// 2^53: contexts are numbered in 64 bits.
constexpr double kMostContexts = 0x1p53;

struct MarkovOptions {
  int states = 3;
  int order = 1;
  int length = 100;
  double alpha = 1;

  static constexpr auto fields() {
    using M = MarkovOptions;
    return std::tuple{
        field("states", &M::states, {.min = 2, .max = 65536, .doc = "Of the chain, a token each."}),
        field("order", &M::order, {.min = 1, .max = 16, .doc = "Tokens that the next depends on."}),
        field("length", &M::length, {.min = 1, .max = 1 << 20, .unit = "tokens", .doc = "Fed of a sequence."}),
        field("alpha", &M::alpha,
              {.min = 1e-6, .max = 1e6, .doc = "Of the Dirichlet prior of each row; 1: all rows alike."})};
  }
  static void check(const MarkovOptions& options, Problems& problems) {
    if (std::pow(options.states, options.order) > kMostContexts)
      problems.add("order", "there are more than 2^53 contexts of so many states");
    if (options.order > options.length) problems.add("order", "is more than the length, so nothing can be learned");
  }
};

// How often each state came after one context.
struct Followers {
  std::vector<int> counts;
  int all = 0;
};

// Draws with weights count + alpha. A row drawn from the prior and tokens drawn from the row are, with the row
// integrated out, tokens drawn like this one after the other (Polya's urn): what the best predictor says of the next
// token is what it is drawn with, and no row is ever needed.
TokenId draw_next(const MarkovOptions& options, const Followers& seen, SplitMix64& draws) {
  double left = draws.uniform() * (seen.all + options.states * options.alpha);
  for (TokenId token = 0; token + 1 < options.states; ++token) {
    left -= seen.counts[token] + options.alpha;
    if (left < 0) return token;
  }
  return options.states - 1;
}

void draw_chain(const MarkovOptions& options, SplitMix64& draws, Example& to) {
  const auto states = static_cast<std::uint64_t>(options.states);
  std::uint64_t contexts = 1;
  for (int i = 0; i < options.order; ++i) contexts *= states;
  std::unordered_map<std::uint64_t, Followers> seen;
  std::uint64_t context = 0;  // the last `order` tokens as a number
  for (int position = 0; position <= options.length; ++position) {
    TokenId token = 0;
    double optimum = std::log(options.states);
    if (position < options.order) {
      token = static_cast<TokenId>(draws.below(states));
    } else {
      Followers& followers = seen[context];
      if (followers.all == 0) followers.counts.assign(states, 0);
      token = draw_next(options, followers, draws);
      optimum = std::log((followers.all + options.states * options.alpha) / (followers.counts[token] + options.alpha));
      ++followers.counts[token];
      ++followers.all;
    }
    context = (context * states + static_cast<std::uint64_t>(token)) % contexts;
    if (position < options.length) to.input.push_back(token);
    if (position == 0) continue;
    to.targets.push_back(token);
    to.optimum.push_back(optimum);
  }
}

std::unique_ptr<Task> make_markov(const MarkovOptions& options, const TaskReading& reading) {
  return generated(reading, {.length = options.length, .vocab_size = options.states, .has_answers = false},
                   [options](SplitMix64& draws, Example& to) { draw_chain(options, draws, to); });
}

const RegisteredTask kMarkov{
    task_kind<MarkovOptions>({.name = "markov",
                              .doc = "In-context Markov chains: every sequence has a chain of its own.",
                              .paper = "Edelman et al. 2024 (arXiv:2402.11004)",
                              .keys = {examples_key()}},
                             make_markov)};

}  // namespace
}  // namespace attnlab::tasks
