// Gated delta rule: the state of a head decays, and the value that it holds for the new key is replaced by the new
// value, where linear attention would add the two. Yang et al. 2024. q, k and v pass a silu, with `conv_size` after a
// causal convolution of every channel; q and k are normalised to length 1. Head outputs pass an RMSNorm and a swish
// gate. Published without positions; a scheme that rotates is applied to the normalised q and k. Not here: scores,
// cached rows, Qwen 3 Next's packed projections.
#include <algorithm>
#include <cmath>

#include <attnlab/head_projections.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>
#include <attnlab/state_scan.h>

namespace {

using namespace attnlab;

constexpr float kLengthEps = 1e-6F;  // the authors'
constexpr const char* kConvolutions[] = {"q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"};

struct GatedDeltaOptions {
  std::int32_t conv_size = 0;

  static constexpr auto fields() {
    return std::tuple{field(
        "conv_size", &GatedDeltaOptions::conv_size,
        {.min = 0, .max = 64, .unit = "tokens", .doc = "Taps of the convolution, the token's own the last; 0: none."})};
  }
};

class GatedDelta final : public AttentionVariant {
 public:
  GatedDelta(const GatedDeltaOptions& options, const CreateContext& context)
      : projections_(context.heads, context),  // a key and a value for every query head
        taps_(options.conv_size),
        eps_(context.rms_norm_eps),
        unit_(head_dim_, 1 / std::sqrt(static_cast<float>(head_dim_))) {}
  static Traits traits(const GatedDeltaOptions&) {
    return {.provides = {Feature::fixed_state}, .excludes = {Feature::score_bias, Feature::length_dependent_rotation}};
  }

  std::vector<ParameterSpec> parameters() const override {
    const auto values = ParameterForm::values;
    std::vector<ParameterSpec> specs = projections_.parameters();
    specs.push_back({.name = "g_proj.weight", .shape = {width(), hidden_dim_}});
    specs.push_back({.name = "a_proj.weight", .shape = {heads_, hidden_dim_}});
    specs.push_back({.name = "b_proj.weight", .shape = {heads_, hidden_dim_}});
    specs.push_back({.name = "A_log", .shape = {heads_}, .form = values, .drawn = first_rate});
    specs.push_back({.name = "dt_bias", .shape = {heads_}, .form = values, .drawn = first_bias});
    specs.push_back({.name = "o_norm.weight", .shape = {head_dim_}, .form = values, .init = Init::ones});
    for (const char* name : kConvolutions)
      if (taps_ > 0) specs.push_back({.name = name, .shape = {width(), 1, taps_}, .form = values});
    return specs;
  }
  void bind(const ParameterSet& parameters) override {
    projections_.bind(parameters);
    for (int i = 0; i < 3 && taps_ > 0; ++i) conv_[i] = parameters.values(kConvolutions[i]);
    g_proj_ = &parameters.matrix("g_proj.weight");
    a_proj_ = &parameters.matrix("a_proj.weight");
    b_proj_ = &parameters.matrix("b_proj.weight");
    a_log_ = parameters.values("A_log");
    dt_bias_ = parameters.values("dt_bias");
    norm_ = parameters.values("o_norm.weight");
  }

  KvShape kv_shape() const override { return {}; }
  // The matrices of the heads, [heads, d, d], then what the convolutions of q, k and v hold.
  std::int64_t state_floats() const override { return width() * head_dim_ + 3 * held(); }

  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    const int tokens = layer.chunk.tokens(), sequences = layer.chunk.sequences();
    Steps& steps = layer.steps;
    steps.constant(unit_);
    auto gates = steps.rows(tokens, heads_, head_dim_);
    auto mixed = steps.rows(tokens, heads_, head_dim_);
    auto raw_decays = steps.rows(tokens, heads_);  // before the softplus
    auto raw_rates = steps.rows(tokens, heads_);   // before the sigmoid
    auto decays = steps.rows(tokens, heads_, 1);   // logarithms
    auto rates = steps.rows(tokens, heads_);
    const Projection others[] = {{*g_proj_, flat(gates)}, {*a_proj_, raw_decays}, {*b_proj_, raw_rates}};
    const auto [q, k, v] = projections_.project(steps, hidden, others);
    const TensorView<float, 3> qkv[] = {q, k, v};
    for (int i = 0; i < 3; ++i) {
      float* const of_sequences = layer.state.data() + width() * head_dim_ + i * held();
      if (taps_ > 0) steps.convolve(conv_[i], {of_sequences, {sequences, held()}, {state_floats(), 1}}, qkv[i]);
      steps.silu(qkv[i]);
      if (i < 2) steps.norm(qkv[i], unit_, kLengthEps / static_cast<float>(head_dim_), qkv[i]);  // length 1
    }
    steps.rotate(RotateSide::query, q);
    steps.rotate(RotateSide::key, k);
    find_factors(raw_decays, raw_rates, decays, rates);
    steps.custom({.reads = {all_of(raw_decays), all_of(raw_rates)}, .writes = {all_of(decays), all_of(rates)}},
                 [=, this](Gradients& of) { undo_factors(raw_decays, decays, rates, of, of.of(raw_rates)); });
    scan_states(layer, {.q = q, .k = k, .v = v, .log_decays = decays, .rates = rates, .scale = projections_.scale()},
                mixed);
    steps.norm(mixed, norm_, eps_, mixed);
    steps.silu_multiply(flat(gates), flat(mixed));
    projections_.project_back(steps, mixed, out);
  }

 private:
  // As the authors start: exp(A) uniform below 16, and softplus(bias) log-uniform from 0.001 to 0.1, so that heads fade
  // at rates of their own, most of them slowly. (Numbers around 0 would halve the state with every token.)
  static double first_rate(double u) { return std::log(16 * std::max(u, 1e-4)); }
  static double first_bias(double u) {
    const double step = std::exp(std::log(0.001) + u * std::log(0.1 / 0.001));
    return step + std::log(-std::expm1(-step));
  }

  std::int64_t width() const { return std::int64_t{heads_} * head_dim_; }
  std::int64_t held() const { return std::max(0, taps_ - 1) * width(); }

  // log decay = -exp(A) softplus(x + bias), rate = sigmoid(y)
  void find_factors(TensorView<const float, 2> raw_decays, TensorView<const float, 2> raw_rates,
                    TensorView<float, 3> decays, TensorView<float, 2> rates) const {
    for_each_index(static_cast<int>(rates.extent(0)), 16.0 * 4 * static_cast<double>(rates.elements()), [&](int token) {
      for (int head = 0; head < heads_; ++head) {
        const float x = raw_decays(token, head) + dt_bias_[head];
        decays(token, head, 0) = -std::exp(a_log_[head]) * (std::log1p(std::exp(-std::abs(x))) + std::max(0.0F, x));
        rates(token, head) = 1 / (1 + std::exp(-raw_rates(token, head)));
      }
    });
  }
  void undo_factors(TensorView<float, 2> raw_decays, TensorView<float, 3> decays, TensorView<float, 2> rates,
                    Gradients& of, TensorView<float, 2> of_raw_rates) const {
    const auto of_decays = of.of(decays);
    const auto of_rates = of.of(rates), of_raw_decays = of.of(raw_decays);
    const std::span<float> of_a = of.of_parameter(a_log_), of_bias = of.of_parameter(dt_bias_);
    for (std::int64_t token = 0; token < rates.extent(0); ++token)
      for (int head = 0; head < heads_; ++head) {
        const float of_decay = of_decays(token, head, 0), x = raw_decays(token, head) + dt_bias_[head];
        const float of_x = -of_decay * std::exp(a_log_[head]) / (1 + std::exp(-x));
        of_a[head] += of_decay * decays(token, head, 0);
        of_bias[head] += of_x;
        of_raw_decays(token, head) += of_x;
        of_raw_rates(token, head) += of_rates(token, head) * rates(token, head) * (1 - rates(token, head));
      }
  }

  HeadProjections projections_;
  int heads_ = projections_.heads(), head_dim_ = projections_.head_dim(), hidden_dim_ = projections_.hidden_dim();
  int taps_;
  float eps_;
  std::vector<float> unit_;                                                 // [d]: a norm by it gives length 1
  std::span<const float> conv_[3];                                          // [heads * d, 1, taps] each
  const Matrix *g_proj_ = nullptr, *a_proj_ = nullptr, *b_proj_ = nullptr;  // [heads * d or heads, hidden_dim]
  std::span<const float> a_log_, dt_bias_, norm_;                           // [heads], [heads], [d]
};

constexpr Component<AttentionVariant> kAttention[] = {component<AttentionVariant, GatedDelta, GatedDeltaOptions>(
    {.id = "gated_delta",
     .summary = "A fading state in which a new value replaces what its key recalled.",
     .reference = "arXiv:2412.06464"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "gated_delta", .version = "1.0", .attention = kAttention);
