// Gated linear attention: one matrix per kv head holds the past, and it decays with a separate factor for every key
// channel, which depends on the token (Yang et al. 2023). With `decay: retnet` the factor is one fixed number a
// query head (Sun et al. 2023). Head outputs pass an RMSNorm and a swish gate. A token is part of the state that it
// reads; k, v and gates belong to kv heads. Rotation, if the scheme has one, is applied to q and k first. Not here:
// scores, cached rows.
#include <algorithm>
#include <cmath>

#include <attnlab/head_projections.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>
#include <attnlab/state_scan.h>

namespace {

using namespace attnlab;

enum class Decay : std::uint8_t { gate, retnet };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Decay>, 2> attnlab::kChoices<Decay>{
    {{"gate", Decay::gate}, {"retnet", Decay::retnet}}};

namespace {

struct GlaOptions {
  Decay decay = Decay::gate;
  std::int32_t gate_low_rank_dim = 16;

  static constexpr auto fields() {
    return std::tuple{field("decay", &GlaOptions::decay,
                            {.doc = "gate: learned, for each token and key channel; retnet: 1 - 2^(-5 - head)."}),
                      field("gate_low_rank_dim", &GlaOptions::gate_low_rank_dim,
                            {.min = 1, .max = 1 << 16, .doc = "Width between the two matrices of the gate."})};
  }
};

class Gla final : public AttentionVariant {
 public:
  Gla(const GlaOptions& options, const CreateContext& context)
      : projections_(context.kv_heads, context),
        gated_(options.decay == Decay::gate),
        rank_(options.gate_low_rank_dim),
        eps_(context.rms_norm_eps) {}
  static Traits traits(const GlaOptions&) {
    return {.provides = {Feature::fixed_state}, .excludes = {Feature::score_bias, Feature::length_dependent_rotation}};
  }

  std::vector<ParameterSpec> parameters() const override {
    const auto values = ParameterForm::values;
    const std::int64_t kv_width = std::int64_t{kv_heads_} * head_dim_;
    std::vector<ParameterSpec> specs = projections_.parameters();
    specs.push_back({.name = "g_proj.weight", .shape = {std::int64_t{heads_} * head_dim_, hidden_dim_}});
    specs.push_back({.name = "g_norm_swish_gate.weight", .shape = {head_dim_}, .form = values, .init = Init::ones});
    if (gated_) {
      specs.push_back({.name = "gk_proj.0.weight", .shape = {rank_, hidden_dim_}});
      specs.push_back({.name = "gk_proj.1.weight", .shape = {kv_width, rank_}});
      specs.push_back({.name = "gk_proj.1.bias", .shape = {kv_width}, .form = values});
    }
    return specs;
  }
  void bind(const ParameterSet& parameters) override {
    projections_.bind(parameters);
    g_proj_ = &parameters.matrix("g_proj.weight");
    norm_ = parameters.values("g_norm_swish_gate.weight");
    if (!gated_) return;
    gk_down_ = &parameters.matrix("gk_proj.0.weight");
    gk_up_ = &parameters.matrix("gk_proj.1.weight");
    gk_bias_ = parameters.values("gk_proj.1.bias");
  }

  KvShape kv_shape() const override { return {}; }
  std::int64_t state_floats() const override { return std::int64_t{states()} * head_dim_ * head_dim_; }

  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    const int tokens = layer.chunk.tokens();
    Steps& steps = layer.steps;
    auto gates = steps.rows(tokens, heads_, head_dim_);
    auto mixed = steps.rows(tokens, heads_, head_dim_);
    auto low = steps.rows(tokens, rank_);
    auto raw = steps.rows(tokens, kv_heads_, head_dim_);  // before the sigmoid
    auto decays = steps.rows(tokens, states(), gated_ ? head_dim_ : 1);

    const Projection gate{*g_proj_, flat(gates)};
    const auto [q, k, v] = projections_.project(steps, hidden, {&gate, 1});
    if (gated_) {
      steps.project(hidden, {*gk_down_, low});
      steps.project(low, {*gk_up_, flat(raw), gk_bias_});
    }
    steps.rotate(RotateSide::query, q);
    steps.rotate(RotateSide::key, k);
    find_decays(raw, decays);
    if (gated_)
      steps.custom({.reads = {all_of(raw)}, .writes = {all_of(decays)}},
                   [raw, decays](Gradients& of) { undo_decays(raw, of.of(decays), of.of(raw)); });
    else
      steps.custom({.reads = {}, .writes = {all_of(decays)}}, [](Gradients&) {});
    scan_states(layer, {.q = q, .k = k, .v = v, .log_decays = decays, .scale = projections_.scale()}, mixed);
    steps.norm(mixed, norm_, eps_, mixed);
    steps.silu_multiply(flat(gates), flat(mixed));
    projections_.project_back(steps, mixed, out);
  }

 private:
  // A fixed decay differs from query head to query head, so each has a state; else kv heads have them.
  int states() const { return gated_ ? kv_heads_ : heads_; }

  // Logarithms: of the 16th root of a sigmoid for each channel, or of a factor for each head.
  void find_decays(TensorView<const float, 3> raw, TensorView<float, 3> decays) const {
    const double work = 32.0 * static_cast<double>(decays.elements());
    for_each_index(static_cast<int>(decays.extent(0)), work, [&](int token) {
      for (std::int64_t state = 0; state < decays.extent(1); ++state)
        for (std::int64_t i = 0; i < decays.extent(2); ++i)
          decays(token, state, i) =
              gated_
                  ? (std::min(raw(token, state, i), 0.0F) - std::log1p(std::exp(-std::abs(raw(token, state, i))))) / 16
                  : std::log1p(-std::exp2(-5.0F - static_cast<float>(state)));
    });
  }
  static void undo_decays(TensorView<const float, 3> raw, TensorView<const float, 3> of, TensorView<float, 3> of_raw) {
    const double work = 16.0 * static_cast<double>(raw.elements());
    for_each_index(static_cast<int>(raw.extent(0)), work, [&](int token) {
      for (std::int64_t state = 0; state < raw.extent(1); ++state)
        for (std::int64_t i = 0; i < raw.extent(2); ++i)
          of_raw(token, state, i) += of(token, state, i) / (16 * (1 + std::exp(raw(token, state, i))));
    });
  }

  HeadProjections projections_;
  int heads_ = projections_.heads(), kv_heads_ = projections_.kv_heads();
  int head_dim_ = projections_.head_dim(), hidden_dim_ = projections_.hidden_dim();
  bool gated_;
  int rank_;
  float eps_;
  const Matrix* g_proj_ = nullptr;                      // [heads * d, hidden_dim]
  const Matrix *gk_down_ = nullptr, *gk_up_ = nullptr;  // [rank, hidden_dim], [kv_heads * d, rank]
  std::span<const float> gk_bias_, norm_;               // [kv_heads * d], [d]
};

constexpr Component<AttentionVariant> kAttention[] = {component<AttentionVariant, Gla, GlaOptions>(
    {.id = "gla",
     .summary = "Linear attention whose state fades by learned or fixed factors.",
     .reference = "arXiv:2312.06635"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "gla", .version = "1.0", .attention = kAttention);
