#include "model/body.h"

namespace attnlab::model {
namespace {

void add_values(const std::string& name, std::vector<float>& values, std::vector<ParameterPlace>& to) {
  if (!values.empty())
    to.push_back({.name = name, .shape = {static_cast<std::int64_t>(values.size())}, .values = values});
}

}  // namespace

void BodyNorm::load(const ModelConfig& config, const std::string& name, WeightStore& weights) {
  const std::int64_t width[] = {config.hidden_dim};
  kind_ = config.norm;
  eps_ = config.rms_norm_eps;
  weight_ = weights.values(name + ".weight", width);
  if (kind_ != NormKind::layer) return;
  has_bias_ = config.norm_bias;
  bias_ = has_bias_ ? weights.values(name + ".bias", width) : std::vector<float>(weight_.size());
}

void BodyNorm::add_places(const std::string& name, std::vector<ParameterPlace>& to) {
  add_values(name + ".weight", weight_, to);
  if (has_bias_) add_values(name + ".bias", bias_, to);
}

template <class Body>
void LayerNorms::for_each(const ModelConfig& config, bool has_mlp, const Body& body) {
  switch (config.norm_place) {
    case NormPlace::before:
      body(attention_in, "input_layernorm");
      if (has_mlp && config.residual != Residual::shared_norm) body(mlp_in, "post_attention_layernorm");
      break;
    case NormPlace::after:
      body(attention_out, "post_attention_layernorm");
      if (has_mlp) body(mlp_out, "post_feedforward_layernorm");
      break;
    case NormPlace::both:
      body(attention_in, "input_layernorm");
      body(attention_out, "post_attention_layernorm");
      if (!has_mlp) break;
      body(mlp_in, "pre_feedforward_layernorm");
      body(mlp_out, "post_feedforward_layernorm");
      break;
  }
}

void LayerNorms::load(const ModelConfig& config, const std::string& prefix, bool has_mlp, WeightStore& weights) {
  for_each(config, has_mlp, [&](BodyNorm& norm, const char* name) { norm.load(config, prefix + name, weights); });
}

void LayerNorms::add_places(const ModelConfig& config, const std::string& prefix, std::vector<ParameterPlace>& to,
                            bool of_mlp) {
  for_each(config, true, [&](BodyNorm& norm, const char* name) {
    if ((&norm == &mlp_in || &norm == &mlp_out) == of_mlp) norm.add_places(prefix + name, to);
  });
}

void LayerNorms::add_attention_places(const ModelConfig& config, const std::string& prefix,
                                      std::vector<ParameterPlace>& to) {
  add_places(config, prefix, to, false);
}

void LayerNorms::add_mlp_places(const ModelConfig& config, const std::string& prefix, std::vector<ParameterPlace>& to) {
  add_places(config, prefix, to, true);
}

std::size_t LayerNorms::bytes() const noexcept {
  return attention_in.bytes() + attention_out.bytes() + mlp_in.bytes() + mlp_out.bytes();
}

void Mlp::load(const ModelConfig& config, int inner_dim, const std::string& prefix, WeightStore& weights) {
  if (config.mlp == MlpKind::none) return;
  const std::int64_t inward[] = {inner_dim, config.hidden_dim};
  const std::int64_t outward[] = {config.hidden_dim, inner_dim};
  activation_ = config.activation;
  const auto matrix = [&](const char* name, std::span<const std::int64_t> shape) {
    return std::make_unique<Matrix>(weights.matrix(prefix + name + ".weight", shape));
  };
  const bool is_gated = config.mlp == MlpKind::gated;
  if (is_gated) gate_ = matrix("gate_proj", inward);
  up_ = matrix("up_proj", inward);
  down_ = matrix("down_proj", outward);
  if (!config.mlp_bias) return;
  if (is_gated) gate_bias_ = weights.values(prefix + "gate_proj.bias", std::span(inward).first(1));
  up_bias_ = weights.values(prefix + "up_proj.bias", std::span(inward).first(1));
  down_bias_ = weights.values(prefix + "down_proj.bias", std::span(outward).first(1));
}

void Mlp::run(ModelSteps& steps, TensorView<const float, 2> input, TensorView<float, 2> inner,
              TensorView<float, 2> out) const {
  if (gate_ != nullptr) {
    steps.gated_project(input, {*gate_, *up_, gate_bias_, up_bias_, activation_}, inner);
  } else {
    steps.project(input, {*up_, inner, up_bias_});
    steps.activate(activation_, inner);
  }
  steps.project(inner, {*down_, out, down_bias_});
}

void Mlp::add_places(const std::string& prefix, std::vector<ParameterPlace>& to) {
  const auto add = [&](const char* name, const std::unique_ptr<Matrix>& of) {
    if (of != nullptr) to.push_back({prefix + name + ".weight", {of->out_dim(), of->in_dim()}, of.get()});
  };
  add("gate_proj", gate_);
  add("up_proj", up_);
  add("down_proj", down_);
  add_values(prefix + "gate_proj.bias", gate_bias_, to);
  add_values(prefix + "up_proj.bias", up_bias_, to);
  add_values(prefix + "down_proj.bias", down_bias_, to);
}

std::size_t Mlp::bytes() const noexcept {
  std::size_t sum = sizeof(float) * (gate_bias_.size() + up_bias_.size() + down_bias_.size());
  for (const Matrix* matrix : {gate_.get(), up_.get(), down_.get()}) sum += matrix == nullptr ? 0 : matrix->bytes();
  return sum;
}

std::int64_t body_parameters(const ModelConfig& config) {
  const std::int64_t hidden = config.hidden_dim, inner = config.intermediate_dim;
  const std::int64_t norm = (config.norm == NormKind::layer ? 2 : 1) * hidden;
  if (config.mlp == MlpKind::none) return (config.layers + 1) * norm;
  const std::int64_t inward = config.mlp == MlpKind::gated ? 2 : 1;  // products into the MLP
  std::int64_t layer = 2 * norm + (inward + 1) * hidden * inner;
  if (config.mlp_bias) layer += inward * inner + hidden;
  return config.layers * layer + norm;
}

}  // namespace attnlab::model
