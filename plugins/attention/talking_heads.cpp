// Talking heads: before the softmax every head's scores become a learned mixture of the scores of all heads, and after
// it the same happens to the weights. Shazeer et al. 2020. Position biases and masks come after the first mixture, so
// masked scores are never mixed in. Mixtures need not be positive nor sum to 1. Not here: mixtures within groups of
// heads, and matrices that are added to the scores (x-transformers), which is this with 1 on the diagonal.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <attnlab/head_projections.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::TensorView;

constexpr const char* kPre = "talking_pre.weight";
constexpr const char* kPost = "talking_post.weight";

struct TalkingHeadsOptions {
  bool pre = true;
  bool post = true;

  static constexpr auto fields() {
    using T = TalkingHeadsOptions;
    return std::tuple{attnlab::field("pre", &T::pre, {.doc = "Mix the scores of all heads before the softmax."}),
                      attnlab::field("post", &T::post, {.doc = "Mix the weights of all heads after it."})};
  }
};

class MixedHeads final : public attnlab::RowWeighting {
 public:
  std::span<const float> pre, post;  // [heads, heads]; empty: no mixture

  bool takes_all_heads() const noexcept override { return true; }
  void mix(attnlab::QueryScores& query) const noexcept override { mix(pre, query.scores); }
  void weigh(attnlab::QueryScores& query) const noexcept override {
    for (std::int64_t kv_head = 0; kv_head < query.scores.extent(0); ++kv_head)
      for (std::int64_t member = 0; member < query.scores.extent(1); ++member)
        softmax(query.scores[kv_head].row(member));
    mix(post, query.scores);
  }
  double multiply_adds(int heads) const noexcept override {
    return heads * ((pre.empty() ? 0.0 : 1.0) + (post.empty() ? 0.0 : 1.0));
  }
  attnlab::Derivative derivative() const noexcept override { return attnlab::Derivative::own; }
  void mix_backward(const attnlab::QueryScores& before, TensorView<float, 3> gradients,
                    attnlab::Gradients& others) const override {
    undo_mix(pre, before.scores, gradients, others);
  }
  void weigh_backward(const attnlab::QueryScores& before, TensorView<float, 3> gradients,
                      attnlab::Gradients& others) const override {
    const std::int64_t kv_heads = gradients.extent(0), group = gradients.extent(1), width = gradients.extent(2);
    std::vector<float> numbers(static_cast<std::size_t>(kv_heads * group * width));
    const TensorView<float, 3> weights(numbers.data(), {kv_heads, group, width});
    for (std::int64_t kv_head = 0; kv_head < kv_heads; ++kv_head)
      for (std::int64_t member = 0; member < group; ++member) {
        std::ranges::copy(before.scores[kv_head].row(member), weights[kv_head].row(member).begin());
        softmax(weights[kv_head].row(member));
      }
    undo_mix(post, weights, gradients, others);
    for (std::int64_t kv_head = 0; kv_head < kv_heads; ++kv_head)
      for (std::int64_t member = 0; member < group; ++member) {
        const std::span<const float> of_head = weights[kv_head].row(member);
        const std::span<float> of = gradients[kv_head].row(member);
        const double mean = std::inner_product(of.begin(), of.end(), of_head.begin(), 0.0);
        for (std::size_t row = 0; row < of.size(); ++row) of[row] = static_cast<float>(of_head[row] * (of[row] - mean));
      }
  }

 private:
  // before, gradients [kv_heads, group, rows]: of what was mixed, and of the mixture, which becomes that of the former.
  static void undo_mix(std::span<const float> weights, TensorView<const float, 3> before,
                       TensorView<float, 3> gradients, attnlab::Gradients& others) {
    if (weights.empty()) return;
    const std::span<float> of_weights = others.of_parameter(weights);
    const std::int64_t group = before.extent(1), heads = before.extent(0) * group;
    const auto row_of = [&](const auto& rows, std::int64_t head) { return rows[head / group].row(head % group); };
    for (std::int64_t to = 0; to < heads; ++to) {
      const auto of = row_of(gradients, to);
      for (std::int64_t head = 0; head < heads; ++head)
        of_weights[to * heads + head] +=
            static_cast<float>(std::inner_product(of.begin(), of.end(), row_of(before, head).begin(), 0.0));
    }
    std::vector<float> turned(weights.size());  // the transpose mixes gradients back
    for (std::int64_t to = 0; to < heads; ++to)
      for (std::int64_t head = 0; head < heads; ++head) turned[head * heads + to] = weights[to * heads + head];
    mix(turned, gradients);
  }

  // rows [kv_heads, group, rows]: that of head g becomes the sum over heads h of weights[g, h] times that of h.
  static void mix(std::span<const float> weights, TensorView<float, 3> rows) {
    if (weights.empty()) return;
    const std::int64_t group = rows.extent(1), heads = rows.extent(0) * group, width = rows.extent(2);
    thread_local std::vector<float> before;  // [heads, rows]
    before.resize(static_cast<std::size_t>(heads * width));
    for (std::int64_t head = 0; head < heads; ++head)
      std::ranges::copy(rows[head / group].row(head % group), before.begin() + head * width);
    for (std::int64_t to = 0; to < heads; ++to) {
      const std::span<float> mixed = rows[to / group].row(to % group);
      std::ranges::fill(mixed, 0.0F);
      for (std::int64_t head = 0; head < heads; ++head) {
        const float weight = weights[to * heads + head];
        for (std::int64_t row = 0; row < width; ++row) mixed[row] += weight * before[head * width + row];
      }
    }
  }

  static void softmax(std::span<float> scores) {
    const float best = scores.empty() ? 0 : *std::ranges::max_element(scores);
    double sum = 0;
    for (float& score : scores) {
      score = score == -std::numeric_limits<float>::infinity() ? 0 : std::exp(score - best);
      sum += score;
    }
    for (float& weight : scores) weight = static_cast<float>(sum == 0 ? 0 : weight / sum);
  }
};

class TalkingHeads final : public attnlab::AttentionVariant {
 public:
  TalkingHeads(const TalkingHeadsOptions& options, const attnlab::CreateContext& context)
      : projections_(context.kv_heads, context), options_(options) {}
  static attnlab::Traits traits(const TalkingHeadsOptions&) {
    return {.provides = {attnlab::Feature::kv_rows},
            .excludes = {attnlab::Feature::selects_tiles, attnlab::Feature::per_head_eviction}};
  }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    std::vector<attnlab::ParameterSpec> specs = projections_.parameters();
    const auto values = attnlab::ParameterForm::values;
    if (options_.pre)
      specs.push_back({.name = kPre, .shape = {projections_.heads(), projections_.heads()}, .form = values});
    if (options_.post)
      specs.push_back({.name = kPost, .shape = {projections_.heads(), projections_.heads()}, .form = values});
    return specs;
  }
  void bind(const attnlab::ParameterSet& parameters) override {
    projections_.bind(parameters);
    if (options_.pre) weights_.pre = parameters.values(kPre);
    if (options_.post) weights_.post = parameters.values(kPost);
  }
  attnlab::KvShape kv_shape() const override { return projections_.kv_shape(); }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    attnlab::Steps& steps = layer.steps;
    const auto [q, k, v] = projections_.project(steps, hidden);
    auto mixed = steps.rows(layer.chunk.tokens(), projections_.heads(), projections_.head_dim());
    steps.append(k, v);
    steps.attend({.queries = q, .scale = projections_.scale(), .mask = mask_, .row_weighting = &weights_}, mixed);
    projections_.project_back(steps, mixed, out);
  }

 private:
  attnlab::HeadProjections projections_;
  TalkingHeadsOptions options_;
  attnlab::CausalMask mask_;
  MixedHeads weights_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, TalkingHeads, TalkingHeadsOptions>(
        {.id = "talking_heads",
         .summary = "Mixes the scores of all heads before the softmax, and their weights after it.",
         .reference = "arXiv:2003.02436"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "talking_heads", .version = "1.0", .attention = kAttention);
