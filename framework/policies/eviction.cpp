// Caches whose rows a rule drops, as eviction.h of the SDK declares them.
#include <attnlab/eviction.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "base/plugin_call.h"
#include "policies/lowest_score.h"

namespace attnlab {
namespace {

class RowsCache final : public LayerCache {
 public:
  RowsCache(const LayerCacheContext& context, std::unique_ptr<EvictionRule> rule)
      : shape_(context.shape), key_form_(context.key_form), rows_(context.make_rows()), rule_(std::move(rule)) {
    if (rule_ != nullptr) bytes_of_new_rule_ = rule_->bytes();
  }

  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return key_form_; }
  const MaskRule* visibility(int sequence) const noexcept override {
    return rule_ == nullptr ? nullptr : rule_->visibility(sequence);
  }
  int row_limit(int sequence, int length) const noexcept override {
    return rule_ == nullptr ? length : std::min(length, rule_->row_limit(sequence, length));
  }
  MassSink* mass_sink() const noexcept override { return rule_ == nullptr ? nullptr : rule_->mass_sink(); }
  QuerySink* query_sink() const noexcept override { return rule_ == nullptr ? nullptr : rule_->query_sink(); }

  void append(const ChunkView& chunk, const NewRows& rows) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      if (tokens == 0) continue;
      rows_->append(sequence, chunk.positions_of(sequence), rows.slice(first, tokens));
    }
    if (rule_ != nullptr) call_part("appended", [&] { rule_->appended(chunk, rows.keys, rows.values); });
  }

  void end_chunk(const ChunkView& chunk) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      if (chunk.tokens_of(sequence) == 0) continue;
      if (rule_ != nullptr) call_part("check", [&] { rule_->check(chunk, sequence, *rows_); });
      if (chunk.ends_prompt_or_step(sequence)) rows_->settle(sequence);
    }
  }

  void clear(int sequence) override {
    rows_->clear(sequence);
    if (rule_ != nullptr) rule_->clear(sequence);
  }
  int rows(int sequence, int kv_head) const noexcept override { return rows_->rows(sequence, kv_head); }
  int tiles(int sequence, int kv_head) const noexcept override { return rows_->tiles(sequence, kv_head); }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    return rows_->tile(sequence, kv_head, index, scratch);
  }
  std::size_t bytes() const noexcept override { return rows_->bytes() + (rule_ == nullptr ? 0 : rule_->bytes()); }
  void save(int sequence, StateWriter& to) const override {
    rows_->save(sequence, to);
    save_rule(sequence, to);
  }
  void restore(int sequence, StateReader& from) override {
    rows_->restore(sequence, from);
    if (rule_ != nullptr) rule_->restore(sequence, from);
  }
  void truncate(int sequence, Position length) override {
    StateWriter of_rule;
    save_rule(sequence, of_rule);
    if (!of_rule.bytes().empty())
      throw Error("", "what the policy keeps of tokens that are to go cannot be taken back",
                  "restore a state that was saved before them, or clear the sequence and feed it again");
    rows_->truncate(sequence, length);
  }
  void fork(int from, int to) override {
    StateWriter of_rule;
    save_rule(from, of_rule);
    rows_->fork(from, to);
    if (rule_ == nullptr) return;
    StateReader state(of_rule.bytes());
    rule_->restore(to, state);
  }

 private:
  // What the rule itself keeps of a sequence.
  void save_rule(int sequence, StateWriter& to) const {
    if (rule_ == nullptr) return;
    const std::size_t before = to.bytes().size();
    rule_->save(sequence, to);
    if (to.bytes().size() == before && rule_->bytes() > bytes_of_new_rule_)
      broken_rule("the rule holds " + std::to_string(rule_->bytes() - bytes_of_new_rule_) +
                      " bytes more than when it was new, and saves nothing",
                  "write save and restore beside its clear");
  }

  KvShape shape_;
  KeyForm key_form_;
  std::unique_ptr<KvRows> rows_;
  std::unique_ptr<EvictionRule> rule_;
  std::size_t bytes_of_new_rule_ = 0;
};

}  // namespace

EvictionRule::~EvictionRule() = default;
void EvictionRule::appended(const ChunkView&, TensorView<const float, 3>, TensorView<const float, 3>) {}
void EvictionRule::clear(int) {}
void EvictionRule::save(int, StateWriter&) const {}
void EvictionRule::restore(int, StateReader&) {}

std::unique_ptr<LayerCache> rows_cache(const LayerCacheContext& context, std::unique_ptr<EvictionRule> rule) {
  return std::make_unique<RowsCache>(context, std::move(rule));
}

namespace {

// Rows at this position and later are the `recent` newest.
Position oldest_of_newest(std::span<const Position> positions, int recent) {
  if (recent <= 0) return std::numeric_limits<Position>::max();
  Position newest = positions.front();
  for (const Position position : positions) newest = std::max(newest, position);
  const Position oldest = newest - recent + 1;
  // Rows that were always protected have no gaps, and then there is nothing to search for.
  const auto count = std::count_if(positions.begin(), positions.end(), [=](Position at) { return at >= oldest; });
  if (count == recent || count == static_cast<std::ptrdiff_t>(positions.size())) return oldest;
  std::vector<Position> sorted(positions.begin(), positions.end());
  const std::size_t last = std::min<std::size_t>(recent, sorted.size()) - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(last), sorted.end(), std::greater<>());
  return sorted[last];
}

// An order needs numbers: which row would go would be chance.
void check_scores(std::span<const double> scores, std::span<const Position> positions) {
  const auto is_nan = [](double score) { return std::isnan(score); };
  if (std::ranges::count_if(scores, is_nan) == 0) return;
  const auto found = std::ranges::find_if(scores, is_nan);
  const auto row = found - scores.begin();
  broken_rule("rows_to_drop: the score of row " + std::to_string(row) + " (position " +
                  std::to_string(positions[static_cast<std::size_t>(row)]) + ") is NaN",
              "score with numbers; where the model's own numbers are NaN, a cache that keeps every row shows it");
}

// The lowest score, and of equal ones the lower position, of rows that may go; none: -1. In passes over vectors: every
// decode step of a full cache looks for it in every layer and head.
int worst_row(std::span<const double> scores, std::span<const Position> positions, const KeptPositions& kept) {
  const double lowest = lowest_score(scores, positions, kept);
  const Position oldest = oldest_with(lowest, scores, positions, kept);
  for (std::size_t row = 0; row < positions.size(); ++row)
    if (positions[row] == oldest && scores[row] == lowest && !kept.has(oldest)) return static_cast<int>(row);
  return -1;
}

}  // namespace

std::vector<int> rows_to_drop(std::span<const double> scores, std::span<const Position> positions, int keep,
                              Protect protect) {
  const int rows = static_cast<int>(positions.size());
  if (rows <= keep) return {};
  if (scores.size() != positions.size())
    broken_rule("rows_to_drop: " + std::to_string(scores.size()) + " scores for " + std::to_string(rows) + " rows",
                "give a score for every row");
  check_scores(scores, positions);
  const KeptPositions kept{protect.first, oldest_of_newest(positions, protect.recent)};
  const auto is_protected = [&](int row) { return kept.has(positions[row]); };
  const auto better = [&](int a, int b) {
    if (is_protected(a) != is_protected(b)) return is_protected(a);
    if (scores[a] != scores[b]) return scores[a] > scores[b];
    return positions[a] > positions[b];
  };
  if (rows - keep == 1)
    if (const int worst = worst_row(scores, positions, kept); worst >= 0) return {worst};
  std::vector<int> order(rows);
  std::iota(order.begin(), order.end(), 0);
  if (keep > 0) std::nth_element(order.begin(), order.begin() + keep - 1, order.end(), better);
  std::vector<int> dropped(order.begin() + std::max(keep, 0), order.end());
  std::sort(dropped.begin(), dropped.end());
  return dropped;
}

RowMass::RowMass(int sequences, int kv_heads)
    : kv_heads_(kv_heads), first_query_(sequences, kNoQuery), mass_(static_cast<std::size_t>(sequences) * kv_heads) {}
RowMass::~RowMass() = default;

void RowMass::add(int sequence, int kv_head, std::span<const float> mass) noexcept {
  std::vector<double>& sums = at(sequence, kv_head);
  if (sums.size() != mass.size())
    return note_broken_rule("mass of " + std::to_string(mass.size()) + " rows, but RowMass has grown to " +
                            std::to_string(sums.size()) + "; grow it where rows are appended, cut it where they drop");
  for (std::size_t row = 0; row < mass.size(); ++row) sums[row] += mass[row];
}

void RowMass::clear(int sequence) {
  first_query_[sequence] = kNoQuery;
  for (int head = 0; head < kv_heads_; ++head) at(sequence, head).clear();
}

void RowMass::grow(const ChunkView& chunk, int sequence, int most) {
  for (int head = 0; head < kv_heads_; ++head) {
    std::vector<double>& mass = at(sequence, head);
    const std::size_t rows = mass.size() + chunk.tokens_of(sequence);
    reserve_entries(mass, rows, most);
    mass.resize(rows);
  }
}

void RowMass::save(int sequence, StateWriter& to) const {
  to.put(first_query_[sequence]);
  for (int head = 0; head < kv_heads_; ++head) to.put_all(mass_[index(sequence, head)]);
}

void RowMass::restore(int sequence, StateReader& from) {
  first_query_[sequence] = from.get<Position>();
  for (int head = 0; head < kv_heads_; ++head) from.get_all(at(sequence, head));
}

std::size_t RowMass::bytes() const noexcept {
  std::size_t sum = 0;
  for (const std::vector<double>& mass : mass_) sum += mass.capacity() * sizeof(double);
  return sum;
}

}  // namespace attnlab
