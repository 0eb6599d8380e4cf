// Merging: rows are chosen as by h2o, but dropped rows are first merged into the rows that stay, each into the one with
// the most similar key. As the `weighted` merging of LOOK-M, D2O and CaM, which differ in the weights.
// Keys are compared and averaged as they are held, rotated. A row that was merged before counts once, as any other.
#include <algorithm>
#include <cmath>
#include <vector>

#include <attnlab/heavy_hitters.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::Feature;
using attnlab::KvRows;

enum class Weights : std::uint8_t { equal, similarity };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Weights>, 2> attnlab::kChoices<Weights>{
    {{"equal", Weights::equal}, {"similarity", Weights::similarity}}};

namespace {

struct MergeOptions : attnlab::HeavyHitterOptions {
  Weights weights = Weights::equal;

  static constexpr auto fields() {
    return std::tuple_cat(
        attnlab::HeavyHitterOptions::fields(),
        std::tuple{attnlab::field("weights", &MergeOptions::weights,
                                  {.doc = "Weight of a dropped row: 1, or (1 + cosine) / 2 of its key and the kept "
                                          "row's."})});
  }
};

// The rows of one kv head while some of them are merged into others.
class Merging {
 public:
  Merging(const KvRows& rows, int sequence, int head, const attnlab::KvShape& shape)
      : key_dim_(shape.key_dim),
        value_dim_(shape.value_is_key_prefix ? 0 : shape.value_dim),
        positions_(rows.positions(sequence, head)),
        keys_(positions_.size() * key_dim_),
        values_(positions_.size() * value_dim_) {
    const auto count = static_cast<std::int64_t>(positions_.size());
    attnlab::TensorView<float, 2> values;
    if (value_dim_ > 0) values = {values_.data(), {count, value_dim_}};
    rows.read(sequence, head, 0, {keys_.data(), {count, key_dim_}}, values);
    for (int row = 0; row < count; ++row) {
      double square = 0;
      for (const float x : key(row)) square += double{x} * x;
      inverse_lengths_.push_back(square > 0 ? 1 / std::sqrt(square) : 0);
    }
  }

  std::span<const float> key(int row) const { return std::span(keys_).subspan(std::size_t(row) * key_dim_, key_dim_); }
  std::span<const float> value(int row) const {
    return std::span(values_).subspan(std::size_t(row) * value_dim_, value_dim_);
  }
  struct Target {
    int row = 0;
    double cosine = -2;  // less than any
  };
  // Of the rows that stay, the one whose key is most similar to that of `goes`; equal: the higher position.
  Target target_of(int goes, std::span<const int> stay) const {
    Target best;
    for (const int row : stay) {
      double product = 0;
      for (int i = 0; i < key_dim_; ++i) product += double{key(goes)[i]} * key(row)[i];
      const double cosine = product * inverse_lengths_[goes] * inverse_lengths_[row];
      if (cosine > best.cosine || (cosine == best.cosine && positions_[row] > positions_[best.row]))
        best = {row, cosine};
    }
    return best;
  }

 private:
  int key_dim_;
  int value_dim_;  // 0: the value is the front of the key
  std::span<const attnlab::Position> positions_;
  std::vector<float> keys_, values_;     // [rows, width]
  std::vector<double> inverse_lengths_;  // [rows] of keys; 0 for a key of zeros
};

// (own + sum of weight * other) / (1 + sum of weights), number by number.
std::vector<float> mixed(const Merging& rows, int target, std::span<const std::pair<int, double>> others, bool is_key) {
  const auto of = [&](int row) { return is_key ? rows.key(row) : rows.value(row); };
  std::vector<double> sum(of(target).begin(), of(target).end());
  double weights = 1;
  for (const auto& [row, weight] : others) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += weight * of(row)[i];
    weights += weight;
  }
  for (double& x : sum) x /= weights;
  return {sum.begin(), sum.end()};
}

void merge(KvRows& rows, int sequence, int head, std::span<const int> dropped, const attnlab::KvShape& shape,
           Weights weights) {
  const Merging held(rows, sequence, head, shape);
  const int count = rows.rows(sequence, head);
  std::vector<int> stay;
  for (int row = 0; row < count; ++row)
    if (!std::ranges::binary_search(dropped, row)) stay.push_back(row);
  std::vector<Merging::Target> targets(dropped.size());
  attnlab::for_each_index(static_cast<int>(dropped.size()),
                          [&](int index) { targets[index] = held.target_of(dropped[index], stay); });
  std::vector<std::vector<std::pair<int, double>>> others(count);  // of each target: rows that go, their weights
  for (std::size_t i = 0; i < dropped.size(); ++i) {
    const double similarity = std::max((1 + targets[i].cosine) / 2, 1e-6);
    others[targets[i].row].emplace_back(dropped[i], weights == Weights::equal ? 1 : similarity);
  }
  for (const int target : stay)
    if (!others[target].empty())
      rows.replace(sequence, head, target, mixed(held, target, others[target], true),
                   mixed(held, target, others[target], false));
}

class Merge final : public attnlab::CachePolicy {
 public:
  Merge(const MergeOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const MergeOptions& options) {
    return options.in_phases({.provides = {Feature::token_eviction, Feature::per_head_eviction, Feature::mass_based},
                              .needs = {Feature::kv_rows, Feature::attention_mass},
                              .excludes = {Feature::fixed_rows, Feature::unrotated_store}});
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    const auto before_drop = [shape = context.shape, weights = options_.weights](KvRows& rows, int sequence, int head,
                                                                                 std::span<const int> dropped) {
      merge(rows, sequence, head, dropped, shape, weights);
    };
    return attnlab::rows_cache(context, attnlab::heavy_hitters(options_, context, before_drop));
  }

 private:
  MergeOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Merge, MergeOptions>(
        {.id = "merge",
         .summary = "As h2o, with the rows that go merged into the most similar ones that stay.",
         .reference = "arXiv:2406.18139"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "merge", .version = "1.0", .cache = kCache);
