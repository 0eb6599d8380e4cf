// LagKV: rows are cut into partitions by position, and of each partition the rows stay that differ most from what the
// next partition looks like; no attention is needed. Liang et al. 2025. Keys as they are stored.
// Otherwise than kvpress, which does it once after the prompt with a share of all rows: in decode as well, each
// partition as soon as the next one is complete.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <attnlab/error.h>
#include <attnlab/eviction.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Position;
using attnlab::TensorView;

struct LagKvOptions {
  std::int32_t sinks = 4;
  std::int32_t lag = 128;
  std::int32_t keep = 64;

  static constexpr auto fields() {
    using L = LagKvOptions;
    return std::tuple{
        attnlab::field("sinks", &L::sinks, {.min = 0, .unit = "tokens", .doc = "First tokens, which always stay."}),
        attnlab::field("lag", &L::lag, {.min = 2, .unit = "tokens", .doc = "Positions of a partition."}),
        attnlab::field("keep", &L::keep, {.min = 1, .unit = "tokens", .doc = "Rows of a partition that stay."})};
  }
  static void check(const LagKvOptions& options, attnlab::Problems& problems) {
    if (options.keep > options.lag) problems.add("keep", "must not be more than lag");
  }
};

class Lag final : public attnlab::EvictionRule {
 public:
  Lag(const LagKvOptions& options, const attnlab::LayerCacheContext& context)
      : options_(options), shape_(context.shape), reduced_(static_cast<std::size_t>(context.sequences)) {
    if (shape_.key_dim < 2 || shape_.value_dim < 2)
      throw attnlab::Error("", "rows of one component have no deviation", "use a model with wider heads");
  }

  int row_limit(int, int length) const noexcept override {
    const int complete = std::max(0, length - options_.sinks) / options_.lag;
    return length - std::max(0, complete - 1) * (options_.lag - options_.keep);
  }

  void check(const attnlab::ChunkView& chunk, int sequence, attnlab::KvRows& rows) override {
    if (!chunk.ends_prompt_or_step(sequence)) return;
    const Position length = chunk.positions_of(sequence).back() + 1;
    // A partition is scored by the next one, which is still whole.
    for (int& next = reduced_[sequence]; options_.sinks + (next + 2) * options_.lag <= length; ++next)
      for (int head = 0; head < shape_.kv_heads && options_.keep < options_.lag; ++head)
        reduce(sequence, head, next, rows);
  }

  void clear(int sequence) override { reduced_[sequence] = 0; }
  void save(int sequence, attnlab::StateWriter& to) const override {
    if (reduced_[sequence] > 0) to.put(reduced_[sequence]);
  }
  void restore(int sequence, attnlab::StateReader& from) override {
    reduced_[sequence] = from.is_at_end() ? 0 : from.get<int>();
  }

 private:
  void reduce(int sequence, int head, int partition, attnlab::KvRows& rows) {
    const Position first = options_.sinks + partition * options_.lag;
    const int lag = options_.lag;
    const std::span<const Position> positions = rows.positions(sequence, head);
    std::vector<int> at(2 * static_cast<std::size_t>(lag), -1);  // the rows of both partitions, by position
    for (std::size_t row = 0; row < positions.size(); ++row)
      if (positions[row] >= first && positions[row] < first + 2 * lag)
        at[positions[row] - first] = static_cast<int>(row);
    std::vector<float> keys(at.size() * shape_.key_dim), values(at.size() * shape_.value_dim);
    for (std::size_t i = 0; i < at.size(); ++i) {
      ATTNLAB_CHECK(at[i] >= 0, "a row of a partition that was never reduced is gone");
      const TensorView<float, 2> key(keys.data() + i * shape_.key_dim, {1, shape_.key_dim});
      const TensorView<float, 2> value(values.data() + i * shape_.value_dim, {1, shape_.value_dim});
      rows.read(sequence, head, at[i], key, shape_.value_is_key_prefix ? TensorView<float, 2>() : value);
      if (shape_.value_is_key_prefix) std::copy_n(key.data(), shape_.value_dim, value.data());
    }
    std::vector<double> scores = deviations(keys, shape_.key_dim);
    const std::vector<double> of_values = deviations(values, shape_.value_dim);
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += of_values[i];
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](int a, int b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a > b; });
    std::vector<int> gone;
    for (std::size_t i = options_.keep; i < order.size(); ++i) gone.push_back(at[order[i]]);
    std::ranges::sort(gone);
    rows.drop(sequence, head, gone);
  }

  // Of the first half of the rows [2 lag, width]: the deviation over channels, each scaled to the range that the second
  // half has; as a softmax over the rows.
  std::vector<double> deviations(const std::vector<float>& rows, int width) const {
    const int lag = options_.lag;
    const float* const later = rows.data() + lag * width;
    std::vector<float> least(later, later + width), most = least;
    for (int row = 1; row < lag; ++row)
      for (int channel = 0; channel < width; ++channel) {
        least[channel] = std::min(least[channel], later[row * width + channel]);
        most[channel] = std::max(most[channel], later[row * width + channel]);
      }
    std::vector<double> scores, scaled(static_cast<std::size_t>(width));
    for (int row = 0; row < lag; ++row) {
      for (int channel = 0; channel < width; ++channel) {
        const double range = double{most[channel]} - least[channel];
        scaled[channel] = range > 0 ? (double{rows[row * width + channel]} - least[channel]) / range : 0;
      }
      const double mean = std::accumulate(scaled.begin(), scaled.end(), 0.0) / width;
      double squares = 0;
      for (const double y : scaled) squares += (y - mean) * (y - mean);
      scores.push_back(std::sqrt(squares / (width - 1)));
    }
    const double largest = *std::ranges::max_element(scores);
    double total = 0;
    for (double& score : scores) total += score = std::exp(score - largest);
    for (double& score : scores) score /= total;
    return scores;
  }

  LagKvOptions options_;
  attnlab::KvShape shape_;
  std::vector<int> reduced_;  // [sequences] partitions
};

class LagKv final : public attnlab::CachePolicy {
 public:
  LagKv(const LagKvOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const LagKvOptions&) {
    return {.provides = {attnlab::Feature::token_eviction, attnlab::Feature::per_head_eviction},
            .needs = {attnlab::Feature::kv_rows}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return attnlab::rows_cache(context, std::make_unique<Lag>(options_, context));
  }

 private:
  LagKvOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, LagKv, LagKvOptions>(
        {.id = "lagkv",
         .summary = "Keeps of each partition the rows that differ most from what the next one looks like.",
         .reference = "arXiv:2504.04704"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "lagkv", .version = "1.0", .cache = kCache);
