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
    specs.push_back({.name = "A_log", .shape = {heads_}, .form = values});
    specs.push_back({.name = "dt_bias", .shape = {heads_}, .form = values});
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
    auto gates = steps.rows(tokens, heads_, head_dim_);
    auto mixed = steps.rows(tokens, heads_, head_dim_);
    auto decays = steps.rows(tokens, heads_);  // before the softplus
    auto betas = steps.rows(tokens, heads_);   // before the sigmoid
    auto rooms = steps.rows(sequences * heads_, head_dim_);

    const Projection others[] = {{*g_proj_, flat(gates)}, {*a_proj_, decays}, {*b_proj_, betas}};
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
    for_each_index(sequences * heads_, [&](int index) {
      const int sequence = index / heads_, head = index % heads_;
      float* const memory = layer.state.row(sequence).data() + std::int64_t{head} * head_dim_ * head_dim_;
      for (int token = layer.chunk.first(sequence); token < layer.chunk.offsets[sequence + 1]; ++token) {
        const float x = decays(token, head) + dt_bias_[head];
        const float softplus = std::log1p(std::exp(-std::abs(x))) + std::max(0.0F, x);
        step({&q(token, head, 0), &k(token, head, 0), &v(token, head, 0), std::exp(-std::exp(a_log_[head]) * softplus),
              1 / (1 + std::exp(-betas(token, head)))},
             memory, rooms.row(index).data(), &mixed(token, head, 0));
      }
    });
    const double matrices = static_cast<double>(width()) * head_dim_;
    steps.own_work({.multiply_adds = 4 * tokens * matrices, .bytes = 2 * sizeof(float) * matrices * sequences});
    steps.norm(mixed, norm_, eps_, mixed);
    steps.silu_multiply(flat(gates), flat(mixed));
    projections_.project_back(steps, mixed, out);
  }

 private:
  struct Token {
    const float *q, *k, *v;  // [d]
    float decay, beta;
  };
  std::int64_t width() const { return std::int64_t{heads_} * head_dim_; }
  std::int64_t held() const { return std::max(0, taps_ - 1) * width(); }

  // S = decay S (I - beta k k') + beta v k', then o = S q / sqrt(d); memory is S' [d, d] by key channel, room [d].
  void step(Token of, float* memory, float* room, float* to) const {
    const int d = head_dim_;
    std::fill_n(room, d, 0.0F);  // the value that the state holds for the key
    for (int i = 0; i < d; ++i)
      for (int j = 0; j < d; ++j) room[j] += of.k[i] * memory[i * d + j];
    for (int j = 0; j < d; ++j) room[j] = of.beta * (of.v[j] - of.decay * room[j]);
    std::fill_n(to, d, 0.0F);
    for (int i = 0; i < d; ++i) {
      float* const row = memory + i * d;
      const float query = of.q[i] * projections_.scale();
      for (int j = 0; j < d; ++j) {
        row[j] = of.decay * row[j] + of.k[i] * room[j];
        to[j] += query * row[j];
      }
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
