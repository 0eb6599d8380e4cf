#include "conformance/cache_laws.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include <attnlab/budget.h>
#include <attnlab/error.h>
#include <attnlab/state.h>

#include "assembly/budget_choice.h"
#include "base/plugin_call.h"
#include "choices/plain_components.h"

namespace attnlab::experiment::conformance {
namespace {

constexpr int kPrompt = 75;       // more than a tile of rows
constexpr int kLongPrompt = 400;  // more than policies keep that have no budget to set
constexpr int kSteps = 12;
constexpr int kCapacity = kPrompt + kSteps;
constexpr int kBudget = 24;   // of a policy that is to evict something
constexpr int kWhole = 4000;  // more than everything, also where layers get unequal shares

// What is fed in one call.
struct Call {
  int first;
  int count;
  Phase phase;
  int prompt;  // tokens of the whole
};

// A prompt in two pieces, then steps.
std::vector<Call> calls_of(int prompt) {
  const int piece = prompt / 2 + 3;
  std::vector<Call> list{{0, piece, Phase::prefill, prompt}, {piece, prompt - piece, Phase::last_prefill, prompt}};
  for (int token = prompt; token < prompt + kSteps; ++token) list.push_back({token, 1, Phase::decode, prompt});
  return list;
}
const std::vector<Call>& calls() {
  static const std::vector<Call> all = calls_of(kPrompt);
  return all;
}

// Feeds one sequence; the hidden states of all tokens.
Hidden feed(Subject& subject, model::Session& session, int sequence, std::span<const Call> these,
            std::uint64_t seed = 1) {
  const std::vector<model::TokenId> all = tokens(these.back().first + these.back().count, seed);
  Hidden hidden;
  for (const Call& call : these) {
    const model::SequenceTokens fed{.sequence = sequence,
                                    .tokens = std::span(all).subspan(call.first, call.count),
                                    .phase = call.phase,
                                    .prompt_length = call.phase == Phase::decode ? 0 : call.prompt};
    const auto rows = subject.decoder().forward(session, {&fed, 1});
    hidden.insert(hidden.end(), rows.data(), rows.data() + rows.elements());
  }
  return hidden;
}

// How far apart results are that have to have the same bits.
double distance(const Hidden& found, const Hidden& right) {
  return found == right ? 0 : std::max(deviation(found, right), 1e-300);
}

// Of every layer and kv head.
std::vector<int> rows_of(model::Session& session, int sequence) {
  std::vector<int> rows;
  for (int layer = 0; layer < session.layers(); ++layer)
    for (int head = 0; head < session.shape(layer).kv_heads; ++head)
      rows.push_back(session.cache(layer).rows(sequence, head));
  return rows;
}

// The policy with so many rows to keep; none where it has no budget.
std::optional<BudgetChoice> small_budget(const Subject& subject, int rows) {
  return with_rows(subject.registry(), subject.parts().cache, rows);
}

// The same policy with a budget that is said in another way. None where it has none.
std::optional<BudgetChoice> other_budget(const Subject& subject, const Budget& budget) {
  auto made = small_budget(subject, kBudget);
  if (made) made->cache = with_budget(subject.registry(), std::move(made->cache), budget);
  return made;
}

Budget share(double of_the_whole) {
  Budget budget;
  budget.amount = of_the_whole;
  budget.unit = Budget::Unit::share;
  return budget;
}

Budget in_bytes(std::size_t bytes) {
  Budget budget;
  budget.amount = static_cast<double>(bytes);
  budget.unit = Budget::Unit::bytes;
  return budget;
}

}  // namespace

std::optional<ComponentChoice> evicting(const Subject& subject) {
  const auto made = small_budget(subject, kBudget);
  return made ? std::optional(made->cache) : std::nullopt;
}

namespace {

// Half of what each sequence of a ragged batch may reach.
std::optional<Finding> share_is_of_each_sequence(Subject& subject) {
  const auto half = other_budget(subject, share(0.5));
  if (!half) return std::nullopt;
  Subject evicting = subject.with_cache(half->cache);
  const int prompts[] = {kPrompt, 34};
  const int capacities[] = {kPrompt + kSteps, 34 + kSteps};
  model::Session session = evicting.decoder().make_session(capacities);
  for (int sequence = 0; sequence < 2; ++sequence) {
    const std::vector<Call> all = calls_of(prompts[sequence]);
    (void)feed(evicting, session, sequence, std::span(all).first(2));
    const std::vector<int> rows = rows_of(session, sequence);
    const double mean = std::accumulate(rows.begin(), rows.end(), 0.0) / static_cast<double>(rows.size());
    const double allowed = capacities[sequence] / 2 + half->beside;
    if (mean > allowed)
      return Finding{mean - allowed, 0,
                     fmt::format("{} rows of a kv head after a prompt of {}, where half of {} may stay", mean,
                                 prompts[sequence], capacities[sequence])};
  }
  return Finding{};
}

// Bytes as the session has them, after the prompt and, unless the policy acts once, after each step.
std::optional<Finding> so_many_bytes_are_kept(Subject& subject, std::size_t allowed, bool acts_once) {
  const auto made = other_budget(subject, in_bytes(allowed));
  if (!made) return std::nullopt;
  Subject evicting = subject.with_cache(made->cache);
  model::Session session = evicting.decoder().make_session(1, kCapacity);
  for (std::size_t call = 1; call < (acts_once ? 2 : calls().size()); ++call) {
    (void)feed(evicting, session, 0, std::span(calls()).subspan(call == 1 ? 0 : call, call == 1 ? 2 : 1));
    if (session.kv_bytes() > allowed)
      return Finding{static_cast<double>(session.kv_bytes() - allowed), 0,
                     fmt::format("{} bytes allocated after {}, budget {} bytes", session.kv_bytes(),
                                 call == 1 ? "the prompt" : fmt::format("step {}", call - 1), allowed)};
  }
  return Finding{};
}

std::optional<Finding> bytes_are_kept(Subject& subject, bool acts_once) {
  const auto in_tokens = small_budget(subject, kBudget);
  if (!in_tokens) return std::nullopt;
  Subject small = subject.with_cache(in_tokens->cache);
  model::Session counted = small.decoder().make_session(1, kCapacity);
  (void)feed(small, counted, 0, calls());
  const auto few = static_cast<double>(counted.kv_bytes());
  try {
    return so_many_bytes_are_kept(subject, static_cast<std::size_t>(1.7 * few), acts_once);
  } catch (const PluginRefusal&) {
    // Kv heads of different lengths may need a second page each, whatever they hold.
    return so_many_bytes_are_kept(subject, static_cast<std::size_t>(2.5 * few), acts_once);
  }
}

// Rows that the caches of all layers say that they leave at most.
std::int64_t limit_of(model::Session& session, int length) {
  std::int64_t rows = 0;
  for (int layer = 0; layer < session.layers(); ++layer)
    rows += std::int64_t{session.shape(layer).kv_heads} * session.cache(layer).row_limit(0, length);
  return rows;
}

std::optional<Finding> tokens_are_kept(Subject& subject, Kind kind) {
  const auto small = small_budget(subject, kBudget);
  if (!small) return std::nullopt;
  Subject evicting = subject.with_cache(small->cache);
  const bool acts_once = evicting.traits(kind).provides.has(Feature::evicts_after_prompt_only);
  model::Session session = evicting.decoder().make_session(1, kCapacity);
  std::int64_t allowed = 0;
  for (std::size_t call = 1; call < calls().size(); ++call) {
    (void)feed(evicting, session, 0, std::span(calls()).subspan(call == 1 ? 0 : call, call == 1 ? 2 : 1));
    const std::vector<int> rows = rows_of(session, 0);
    const auto heads = static_cast<std::int64_t>(rows.size());
    const std::string when = call == 1 ? "after the prompt" : fmt::format("after step {}", call - 1);
    if (call == 1)
      allowed = heads * kBudget;
    else if (acts_once)
      allowed += heads;
    const std::int64_t live = session.live_rows();
    if (live > allowed)
      return Finding{static_cast<double>(live - allowed), 0,
                     fmt::format("{} rows {}, budget {}{}", live, when, allowed,
                                 call > 1 && !acts_once ? "; a policy that evicts after the prompt only has to provide "
                                                          "evicts_after_prompt_only"
                                                        : "")};
    const auto [fewest, most] = std::ranges::minmax(rows);
    const int tokens = calls()[call].first + calls()[call].count;
    if (const std::int64_t limit = limit_of(session, tokens); live > limit && (call == 1 || !acts_once))
      return Finding{static_cast<double>(live - limit), 0,
                     fmt::format("{} rows {}, row_limit says {} at most", live, when, limit)};
    if (fewest < 1 || most > tokens)
      return Finding{1, 0, fmt::format("a kv head with {} rows {}", fewest < 1 ? fewest : most, when)};
  }
  return Finding{};
}

}  // namespace

std::optional<Finding> budget_is_kept(Subject& subject, Kind kind) {
  if (kind != Kind::cache || !subject.traits(kind).provides.has(Feature::token_eviction)) return std::nullopt;
  const auto of_tokens = tokens_are_kept(subject, kind);
  if (!of_tokens || !of_tokens->holds()) return of_tokens;
  const bool acts_once = subject.traits(kind).provides.has(Feature::evicts_after_prompt_only);
  for (const auto& found : {bytes_are_kept(subject, acts_once), share_is_of_each_sequence(subject)})
    if (found && !found->holds()) return found;
  return of_tokens;
}

std::optional<Finding> whole_budget_is_full(Subject& subject, Kind kind) {
  if (kind != Kind::cache) return std::nullopt;
  const auto large = small_budget(subject, kWhole);
  if (!large || subject.arm().layers.front().cache.key_form != KeyForm::rotated) return std::nullopt;
  ComponentChoice full{.kind = Kind::cache, .id = kPlainCache, .written = kPlainCache};
  full.storage = subject.parts().cache.storage;
  full.keys = subject.parts().cache.keys;
  Subject everything = subject.with_cache(full);
  Subject roomy = subject.with_cache(large->cache);
  int tiles[2];
  Hidden hidden[2];
  for (int i = 0; i < 2; ++i) {
    Subject& of = i == 0 ? everything : roomy;
    model::Session session = of.decoder().make_session(1, kCapacity);
    hidden[i] = feed(of, session, 0, calls());
    tiles[i] = session.cache(0).tiles(0, 0);
  }
  // The same rows in other tiles (sinks in tiles of their own) are summed in another order.
  if (tiles[0] != tiles[1]) return Finding{deviation(hidden[1], hidden[0]), 1e-5, "the same rows in other tiles"};
  return Finding{distance(hidden[1], hidden[0]), 0, "the same tiles"};
}

std::optional<Finding> clears_to_the_start(Subject& subject, Kind) {
  model::Session session = subject.decoder().make_session(1, kCapacity);
  const Hidden once = feed(subject, session, 0, calls());
  session.clear();
  return Finding{distance(feed(subject, session, 0, calls()), once), 0, ""};
}

namespace {

Finding goes_on(Subject& subject, const std::vector<Call>& all) {
  const int capacity = all.back().first + 1;
  struct Stop {
    std::size_t calls;
    const char* where;
  };
  constexpr Stop stops[] = {{1, "in the middle of the prompt"}, {2, "after the prompt"}, {7, "in decode"}};
  for (const auto& [done, where] : stops) {
    const std::span<const Call> before = std::span(all).first(done);
    const std::span<const Call> after = std::span(all).subspan(done);
    model::Session original = subject.decoder().make_session(2, capacity);
    (void)feed(subject, original, 0, before);
    StateWriter saved;
    original.save(0, saved);
    const std::vector<int> rows_then = rows_of(original, 0);
    const Hidden right = feed(subject, original, 0, after);
    const std::vector<int> rows_at_end = rows_of(original, 0);

    const auto try_in = [&](model::Session& session, int sequence, const char* which) -> std::optional<Finding> {
      StateReader state(saved.bytes());
      session.restore(sequence, state);
      const auto wrong = [&](double off, const char* what) {
        return Finding{off, 0, fmt::format("{} after it was saved {} and restored into {}", what, where, which)};
      };
      if (rows_of(session, sequence) != rows_then) return wrong(1, "has other rows");
      const double off = distance(feed(subject, session, sequence, after), right);
      if (off > 0) return wrong(off, "goes on in another way");
      if (rows_of(session, sequence) != rows_at_end) return wrong(1, "keeps other rows");
      return std::nullopt;
    };
    model::Session fresh = subject.decoder().make_session(2, capacity);
    if (const auto found = try_in(fresh, 1, "a new cache")) return *found;
    if (const auto found = try_in(original, 0, "the same cache, later")) return *found;
    (void)feed(subject, fresh, 0, all, 2);
    if (const auto found = try_in(fresh, 0, "a cache that held something else")) return *found;
  }
  return {};
}

}  // namespace

std::optional<Finding> goes_on_from_saved_state(Subject& subject, Kind kind) {
  if (kind == Kind::position) return std::nullopt;
  const Finding found = goes_on(subject, calls());
  const bool keeps_its_own_budget =
      kind == Kind::cache && subject.traits(kind).provides.has(Feature::token_eviction) && !evicting(subject);
  return found.holds() && keeps_its_own_budget ? goes_on(subject, calls_of(kLongPrompt)) : found;
}

namespace {

// Whether the cache does it; a fault of the plugin is no refusal.
template <class Change>
bool is_done(const Change& change) {
  try {
    change();
  } catch (const PluginRefusal&) {
    return false;
  } catch (const PluginError&) {
    throw;
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace

std::optional<Finding> forks_and_goes_back(Subject& subject, Kind kind) {
  if (kind == Kind::position) return std::nullopt;
  constexpr std::uint64_t kOther = 2;  // the seed of other tokens
  const std::span<const Call> before = std::span(calls()).first(7), after = std::span(calls()).subspan(7);
  const auto fed = [&] {
    model::Session session = subject.decoder().make_session(2, kCapacity);
    (void)feed(subject, session, 0, before);
    return session;
  };
  model::Session plain = fed();
  const Hidden right = feed(subject, plain, 0, after);

  std::optional<Finding> worst;
  const auto compare = [&](model::Session& session, int sequence, const char* what) {
    const Finding found{distance(feed(subject, session, sequence, after), right), 0, what};
    if (!worst || found.deviation > worst->deviation) worst = found;
  };
  model::Session forked = fed();
  if (is_done([&] { forked.fork(0, 1); })) {
    (void)feed(subject, forked, 0, after, kOther);
    compare(forked, 1, "a fork whose original went another way");
  }
  model::Session guessed = fed();
  const int length = guessed.length(0);
  (void)feed(subject, guessed, 0, after.first(3), kOther);
  if (is_done([&] { guessed.truncate(0, length); })) compare(guessed, 0, "three tokens were taken back");
  return worst;
}

}  // namespace attnlab::experiment::conformance
