// The laws, each a few runs of a small model that must agree. Not here: which combinations they are tried on (check).
#include <malloc.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "assembly/feeding.h"
#include "conformance/attend_laws.h"
#include "conformance/cache_laws.h"
#include "conformance/check.h"
#include "conformance/gradient_law.h"
#include "conformance/storage_laws.h"
#include "parallel/keep_threads.h"
#include "rows/block_pool.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // of a header that GCC does not bring
#endif

namespace attnlab::experiment::conformance {
namespace {

constexpr double kClose = 1e-4;  // where sums are split otherwise
constexpr int kPrompt = 75;      // more than a tile of rows
constexpr int kSteps = 12;

const std::vector<model::TokenId>& prompt() {
  static const std::vector<model::TokenId> ids = tokens(kPrompt, 1);
  return ids;
}
const std::vector<model::TokenId>& steps() {
  static const std::vector<model::TokenId> ids = tokens(kSteps, 2);
  return ids;
}

// The prefix of a result: the first `rows` tokens.
Hidden first_rows(const Hidden& all, std::size_t rows, std::size_t of) {
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / of * rows)};
}

std::optional<Finding> finite(Subject& subject, Kind) {
  const Hidden all = subject.run(prompt(), steps());
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!std::isfinite(all[i])) {
      const std::size_t token = i / (all.size() / (kPrompt + kSteps));
      return Finding{1, 0, "NaN or Inf at token " + std::to_string(token)};
    }
  return Finding{};
}

bool keeps_everything(Subject& subject) {
  model::Session session = subject.decoder().make_session(1, kPrompt + kSteps);
  feed_prompt(subject.decoder(), session, 0, prompt(), kPrompt, {});
  return session.live_rows() == session.appended_rows();
}

bool selects(Subject& subject) {
  return subject.decoder().make_session(1, 8).cache(0).selector() != nullptr;
}

// Sums that are split otherwise differ in their last bits, which a storage that rounds may turn into a whole step. Of
// storages there are exact laws instead (storage_laws).
bool is_rounding_storage(const Subject& subject, Kind kind) {
  return kind == Kind::storage && subject.traits(kind).provides.has(Feature::rounded_rows);
}

std::optional<Finding> cached_is_uncached(Subject& subject, Kind kind) {
  if (!keeps_everything(subject) || selects(subject) || is_rounding_storage(subject, kind)) return std::nullopt;
  std::vector<model::TokenId> all = prompt();
  all.insert(all.end(), steps().begin(), steps().end());
  return Finding{deviation(subject.run(prompt(), steps()), subject.run(all, {})), kClose, ""};
}

std::optional<Finding> pieces_change_nothing(Subject& subject, Kind kind) {
  if (is_rounding_storage(subject, kind)) return std::nullopt;
  const Hidden whole = subject.run(prompt(), steps());
  Finding worst{0, kClose, ""};
  for (const int piece : {1, 7, 16, 64}) {
    const double found = deviation(subject.run(prompt(), steps(), piece), whole);
    if (found > worst.deviation) worst = {found, kClose, "pieces of " + std::to_string(piece)};
  }
  return worst;
}

std::vector<std::vector<model::TokenId>> ragged(std::initializer_list<int> counts, std::uint64_t seed) {
  std::vector<std::vector<model::TokenId>> all;
  for (const int count : counts) all.push_back(tokens(count, seed++));
  return all;
}

std::optional<Finding> batch_changes_nothing(Subject& subject, Kind kind) {
  if (is_rounding_storage(subject, kind)) return std::nullopt;
  const auto prompts = ragged({40, 1, 70}, 3);
  const auto after = ragged({5, 9, 2}, 6);
  const auto together = subject.run_batch(prompts, after);
  Finding worst{0, kClose, ""};
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const double found = deviation(together[i], subject.run(prompts[i], after[i]));
    if (found > worst.deviation) worst = {found, kClose, "sequence " + std::to_string(i) + " of 3"};
  }
  return worst;
}

std::optional<Finding> order_changes_nothing(Subject& subject, Kind kind) {
  if (is_rounding_storage(subject, kind)) return std::nullopt;
  const auto prompts = ragged({33, 50}, 12);
  const auto after = ragged({6, 6}, 14);
  const auto forth = subject.run_batch(prompts, after);
  const auto back = subject.run_batch({prompts[1], prompts[0]}, {after[1], after[0]});
  return Finding{std::max(deviation(back[1], forth[0]), deviation(back[0], forth[1])), kClose, ""};
}

std::optional<Finding> threads_change_nothing(Subject& subject, Kind) {
  const KeepThreads keep;
  set_least_split(0);  // these models are small
  Hidden alone;
  Finding worst{};
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    Hidden found = subject.run(prompt(), steps());
    if (count == 1)
      alone = std::move(found);
    else if (found != alone)
      worst = {std::max(deviation(found, alone), 1e-300), 0, std::to_string(count) + " threads"};
  }
  return worst;
}

std::optional<Finding> repeats_itself(Subject& subject, Kind) {
  const Hidden once = subject.run(prompt(), steps());
  const Hidden again = subject.run(prompt(), steps());
  return Finding{once == again ? 0 : std::max(deviation(again, once), 1e-300), 0, ""};
}

// What changes in the second half of a prompt changes nothing in the first. Steps are fed one at a time and cannot see
// what comes later; angles that depend on the length see the same length.
std::optional<Finding> causal(Subject& subject, Kind) {
  std::vector<model::TokenId> changed = prompt();
  for (std::size_t i = kPrompt / 2; i < changed.size(); ++i) changed[i] = (changed[i] + 1) % 97;
  const Hidden of_prompt = first_rows(subject.run(prompt(), {}), kPrompt / 2, kPrompt);
  const Hidden of_changed = first_rows(subject.run(changed, {}), kPrompt / 2, kPrompt);
  return Finding{deviation(of_changed, of_prompt), 1e-6, ""};
}

// Heap and row blocks of the process. A sanitizer has a heap of its own, of which mallinfo2 knows nothing.
double held_bytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const std::size_t heap = __sanitizer_get_current_allocated_bytes();
#else
  const struct mallinfo2 found = mallinfo2();
  const std::size_t heap = found.uordblks + found.hblkhd;
#endif
  return static_cast<double>(heap) + static_cast<double>(held_block_bytes());
}

// What a session allocates for its rows, and what it says. Objects, and room for the indices of as many rows as a
// sequence may reach, are there before the first row; `rows` tokens come in small pieces, so that nothing else grows.
struct SessionBytes {
  double reported = 0;
  double allocated = 0;
};
constexpr int kCapacity = 500;
SessionBytes session_bytes(Subject& subject, int rows) {
  constexpr int kPiece = 20;
  SessionBytes bytes;
  auto session = std::make_unique<model::Session>(subject.decoder().make_session(1, kCapacity));
  feed_prompt(subject.decoder(), *session, 0, tokens(rows, 21), kPiece, {});
  bytes.reported = static_cast<double>(session->kv_bytes());
  const double alive = held_bytes();
  session.reset();
  bytes.allocated = alive - held_bytes();
  return bytes;
}

// What rows take is exact up to a page of memory for each (sequence, kv head): vectors of a policy that wait for their
// next row. What is there before them is small.
std::optional<Finding> bytes_are_allocated(Subject& subject, Kind kind) {
  if (kind != Kind::cache && kind != Kind::storage) return std::nullopt;
  // One thread: a worker that comes late takes working memory.
  const KeepThreads keep;
  set_threads(1);
  constexpr int kRows = 480;
  constexpr double kPage = 4096;
  constexpr double kObjects = 16384;
  constexpr double kParts = 2;          // a policy may hold its rows in two places, each with room for all indices
  (void)session_bytes(subject, kRows);  // working memory that stays
  const SessionBytes first = session_bytes(subject, 1);
  const SessionBytes all = session_bytes(subject, kRows);
  double lists = 0;
  model::Session session = subject.decoder().make_session(1, 1);
  for (int layer = 0; layer < session.layers(); ++layer)
    if (session.owns_rows(layer)) lists += session.shape(layer).kv_heads;
  const auto found = [](double reported, double allocated, double allowed, const char* of) {
    return Finding{std::abs(reported - allocated), allowed,
                   fmt::format("{} {:.0f} bytes reported, {:.0f} allocated", of, reported, allocated)};
  };
  const Finding of_one =
      found(first.reported, first.allocated, kObjects + kParts * lists * kCapacity * sizeof(Position), "with one row");
  if (!of_one.holds()) return of_one;
  return found(all.reported - first.reported, all.allocated - first.allocated, lists * kPage,
               fmt::format("for {} rows more,", kRows - 1).c_str());
}

std::optional<Finding> nothing_leaks(Subject& subject, Kind) {
  // One thread: a worker that comes late takes working memory, which is no leak.
  const KeepThreads keep;
  set_threads(1);
  // The process is new: freed pieces that the allocator keeps for later count as held.
  for (int i = 0; i < 10; ++i) (void)subject.run(prompt(), steps());
  const double before = held_bytes();
  for (int i = 0; i < 10; ++i) (void)subject.run(prompt(), steps());
  return Finding{std::max(0.0, held_bytes() - before), 4096, "bytes more after 10 runs"};
}

}  // namespace

const std::vector<Law>& laws() {
  static const std::vector<Law> all{
      {"numbers are finite", finite},
      {"agrees with a slow reference", agrees_with_slow_reference},
      {"self-consistent", is_self_consistent},
      {"cached = uncached", cached_is_uncached},
      {"prompt in pieces = at once", pieces_change_nothing},
      {"batch mix changes nothing", batch_changes_nothing},
      {"order of sequences changes nothing", order_changes_nothing},
      {"threads change no bit", threads_change_nothing},
      {"repeats itself to the bit", repeats_itself},
      {"causal", causal},
      {"budget is kept", budget_is_kept},
      {"budget of 100 % = full", whole_budget_is_full},
      {"bytes reported = bytes allocated", bytes_are_allocated},
      {"clear goes back to the start", clears_to_the_start},
      {"save and restore go on identically", goes_on_from_saved_state},
      {"forks and rollbacks leave no trace", forks_and_goes_back},
      {"nothing leaks", nothing_leaks},
      {"mass sums to queries x group", mass_sums_up},
      {"rows read back within their error", reads_back},
      {"bytes of a row are exact", row_bytes_are_exact},
      {"any cut reads the same bits", any_cut_reads_the_same},
      {"other rows change nothing", other_rows_change_nothing},
      {"wrong sizes are refused", wrong_sizes_are_refused},
      {"gradients = differences", gradients_are_differences},
      {"declared traits are true", traits_are_true},
  };
  return all;
}

}  // namespace attnlab::experiment::conformance
