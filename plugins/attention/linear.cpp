// Linear attention: the softmax is replaced by a product of features f(q).f(k), f = elu + 1, so that all keys and
// values of the past fit in one matrix per kv head, and memory does not grow with the sequence. Katharopoulos et al.
// 2020. Not here: decay or gates (the state never forgets), cached rows, a scale of the scores.
#include <algorithm>
#include <array>
#include <vector>

#include <attnlab/head_projections.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>
#include <attnlab/state_scan.h>

namespace {

using attnlab::TensorView;

constexpr float kNormaliserEps = 1e-6F;

struct LinearOptions {
  std::int32_t kv_heads = 0;

  static constexpr auto fields() {
    return std::tuple{attnlab::field("kv_heads", &LinearOptions::kv_heads,
                                     {.min = 0,
                                      .doc = "Key/value heads, each with one state; a divisor of the query heads. "
                                             "0: as the model has.",
                                      .from_model = "num_key_value_heads"})};
  }
};

// x [tokens, heads, d] -> f(x) = exp(min(x, 0)) + max(x, 0)
void apply_features(TensorView<float, 3> x) {
  attnlab::for_each_index(static_cast<int>(x.extent(0)), 4.0 * static_cast<double>(x.elements()), [&](int token) {
    const std::span<float> row = flat(x).row(token);
    constexpr std::size_t at_once = 256;
    std::array<float, at_once> negative;
    for (std::size_t first = 0; first < row.size(); first += at_once) {
      const std::span<float> part = row.subspan(first, std::min(at_once, row.size() - first));
      std::ranges::transform(part, negative.begin(), [](float number) { return std::min(number, 0.0F); });
      attnlab::exponentials(std::span(negative).first(part.size()));
      for (std::size_t i = 0; i < part.size(); ++i) part[i] = negative[i] + std::max(part[i], 0.0F);
    }
  });
}

// A feature f has the slope min(f, 1).
void undo_features(TensorView<float, 3> features, TensorView<float, 3> of) {
  attnlab::for_each_index(static_cast<int>(features.extent(0)), static_cast<double>(features.elements()),
                          [&](int token) {
                            const std::span<const float> f = flat(features).row(token);
                            const std::span<float> of_f = flat(of).row(token);
                            for (std::size_t i = 0; i < f.size(); ++i) of_f[i] *= std::min(f[i], 1.0F);
                          });
}

class Linear final : public attnlab::AttentionVariant {
 public:
  Linear(const LinearOptions& options, const attnlab::CreateContext& context)
      : projections_(options.kv_heads > 0 ? options.kv_heads : context.kv_heads, context),
        heads_(context.heads),
        kv_heads_(projections_.kv_heads()),
        head_dim_(context.head_dim) {}
  // There are no scores that a bias could change, and keys go into the state at angles that stay.
  static attnlab::Traits traits(const LinearOptions&) {
    return {.provides = {attnlab::Feature::fixed_state},
            .excludes = {attnlab::Feature::score_bias, attnlab::Feature::length_dependent_rotation}};
  }

  std::vector<attnlab::ParameterSpec> parameters() const override { return projections_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { projections_.bind(parameters); }

  attnlab::KvShape kv_shape() const override { return {}; }
  // The sums of f(k) v' [kv_heads, d, d], then those of f(k) [kv_heads, d].
  std::int64_t state_floats() const override { return matrices() + std::int64_t{kv_heads_} * head_dim_; }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    attnlab::Steps& steps = layer.steps;
    const auto [q, k, v] = projections_.project(steps, hidden);
    auto mixed = steps.rows(layer.chunk.tokens(), heads_, head_dim_);
    steps.rotate(attnlab::RotateSide::query, q);
    steps.rotate(attnlab::RotateSide::key, k);
    for (const TensorView<float, 3> x : {q, k}) {
      apply_features(x);
      steps.custom({.reads = {all_of(x)}, .writes = {all_of(x)}},
                   [x](attnlab::Gradients& of) { undo_features(x, of.of(x)); });
    }
    scan_states(layer, {.q = q, .k = k, .v = v}, mixed);

    normalise(layer, q, k, mixed);
    steps.custom({.reads = {all_of(q), all_of(k), all_of(mixed)}, .writes = {all_of(mixed)}},
                 [this, q = q, k = k, mixed, chunk = layer.chunk](attnlab::Gradients& of) {
                   attnlab::for_each_index(chunk.sequences() * kv_heads_, [&](int index) {
                     const int first = chunk.first(index / kv_heads_), count = chunk.tokens_of(index / kv_heads_);
                     const auto part = [&](auto rows) { return rows.slice(first, count); };
                     undo_normalise({part(q), part(k), part(mixed)},
                                    {part(of.of(q)), part(of.of(k)), part(of.of(mixed))}, index % kv_heads_);
                   });
                 });
    projections_.project_back(steps, mixed, out);
  }

 private:
  // Of one sequence: queries and keys as features.
  struct Rows {
    TensorView<float, 3> q;      // [tokens, heads, d]
    TensorView<float, 3> k;      // [tokens, kv_heads, d]
    TensorView<float, 3> mixed;  // [tokens, heads, d]
  };

  int group() const { return heads_ / kv_heads_; }
  std::int64_t matrices() const { return std::int64_t{kv_heads_} * head_dim_ * head_dim_; }

  // mixed of every head /= q z + eps, with z the sum of the keys so far, which the state holds behind its matrices.
  void normalise(const attnlab::LayerContext& layer, TensorView<float, 3> q, TensorView<float, 3> k,
                 TensorView<float, 3> mixed) const {
    attnlab::OwnWork work;
    work.multiply_adds = static_cast<double>(layer.chunk.tokens()) * head_dim_ * (2 * heads_ + kv_heads_);
    attnlab::for_each_index(layer.chunk.sequences() * kv_heads_, work.multiply_adds, [&](int index) {
      const int sequence = index / kv_heads_, kv_head = index % kv_heads_;
      float* const z = layer.state.row(sequence).data() + matrices() + kv_head * head_dim_;
      for (int token = layer.chunk.first(sequence); token < layer.chunk.offsets[sequence + 1]; ++token) {
        for (int i = 0; i < head_dim_; ++i) z[i] += k(token, kv_head, i);
        for (int head = kv_head * group(); head < (kv_head + 1) * group(); ++head) {
          const float factor = 1 / (attnlab::dot_product(&q(token, head, 0), z, head_dim_) + kNormaliserEps);
          for (int i = 0; i < head_dim_; ++i) mixed(token, head, i) *= factor;
        }
      }
    });
    for (int sequence = 0; sequence < layer.chunk.sequences(); ++sequence)
      if (layer.chunk.tokens_of(sequence) > 0) work.bytes += 2.0 * sizeof(float) * kv_heads_ * head_dim_;
    layer.steps.own_work(work);
  }

  // o_i = s_i / n_i with n_i = q_i z_i + eps, from a state of zeros. With u_i = do_i / n_i, which becomes the gradient
  // of s_i, and c_i = u_i o_i: dq_i = -c_i z_i, and dk_j = -sum of c_i q_i over i >= j.
  void undo_normalise(const Rows& rows, const Rows& of, int kv_head) const {
    const std::int64_t tokens = rows.k.extent(0);
    std::vector<float> sums(head_dim_), pulls(tokens * group());
    for (std::int64_t token = 0; token < tokens; ++token) {
      for (int i = 0; i < head_dim_; ++i) sums[i] += rows.k(token, kv_head, i);
      for (int member = 0; member < group(); ++member) {
        const int head = kv_head * group() + member;
        float* const of_out = &of.mixed(token, head, 0);
        const float* const query = &rows.q(token, head, 0);
        const float factor = 1 / (attnlab::dot_product(query, sums.data(), head_dim_) + kNormaliserEps);
        for (int i = 0; i < head_dim_; ++i) of_out[i] *= factor;
        const float pull = attnlab::dot_product(of_out, &rows.mixed(token, head, 0), head_dim_);
        pulls[token * group() + member] = pull;
        for (int i = 0; i < head_dim_; ++i) of.q(token, head, i) -= pull * sums[i];
      }
    }
    std::ranges::fill(sums, 0.0F);
    for (std::int64_t token = tokens; token-- > 0;) {
      for (int member = 0; member < group(); ++member) {
        const float* const query = &rows.q(token, kv_head * group() + member, 0);
        for (int i = 0; i < head_dim_; ++i) sums[i] += pulls[token * group() + member] * query[i];
      }
      for (int i = 0; i < head_dim_; ++i) of.k(token, kv_head, i) -= sums[i];
    }
  }

  attnlab::HeadProjections projections_;
  int heads_, kv_heads_, head_dim_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Linear, LinearOptions>(
        {.id = "linear",
         .summary = "A product of features instead of a softmax; a state of fixed size instead of rows.",
         .reference = "arXiv:2006.16236"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "linear", .version = "1.0", .attention = kAttention);
