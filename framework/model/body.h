// What a decoder layer is made of around its attention: norms and an MLP, of the kinds that the config names. Each part
// loads its own tensors, lists them, and does its work in steps; a further kind is a case here and a name in
// config/body_config.cpp. Not here: the order of the parts (the decoder), and the attention (plugins).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "base/activation.h"
#include "base/norm.h"
#include "model/config/model_config.h"
#include "model/parameters.h"
#include "model/weight_store.h"
#include "ops/matrix.h"
#include "steps/model_steps.h"

namespace attnlab::model {

/// `name`.weight and, of a LayerNorm that has one, `name`.bias, both [hidden_dim]. None until it is loaded.
class BodyNorm {
 public:
  void load(const ModelConfig& config, const std::string& name, WeightStore& weights);
  [[nodiscard]] bool is_there() const noexcept { return kind_ != NormKind::none; }
  [[nodiscard]] Norm norm() const noexcept { return {kind_, weight_, bias_, eps_}; }
  void add_places(const std::string& name, std::vector<ParameterPlace>& to);
  [[nodiscard]] std::size_t bytes() const noexcept { return (weight_.size() + bias_.size()) * sizeof(float); }

 private:
  NormKind kind_ = NormKind::none;
  bool has_bias_ = false;
  float eps_ = 0;
  std::vector<float> weight_, bias_;
};

/// The norms of a layer, those that its config places.
struct LayerNorms {
  BodyNorm attention_in, attention_out, mlp_in, mlp_out;

  /// `prefix`: "model.layers.N."; `has_mlp`: whether anything comes after the attention.
  void load(const ModelConfig& config, const std::string& prefix, bool has_mlp, WeightStore& weights);
  void add_attention_places(const ModelConfig& config, const std::string& prefix, std::vector<ParameterPlace>& to);
  void add_mlp_places(const ModelConfig& config, const std::string& prefix, std::vector<ParameterPlace>& to);
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  void add_places(const ModelConfig& config, const std::string& prefix, std::vector<ParameterPlace>& to, bool of_mlp);
  // Each norm that is there, by its name: body(norm, name).
  template <class Body>
  void for_each(const ModelConfig& config, bool has_mlp, const Body& body);
};

/// gated: down(activation(gate x) * (up x)); plain: down(activation(up x)); none: no tensors, and no work.
class Mlp {
 public:
  /// `prefix`: "model.layers.N.mlp."
  void load(const ModelConfig& config, int inner_dim, const std::string& prefix, WeightStore& weights);
  [[nodiscard]] bool is_there() const noexcept { return down_ != nullptr; }
  /// input and out [tokens, hidden_dim]; inner [tokens, inner_dim], working memory.
  void run(ModelSteps& steps, TensorView<const float, 2> input, TensorView<float, 2> inner,
           TensorView<float, 2> out) const;
  void add_places(const std::string& prefix, std::vector<ParameterPlace>& to);
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  Activation activation_ = Activation::silu;
  std::unique_ptr<Matrix> gate_, up_, down_;  // null where the MLP has none
  std::vector<float> gate_bias_, up_bias_, down_bias_;
};

/// Numbers of the norms, MLPs and experts of all layers, and of the final norm.
[[nodiscard]] ATTNLAB_API std::int64_t body_parameters(const ModelConfig& config);

}  // namespace attnlab::model
