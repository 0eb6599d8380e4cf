#include "model/config/body_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "model/checkpoints/strict_json.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

template <class Value>
using Names = std::vector<std::pair<std::string_view, Value>>;

// As transformers has them; gelu_new and gelu_fast are the same formula, written otherwise.
const Names<Activation>& activation_names() {
  static const Names<Activation> kNames{{"silu", Activation::silu},
                                        {"swish", Activation::silu},
                                        {"gelu", Activation::gelu},
                                        {"gelu_python", Activation::gelu},
                                        {"gelu_pytorch_tanh", Activation::gelu_pytorch_tanh},
                                        {"gelu_new", Activation::gelu_pytorch_tanh},
                                        {"gelu_fast", Activation::gelu_pytorch_tanh},
                                        {"relu", Activation::relu},
                                        {"relu2", Activation::relu2}};
  return kNames;
}

template <class Value>
std::optional<Value> named(const ConfigFields& fields, std::string_view key, const Names<Value>& names) {
  const std::optional<std::string> text = fields.text(key);
  if (!text) return std::nullopt;
  const auto found = std::ranges::find(names, *text, [](const auto& name) { return name.first; });
  if (found != names.end()) return found->second;
  std::string supported;
  for (const auto& [name, value] : names) supported += fmt::format("{}{}", supported.empty() ? "" : ", ", name);
  fields.problem(key, fmt::format(": {} is not supported", in_quotes(*text)), "supported are " + supported);
  return std::nullopt;
}

// Of two names of one thing, which may be there both if they say the same.
template <class Value>
std::optional<Value> one_of(const ConfigFields& fields, std::string_view key, const std::optional<Value>& value,
                            std::string_view other_key, const std::optional<Value>& other) {
  if (value && other && *value != *other)
    fields.problem(key, fmt::format(" contradicts {}", other_key), "keep one of the two");
  return value ? value : other;
}

void read_norm(const ConfigFields& fields, ModelConfig& config) {
  // As a float: an epsilon that becomes 0 there is none.
  static const NumberRule kEpsilon{
      [](double value) { return static_cast<float>(value) > 0 && std::isfinite(static_cast<float>(value)); },
      "a small number greater than 0, such as 1e-5"};
  std::optional<double> eps = fields.optional_number("rms_norm_eps", kEpsilon);
  if (config.architecture->describes_body) {
    const Names<NormKind> kinds{{"rms", NormKind::rms}, {"layer", NormKind::layer}};
    config.norm = named(fields, "norm", kinds).value_or(NormKind::rms);
    if (fields.has("layer_norm_eps") && config.norm != NormKind::layer)
      fields.problem("layer_norm_eps", ": the norm is rms", "write rms_norm_eps, or norm: layer");
    eps = one_of(fields, "layer_norm_eps", fields.optional_number("layer_norm_eps", kEpsilon), "rms_norm_eps", eps);
  }
  config.rms_norm_eps = static_cast<float>(eps.value_or(config.norm == NormKind::layer ? 1e-5 : config.rms_norm_eps));
}

void read_activation(const ConfigFields& fields, ModelConfig& config) {
  std::optional<Activation> activation = named(fields, "hidden_act", activation_names());
  if (config.architecture->describes_body)
    activation =
        one_of(fields, "activation", named(fields, "activation", activation_names()), "hidden_act", activation);
  config.activation = activation.value_or(config.activation);
}

void read_mlp(const ConfigFields& fields, ModelConfig& config) {
  const Names<MlpKind> kinds{{"gated", MlpKind::gated}, {"plain", MlpKind::plain}, {"none", MlpKind::none}};
  if (config.architecture->describes_body && fields.has("mlp")) {
    const std::optional<MlpKind> kind = named(fields, "mlp", kinds);
    if (!kind) return;  // what else it needs is not known
    config.mlp = *kind;
  }
  if (config.mlp == MlpKind::none) {
    for (const std::string_view key : {"intermediate_size", "mlp_bias", "activation", "hidden_act"})
      if (fields.has(key)) fields.problem(key, ": there is no MLP (mlp: none)", "remove it");
    return;
  }
  config.intermediate_dim = config.intermediate_dim > 0 ? fields.count("intermediate_size", config.intermediate_dim)
                                                        : fields.required_count("intermediate_size");
  read_activation(fields, config);
}

}  // namespace

const std::vector<std::string>& body_keys() {
  static const std::vector<std::string> kKeys{"norm", "mlp", "activation", "layer_norm_eps"};
  return kKeys;
}

void read_body(const ConfigFields& fields, ModelConfig& config) {
  read_norm(fields, config);
  read_mlp(fields, config);
}

bool has_llama_body(const ModelConfig& config) {
  return config.norm == NormKind::rms && config.mlp == MlpKind::gated && config.activation == Activation::silu;
}

}  // namespace attnlab::model
