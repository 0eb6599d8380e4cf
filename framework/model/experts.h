// A mixture of experts in place of a layer's MLP: a router scores the experts, and each token goes through those with
// the best scores. Tokens of one expert go through it together. Shazeer et al. 2017.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "model/body.h"
#include "model/config/model_config.h"

namespace attnlab::model {

/// One of the experts that a token goes through, and its share in the result.
struct ExpertShare {
  int expert = 0;
  float share = 0;
};

/// The experts of a token, from its router's numbers [count]; choice_bias [count] or empty. Best first; of equal ones
/// the first. Computed in double.
[[nodiscard]] ATTNLAB_API std::vector<ExpertShare> choose_experts(const ExpertsConfig& config,
                                                                  std::span<const float> scores,
                                                                  std::span<const float> choice_bias);

class Experts {
 public:
  /// `prefix`: "model.layers.N.mlp."
  void load(const ModelConfig& config, const std::string& prefix, WeightStore& weights);
  [[nodiscard]] bool is_there() const noexcept { return router_ != nullptr; }
  /// input and out [tokens, hidden_dim].
  void run(ModelSteps& steps, TensorView<const float, 2> input, TensorView<float, 2> out) const;
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  struct Expert {
    std::unique_ptr<Matrix> gate, up, down;
    std::vector<float> gate_bias, up_bias, down_bias;
  };
  // rows [tokens, hidden_dim] -> out, same shape.
  void run_expert(ModelSteps& steps, const Expert& expert, TensorView<const float, 2> rows,
                  TensorView<float, 2> out) const;

  ExpertsConfig config_;
  Activation activation_ = Activation::silu;
  std::unique_ptr<Matrix> router_;  // [count, hidden_dim]
  std::vector<float> router_bias_, choice_bias_;
  std::vector<Expert> experts_;
  std::optional<Mlp> shared_;
};

}  // namespace attnlab::model
