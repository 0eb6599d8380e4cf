// Differential attention: heads are pairs of softmax maps, and the second map of a pair is subtracted from the first
// with a learned weight, so that what both have in common cancels. Ye et al. 2024. Neighbouring maps are a pair; a
// value head has twice the width of a key head. As the authors' flash version: query map 2p + a of pair p reads key
// head 2u + a of value head u. (Their plain version differs from it where query heads share key heads.) Not here: a
// separate attention call for each map. Both keys of a value head are in one cached row, a query has zeros in the half
// that it does not read, and one pass of the core computes all maps.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::TensorView;

constexpr float kNormEps = 1e-5F;  // the authors', whatever the model's other norms have
constexpr int kTokensOfTask = 32;

struct DifferentialOptions {
  double lambda_init = 0;

  static constexpr auto fields() {
    return std::tuple{attnlab::field("lambda_init", &DifferentialOptions::lambda_init,
                                     {.min = 0,
                                      .max = 0.99,
                                      .doc = "Weight of the second map before training, which also scales the output. "
                                             "0: 0.8 - 0.6 exp(-0.3 layer) with layers from 0, as published; the "
                                             "paper also tries 0.5 and 0.8 in all layers."})};
  }
};

constexpr const char* kLambdas[] = {"lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"};

class Differential final : public attnlab::AttentionVariant {
 public:
  Differential(const DifferentialOptions& options, const attnlab::CreateContext& context)
      : maps_(context.heads),
        key_heads_(context.kv_heads),
        head_dim_(context.head_dim),
        hidden_dim_(context.hidden_dim),
        scale_(1.0F / std::sqrt(static_cast<float>(context.head_dim))),
        lambda_init_(options.lambda_init > 0 ? options.lambda_init : 0.8 - 0.6 * std::exp(-0.3 * context.layer)) {
    if (maps_ % 2 != 0 || key_heads_ % 2 != 0)
      throw attnlab::Error("",
                           "differential attention needs pairs of heads, but the model has " + std::to_string(maps_) +
                               " query heads and " + std::to_string(key_heads_) + " key heads",
                           "both numbers must be even");
  }
  static attnlab::Traits traits(const DifferentialOptions&) {
    return {.provides = {attnlab::Feature::kv_rows, attnlab::Feature::attention_mass, attnlab::Feature::several_maps},
            .excludes = {attnlab::Feature::row_bias}};  // the keys of two maps stand in one row
  }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    const std::int64_t q_width = static_cast<std::int64_t>(maps_) * head_dim_;
    const std::int64_t kv_width = static_cast<std::int64_t>(key_heads_) * head_dim_;
    const auto values = attnlab::ParameterForm::values;
    std::vector<attnlab::ParameterSpec> specs{{.name = "q_proj.weight", .shape = {q_width, hidden_dim_}},
                                              {.name = "k_proj.weight", .shape = {kv_width, hidden_dim_}},
                                              {.name = "v_proj.weight", .shape = {kv_width, hidden_dim_}},
                                              {.name = "o_proj.weight", .shape = {hidden_dim_, q_width}}};
    for (const char* name : kLambdas)
      specs.push_back({.name = name, .shape = {head_dim_}, .form = values, .init = attnlab::Init::normal});
    specs.push_back({.name = "subln.weight", .shape = {2 * head_dim_}, .form = values, .init = attnlab::Init::ones});
    return specs;
  }

  void bind(const attnlab::ParameterSet& parameters) override {
    q_proj_ = &parameters.matrix("q_proj.weight");
    k_proj_ = &parameters.matrix("k_proj.weight");
    v_proj_ = &parameters.matrix("v_proj.weight");
    o_proj_ = &parameters.matrix("o_proj.weight");
    for (int i = 0; i < 4; ++i) vectors_[i] = parameters.values(kLambdas[i]);
    norm_ = parameters.values("subln.weight");
    refresh();
  }
  void refresh() override {
    for (int part = 0; part < 2; ++part)
      exponentials_[part] = std::exp(std::inner_product(vectors_[2 * part].begin(), vectors_[2 * part].end(),
                                                        vectors_[2 * part + 1].begin(), 0.0));
    lambda_ = static_cast<float>(exponentials_[0] - exponentials_[1] + lambda_init_);
  }

  attnlab::KvShape kv_shape() const override {
    return {.kv_heads = key_heads_ / 2,
            .key_dim = 2 * head_dim_,
            .value_dim = 2 * head_dim_,
            .rotated_width = head_dim_,
            .rotated_repeats = 2};
  }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    const int tokens = layer.chunk.tokens();
    attnlab::Steps& steps = layer.steps;
    auto q = steps.rows(tokens, maps_, head_dim_);
    auto k = steps.rows(tokens, key_heads_ / 2, 2 * head_dim_);
    auto v = steps.rows(tokens, key_heads_ / 2, 2 * head_dim_);
    auto queries = steps.rows(tokens, maps_, 2 * head_dim_);
    auto maps = steps.rows(tokens, maps_, 2 * head_dim_);
    auto pairs = steps.rows(tokens, maps_ / 2, 2 * head_dim_);

    const attnlab::Projection projections[] = {{*q_proj_, flat(q)}, {*k_proj_, flat(k)}, {*v_proj_, flat(v)}};
    steps.project(hidden, projections);
    steps.append(k, v);
    widen(q, queries);
    steps.custom({.reads = {all_of(q)}, .writes = {all_of(queries)}},
                 [this, q, queries](attnlab::Gradients& of) { narrow(of.of(queries), of.of(q)); });
    steps.attend({.queries = queries, .scale = scale_, .mask = mask_}, maps);
    subtract(maps, pairs);
    steps.custom({.reads = {all_of(maps)}, .writes = {all_of(pairs)}},
                 [this, maps, pairs](attnlab::Gradients& of) { undo_subtract(maps, of.of(pairs), of.of(maps), of); });
    steps.norm(pairs, norm_, kNormEps, pairs);
    scale(pairs);
    steps.custom({.reads = {all_of(pairs)}, .writes = {all_of(pairs)}},
                 [this, pairs](attnlab::Gradients& of) { scale(of.of(pairs)); });
    steps.project(flat(pairs), {*o_proj_, out});
  }

 private:
  template <class Task>
  static void for_each_token(std::int64_t tokens, const Task& task) {
    attnlab::for_each_index(static_cast<int>((tokens + kTokensOfTask - 1) / kTokensOfTask), [&](int index) {
      const std::int64_t first = static_cast<std::int64_t>(index) * kTokensOfTask;
      for (std::int64_t token = first; token < std::min(first + kTokensOfTask, tokens); ++token) task(token);
    });
  }

  // q [tokens, maps, d] -> queries [tokens, maps, 2d]: map 2p + a in half a.
  void widen(TensorView<const float, 3> q, TensorView<float, 3> queries) const {
    for_each_token(q.extent(0), [&](std::int64_t token) {
      for (int map = 0; map < maps_; ++map) {
        float* first_half = &queries(token, map, 0);
        std::fill_n(first_half, 2 * head_dim_, 0.0F);
        std::copy_n(&q(token, map, 0), head_dim_, first_half + (map % 2) * head_dim_);
      }
    });
  }

  // maps [tokens, maps, 2d] -> pairs [tokens, maps / 2, 2d]
  void subtract(TensorView<const float, 3> maps, TensorView<float, 3> pairs) const {
    for_each_token(maps.extent(0), [&](std::int64_t token) {
      for (int pair = 0; pair < maps_ / 2; ++pair) {
        const float* first = &maps(token, 2 * pair, 0);
        const float* second = &maps(token, 2 * pair + 1, 0);
        float* to = &pairs(token, pair, 0);
        for (int i = 0; i < 2 * head_dim_; ++i) to[i] = first[i] - lambda_ * second[i];
      }
    });
  }

  void narrow(TensorView<const float, 3> of_queries, TensorView<float, 3> of_q) const {
    for_each_token(of_q.extent(0), [&](std::int64_t token) {
      for (int map = 0; map < maps_; ++map)
        for (int i = 0; i < head_dim_; ++i) of_q(token, map, i) += of_queries(token, map, (map % 2) * head_dim_ + i);
    });
  }

  void undo_subtract(TensorView<const float, 3> maps, TensorView<const float, 3> of_pairs, TensorView<float, 3> of_maps,
                     attnlab::Gradients& others) const {
    std::vector<double> of_lambda(static_cast<std::size_t>(maps.extent(0)));  // [tokens]
    for_each_token(maps.extent(0), [&](std::int64_t token) {
      for (int pair = 0; pair < maps_ / 2; ++pair)
        for (int i = 0; i < 2 * head_dim_; ++i) {
          const float of = of_pairs(token, pair, i);
          of_maps(token, 2 * pair, i) += of;
          of_maps(token, 2 * pair + 1, i) -= lambda_ * of;
          of_lambda[token] -= static_cast<double>(of) * maps(token, 2 * pair + 1, i);
        }
    });
    const double all = std::accumulate(of_lambda.begin(), of_lambda.end(), 0.0);
    for (int vector = 0; vector < 4; ++vector) {
      const std::span<float> of = others.of_parameter(vectors_[vector]);
      const double factor = (vector < 2 ? 1 : -1) * all * exponentials_[vector / 2];
      for (int i = 0; i < head_dim_; ++i) of[i] += static_cast<float>(factor * vectors_[vector ^ 1][i]);
    }
  }

  void scale(TensorView<float, 3> pairs) const {
    const auto factor = static_cast<float>(1 - lambda_init_);
    for_each_token(pairs.extent(0), [&](std::int64_t token) {
      float* const row = &pairs(token, 0, 0);
      for (std::int64_t i = 0; i < pairs.stride(0); ++i) row[i] *= factor;
    });
  }

  int maps_;       // query heads: single maps
  int key_heads_;  // of single maps
  int head_dim_, hidden_dim_;
  float scale_;
  double lambda_init_;
  float lambda_ = 0;
  attnlab::CausalMask mask_;
  const attnlab::Matrix* q_proj_ = nullptr;  // [maps * d, hidden_dim]
  const attnlab::Matrix* k_proj_ = nullptr;  // [key_heads * d, hidden_dim]
  const attnlab::Matrix* v_proj_ = nullptr;  // [key_heads / 2 * 2d, hidden_dim]
  const attnlab::Matrix* o_proj_ = nullptr;  // [hidden_dim, maps / 2 * 2d]
  std::span<const float> vectors_[4];        // [d] each, in the order of kLambdas
  double exponentials_[2] = {};              // of the products of the first two, and of the last two
  std::span<const float> norm_;              // [2d]
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Differential, DifferentialOptions>(
        {.id = "differential",
         .summary = "Subtracts two softmax maps per pair of heads.",
         .reference = "arXiv:2410.05258"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "differential", .version = "1.0", .attention = kAttention);
