// T5's relative bias: a learned number for each bucket of distances and each head is added to the score; nothing is
// rotated or embedded. Raffel et al. 2020. In one direction only, as T5's decoder has it: keys lie before the query.
// Not as in T5: every layer has a table of its own (T5 keeps the one of layer 0), and the scale 1/sqrt(head_dim) stays.
#include <algorithm>
#include <cmath>
#include <vector>

#include <attnlab/plugin.h>

namespace {

using attnlab::Position;

struct T5Options {
  std::int32_t buckets = 32;
  std::int32_t max_distance = 128;

  static constexpr auto fields() {
    using T = T5Options;
    return std::tuple{
        attnlab::field("buckets", &T::buckets,
                       {.min = 2,
                        .max = 4096,
                        .doc = "Rows of the table. The first half are the distances 0, 1, ... themselves, the other "
                               "half grows with the logarithm of the distance, rounded down."}),
        attnlab::field("max_distance", &T::max_distance,
                       {.min = 2,
                        .max = 65536,
                        .unit = "tokens",
                        .doc = "All distances from this one on are in the last bucket."})};
  }
  static void check(const T5Options& o, attnlab::Problems& problems) {
    if (o.max_distance <= o.buckets / 2) problems.add("max_distance", "must be larger than half of the buckets");
  }
};

int bucket(const T5Options& options, int distance) {
  const int exact = options.buckets / 2;
  if (distance < exact) return distance;
  const double share =
      std::log(static_cast<double>(distance) / exact) / std::log(static_cast<double>(options.max_distance) / exact);
  // A distance on the edge belongs to the upper bucket, whatever the logarithms round to.
  const int logarithmic = static_cast<int>(std::floor(share * (options.buckets - exact) + 1e-9));
  return std::min(options.buckets - 1, exact + logarithmic);
}

class BucketBias final : public attnlab::ScoreHook {
 public:
  BucketBias(const T5Options& options, int heads)
      : heads_(heads), last_(options.max_distance), by_distance_((options.max_distance + 1) * heads) {
    for (int distance = 0; distance <= last_; ++distance) buckets_.push_back(bucket(options, distance));
  }

  // table [buckets, heads]
  void fill(std::span<const float> table) {
    table_ = table;
    for (int head = 0; head < heads_; ++head)
      for (int distance = 0; distance <= last_; ++distance)
        by_distance_[head * (last_ + 1) + distance] = table[buckets_[distance] * heads_ + head];
  }

  void refresh() { fill(table_); }

  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }
  // The gradient of a bucket is the sum of those of all scores that it was added to.
  void backward(const attnlab::ScoreTile& before, const attnlab::ScoreGradients& gradients) const override {
    const std::span<float> of_table = gradients.others.of_parameter(table_);
    for (std::int64_t member = 0; member < before.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < before.scores.extent(1); ++query) {
        const Position position = before.query_positions[query];
        for (std::size_t row = 0; row < before.key_positions.size(); ++row) {
          const int distance = std::clamp(position - before.key_positions[row], 0, last_);
          of_table[buckets_[distance] * heads_ + before.first_head + member] += gradients.scores(member, query, row);
        }
      }
  }

  void apply(attnlab::ScoreTile& tile) const noexcept override {
    const std::size_t rows = tile.key_positions.size();
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      const float* bias = by_distance_.data() + (tile.first_head + member) * (last_ + 1);
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
        float* scores = &tile.scores(member, query, 0);
        const Position position = tile.query_positions[query];
        // Keys after the query are masked later; until then their index must stay inside the table.
        for (std::size_t row = 0; row < rows; ++row)
          scores[row] += bias[std::clamp(position - tile.key_positions[row], 0, last_)];
      }
    }
  }

 private:
  int heads_;
  int last_;                        // distances beyond are in the bucket of this one
  std::vector<int> buckets_;        // [last + 1]
  std::vector<float> by_distance_;  // [heads, last + 1]
  std::span<const float> table_;    // [buckets, heads]
};

class T5 final : public attnlab::PositionScheme {
 public:
  T5(const T5Options& options, const attnlab::CreateContext& context)
      : buckets_(options.buckets), heads_(context.heads), bias_(options, context.heads) {}
  static attnlab::Traits traits(const T5Options&) { return {.provides = {attnlab::Feature::score_bias}}; }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    return {{.name = "relative_attention_bias.weight",
             .shape = {buckets_, heads_},
             .form = attnlab::ParameterForm::values}};
  }
  void bind(const attnlab::ParameterSet& parameters) override {
    bias_.fill(parameters.values("relative_attention_bias.weight"));
  }
  void refresh() override { bias_.refresh(); }
  const attnlab::ScoreHook* score_bias() const override { return &bias_; }

 private:
  int buckets_;
  int heads_;
  BucketBias bias_;
};

constexpr attnlab::Component<attnlab::PositionScheme> kPosition[] = {
    attnlab::component<attnlab::PositionScheme, T5, T5Options>(
        {.id = "t5",
         .summary = "A learned bias for each bucket of distances, one table per head.",
         .reference = "arXiv:1910.10683"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "t5", .version = "1.0", .position = kPosition);
